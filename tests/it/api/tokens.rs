//! JSON Web Tokens: which are believed, and what they say.

use p256::ecdsa::SigningKey;
use postroad::gateway::push::jwt::{base64url, es256, rs256};
use postroad::model::secret::Secret;
use postroad::server::api::{Settings, settings::JwtSettings};
use ring::hmac;
use ring::signature::{KeyPair as _, RsaKeyPair};
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::Api;
use crate::support::http_double::HttpDouble;

/// Signs by HS256.
pub(super) const SECRET: &str = "a secret of thirty-two bytes or more";

/// Tokens of one issuer for one audience, signed by [`SECRET`].
pub(super) fn settings() -> Settings {
    let jwt = JwtSettings {
        secret: Some(Secret::new(SECRET)),
        issuer: Some("https://id.example.org".into()),
        audience: Some("postroad".into()),
        ..JwtSettings::default()
    };
    Settings {
        jwt,
        requests_per_second: 100_000,
        ..Settings::default()
    }
}

/// What a good token says.
pub(super) fn claims(subject: &str, roles: &Value, tenant: Option<i64>) -> Value {
    json!({
        "iss": "https://id.example.org",
        "aud": ["another", "postroad"],
        "sub": subject,
        "exp": postroad::gateway::push::jwt::now() + 600,
        "roles": roles,
        "tenant_id": tenant,
    })
}

/// A token by HS256.
pub(super) fn signed(claims: &Value) -> String {
    by_hmac(
        &json!({"alg": "HS256", "typ": "JWT"}),
        claims,
        SECRET.as_bytes(),
    )
}

/// A token by `alg: none`.
pub(super) fn unsigned(claims: &Value) -> String {
    let part = |value: &Value| base64url(value.to_string().as_bytes());
    format!("{}.{}.", part(&json!({"alg": "none"})), part(claims))
}

fn by_hmac(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let part = |value: &Value| base64url(value.to_string().as_bytes());
    let input = format!("{}.{}", part(header), part(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    format!(
        "{input}.{}",
        base64url(hmac::sign(&key, input.as_bytes()).as_ref())
    )
}

fn rsa_key() -> RsaKeyPair {
    let pem = include_bytes!("../../fixtures/rfc7515_a2_key.pem");
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem).expect("a key");
    RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("a key")
}

fn rsa_jwk(key: &RsaKeyPair, id: &str) -> Value {
    let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(key.public());
    json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": id, "n": base64url(&public.n), "e": base64url(&public.e)})
}

fn ec_jwk(key: &SigningKey, id: &str) -> Value {
    let point = key.verifying_key().to_sec1_point(false);
    let (x, y) = point.as_bytes()[1..].split_at(32);
    json!({"kty": "EC", "crv": "P-256", "kid": id, "x": base64url(x), "y": base64url(y)})
}

async fn with_jwks(url: &str) -> anyhow::Result<Api> {
    let mut settings = settings();
    settings.jwt.secret = None;
    settings.jwt.jwks_url = Some(url.into());
    Api::start_with(settings).await
}

/// Identity providers sign by RSA or on P-256, and change their keys without telling anybody.
#[tokio::test]
async fn tokens_are_verified_by_the_keys_of_a_jwks_which_is_kept_and_fetched_anew()
-> anyhow::Result<()> {
    let provider = HttpDouble::start().await;
    let (rsa, ec) = (rsa_key(), SigningKey::from_slice(&[7; 32])?);
    let jwks = json!({"keys": [rsa_jwk(&rsa, "one"), ec_jwk(&ec, "two"), {"kty": "oct", "kid": "three", "k": base64url(SECRET.as_bytes())}]});
    provider.answer(200, &[], jwks.to_string());
    let api = with_jwks(provider.url()).await?;
    let claims = claims("ada", &json!("reader"), Some(7));
    let ask = async |token: &str| {
        let answered = api.call(token, "GET", "/messages", &Value::Null).await?;
        anyhow::Ok((
            answered.status,
            answered.body["detail"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        ))
    };
    let by_rsa =
        |kid: &str| rs256(&rsa, &json!({"alg": "RS256", "kid": kid}), &claims).expect("a token");
    assert_eq!(ask(&by_rsa("one")).await?.0, 200);
    assert_eq!(
        ask(&es256(&ec, &json!({"alg": "ES256", "kid": "two"}), &claims))
            .await?
            .0,
        200
    );
    assert_eq!(
        ask(&es256(&ec, &json!({"alg": "ES256"}), &claims)).await?.0,
        200,
        "the only one of its kind"
    );

    // Confusions: a public key as an HMAC secret, a secret among public keys, another key's id, a key of another kind.
    let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(rsa.public());
    let hostile = [
        by_hmac(&json!({"alg": "HS256", "kid": "one"}), &claims, &public.n),
        by_hmac(
            &json!({"alg": "HS256", "kid": "one"}),
            &claims,
            rsa.public_key().as_ref(),
        ),
        by_hmac(
            &json!({"alg": "HS256", "kid": "three"}),
            &claims,
            SECRET.as_bytes(),
        ),
        by_hmac(
            &json!({"alg": "RS256", "kid": "three"}),
            &claims,
            SECRET.as_bytes(),
        ),
        by_rsa("two"),
        es256(&ec, &json!({"alg": "ES256", "kid": "one"}), &claims),
        es256(
            &SigningKey::from_slice(&[8; 32])?,
            &json!({"alg": "ES256", "kid": "two"}),
            &claims,
        ),
        es256(
            &ec,
            &json!({"alg": "ES256", "kid": "two", "crit": ["exp"]}),
            &claims,
        ),
        unsigned(&claims),
    ];
    for (place, token) in hostile.iter().enumerate() {
        assert_eq!(ask(token).await?.0, 401, "hostile {place}");
    }
    // The unknown ids above asked for nothing more: a key is looked for again after some seconds only.
    assert_eq!(provider.requests().len(), 1);
    Ok(())
}

/// A provider that is down must not lock everybody out, nor its absence let anybody in.
#[tokio::test]
async fn without_a_jwks_nobody_is_let_in() -> anyhow::Result<()> {
    let provider = HttpDouble::start().await;
    provider.answer(500, &[], "");
    let api = with_jwks(provider.url()).await?;
    let token = es256(
        &SigningKey::from_slice(&[7; 32])?,
        &json!({"alg": "ES256", "kid": "two"}),
        &claims("ada", &json!("reader"), Some(7)),
    );
    let answered = api.call(&token, "GET", "/messages", &Value::Null).await?;
    assert_eq!(answered.status, 401, "{:?}", answered.body);
    // Keys are not concerned.
    let key = api.key("roles => '{reader}'").await?;
    assert_eq!(
        api.call(&key, "GET", "/messages", &Value::Null)
            .await?
            .status,
        200
    );
    Ok(())
}

/// What a claim is called, and how it is written, differs from provider to provider.
#[tokio::test]
async fn roles_and_tenant_come_from_the_claims_that_are_configured() -> anyhow::Result<()> {
    let mut settings = settings();
    settings.jwt.roles_claim = "https://example.org/scope".into();
    settings.jwt.tenant_claim = "org".into();
    settings.jwt.require_tenant = false;
    let api = Api::start_with(settings).await?;
    api.db
        .enqueue_to("ada@example.org", "tenant_id => 7")
        .await?;
    let seen = async |scope: Value, org: Value| {
        let mut claims = claims("ada", &json!("admin"), Some(8));
        claims["https://example.org/scope"] = scope;
        claims["org"] = org;
        let answered = api
            .call(&signed(&claims), "GET", "/messages", &Value::Null)
            .await?;
        anyhow::Ok((
            answered.status,
            answered.body["messages"].as_array().map_or(0, Vec::len),
        ))
    };
    assert_eq!(seen(json!("openid reader"), json!(7)).await?, (200, 1));
    assert_eq!(seen(json!(["reader"]), json!("7")).await?, (200, 1));
    assert_eq!(seen(json!(["reader"]), json!(9)).await?, (200, 0));
    assert_eq!(
        seen(json!(["reader"]), Value::Null).await?,
        (200, 1),
        "bound to none"
    );
    assert_eq!(seen(json!("openid"), json!(7)).await?.0, 403);
    assert_eq!(seen(Value::Null, json!(7)).await?.0, 403);
    for wrong in [json!("seven"), json!(7.5), json!([7]), json!("")] {
        assert_eq!(
            seen(json!(["reader"]), wrong.clone()).await?.0,
            401,
            "{wrong}"
        );
    }
    Ok(())
}

/// A set-up that would take tokens that are meant for others must not start.
#[test]
fn settings_that_cannot_hold_are_refused() {
    let good = settings().jwt;
    assert!(good.check().is_ok());
    let short = JwtSettings {
        secret: Some(Secret::new("too short")),
        ..good.clone()
    };
    assert!(short.check().expect_err("it is short").contains("32 bytes"));
    let any_audience = JwtSettings {
        jwks_url: Some("https://id.example.org/jwks".into()),
        audience: None,
        ..good.clone()
    };
    assert!(
        any_audience
            .check()
            .expect_err("no audience")
            .contains("audience")
    );
    let plain = JwtSettings {
        jwks_url: Some("http://id.example.org/jwks".into()),
        ..good
    };
    assert!(plain.check().expect_err("no TLS").contains("https"));
}
