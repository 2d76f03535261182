//! Credentials that a caller of ours brings along, for providers that do not sign: HTTP Basic or a bearer token.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use ring::{hmac, rand};
use serde::Deserialize;

use super::source::Refused;
use crate::model::secret::Secret;

/// Whether two texts are the same. How long that takes tells nothing of where they differ, nor of how long `ours` is:
/// their MACs under a key of this process are compared.
pub(super) fn same(given: &[u8], ours: &[u8]) -> bool {
    static KEY: LazyLock<Option<hmac::Key>> =
        LazyLock::new(|| hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new()).ok());
    KEY.as_ref().is_some_and(|key| {
        let mac = hmac::sign(key, ours);
        hmac::verify(key, given, mac.as_ref()).is_ok()
    })
}

/// The fewest bytes of a token: 128 bits in base64url are 22.
const TOKEN_MIN: usize = 16;

/// Settings of a webhook that takes either. A token, or a user and a password, is needed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The bearer token, 16 characters at least.
    pub token: Option<Secret>,
    /// Accepted too, while it is being replaced.
    pub previous_token: Option<Secret>,
    /// For HTTP Basic, together with `password`.
    pub username: String,
    /// For HTTP Basic, together with `username`.
    pub password: Option<Secret>,
}

impl Settings {
    /// What they accept.
    pub(super) fn credentials(&self) -> Result<Credentials, String> {
        let mut credentials = Credentials::default();
        let tokens = self.token.iter().chain(&self.previous_token);
        if tokens
            .clone()
            .any(|token| token.is_blank() || token.is_padded())
        {
            return Err("has a token that is empty, or has white space at an end".into());
        }
        if tokens.clone().any(|token| token.expose().len() < TOKEN_MIN) {
            let problem = format!("token must have {TOKEN_MIN} characters or more");
            return Err(problem);
        }
        for token in tokens {
            credentials.add_bearer(token);
        }
        match &self.password {
            Some(password) if !self.username.trim().is_empty() && !password.is_blank() => {
                credentials.add_basic(&self.username, password);
            }
            None if self.username.is_empty() => {}
            _ => return Err("needs both username and password, or neither".into()),
        }
        match credentials.is_empty() {
            true => Err("needs token, or username and password".into()),
            false => Ok(credentials),
        }
    }
}

/// Those that are accepted. Several at once, so that one can replace another while callers change over.
#[derive(Default)]
pub(super) struct Credentials {
    /// `user:password`, as HTTP Basic has them (RFC 7617).
    basic: Vec<Secret>,
    /// RFC 6750.
    bearer: Vec<Secret>,
}

impl Credentials {
    /// Accepts a user and a password.
    pub(super) fn add_basic(&mut self, username: &str, password: &Secret) {
        let pair = format!("{username}:{}", password.expose());
        self.basic.push(Secret::new(pair));
    }

    /// Accepts a token.
    pub(super) fn add_bearer(&mut self, token: &Secret) {
        self.bearer.push(token.clone());
    }

    /// Whether none is accepted.
    pub(super) fn is_empty(&self) -> bool {
        self.basic.is_empty() && self.bearer.is_empty()
    }

    /// Checks what `headers` bring.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let (Some(given), None) = (given.next(), given.next()) else {
            return Err(Refused::Unauthenticated("no credentials"));
        };
        let wrong = Refused::Unauthenticated("wrong credentials");
        let given = given.to_str().map_err(|_| wrong.clone())?;
        let (scheme, given) = given.split_once(' ').ok_or_else(|| wrong.clone())?;
        let given = given.trim();
        let (decoded, accepted) = match scheme.to_ascii_lowercase().as_str() {
            "basic" => (STANDARD.decode(given).ok(), &self.basic),
            "bearer" => (Some(given.into()), &self.bearer),
            _ => (None, &self.basic),
        };
        let decoded = decoded.ok_or_else(|| wrong.clone())?;
        // All are looked at, so that time does not tell which one it was.
        let matches = |secret: &&Secret| same(&decoded, secret.expose().as_bytes());
        match accepted.iter().filter(matches).count() {
            0 => Err(wrong),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(credentials: &Credentials, lines: &[&str]) -> Result<(), Refused> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, line.parse().expect("a header"));
        }
        credentials.check(&headers)
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    /// Who may post to us may suppress anybody.
    #[test]
    fn only_what_was_set_is_accepted_and_in_its_own_scheme() {
        let mut some = Credentials::default();
        some.add_basic("ada", &"pa:ss".into());
        some.add_basic("ada", &"older".into());
        some.add_bearer(&"token".into());
        for right in [
            basic("ada:pa:ss"),
            basic("ada:older"),
            basic("ada:pa:ss").replace("Basic", "bAsIc"),
            "Bearer token".into(),
        ] {
            assert_eq!(check(&some, &[&right]), Ok(()), "{right}");
        }
        for wrong in [
            basic("ada:pa:s"),
            basic("ada:pa:sss"),
            basic("Ada:pa:ss"),
            basic("token"),
            basic(""),
            "Basic *".into(),
            "Bearer ada:pa:ss".into(),
            "Bearer Token".into(),
            "Bearer".into(),
            "token".into(),
            "Digest token".into(),
        ] {
            let refused = check(&some, &[&wrong]);
            assert!(
                matches!(refused, Err(Refused::Unauthenticated(_))),
                "{wrong}"
            );
        }
        assert!(check(&some, &[]).is_err());
        assert!(
            check(&some, &["Bearer token", "Bearer token"]).is_err(),
            "two of them"
        );
    }

    /// What is not configured lets nobody in.
    #[test]
    fn no_credentials_accept_nothing() {
        let none = Credentials::default();
        assert!(none.is_empty());
        assert!(check(&none, &["Bearer "]).is_err());
        assert!(check(&none, &[&basic("")]).is_err());
    }
}
