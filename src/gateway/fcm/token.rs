//! Access tokens: a signed claim for one, kept and renewed ahead of its expiry.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::timeout_at;

use super::config::Account;
use crate::gateway::exchange;
use crate::gateway::http::{self, Answer};
use crate::gateway::push::jwt;
use crate::model::outcome::{Fault, SendError};
use crate::model::secret::Secret;

/// For whom the claim is signed. It stays the same when the token is had elsewhere, as Google's own clients have it.
pub(super) const AUDIENCE: &str = "https://oauth2.googleapis.com/token";

const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";

/// How long before its expiry a token is renewed, while messages go on with it.
const AHEAD: Duration = Duration::from_secs(300);

/// How long before its expiry a token is no longer used, for the way to the provider and its clock.
const MARGIN: Duration = Duration::from_secs(10);

/// For one request for a token.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Younger than this, a token is not refused for its age.
const YOUNG: Duration = Duration::from_secs(60);

/// How long a failed request stands for those that would be made.
const FAILURE_STANDS: Duration = Duration::from_secs(1);

/// The tokens of one account.
pub(super) struct Tokens {
    account: Account,
    client: Client,
    current: RwLock<Option<Token>>,
    /// Held by the one request that may be under way; when and how the last one failed.
    request: Mutex<Option<(Instant, Refused)>>,
}

#[derive(Clone)]
struct Token {
    value: Arc<Secret>,
    asked_at: Instant,
    renew_at: Instant,
    good_until: Instant,
}

/// A failure that each message waiting for the token gets.
#[derive(Clone)]
struct Refused {
    fault: Fault,
    reason: &'static str,
    code: Option<String>,
    text: Option<String>,
}

/// What is answered to the claim (RFC 6749, section 5).
#[derive(Deserialize)]
struct Granted {
    access_token: Secret,
    expires_in: Option<u64>,
}

impl Tokens {
    pub(super) fn new(account: Account, client: Client) -> Arc<Self> {
        Arc::new(Self {
            account,
            client,
            current: RwLock::default(),
            request: Mutex::default(),
        })
    }

    /// A token that is good. Near its expiry it is renewed beside; without one, a message asks and the others wait.
    ///
    /// # Errors
    ///
    /// `Gateway`: `token_refused`, `token_unavailable`, `token_unreadable`; `Transient`: `deadline_passed`.
    pub(super) async fn get(self: &Arc<Self>, deadline: Instant) -> Result<Arc<Secret>, SendError> {
        let now = Instant::now();
        if now >= deadline {
            return Err(deadline_passed());
        }
        if let Some(token) = self.current(now) {
            if now >= token.renew_at {
                self.renew_beside();
            }
            return Ok(token.value);
        }
        let mut last_failure = timeout_at(deadline.into(), self.request.lock())
            .await
            .map_err(|_| deadline_passed())?;
        if let Some(token) = self.current(Instant::now()) {
            return Ok(token.value);
        }
        if let Some((at, refused)) = &*last_failure
            && at.elapsed() < FAILURE_STANDS
        {
            return Err(refused.clone().into());
        }
        let limit = deadline.min(Instant::now() + REQUEST_TIMEOUT);
        match self.request(limit).await {
            Ok(token) => Ok(token.value),
            Err(_) if Instant::now() >= deadline => Err(deadline_passed()),
            Err(refused) => {
                *last_failure = Some((Instant::now(), refused.clone()));
                Err(refused.into())
            }
        }
    }

    /// Drops a token that was refused. False when it is so young that another one would be refused as well.
    pub(super) fn forget(&self, refused: &Arc<Secret>) -> bool {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some(token) if Arc::ptr_eq(&token.value, refused) => {
                let is_old = token.asked_at.elapsed() >= YOUNG;
                if is_old {
                    *current = None;
                }
                is_old
            }
            _ => true, // replaced already
        }
    }

    fn current(&self, now: Instant) -> Option<Token> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone().filter(|token| now < token.good_until)
    }

    /// Starts a renewal unless a request is under way, or the last one failed a moment ago. Its failure harms nobody yet.
    fn renew_beside(self: &Arc<Self>) {
        let tokens = Arc::clone(self);
        tokio::spawn(async move {
            let Ok(mut last_failure) = tokens.request.try_lock() else {
                return;
            };
            let now = Instant::now();
            let is_renewed = tokens
                .current(now)
                .is_some_and(|token| now < token.renew_at);
            let has_failed = last_failure
                .as_ref()
                .is_some_and(|(at, _)| at.elapsed() < FAILURE_STANDS);
            if is_renewed || has_failed {
                return;
            }
            if let Err(refused) = tokens.request(now + REQUEST_TIMEOUT).await {
                tracing::warn!(
                    reason = refused.reason,
                    "fcm: the access token was not renewed ahead of its expiry"
                );
                *last_failure = Some((Instant::now(), refused));
            }
        });
    }

    /// Asks for a token (RFC 7523, section 2.1) and keeps it.
    async fn request(&self, limit: Instant) -> Result<Token, Refused> {
        let asked_at = Instant::now();
        let now = jwt::now();
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(key_id) = &self.account.key_id {
            header["kid"] = key_id.as_str().into();
        }
        let claims = json!({
            "iss": self.account.email,
            "scope": SCOPE,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 3600,
        });
        let assertion = jwt::rs256(&self.account.key, &header, &claims)
            .ok_or(Refused::new("token_refused", None))?;
        let request = self.client.post(self.account.token_url.clone()).form(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &assertion),
        ]);
        let asking = exchange::hidden("asks for an access token", http::call(request, limit));
        let answer = asking.await.map_err(|error| Refused {
            code: error.code,
            ..Refused::new("token_unavailable", None)
        })?;
        let token = read(&answer, asked_at)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(token.clone());
        Ok(token)
    }
}

fn read(answer: &Answer, asked_at: Instant) -> Result<Token, Refused> {
    let refused = |reason| Refused {
        code: Some(answer.status.as_str().to_owned()),
        ..Refused::new(reason, answer.retry_after())
    };
    match answer.status.as_u16() {
        200 => {}
        // Of a refusal the words help; they name the account or its clock, not the key.
        400..=403 => {
            return Err(Refused {
                text: Some(answer.text()),
                ..refused("token_refused")
            });
        }
        _ => return Err(refused("token_unavailable")),
    }
    let granted: Granted =
        serde_json::from_slice(&answer.body).map_err(|_| refused("token_unreadable"))?;
    // It goes into a header.
    let value = granted.access_token.expose();
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(refused("token_unreadable"));
    }
    let lifetime = Duration::from_secs(granted.expires_in.unwrap_or(3600).min(86_400));
    Ok(Token {
        value: Arc::new(granted.access_token),
        asked_at,
        // A short-lived one is renewed at half its time.
        renew_at: asked_at + lifetime.saturating_sub(AHEAD).max(lifetime / 2),
        good_until: asked_at + lifetime.saturating_sub(MARGIN).max(lifetime / 2),
    })
}

impl Refused {
    fn new(reason: &'static str, retry_after: Option<Duration>) -> Self {
        Self {
            fault: Fault::Gateway { retry_after },
            reason,
            code: None,
            text: None,
        }
    }
}

impl From<Refused> for SendError {
    fn from(refused: Refused) -> Self {
        Self {
            fault: refused.fault,
            reason: refused.reason,
            code: refused.code,
            provider_text: refused.text,
        }
    }
}

fn deadline_passed() -> SendError {
    SendError::new(Fault::Transient { retry_after: None }, "deadline_passed")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;
    use ring::signature::RsaKeyPair;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;

    use super::*;

    fn tokens(port: u16) -> Arc<Tokens> {
        let pem = include_bytes!("../../../tests/fixtures/rfc7515_a2_key.pem");
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).expect("a key");
        let account = Account {
            email: "push@example.org".into(),
            key: RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("a key"),
            key_id: None,
            token_url: format!("http://127.0.0.1:{port}/").parse().expect("a URL"),
        };
        Tokens::new(account, http::client().expect("a client"))
    }

    /// A token of an hour that was had so long ago.
    fn token_of_age(age: Duration) -> Token {
        let body = r#"{"access_token": "old", "expires_in": 3600}"#;
        let answer = Answer {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
        };
        let asked_at = Instant::now().checked_sub(age).expect("a running machine");
        read(&answer, asked_at).unwrap_or_else(|refused| panic!("{}", refused.reason))
    }

    /// No message may wait for the renewal of a token that is still good, and none may find it expired.
    #[tokio::test]
    async fn a_token_near_its_expiry_is_renewed_beside_the_messages() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let tokens = tokens(listener.local_addr().expect("an address").port());
        let deadline = Instant::now() + Duration::from_secs(20);
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        *tokens.current.write().expect("unpoisoned") = Some(token_of_age(minutes(56)));
        let used = tokens.get(deadline).await.expect("the old one");
        assert_eq!(used.expose(), "old");

        let (mut stream, _) = listener.accept().await.expect("a renewal");
        tokens
            .get(deadline)
            .await
            .expect("the old one, beside a renewal under way");
        let mut request = [0; 4096];
        let read = stream.read(&mut request).await.expect("a request");
        assert!(request[..read].starts_with(b"POST / "));
        let body = r#"{"access_token": "new", "expires_in": 3600}"#;
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.expect("written");
        drop(tokens.request.lock().await); // held until the renewal has ended
        let used = tokens.get(deadline).await.expect("the new one");
        assert_eq!(used.expose(), "new");
    }

    /// A token that Google takes back early is replaced; a fresh one that is refused says that the account is wrong.
    #[test]
    fn a_refused_token_is_replaced_unless_it_is_young() {
        let tokens = tokens(9);
        for (age, is_dropped) in [(YOUNG, true), (YOUNG - Duration::from_secs(5), false)] {
            let token = token_of_age(age);
            *tokens.current.write().expect("unpoisoned") = Some(token.clone());
            assert_eq!(tokens.forget(&token.value), is_dropped);
            assert_eq!(tokens.current(Instant::now()).is_none(), is_dropped);
        }
        let another = token_of_age(Duration::ZERO);
        assert!(tokens.forget(&another.value), "it was replaced already");
        assert!(tokens.current(Instant::now()).is_some());
    }
}
