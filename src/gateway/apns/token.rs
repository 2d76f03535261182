//! Provider tokens: signed by our key, reused for as long as Apple likes them
//! (<https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns>: renewed
//! no more often than every 20 minutes, no less often than every 60).

use std::sync::{Arc, Mutex, PoisonError};

use p256::ecdsa::SigningKey;
use serde_json::json;

use crate::gateway::push::jwt;
use crate::model::secret::Secret;

/// Age at which a token is replaced, in seconds.
const RENEW_AGE: u64 = 40 * 60;

/// Age from which on a token may be replaced, in seconds.
const LEAST_AGE: u64 = 20 * 60;

/// The tokens of one key.
pub(super) struct Tokens {
    key: SigningKey,
    key_id: String,
    team_id: String,
    current: Mutex<Option<Token>>,
}

struct Token {
    value: Arc<Secret>,
    /// Seconds since 1970.
    issued_at: u64,
}

impl Tokens {
    pub(super) fn new(key: SigningKey, key_id: String, team_id: String) -> Self {
        Self {
            key,
            key_id,
            team_id,
            current: Mutex::default(),
        }
    }

    /// The token at `now`, in seconds since 1970. A clock that was put back makes a new one as well.
    pub(super) fn get(&self, now: u64) -> Arc<Secret> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some(token) if (token.issued_at..token.issued_at + RENEW_AGE).contains(&now) => {
                Arc::clone(&token.value)
            }
            _ => self.issue(&mut current, now),
        }
    }

    /// Another token than `expired`, which Apple calls expired. `None` when that is too young for it: then a clock is
    /// wrong, and more tokens only get us throttled.
    pub(super) fn replace(&self, expired: &Arc<Secret>, now: u64) -> Option<Arc<Secret>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some(token) if !Arc::ptr_eq(&token.value, expired) => Some(Arc::clone(&token.value)),
            Some(token) if now < token.issued_at + LEAST_AGE => None,
            _ => Some(self.issue(&mut current, now)),
        }
    }

    fn issue(&self, current: &mut Option<Token>, now: u64) -> Arc<Secret> {
        let header = json!({"alg": "ES256", "kid": self.key_id});
        let claims = json!({"iss": self.team_id, "iat": now});
        let value = Arc::new(Secret::new(jwt::es256(&self.key, &header, &claims)));
        *current = Some(Token {
            value: Arc::clone(&value),
            issued_at: now,
        });
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        let key = SigningKey::from_slice(&[7; 32]).expect("a key");
        Tokens::new(key, "ABC123DEFG".into(), "DEF123GHIJ".into())
    }

    /// Apple throttles a connection whose token changes more often than every 20 minutes, and refuses one of an hour.
    #[test]
    fn a_token_is_reused_and_replaced_in_time() {
        let tokens = tokens();
        let minute = |m: u64| 1_700_000_000 + 60 * m;
        let first = tokens.get(minute(0));
        assert!(Arc::ptr_eq(&first, &tokens.get(minute(39))));
        let second = tokens.get(minute(40));
        assert!(!Arc::ptr_eq(&first, &second));
        assert!(Arc::ptr_eq(&second, &tokens.get(minute(41))));
        let set_back = tokens.get(minute(10));
        assert!(!Arc::ptr_eq(&second, &set_back));
    }

    /// Of many messages that learn at once that the token expired, one makes the next.
    #[test]
    fn an_expired_token_is_replaced_once_and_a_young_one_never() {
        let tokens = tokens();
        let first = tokens.get(0);
        assert!(tokens.replace(&first, LEAST_AGE - 1).is_none());
        let second = tokens.replace(&first, LEAST_AGE).expect("another");
        assert!(!Arc::ptr_eq(&first, &second));
        let third = tokens.replace(&first, LEAST_AGE).expect("the second");
        assert!(Arc::ptr_eq(&second, &third));
    }
}
