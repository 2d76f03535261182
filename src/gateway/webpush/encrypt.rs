//! Message encryption for Web Push (RFC 8291) in the content coding `aes128gcm` (RFC 8188).

use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::{SecretKey, ecdh};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::subscription::Keys;

/// What a push service must take, in bytes (RFC 8030, section 7.2).
const BODY_MAX: usize = 4096;

/// Salt, record size, length of the key id, key id.
const HEADER: usize = 16 + 4 + 1 + 65;

/// The most that fits into one body, in bytes: less the header, the delimiter and the tag.
pub(super) const PLAINTEXT_MAX: usize = BODY_MAX - HEADER - 1 - 16;

/// Encrypts one message with a key pair and a salt of its own. `None` when the system has no randomness.
pub(super) fn encrypt(plaintext: &[u8], keys: &Keys) -> Option<Vec<u8>> {
    let random = SystemRandom::new();
    let mut salt = [0; 16];
    random.fill(&mut salt).ok()?;
    // All but 2⁻³² of the numbers are keys.
    let ephemeral = (0..4).find_map(|_| {
        let mut bytes = [0; 32];
        random.fill(&mut bytes).ok()?;
        SecretKey::from_slice(&bytes).ok()
    })?;
    encrypt_with(plaintext, keys, &ephemeral, salt)
}

fn encrypt_with(
    plaintext: &[u8],
    keys: &Keys,
    ephemeral: &SecretKey,
    salt: [u8; 16],
) -> Option<Vec<u8>> {
    if plaintext.len() > PLAINTEXT_MAX {
        return None;
    }
    let our_public = ephemeral.public_key().to_sec1_point(false);
    let their_public = keys.public.to_sec1_point(false);
    let shared = ecdh::diffie_hellman(ephemeral.to_nonzero_scalar(), keys.public.as_affine());

    // RFC 8291, section 3.4: the shared secret and the browser's own secret make the input for RFC 8188, section 2.2.
    let info: [&[u8]; 3] = [
        b"WebPush: info\0",
        their_public.as_bytes(),
        our_public.as_bytes(),
    ];
    let input: [u8; 32] = derive(&keys.auth, shared.raw_secret_bytes(), &info)?;
    let key: [u8; 16] = derive(&salt, &input, &[b"Content-Encoding: aes128gcm\0"])?;
    let nonce: [u8; 12] = derive(&salt, &input, &[b"Content-Encoding: nonce\0"])?;

    let mut body = Vec::with_capacity(BODY_MAX);
    body.extend_from_slice(&salt);
    body.extend_from_slice(&(BODY_MAX as u32).to_be_bytes());
    body.push(our_public.as_bytes().len() as u8);
    body.extend_from_slice(our_public.as_bytes());

    let mut record = plaintext.to_vec();
    record.push(2); // the delimiter of the last record
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?);
    let nonce = Nonce::assume_unique_for_key(nonce); // each message has its own key
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut record)
        .ok()?;
    body.extend_from_slice(&record);
    Some(body)
}

/// HKDF with SHA-256 (RFC 5869).
fn derive<const N: usize>(salt: &[u8], input: &[u8], info: &[&[u8]]) -> Option<[u8; N]> {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut output = [0; N];
    let key = Salt::new(HKDF_SHA256, salt).extract(input);
    key.expand(info, Length(N)).ok()?.fill(&mut output).ok()?;
    Some(output)
}

#[cfg(test)]
mod tests {
    use p256::PublicKey;

    use super::super::config::decode;
    use super::*;
    use crate::gateway::push::jwt::base64url;

    /// One bit elsewhere, and no browser in the world shows the message (RFC 8291, section 5 and appendix A).
    #[test]
    fn the_published_example_comes_out() {
        let bytes = |text: &str| decode(text).expect(text);
        let keys = Keys {
            public: PublicKey::from_sec1_bytes(&bytes(
                "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            ))
            .expect("a point"),
            auth: bytes("BTBZMqHH6r4Tts7J_aSIgg"),
        };
        let ephemeral =
            SecretKey::from_slice(&bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
                .expect("a key");
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw")
            .try_into()
            .expect("16 bytes");
        let plaintext = b"When I grow up, I want to be a watermelon";
        let body = encrypt_with(plaintext, &keys, &ephemeral, salt).expect("a body");
        let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
        assert_eq!(base64url(&body), expected);
    }

    /// Push services need not take more than 4,096 bytes, and a key or a salt used twice tells the plaintext.
    #[test]
    fn a_body_fits_and_is_another_each_time() {
        let secret = SecretKey::from_slice(&[7; 32]).expect("a key");
        let keys = Keys {
            public: secret.public_key(),
            auth: vec![1; 16],
        };
        let largest = vec![b'x'; PLAINTEXT_MAX];
        let (one, other) = (encrypt(&largest, &keys), encrypt(&largest, &keys));
        let (one, other) = (one.expect("it fits"), other.expect("it fits"));
        assert_eq!(one.len(), 4096);
        assert_ne!(one[..16], other[..16], "the same salt");
        assert_ne!(one[21..86], other[21..86], "the same key");
        assert!(encrypt(&[b'x'; PLAINTEXT_MAX + 1], &keys).is_none());
    }
}
