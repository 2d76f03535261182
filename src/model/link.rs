//! Links of ours that need no table behind them: what they are for stands inside, sealed.
//!
//! A link counts an open or a click, or unsubscribes. It is sealed (ChaCha20-Poly1305) rather than signed, since a URL is
//! written to the logs of every proxy on its way, and an address must not be. The nonce is a MAC of what is sealed, so
//! that a mail that is sent again has the same links.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{aead, hmac};
use uuid::Uuid;

use super::secret::Secret;

/// The fewest bytes of a secret.
pub const SECRET_MIN: usize = 32;

/// The longest target of a link, in bytes. A longer one is not counted, since mail clients cut long URLs.
pub const TARGET_MAX: usize = 2000;

/// The longest token, in bytes: one for the longest target.
pub const TOKEN_MAX: usize = 3200;

/// The version of what is inside.
const VERSION: u8 = 1;

/// What a link is for. The token of one kind is none of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The pixel of a mail.
    Open,
    /// A link in a mail, which leads to this URL.
    Click {
        /// Where to.
        target: String,
    },
    /// The way out.
    Unsubscribe {
        /// Whose: the message may be gone when somebody has enough.
        recipient: String,
        /// The message's.
        tenant_id: Option<i64>,
    },
}

/// The kind of a [`Purpose`], and where in our URLs it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `/o/…`
    Open,
    /// `/c/…`
    Click,
    /// `/u/…`
    Unsubscribe,
}

impl Kind {
    /// The first segment of its path.
    pub const fn segment(self) -> &'static str {
        match self {
            Self::Open => "o",
            Self::Click => "c",
            Self::Unsubscribe => "u",
        }
    }
}

impl Purpose {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Open => Kind::Open,
            Self::Click { .. } => Kind::Click,
            Self::Unsubscribe { .. } => Kind::Unsubscribe,
        }
    }
}

/// A link in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The message.
    pub message_id: Uuid,
    /// The gateway that sent it, for the event.
    pub gateway: String,
    /// What it is for.
    pub purpose: Purpose,
}

/// What seals links, and opens them: the newest secret seals, the older ones still open what is in people's mailboxes.
pub struct Keys(Vec<Key>);

struct Key {
    seal: aead::LessSafeKey,
    nonce: hmac::Key,
}

impl Keys {
    /// From a secret and those before it. Each has [`SECRET_MIN`] bytes at least.
    ///
    /// # Errors
    ///
    /// A secret that is too short.
    pub fn new(secret: &Secret, previous: &[Secret]) -> Result<Self, String> {
        let keys = [secret].into_iter().chain(previous).map(Key::new);
        Ok(Self(keys.collect::<Result<_, _>>()?))
    }

    /// The token of `link`; `None` when its target, recipient or gateway is too long for one.
    pub fn seal(&self, link: &Link) -> Option<String> {
        let key = self.0.first()?;
        let kind = link.purpose.kind();
        let mut sealed = encode(link)?;
        let nonce = key.nonce_for(kind, &sealed);
        let aad = aead::Aad::from(kind.segment());
        let nonce_for_seal = aead::Nonce::assume_unique_for_key(nonce);
        key.seal
            .seal_in_place_append_tag(nonce_for_seal, aad, &mut sealed)
            .ok()?;
        Some(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// The link of a token of this kind; `None` when we did not seal it.
    pub fn open(&self, kind: Kind, token: &str) -> Option<Link> {
        if token.len() > TOKEN_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<{ aead::NONCE_LEN }>()?;
        self.0.iter().find_map(|key| {
            let mut sealed = sealed.to_vec();
            let aad = aead::Aad::from(kind.segment());
            let nonce = aead::Nonce::assume_unique_for_key(*nonce);
            let opened = key.seal.open_in_place(nonce, aad, &mut sealed).ok()?;
            decode(kind, opened)
        })
    }
}

impl Key {
    fn new(secret: &Secret) -> Result<Self, String> {
        let secret = secret.expose().as_bytes();
        if secret.len() < SECRET_MIN {
            return Err(format!("a secret must have {SECRET_MIN} bytes or more"));
        }
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = |what: &str| hmac::sign(&root, what.as_bytes());
        let seal = derived("postroad links: seal");
        let seal = aead::UnboundKey::new(&aead::CHACHA20_POLY1305, seal.as_ref())
            .map_err(|_| "the secret gives no key")?;
        Ok(Self {
            seal: aead::LessSafeKey::new(seal),
            nonce: hmac::Key::new(hmac::HMAC_SHA256, derived("postroad links: nonce").as_ref()),
        })
    }

    /// One for each content: two contents with one nonce are as unlikely as a collision of 96 bits.
    fn nonce_for(&self, kind: Kind, content: &[u8]) -> [u8; aead::NONCE_LEN] {
        let mut mac = hmac::Context::with_key(&self.nonce);
        mac.update(kind.segment().as_bytes());
        mac.update(content);
        let mut nonce = [0; aead::NONCE_LEN];
        nonce.copy_from_slice(&mac.sign().as_ref()[..aead::NONCE_LEN]);
        nonce
    }
}

/// Version, message id, length and name of the gateway, and what the purpose adds.
fn encode(link: &Link) -> Option<Vec<u8>> {
    let mut bytes = vec![VERSION];
    bytes.extend(link.message_id.as_bytes());
    bytes.push(u8::try_from(link.gateway.len()).ok()?);
    bytes.extend(link.gateway.as_bytes());
    match &link.purpose {
        Purpose::Open => {}
        Purpose::Click { target } if target.len() > TARGET_MAX => return None,
        Purpose::Click { target } => bytes.extend(target.as_bytes()),
        Purpose::Unsubscribe { recipient, .. } if recipient.len() > TARGET_MAX - 9 => return None,
        Purpose::Unsubscribe {
            recipient,
            tenant_id,
        } => {
            bytes.push(u8::from(tenant_id.is_some()));
            bytes.extend(tenant_id.unwrap_or_default().to_be_bytes());
            bytes.extend(recipient.as_bytes());
        }
    }
    Some(bytes)
}

fn decode(kind: Kind, bytes: &[u8]) -> Option<Link> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let (&version, rest) = bytes.split_first()?;
    if version != VERSION {
        return None;
    }
    let (message_id, rest) = rest.split_first_chunk::<16>()?;
    let (&length, rest) = rest.split_first()?;
    let (gateway, rest) = rest.split_at_checked(length.into())?;
    let purpose = match kind {
        Kind::Open => Purpose::Open,
        Kind::Click => Purpose::Click {
            target: text(rest)?,
        },
        Kind::Unsubscribe => {
            let (&has_tenant, rest) = rest.split_first()?;
            let (tenant_id, recipient) = rest.split_first_chunk::<8>()?;
            Purpose::Unsubscribe {
                recipient: text(recipient)?,
                tenant_id: (has_tenant == 1).then(|| i64::from_be_bytes(*tenant_id)),
            }
        }
    };
    Some(Link {
        message_id: Uuid::from_bytes(*message_id),
        gateway: text(gateway)?,
        purpose,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const OLDER: &str = "fedcba9876543210fedcba9876543210";

    fn keys(secret: &str, previous: &[&str]) -> Keys {
        let previous: Vec<Secret> = previous.iter().map(|secret| (*secret).into()).collect();
        Keys::new(&secret.into(), &previous).expect("keys")
    }

    fn link(purpose: Purpose) -> Link {
        Link {
            message_id: Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001),
            gateway: "smtp".into(),
            purpose,
        }
    }

    fn all() -> [Link; 4] {
        let unsubscribe = |tenant_id| Purpose::Unsubscribe {
            recipient: "ada@example.org".into(),
            tenant_id,
        };
        let target = "https://example.org/?a=1&b=ü".into();
        [
            link(Purpose::Open),
            link(Purpose::Click { target }),
            link(unsubscribe(None)),
            link(unsubscribe(Some(-7))),
        ]
    }

    const KINDS: [Kind; 3] = [Kind::Open, Kind::Click, Kind::Unsubscribe];

    /// A mail is read long after it was sent, and sent again after a crash.
    #[test]
    fn a_link_opens_to_what_was_sealed_and_is_the_same_each_time() {
        let keys = keys(SECRET, &[]);
        for link in all() {
            let token = keys.seal(&link).expect("a token");
            assert_eq!(keys.open(link.purpose.kind(), &token), Some(link.clone()));
            assert_eq!(keys.seal(&link), Some(token.clone()), "the same again");
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            assert!(token.chars().all(is_plain), "{token}");
        }
    }

    /// Who can make one can send people anywhere, or unsubscribe them.
    #[test]
    fn each_single_change_is_refused() {
        let keys = keys(SECRET, &[]);
        for link in all() {
            let token = keys.seal(&link).expect("a token");
            let kind = link.purpose.kind();
            for other in KINDS.into_iter().filter(|other| *other != kind) {
                assert_eq!(keys.open(other, &token), None, "of another kind");
            }
            let sealed = URL_SAFE_NO_PAD.decode(&token).expect("base64");
            for at in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert_eq!(
                    keys.open(kind, &URL_SAFE_NO_PAD.encode(changed)),
                    None,
                    "byte {at}"
                );
            }
            for cut in 0..token.len() {
                assert_eq!(keys.open(kind, &token[..cut]), None, "cut at {cut}");
            }
            assert_eq!(keys.open(kind, &format!("{token}A")), None);
            assert_eq!(
                self::keys(OLDER, &[]).open(kind, &token),
                None,
                "another key"
            );
        }
    }

    /// Mails are kept for years, secrets should not be.
    #[test]
    fn an_older_secret_opens_and_no_longer_seals() {
        let [link, ..] = all();
        let old = keys(OLDER, &[]).seal(&link).expect("a token");
        let rotated = keys(SECRET, &[OLDER]);
        assert_eq!(rotated.open(Kind::Open, &old), Some(link.clone()));
        assert_eq!(rotated.seal(&link), keys(SECRET, &[]).seal(&link));
    }

    /// An address in a URL is an address in every log on the way.
    #[test]
    fn a_token_does_not_show_the_address() {
        let [_, _, link, _] = all();
        let token = keys(SECRET, &[]).seal(&link).expect("a token");
        let bytes = URL_SAFE_NO_PAD.decode(&token).expect("base64");
        assert!(!bytes.windows(3).any(|part| part == b"ada"));
    }

    /// A short secret can be tried out on one link, at home.
    #[test]
    fn a_short_secret_is_refused() {
        assert!(Keys::new(&SECRET.into(), &[]).is_ok());
        assert!(Keys::new(&SECRET[1..].into(), &[]).is_err());
        assert!(Keys::new(&SECRET.into(), &["short".into()]).is_err());
    }

    /// Mail clients cut what is too long, and a cut token is none.
    #[test]
    fn the_longest_target_fits_and_a_longer_one_has_no_token() {
        let keys = keys(SECRET, &[]);
        let of = |length| {
            let mut link = link(Purpose::Click {
                target: "x".repeat(length),
            });
            link.gateway = "g".repeat(255);
            keys.seal(&link)
        };
        assert!(of(TARGET_MAX).is_some_and(
            |token| token.len() <= TOKEN_MAX && keys.open(Kind::Click, &token).is_some()
        ));
        assert_eq!(of(TARGET_MAX + 1), None);
    }

    proptest! {
        /// Tokens come from anybody.
        #[test]
        fn no_token_makes_it_panic(token in ".{0,100}", bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let keys = keys(SECRET, &[OLDER]);
            for kind in KINDS {
                prop_assert_eq!(keys.open(kind, &token), None);
                prop_assert_eq!(keys.open(kind, &URL_SAFE_NO_PAD.encode(&bytes)), None);
                let _ = decode(kind, &bytes);
            }
        }
    }
}
