//! Signatures by Standard Webhooks 1.0.0 (github.com/standard-webhooks/standard-webhooks, `spec/standard-webhooks.md`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::signature::Ed25519KeyPair;

/// What signs.
pub(crate) enum Key {
    /// `v1`: HMAC-SHA256.
    Hmac(hmac::Key),
    /// `v1a`: Ed25519.
    Ed25519(Ed25519KeyPair),
}

/// `webhook-signature`: one signature a key over `id.timestamp.body`, with spaces between. `timestamp` is in Unix
/// seconds, of this attempt.
pub(crate) fn signatures(keys: &[Key], id: &str, timestamp: u64, body: &[u8]) -> String {
    let text = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    let signatures: Vec<String> = keys
        .iter()
        .map(|key| match key {
            Key::Hmac(key) => format!("v1,{}", STANDARD.encode(hmac::sign(key, &text))),
            Key::Ed25519(pair) => format!("v1a,{}", STANDARD.encode(pair.sign(&text))),
        })
        .collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::config::Settings;
    use super::*;

    fn signed(secret: &str, previous: Option<&str>) -> String {
        let settings = Settings {
            secret: Some(secret.into()),
            previous_secret: previous.map(Into::into),
            ..Settings::default()
        };
        signatures(
            &settings.keys().expect("keys"),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        )
    }

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const KEY: &str = "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=";
    const KEY_SIGNATURE: &str = "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==";

    /// Vectors of the standard's own libraries (`libraries/javascript/src/webhook.test.ts` @10d3e46,
    /// `libraries/go/webhook_asymmetric_test.go` @5fb2ce9).
    #[test]
    fn signatures_are_those_of_the_standards_own_libraries() {
        assert_eq!(signed(SECRET, None), SIGNATURE);
        assert_eq!(signed(KEY, None), KEY_SIGNATURE);
    }

    /// Receivers change their secret at another time than we do.
    #[test]
    fn both_secrets_sign_while_one_replaces_the_other() {
        let both = format!("{KEY_SIGNATURE} {SIGNATURE}");
        assert_eq!(signed(KEY, Some(SECRET)), both);
    }
}
