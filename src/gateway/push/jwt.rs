//! Signed tokens (JWT, RFC 7519; JWS, RFC 7515) as providers want them from us.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::Value;

/// Base64url without padding (RFC 4648, section 5).
pub fn base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// A token signed by ECDSA on P-256 with SHA-256 (`ES256`): r and s, 32 bytes each, not DER.
pub fn es256(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let input = signing_input(header, claims);
    let signature: Signature = key.sign(input.as_bytes());
    format!("{input}.{}", base64url(&signature.to_bytes()))
}

/// A token signed by RSA PKCS #1 v1.5 with SHA-256 (`RS256`); `None` when the key cannot sign.
pub fn rs256(key: &RsaKeyPair, header: &Value, claims: &Value) -> Option<String> {
    let input = signing_input(header, claims);
    let signature = rs256_signature(key, input.as_bytes())?;
    Some(format!("{input}.{}", base64url(&signature)))
}

fn rs256_signature(key: &RsaKeyPair, input: &[u8]) -> Option<Vec<u8>> {
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        input,
        &mut signature,
    )
    .ok()?;
    Some(signature)
}

fn signing_input(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| base64url(value.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

/// Reads a file that holds a key.
///
/// # Errors
///
/// Names the setting and the file, and shows nothing of what is in it.
pub fn read_file(setting: &str, path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path)
        .map_err(|error| format!("{setting} {} cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::VerifyingKey;
    use p256::ecdsa::signature::Verifier as _;
    use serde_json::json;
    use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;

    use super::*;

    /// RSA signatures are the same each time, so the published one must come out (RFC 7515, appendix A.2).
    #[test]
    fn the_published_rs256_signature_comes_out() {
        let pem = include_bytes!("../../../tests/fixtures/rfc7515_a2_key.pem");
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).expect("a key");
        let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("a key");
        let input = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = rs256_signature(&key, input.as_bytes()).expect("a signature");
        let expected = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
        assert_eq!(base64url(&signature), expected);
    }

    /// A signature in DER, as libraries make it by default, is refused by Apple and by push services.
    #[test]
    fn an_es256_signature_is_64_bytes_and_holds() {
        let key = SigningKey::from_slice(&[7; 32]).expect("a key");
        let token = es256(&key, &json!({"alg": "ES256"}), &json!({"iss": "us"}));
        let (input, signature) = token.rsplit_once('.').expect("three parts");
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).expect("base64");
        assert_eq!(signature.len(), 64);
        let signature = Signature::from_slice(&signature).expect("r and s");
        let public = VerifyingKey::from(&key);
        assert!(public.verify(input.as_bytes(), &signature).is_ok());
        assert!(public.verify(b"another", &signature).is_err());
    }
}
