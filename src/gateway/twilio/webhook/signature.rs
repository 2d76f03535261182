//! `X-Twilio-Signature` (<https://www.twilio.com/docs/usage/security>): a MAC over the URL that Twilio called and the
//! parameters that it posted, by HMAC-SHA1 with the account's token, or by HMAC-SHA256 with a shared key.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac};

use super::{WebhookSettings, content_type, is_form};
use crate::gateway::credentials::same;
use crate::gateway::source::{Posted, Refused};

const SIGNATURE: &str = "x-twilio-signature";

/// Says which shared key signed, and how: `key=…,algorithm=HMAC_SHA256`. Without it the token did, by HMAC-SHA1.
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";

/// The parameter of the URL that has the SHA-256 of a body which is no form, in hexadecimal.
const BODY_HASH: &str = "bodySHA256";

/// The most parameters that are looked at: a form of many millions of them costs memory.
const PARAMETERS_MAX: usize = 1000;

/// What Twilio may sign with.
pub(super) struct Keys {
    tokens: Vec<hmac::Key>,
    shared: BTreeMap<String, hmac::Key>,
}

/// The signature that the headers have: as it is written, and what it says.
pub(super) fn given<'a>(posted: &Posted<'a>) -> Result<(&'a str, Vec<u8>), Refused> {
    let mut given = posted.headers.get_all(SIGNATURE).iter();
    let (Some(given), None) = (given.next(), given.next()) else {
        return Err(Refused::Unauthenticated("no X-Twilio-Signature"));
    };
    let wrong = Refused::Unauthenticated("wrong X-Twilio-Signature");
    let given = given.to_str().map_err(|_| wrong.clone())?;
    let mac = STANDARD.decode(given).map_err(|_| wrong)?;
    Ok((given, mac))
}

impl Keys {
    pub(super) fn new(settings: &WebhookSettings) -> Result<Self, String> {
        let tokens = settings
            .auth_token
            .iter()
            .chain(&settings.other_auth_tokens);
        let mut all = tokens.clone().chain(settings.shared_keys.values());
        if all.any(|secret| secret.is_blank() || secret.is_padded()) {
            return Err(
                "has a token or shared key that is empty, or has white space at an end".into(),
            );
        }
        let tokens: Vec<_> = tokens
            .map(|token| {
                let bytes = token.expose().as_bytes();
                hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, bytes)
            })
            .collect();
        let shared: BTreeMap<_, _> = settings
            .shared_keys
            .iter()
            .map(|(id, key)| {
                let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
                (id.clone(), key)
            })
            .collect();
        if tokens.is_empty() && shared.is_empty() {
            return Err("needs auth_token (TWILIO_AUTH_TOKEN), or shared_keys".into());
        }
        Ok(Self { tokens, shared })
    }

    /// The signature of a request that is Twilio's.
    pub(super) fn verify(&self, posted: &Posted<'_>) -> Result<String, Refused> {
        let (given, mac) = given(posted)?;
        let wrong = Refused::Unauthenticated("wrong X-Twilio-Signature");
        let keys = self.keys(posted)?;
        let parameters = parameters(posted)?;
        let texts: Vec<String> = spellings(posted.url)
            .into_iter()
            .map(|url| url + &parameters)
            .collect();
        let is_signed = keys.iter().any(|key| {
            texts
                .iter()
                .any(|text| hmac::verify(key, text.as_bytes(), &mac).is_ok())
        });
        match is_signed {
            true => Ok(given.to_owned()),
            false => Err(wrong),
        }
    }

    fn keys(&self, posted: &Posted<'_>) -> Result<Vec<&hmac::Key>, Refused> {
        let Some(settings) = posted.headers.get(SETTINGS) else {
            return Ok(self.tokens.iter().collect());
        };
        let settings = settings
            .to_str()
            .map_err(|_| Refused::Malformed("unreadable signature settings"))?;
        let setting = |name: &str| {
            settings.split(',').find_map(|pair| {
                let (key, value) = pair.split_once('=')?;
                (key.trim() == name).then_some(value.trim())
            })
        };
        match setting("algorithm") {
            None | Some("HMAC_SHA1") => Ok(self.tokens.iter().collect()),
            Some("HMAC_SHA256") => Ok(setting("key")
                .and_then(|id| self.shared.get(id))
                .into_iter()
                .collect()),
            Some(_) => Err(Refused::Unauthenticated("unknown signature algorithm")),
        }
    }
}

/// What is signed behind the URL: each parameter of a form by name, its values once and in order. Nothing for a GET, nor
/// for another body, whose hash must be in the URL.
fn parameters(posted: &Posted<'_>) -> Result<String, Refused> {
    if is_form(content_type(posted)) {
        let mut fields: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (count, (name, value)) in url::form_urlencoded::parse(posted.body).enumerate() {
            if count == PARAMETERS_MAX {
                return Err(Refused::Malformed("too many parameters"));
            }
            fields.entry(name).or_default().insert(value);
        }
        let mut text = String::new();
        for (name, values) in fields {
            for value in values {
                text.push_str(&name);
                text.push_str(&value);
            }
        }
        return Ok(text);
    }
    if posted.body.is_empty() {
        return Ok(String::new());
    }
    let hash = posted.query.and_then(|query| {
        url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == BODY_HASH)
    });
    let Some((_, hash)) = hash else {
        return Err(Refused::Unauthenticated("a body that is not signed"));
    };
    let digest = digest::digest(&digest::SHA256, posted.body);
    let ours: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    match same(hash.to_ascii_lowercase().as_bytes(), ours.as_bytes()) {
        true => Ok(String::new()),
        false => Err(Refused::Unauthenticated("wrong bodySHA256")),
    }
}

/// The URL without a port, and with one: its own, else the scheme's. Twilio is not of one mind about it, and its own
/// libraries try both.
fn spellings(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return vec![url.to_owned()];
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // A colon in the user's password, or inside an IPv6 address, begins no port.
    let host_at = authority.rfind('@').map_or(0, |at| at + 1);
    let (user, host) = authority.split_at(host_at);
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    };
    let port = port.unwrap_or(match scheme {
        "https" => "443",
        _ => "80",
    });
    vec![
        format!("{scheme}://{user}{name}{path}"),
        format!("{scheme}://{user}{name}:{port}{path}"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A colon is not always a port.
    #[test]
    fn a_port_is_told_from_a_password_and_an_address() {
        for (url, without, with) in [
            (
                "https://x.org/a?b=1",
                "https://x.org/a?b=1",
                "https://x.org:443/a?b=1",
            ),
            ("http://x.org", "http://x.org", "http://x.org:80"),
            (
                "https://x.org:8443/a",
                "https://x.org/a",
                "https://x.org:8443/a",
            ),
            (
                "https://u:p@x.org/",
                "https://u:p@x.org/",
                "https://u:p@x.org:443/",
            ),
            ("https://[::1]/", "https://[::1]/", "https://[::1]:443/"),
            ("https://[::1]:9/", "https://[::1]/", "https://[::1]:9/"),
            (
                "https://x.org?to=a:b",
                "https://x.org?to=a:b",
                "https://x.org:443?to=a:b",
            ),
        ] {
            assert_eq!(spellings(url), [without, with]);
        }
        assert_eq!(spellings("x"), ["x"]);
    }
}
