//! Settings as an operator writes them → what requests are made with.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use p256::SecretKey;
use p256::ecdsa::SigningKey;
use serde::Deserialize;
use url::Url;

use super::vapid::Vapid;
use crate::model::secret::Secret;

/// Its settings: key and subject are needed.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The VAPID private key (`WEBPUSH_VAPID_PRIVATE_KEY`): 32 bytes in base64url, as web push libraries generate it, or PEM.
    pub vapid_private_key: Option<Secret>,
    /// How push services reach us (`WEBPUSH_VAPID_SUBJECT`): a `mailto:` or `https:` URL.
    pub vapid_subject: Option<String>,
    /// Hosts of push services that are known, with their subdomains. Faults of theirs are the gateway's; those of any
    /// other endpoint, which anybody may have set up, are its own.
    pub push_services: Vec<String>,
    /// For tests: endpoints may be of this machine or a private network, and plain http.
    pub allow_private: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let known = [
            "googleapis.com",
            "push.services.mozilla.com",
            "push.apple.com",
            "notify.windows.com",
        ];
        Self {
            vapid_private_key: None,
            vapid_subject: None,
            push_services: known.map(str::to_owned).to_vec(),
            allow_private: false,
        }
    }
}

/// Reads key and subject. Messages name the setting, and show nothing of the key.
pub(super) fn vapid(settings: &Settings) -> Result<Vapid, String> {
    let key = settings
        .vapid_private_key
        .as_ref()
        .ok_or("needs vapid_private_key (WEBPUSH_VAPID_PRIVATE_KEY)")?;
    let key = private_key(key.expose().trim()).ok_or(
        "vapid_private_key must be a P-256 private key: 32 bytes in base64url, or PEM (PKCS #8 or SEC 1)",
    )?;
    let subject = settings.vapid_subject.as_deref().ok_or(
        "needs vapid_subject (WEBPUSH_VAPID_SUBJECT), such as \"mailto:push@example.org\"",
    )?;
    let is_contact = Url::parse(subject).is_ok_and(|url| match url.scheme() {
        "mailto" => url.path().contains('@'),
        "https" => url.host().is_some(),
        _ => false,
    });
    if !is_contact {
        return Err("vapid_subject must be a mailto: or https: URL".into());
    }
    Ok(Vapid::new(SigningKey::from(key), subject.to_owned()))
}

fn private_key(text: &str) -> Option<SecretKey> {
    use p256::pkcs8::DecodePrivateKey as _;
    if text.starts_with("-----BEGIN EC ") {
        return SecretKey::from_sec1_pem(text).ok();
    }
    if text.starts_with("-----") {
        return SecretKey::from_pkcs8_pem(text).ok();
    }
    SecretKey::from_slice(&decode(text)?).ok()
}

/// Reads base64url with or without padding, and plain base64, which some browsers' libraries write.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &URL_SAFE,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    LENIENT
        .decode(text.replace('+', "-").replace('/', "_"))
        .ok()
}
