//! JSON Web Tokens (RFC 7519) as credentials: signature, times, audience, issuer; claims → tenant and roles.
//!
//! Which algorithms hold is ours to say, never the token's: HS256 with the configured secret alone, RS256 and ES256 with
//! the keys of the JWKS alone (RFC 8725, sections 3.1 and 3.2).

use std::sync::Once;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature;
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey, Validation,
};
use ring::hmac;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Map, Value};

use super::jwks::Jwks;
use super::roles::Roles;
use super::settings::JwtSettings;

/// A longer token is none of ours.
const MAX_LEN: usize = 8 * 1024;

/// What a token says, once it is believed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) subject: String,
    pub(super) tenant_id: Option<i64>,
    pub(super) roles: Roles,
    /// Seconds since 1970.
    pub(super) expires_at: u64,
}

/// Checks tokens.
pub(super) struct Verifier {
    settings: JwtSettings,
    secret: Option<DecodingKey>,
    jwks: Option<Jwks>,
}

impl Verifier {
    /// One for what is configured; `None` when tokens are not taken.
    ///
    /// # Errors
    ///
    /// Says which setting cannot be used, and why.
    pub(super) fn new(settings: &JwtSettings) -> Result<Option<Self>, String> {
        if !settings.is_on() {
            return Ok(None);
        }
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            let _ = PROVIDER.install_default();
        });
        let secret = settings.secret.as_ref().map(|secret| {
            let secret = secret.expose().as_bytes();
            match secret.len() {
                32.. => Ok(DecodingKey::from_secret(secret)),
                // RFC 7518, section 3.2: as long as the hash.
                _ => Err("api.jwt.secret must have 32 bytes or more"),
            }
        });
        Ok(Some(Self {
            secret: secret.transpose()?,
            jwks: Jwks::new(settings)?,
            settings: settings.clone(),
        }))
    }

    /// What a token says.
    ///
    /// # Errors
    ///
    /// Why it is not believed, in words for whoever sent it.
    pub(super) async fn verify(&self, token: &str) -> Result<Claims, String> {
        let no_token = || "the token is no JWT that is accepted here".to_owned();
        if token.len() > MAX_LEN {
            return Err(no_token());
        }
        // An algorithm that the library does not know, such as none, ends here.
        let header = jsonwebtoken::decode_header(token).map_err(|_| no_token())?;
        if has_critical_extensions(token) {
            return Err("the token has extensions that are not known here (crit)".into());
        }
        let key = match (header.alg, &self.secret, &self.jwks) {
            (Algorithm::HS256, Some(secret), _) => secret.clone(),
            (Algorithm::RS256 | Algorithm::ES256, _, Some(jwks)) => {
                jwks.find(header.kid.as_deref(), header.alg).await?
            }
            _ => {
                return Err("the token is signed by an algorithm that is not accepted here".into());
            }
        };
        let validation = self.validation(header.alg);
        let data = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation);
        let claims = data.map_err(|error| refusal(&error))?.claims;
        self.read(&claims)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let settings = &self.settings;
        let mut validation = Validation::new(algorithm);
        validation.leeway = settings.leeway.0.as_secs();
        validation.validate_nbf = true;
        let mut required = vec!["exp", "sub"];
        if let Some(issuer) = &settings.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        match &settings.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                required.push("aud");
            }
            None => validation.validate_aud = false,
        }
        validation.set_required_spec_claims(&required);
        validation
    }

    fn read(&self, claims: &Map<String, Value>) -> Result<Claims, String> {
        let settings = &self.settings;
        let subject = claims
            .get("sub")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if subject.is_empty() || subject.len() > 200 {
            return Err("the token's sub is missing or too long".into());
        }
        let roles = match claims.get(&settings.roles_claim) {
            Some(Value::String(names)) => Roles::of_names(names.split([' ', ','])),
            Some(Value::Array(names)) => Roles::of_names(names.iter().filter_map(Value::as_str)),
            _ => Roles::NONE,
        };
        let tenant_id = match claims.get(&settings.tenant_claim) {
            None | Some(Value::Null) if settings.require_tenant => {
                return Err(format!("the token has no {}", settings.tenant_claim));
            }
            None | Some(Value::Null) => None,
            Some(tenant) => {
                let number = tenant.as_i64().or_else(|| tenant.as_str()?.parse().ok());
                let wrong = || format!("the token's {} is no whole number", settings.tenant_claim);
                Some(number.ok_or_else(wrong)?)
            }
        };
        let expires_at = claims
            .get("exp")
            .and_then(Value::as_f64)
            .unwrap_or_default();
        Ok(Claims {
            subject: subject.to_owned(),
            tenant_id,
            roles,
            expires_at: (expires_at as u64).saturating_add(settings.leeway.0.as_secs()),
        })
    }
}

/// RFC 7515, section 4.1.11: what says that it must be understood, and is not, makes the token invalid.
fn has_critical_extensions(token: &str) -> bool {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    let header = token.split('.').next().unwrap_or_default();
    let header = BASE64_URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    let header: Result<Value, _> = serde_json::from_slice(&header);
    header.is_ok_and(|header| header.get("crit").is_some())
}

fn refusal(error: &Error) -> String {
    match error.kind() {
        ErrorKind::ExpiredSignature => "the token has expired".into(),
        ErrorKind::ImmatureSignature => "the token is not valid yet".into(),
        ErrorKind::InvalidAudience => "the token is for another audience".into(),
        ErrorKind::InvalidIssuer => "the token is of another issuer".into(),
        ErrorKind::MissingRequiredClaim(claim) => format!("the token has no {claim}"),
        ErrorKind::InvalidSignature => "the token's signature does not hold".into(),
        _ => "the token is no JWT that is accepted here".into(),
    }
}

/// Verifies by ring, which TLS uses too: no second cryptography comes in with tokens. We sign none.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: no_signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    let wanted = match algorithm {
        Algorithm::HS256 => AlgorithmFamily::Hmac,
        Algorithm::RS256 => AlgorithmFamily::Rsa,
        Algorithm::ES256 => AlgorithmFamily::Ec,
        _ => return Err(ErrorKind::InvalidAlgorithm.into()),
    };
    if key.family() != wanted {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Ok(Box::new(ByRing {
        algorithm: *algorithm,
        key: key.clone(),
    }))
}

struct ByRing {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl signature::Verifier<Vec<u8>> for ByRing {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let verified = match (self.algorithm, self.key.kind()) {
            (Algorithm::HS256, DecodingKeyKind::SecretOrDer(secret)) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::verify(&key, message, signature)
            }
            (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                let stripped = |number: &[u8]| {
                    let zeros = number.iter().take_while(|byte| **byte == 0).count();
                    number[zeros..].to_vec()
                };
                let key = RsaPublicKeyComponents {
                    n: stripped(n),
                    e: stripped(e),
                };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            (Algorithm::ES256, DecodingKeyKind::SecretOrDer(point)) => {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                key.verify(message, signature)
            }
            _ => return Err(signature::Error::new()),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for ByRing {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
