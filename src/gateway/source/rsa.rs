//! RSA public keys in the forms in which providers give them out, and signatures by PKCS #1 v1.5.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use p256::pkcs8::der::asn1::UintRef;
use p256::pkcs8::der::{Decode as _, Error, Reader as _, SliceReader};
use p256::pkcs8::{ObjectIdentifier, SubjectPublicKeyInfoRef};
use ring::digest::{SHA256, digest};
use ring::signature::{
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
    RsaPublicKeyComponents,
};

/// `rsaEncryption` (RFC 8017, appendix C).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// What the signature was made over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Hash {
    /// Broken for documents that an attacker may choose; here the provider chooses them.
    Sha1,
    /// The one to use.
    Sha256,
}

/// A public key of 1,024 to 8,192 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway) struct PublicKey {
    n: Vec<u8>,
    e: Vec<u8>,
    /// By which the signer names it.
    pub(in crate::gateway) id: String,
}

impl PublicKey {
    /// Reads PEM (`PUBLIC KEY`, `RSA PUBLIC KEY`), the base64 within, or a DKIM record (`v=DKIM1; … p=…;`).
    ///
    /// Its id is the SHA-256 of the PKCS #1 form in hex, as ruby-jwt makes key ids (`KidAsKeyDigest`).
    pub(in crate::gateway) fn from_text(text: &str) -> Option<Self> {
        let text = text.replace("\\n", "\n"); // the environment's way to write lines
        let tag = text.split(';').map(str::trim);
        let key = tag.filter_map(|tag| tag.strip_prefix("p=")).next();
        let lines = key.unwrap_or(&text).lines().map(str::trim);
        let base64: String = lines
            .filter(|line| !line.starts_with("-----"))
            .flat_map(str::split_whitespace)
            .collect();
        let der = STANDARD.decode(base64).ok()?;
        Self::from_spki(&der).or_else(|| Self::from_pkcs1(&der))
    }

    /// Reads a `SubjectPublicKeyInfo` (RFC 5280, section 4.1) of an RSA key.
    pub(in crate::gateway) fn from_spki(der: &[u8]) -> Option<Self> {
        let info = SubjectPublicKeyInfoRef::from_der(der).ok()?;
        if info.algorithm.oid != RSA {
            return None;
        }
        Self::from_pkcs1(info.subject_public_key.as_bytes()?)
    }

    /// `RSAPublicKey` (RFC 8017, appendix A.1.1).
    fn from_pkcs1(der: &[u8]) -> Option<Self> {
        let numbers = |reader: &mut SliceReader<'_>| -> Result<_, Error> {
            let read = reader.sequence(|inner| -> Result<_, Error> {
                let (n, e) = (UintRef::decode(inner)?, UintRef::decode(inner)?);
                Ok((n.as_bytes().to_vec(), e.as_bytes().to_vec()))
            })?;
            Ok(read)
        };
        let mut reader = SliceReader::new(der).ok()?;
        let (n, e) = numbers(&mut reader).ok()?;
        if !reader.is_finished() {
            return None;
        }
        let id = digest(&SHA256, der);
        Self::new(&n, &e, hex(id.as_ref()))
    }

    /// A JSON Web Key (RFC 7517; RFC 7518, section 6.3.1): base64url of the numbers.
    pub(in crate::gateway) fn from_jwk(n: &str, e: &str, id: &str) -> Option<Self> {
        let number = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        Self::new(&number(n)?, &number(e)?, id.to_owned())
    }

    fn new(n: &[u8], e: &[u8], id: String) -> Option<Self> {
        let bare =
            |number: &[u8]| -> Vec<u8> { number.iter().copied().skip_while(|b| *b == 0).collect() };
        let (n, e) = (bare(n), bare(e));
        let fits = (128..=1024).contains(&n.len()) && (1..=5).contains(&e.len());
        fits.then_some(Self { n, e, id })
    }

    /// Its length in bytes, which is that of its signatures.
    pub(in crate::gateway) fn size_bytes(&self) -> usize {
        self.n.len()
    }

    /// Whether it made `signature` over `message`.
    pub(in crate::gateway) fn verifies(
        &self,
        hash: Hash,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let algorithm = match hash {
            Hash::Sha1 => &RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        };
        let key = RsaPublicKeyComponents {
            n: &self.n,
            e: &self.e,
        };
        key.verify(algorithm, message, signature).is_ok()
    }
}

/// In lower case.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7515, appendix A.2.
    const N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

    /// The same key as another program writes it (OpenSSL, `rsa -pubout`).
    fn spki() -> Vec<u8> {
        let n = BASE64_URL_SAFE_NO_PAD.decode(N).expect("base64url");
        let sequence = |body: &[u8], tag: u8| -> Vec<u8> {
            let length = u16::try_from(body.len()).expect("short").to_be_bytes();
            [&[tag, 0x82], &length[..], body].concat()
        };
        let numbers = [
            sequence(&[&[0], &n[..]].concat(), 0x02),
            vec![2, 3, 1, 0, 1],
        ]
        .concat();
        let bits = [vec![0], sequence(&numbers, 0x30)].concat();
        let algorithm = [
            0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0,
        ];
        sequence(&[&algorithm[..], &sequence(&bits, 0x03)].concat(), 0x30)
    }

    /// Operators paste what Postal shows them, in any of its forms.
    #[test]
    fn each_form_of_a_key_is_the_same_key() {
        let jwk = PublicKey::from_jwk(N, "AQAB", "").expect("a key");
        let base64 = STANDARD.encode(spki());
        let lines = base64.as_bytes().chunks(64).map(String::from_utf8_lossy);
        let lines: Vec<_> = lines.collect();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            lines.join("\n")
        );
        for form in [
            base64.clone(),
            format!("v=DKIM1; t=s; h=sha256; p={base64};"),
            pem.replace('\n', "\\n"),
            pem.replace('\n', "\r\n"),
            pem,
        ] {
            let key = PublicKey::from_text(&form).expect("a key");
            assert_eq!((&key.n, &key.e), (&jwk.n, &jwk.e));
            assert_eq!(key.id.len(), 64);
        }
        for none in ["", "p=;", "no key", &base64[4..], "AAAA"] {
            assert_eq!(PublicKey::from_text(none), None, "{none}");
        }
        assert_eq!(PublicKey::from_jwk("AQAB", "AQAB", ""), None, "too short");
    }

    /// The signature that RFC 7515 publishes, and what differs from it by a bit or by the hash.
    #[test]
    fn a_published_signature_holds_for_its_message_alone() {
        let key = PublicKey::from_jwk(N, "AQAB", "").expect("a key");
        let message = b"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        assert!(key.verifies(Hash::Sha256, message, &signature));
        assert!(!key.verifies(Hash::Sha1, message, &signature));
        assert!(!key.verifies(Hash::Sha256, &message[1..], &signature));
        assert!(!key.verifies(Hash::Sha256, message, &signature[1..]));
        assert!(!key.verifies(Hash::Sha256, message, &[]));
    }
}
