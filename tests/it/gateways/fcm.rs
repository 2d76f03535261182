//! FCM: what we ask of Google, and how its answers are judged.

mod answers;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use postroad::gateway::Gateway as _;
use postroad::gateway::fcm::{Fcm, Settings};
use postroad::model::outcome::{Fault, SendError};
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::push::*;
use super::*;
use crate::support::http_double::HttpDouble;

const NAME: &str = "projects/myproject-b5ae1/messages/0:1500415314455276%31bd1c9631bd1c96";

/// FCM, which takes everything.
async fn taking() -> (Provider<Fcm>, HttpDouble) {
    let (api, tokens) = (HttpDouble::start().await, token_service().await);
    api.answer(200, &[], json!({"name": NAME}).to_string());
    let gateway = fcm_at(&api, &tokens);
    (Provider { api, gateway }, tokens)
}

/// The `message` that goes out.
async fn sent(message: &Rendered) -> anyhow::Result<Value> {
    let (fcm, _tokens) = taking().await;
    fcm.gateway.send(message, later()).await?;
    Ok(fcm.api.requests()[0].json()["message"].clone())
}

/// The first example of the guide "Send messages with the HTTP v1 API", and what we add to it.
#[tokio::test]
async fn the_request_is_the_documented_one() -> anyhow::Result<()> {
    let (fcm, _tokens) = taking().await;
    let message = push_to(FCM_TOKEN);
    let accepted = fcm.gateway.send(&message, later()).await?;
    assert_eq!(accepted.external_id.as_deref(), Some(NAME));
    let requests = fcm.api.requests();
    let [request] = requests.as_slice() else {
        panic!("{requests:?}");
    };
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/v1/projects/myproject-b5ae1/messages:send");
    assert_eq!(request.header("authorization"), "Bearer ya29.token");
    assert_eq!(request.header("content-type"), "application/json");
    let expected = json!({"message": {
        "token": FCM_TOKEN,
        "notification": {"title": "Breaking News", "body": "New news story available."},
        "data": {"postroad_message_id": message.message_id.to_string()},
        "android": {"priority": "HIGH"},
        "apns": {"headers": {"apns-push-type": "alert", "apns-priority": "10"}},
        "webpush": {"headers": {"Urgency": "high"}},
    }});
    assert_eq!(request.json(), expected);
    Ok(())
}

/// The claim is what Google's "OAuth 2.0 for Server to Server Applications" describes, signed by the account's key.
#[tokio::test]
async fn a_token_is_had_for_a_signed_claim() -> anyhow::Result<()> {
    let (fcm, tokens) = taking().await;
    fcm.gateway.send(&push_to(FCM_TOKEN), later()).await?;
    let request = &tokens.requests()[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/token")
    );
    assert_eq!(
        request.header("content-type"),
        "application/x-www-form-urlencoded"
    );
    let form = request.form();
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    assert_eq!(form[0], ("grant_type".to_owned(), grant.to_owned()));
    assert_eq!(form[1].0, "assertion");
    let (input, signature) = form[1].1.rsplit_once('.').expect("three parts");
    let (header, claims) = input.split_once('.').expect("three parts");
    let read = |part: &str| -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(
            &BASE64_URL_SAFE_NO_PAD.decode(part)?,
        )?)
    };
    assert_eq!(
        read(header)?,
        json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"})
    );
    let claims = read(claims)?;
    assert_eq!(
        claims["iss"],
        "push@myproject-b5ae1.iam.gserviceaccount.com"
    );
    assert_eq!(
        claims["scope"],
        "https://www.googleapis.com/auth/firebase.messaging"
    );
    assert_eq!(claims["aud"], "https://oauth2.googleapis.com/token");
    let issued_at = claims["iat"].as_u64().expect("a number");
    assert_eq!(claims["exp"], issued_at + 3600);
    let der = PrivatePkcs8KeyDer::from_pem_slice(RSA_KEY.as_bytes())?;
    let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("a key");
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref());
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature)?;
    assert!(public.verify(input.as_bytes(), &signature).is_ok());
    Ok(())
}

/// A token holds for an hour; asked for by each message, it would double their time and be throttled.
#[tokio::test]
async fn one_token_serves_all_messages() -> anyhow::Result<()> {
    let (fcm, tokens) = taking().await;
    let message = push_to(FCM_TOKEN);
    let sends = (0..20).map(|_| fcm.gateway.send(&message, later()));
    futures_util::future::try_join_all(sends).await?;
    fcm.gateway.send(&message, later()).await?;
    assert_eq!(fcm.api.requests().len(), 21);
    assert_eq!(tokens.requests().len(), 1);
    Ok(())
}

/// Each option has its place on each platform.
#[tokio::test]
async fn every_option_goes_where_its_platform_reads_it() -> anyhow::Result<()> {
    let mut message = push_with(
        FCM_TOKEN,
        json!({
            "badge": 3, "sound": "chime", "image": "https://example.org/a.png", "click_action": "OPEN_STORY",
            "ttl": 3600, "collapse_key": "story",
        }),
    );
    message.priority = Priority::P2;
    let sent = sent(&message).await?;
    assert_eq!(sent["notification"]["image"], "https://example.org/a.png");
    let android = json!({
        "priority": "NORMAL", "ttl": "3600s", "collapse_key": "story",
        "notification": {"sound": "chime", "notification_count": 3, "click_action": "OPEN_STORY"},
    });
    assert_eq!(sent["android"], android);
    let apns = &sent["apns"];
    let aps = json!({"badge": 3, "sound": "chime", "category": "OPEN_STORY", "mutable-content": 1});
    assert_eq!(apns["payload"]["aps"], aps);
    assert_eq!(apns["fcm_options"]["image"], "https://example.org/a.png");
    assert_eq!(apns["headers"]["apns-priority"], "5");
    assert_eq!(apns["headers"]["apns-collapse-id"], "story");
    let expiration = apns["headers"]["apns-expiration"]
        .as_str()
        .expect("a string");
    assert!(
        expiration.parse::<u64>()? > 1_700_000_000 + 3600,
        "{expiration}"
    );
    let headers = json!({"Urgency": "normal", "TTL": "3600"});
    assert_eq!(sent["webpush"], json!({"headers": headers}));
    Ok(())
}

/// On the web a click action is a link; an app opens it by itself.
#[tokio::test]
async fn a_click_action_that_is_a_url_is_a_link() -> anyhow::Result<()> {
    let link = "https://example.org/story/1";
    let sent = sent(&push_with(FCM_TOKEN, json!({"click_action": link}))).await?;
    assert_eq!(sent["webpush"]["fcm_options"]["link"], link);
    assert_eq!(sent["data"]["click_action"], link);
    assert_eq!(sent["android"], json!({"priority": "HIGH"}));
    assert_eq!(sent["apns"].get("payload"), None);
    Ok(())
}

/// What the caller says for a platform wins, and stays in its platform.
#[tokio::test]
async fn raw_payloads_are_merged_into_their_platform() -> anyhow::Result<()> {
    let push = json!({
        "sound": "chime",
        "android": {"notification": {"channel_id": "news", "sound": null}, "token": "another"},
        "apns": {"aps": {"thread-id": "news"}},
        "webpush": {"headers": {"Urgency": "low"}, "notification": {"icon": "/i.png"}},
    });
    let sent = sent(&push_with(FCM_TOKEN, push)).await?;
    assert_eq!(sent["token"], FCM_TOKEN);
    assert_eq!(
        sent["android"]["notification"],
        json!({"channel_id": "news"})
    );
    assert_eq!(
        sent["apns"]["payload"]["aps"],
        json!({"sound": "chime", "thread-id": "news"})
    );
    assert_eq!(sent["webpush"]["headers"]["Urgency"], "low");
    assert_eq!(sent["webpush"]["notification"], json!({"icon": "/i.png"}));
    Ok(())
}

/// FCM refuses data that is not strings.
#[tokio::test]
async fn data_goes_out_as_strings() -> anyhow::Result<()> {
    let data = json!({"story": 12, "open": true, "tags": ["a"], "title": "News\n", "none": null});
    let message = push_data(FCM_TOKEN, data);
    let sent = sent(&message).await?;
    let expected = json!({
        "story": "12", "open": "true", "tags": "[\"a\"]", "title": "News\n", "none": "null",
        "postroad_message_id": message.message_id.to_string(),
    });
    assert_eq!(sent["data"], expected);
    Ok(())
}

/// Without a title and a text there is nothing to show; Apple wants to be told.
#[tokio::test]
async fn data_alone_is_no_notification() -> anyhow::Result<()> {
    let message = Rendered {
        subject: None,
        body: None,
        ..push_data(FCM_TOKEN, json!({"sync": "1"}))
    };
    let sent = sent(&message).await?;
    assert_eq!(sent.get("notification"), None);
    let headers = json!({"apns-push-type": "background", "apns-priority": "5"});
    let payload = json!({"aps": {"content-available": 1}});
    assert_eq!(
        sent["apns"],
        json!({"headers": headers, "payload": payload})
    );
    Ok(())
}

/// Topics and installation ids are other fields than tokens.
#[tokio::test]
async fn a_recipient_is_a_token_a_topic_or_an_installation() -> anyhow::Result<()> {
    assert_eq!(sent(&push_to("/topics/news")).await?["topic"], "news");
    let installation = "dxJ2bLqkRkOYv-3uQx_abc";
    assert_eq!(sent(&push_to(installation)).await?["fid"], installation);
    let token = "axJ2bLqkRkOYv-3uQx_abc"; // no installation id begins so
    assert_eq!(sent(&push_to(token)).await?["token"], token);
    Ok(())
}

/// The label by which Firebase's reports count.
#[tokio::test]
async fn the_first_tag_that_fits_is_the_analytics_label() -> anyhow::Result<()> {
    let mut message = push_to(FCM_TOKEN);
    message.options = Arc::new(Options {
        tags: vec!["not a label".into(), "spring-sale".into(), "b".into()],
        ..Options::default()
    });
    let sent = sent(&message).await?;
    assert_eq!(
        sent["fcm_options"],
        json!({"analytics_label": "spring-sale"})
    );
    Ok(())
}

/// Text stays text, whatever it looks like.
#[tokio::test]
async fn a_hostile_field_stays_in_its_place() -> anyhow::Result<()> {
    let hostile = "\"},\"token\":\"eve\",\"x\":{\"\r\nAuthorization: eve\0";
    let mut message = push_data(hostile, json!({hostile: hostile}));
    message.subject = Some(hostile.into());
    message.body = Some(hostile.into());
    let (fcm, _tokens) = taking().await;
    fcm.gateway.send(&message, later()).await?;
    let request = &fcm.api.requests()[0];
    assert_eq!(request.header("authorization"), "Bearer ya29.token");
    assert!(!request.text().contains(['\r', '\n', '\0']));
    let sent = &request.json()["message"];
    assert_eq!(sent["token"], hostile);
    assert_eq!(
        sent["notification"],
        json!({"title": hostile, "body": hostile})
    );
    assert_eq!(sent["data"][hostile], hostile);
    assert_eq!(sent.as_object().map(|sent| sent.len()), Some(6));
    Ok(())
}

/// Who comes from the legacy API must learn it at the start, not by messages that do not arrive.
#[test]
fn a_server_key_is_refused_with_what_to_do_instead() {
    let settings = Settings {
        server_key: Some("AAAA-legacy-key".into()),
        ..Settings::default()
    };
    let error = Fcm::new("fcm", &settings).err().expect("refused");
    assert!(
        error.contains("legacy") && error.contains("GOOGLE_APPLICATION_CREDENTIALS"),
        "{error}"
    );
    assert!(!format!("{error}{settings:?}").contains("AAAA"), "{error}");
}

/// A file that cannot be used is named; what is in it is not shown.
#[test]
fn an_account_that_cannot_be_used_is_refused_without_its_key() {
    let good = service_account("https://oauth2.googleapis.com/token");
    let refused = |change: fn(&mut Value)| {
        let mut account = good.clone();
        change(&mut account);
        let (settings, _scratch) = fcm_settings(&account, "https://fcm.googleapis.com");
        let error = Fcm::new("fcm", &settings).err().expect("refused");
        for line in KEY_LINES {
            assert!(!error.contains(line), "{error}");
        }
        error
    };
    assert!(refused(|a| a["type"] = "authorized_user".into()).contains("service_account"));
    assert!(
        refused(|a| drop(a.as_object_mut().map(|a| a.remove("client_email"))))
            .contains("client_email")
    );
    assert!(
        refused(|a| drop(a.as_object_mut().map(|a| a.remove("project_id")))).contains("project_id")
    );
    assert!(refused(|a| a["project_id"] = "../x".into()).contains("project_id"));
    assert!(refused(|a| a["token_uri"] = "http://example.org/token".into()).contains("token_uri"));
    assert!(refused(|a| a["private_key"] = P256_KEY.into()).contains("private_key"));
    assert!(refused(|a| *a = json!([RSA_KEY])).contains("line 1"));
}
