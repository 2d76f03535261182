//! Settings as an operator writes them → a configuration that is known to make sense.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::signature::Ed25519KeyPair;
use serde::Deserialize;

use super::sign::Key;
use crate::model::secret::Secret;

/// Its settings. A secret is needed: a receiver must be able to tell our requests from anybody's.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What signs: `whsec_` and 24 to 64 random bytes in base64, which every receiver must know; or `whsk_` and an
    /// Ed25519 key (32 bytes, or 64 with the public key), whose public half is enough for receivers.
    pub secret: Option<Secret>,
    /// Signs too while receivers change over to a new `secret`.
    pub previous_secret: Option<Secret>,
    /// Whether addresses that only this machine or this network reaches may be called. Whoever can enqueue could then
    /// reach what stands behind the firewall.
    pub allow_private: bool,
}

impl Settings {
    /// The keys that sign, the current one first.
    pub(super) fn keys(&self) -> Result<Vec<Key>, String> {
        let secret = self.secret.as_ref().ok_or(
            "needs secret, \"whsec_\" and 24 to 64 random bytes in base64: openssl rand -base64 32",
        )?;
        let mut keys = vec![key("secret", secret)?];
        if let Some(previous) = &self.previous_secret {
            keys.push(key("previous_secret", previous)?);
        }
        Ok(keys)
    }
}

/// Reads a secret; `setting` is its name in the error.
///
/// # Errors
///
/// Says what would be right, without the secret.
pub(crate) fn key(setting: &str, secret: &Secret) -> Result<Key, String> {
    let refused = || {
        format!(
            "{setting} must be whsec_ and 24 to 64 bytes in base64, or whsk_ and an Ed25519 key of 32 or 64 bytes"
        )
    };
    let decoded = |text: &str| STANDARD.decode(text).map_err(|_| refused());
    if let Some(text) = secret.expose().strip_prefix("whsec_") {
        let bytes = decoded(text)?;
        return match bytes.len() {
            24..=64 => Ok(Key::Hmac(hmac::Key::new(hmac::HMAC_SHA256, &bytes))),
            _ => Err(refused()),
        };
    }
    let text = secret.expose().strip_prefix("whsk_").ok_or_else(refused)?;
    let bytes = decoded(text)?;
    let pair = match bytes.len() {
        32 => Ed25519KeyPair::from_seed_unchecked(&bytes),
        64 => Ed25519KeyPair::from_seed_and_public_key(&bytes[..32], &bytes[32..]),
        _ => return Err(refused()),
    };
    pair.map(Key::Ed25519).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A secret that is too short can be guessed; one in another form would sign what nobody can verify.
    #[test]
    fn a_secret_has_a_known_form_and_length() {
        let keys = |secret: &str| {
            let settings = Settings {
                secret: Some(secret.into()),
                ..Settings::default()
            };
            settings.keys()
        };
        let of =
            |prefix: &str, bytes: usize| format!("{prefix}{}", STANDARD.encode(vec![7; bytes]));
        for right in [of("whsec_", 24), of("whsec_", 64), of("whsk_", 32)] {
            assert!(keys(&right).is_ok(), "{right}");
        }
        for wrong in [
            of("whsec_", 23),
            of("whsec_", 65),
            of("whsk_", 31),
            of("whsk_", 64), // its halves do not belong together
            of("", 32),
            of("whpk_", 32),
            "whsec_no base64!".into(),
            String::new(),
        ] {
            let error = keys(&wrong).err().expect(&wrong);
            assert!(wrong.is_empty() || !error.contains(&wrong), "{error}");
        }
        assert!(Settings::default().keys().is_err());
    }
}
