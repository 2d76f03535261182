//! What the tests of the push gateways share, and what those gateways have in common.

use postroad::gateway::{Gateway, apns, fcm, push, webpush};
use postroad::model::message::Push;
use postroad::model::outcome::{Blame, Fault, SendError};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::support::http_double::HttpDouble;
use crate::support::scratch::Scratch;

pub(super) const TRANSIENT: Fault = Fault::Transient { retry_after: None };
pub(super) const GATEWAY: Fault = Fault::Gateway { retry_after: None };
pub(super) const BAD_RECIPIENT: Fault = Fault::Permanent(Blame::Recipient);
pub(super) const BAD_MESSAGE: Fault = Fault::Permanent(Blame::Message);

/// RFC 7515, appendix A.2.
pub(super) const RSA_KEY: &str = include_str!("../../fixtures/rfc7515_a2_key.pem");
/// RFC 7515, appendix A.3.
pub(super) const P256_KEY: &str = include_str!("../../fixtures/rfc7515_a3_key.p8");

/// A line of each private key, which nothing may show.
pub(super) const KEY_LINES: [&str; 3] = [
    "juygxmj3AbONv/s4yDQs4v5tJ/reSlpIdJed1LnPmt7Ex1sFhSwsD174pcF1A5L5",
    "MIGTAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBHkwdwIBAQQgjpsQnnGQmL+YBIff",
    "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
];

pub(super) const DEVICE: &str = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0";
pub(super) const FCM_TOKEN: &str = "bk3RNwTe3H0:CI2k_HHwgIpoDKCIZvvDMExUdFQ3P1";

/// A push of title and body.
pub(super) fn push_to(recipient: &str) -> Rendered {
    Rendered {
        recipient: recipient.into(),
        subject: Some("Breaking News".into()),
        body: Some("New news story available.".into()),
        ..message(Channel::Push)
    }
}

/// One with these `options.push`.
pub(super) fn push_with(recipient: &str, push: Value) -> Rendered {
    let options = Options {
        push: serde_json::from_value::<Push>(push).expect("options"),
        ..Options::default()
    };
    Rendered {
        options: Arc::new(options),
        ..push_to(recipient)
    }
}

/// One with this data.
pub(super) fn push_data(recipient: &str, data: Value) -> Rendered {
    let data = RawValue::from_string(data.to_string()).expect("JSON");
    Rendered {
        data: Some(data.into()),
        ..push_to(recipient)
    }
}

/// The verdict on a send that must fail.
pub(super) async fn refusal(gateway: &dyn Gateway, message: &Rendered) -> SendError {
    let result = gateway.send(message, later()).await;
    let error = result.expect_err("it is refused");
    let shown = format!("{error} {error:?}");
    for secret in KEY_LINES {
        assert!(!shown.contains(secret), "{shown}");
    }
    error
}

/// A provider and the gateway to it.
pub(super) struct Provider<G> {
    pub(super) api: HttpDouble,
    pub(super) gateway: G,
}

/// What a service account's file holds.
pub(super) fn service_account(token_uri: &str) -> Value {
    json!({
        "type": "service_account",
        "project_id": "myproject-b5ae1",
        "private_key_id": "key-1",
        "private_key": RSA_KEY,
        "client_email": "push@myproject-b5ae1.iam.gserviceaccount.com",
        "token_uri": token_uri,
    })
}

/// FCM's settings, with the service account in a folder of their own.
pub(super) fn fcm_settings(account: &Value, api_url: &str) -> (fcm::Settings, Scratch) {
    let scratch = Scratch::new().expect("a folder");
    let path = scratch.path().join("firebase.json");
    std::fs::write(&path, account.to_string()).expect("a file");
    let settings = fcm::Settings {
        credentials_file: Some(path),
        api_url: Some(api_url.into()),
        ..fcm::Settings::default()
    };
    (settings, scratch)
}

pub(super) fn fcm_at(api: &HttpDouble, tokens: &HttpDouble) -> fcm::Fcm {
    let account = service_account(&format!("{}/token", tokens.url()));
    let (settings, _scratch) = fcm_settings(&account, api.url());
    fcm::Fcm::new("fcm", &settings).expect("settings that make sense")
}

/// Google's token service, which grants.
pub(super) async fn token_service() -> HttpDouble {
    let tokens = HttpDouble::start().await;
    let granted = json!({"access_token": "ya29.token", "expires_in": 3599, "token_type": "Bearer"});
    tokens.answer(
        200,
        &[("content-type", "application/json")],
        granted.to_string(),
    );
    tokens
}

pub(super) fn apns_settings(api_url: &str) -> (apns::Settings, Scratch) {
    let scratch = Scratch::new().expect("a folder");
    let path = scratch.path().join("AuthKey.p8");
    std::fs::write(&path, P256_KEY).expect("a file");
    let settings = apns::Settings {
        key_file: Some(path),
        key_id: Some("ABC123DEFG".into()),
        team_id: Some("DEF123GHIJ".into()),
        topic: Some("com.example.MyApp".into()),
        api_url: Some(api_url.into()),
        ..apns::Settings::default()
    };
    (settings, scratch)
}

pub(super) fn apns_at(api: &HttpDouble) -> apns::Apns {
    let (settings, _scratch) = apns_settings(api.url());
    apns::Apns::new("apns", &settings).expect("settings that make sense")
}

/// Web Push to loopback, where no endpoint is known.
pub(super) fn webpush_settings() -> webpush::Settings {
    webpush::Settings {
        vapid_private_key: Some("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI".into()),
        vapid_subject: Some("mailto:push@example.com".into()),
        allow_private: true,
        ..webpush::Settings::default()
    }
}

pub(super) fn webpush_with(settings: &webpush::Settings) -> webpush::WebPush {
    webpush::WebPush::new("webpush", settings).expect("settings that make sense")
}

/// A subscription with the browser's keys of RFC 8291, appendix A.
pub(super) fn subscription(endpoint: &str) -> String {
    json!({
        "endpoint": endpoint,
        "expirationTime": null,
        "keys": {
            "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            "auth": "BTBZMqHH6r4Tts7J_aSIgg",
        },
    })
    .to_string()
}

/// Routing tries one after the other: each must pass on what is another's, and call nobody for it.
#[tokio::test]
async fn a_recipient_of_another_gateway_is_passed_on() {
    let (api, tokens) = (HttpDouble::start().await, token_service().await);
    let gateways: [(Box<dyn Gateway>, String); 3] = [
        (Box::new(fcm_at(&api, &tokens)), FCM_TOKEN.into()),
        (Box::new(apns_at(&api)), DEVICE.into()),
        (
            Box::new(webpush_with(&webpush_settings())),
            subscription(&format!("{}/push/1", api.url())),
        ),
    ];
    for (gateway, own) in &gateways {
        for (_, recipient) in gateways.iter().filter(|(_, recipient)| recipient != own) {
            let error = refusal(&**gateway, &push_to(recipient)).await;
            let expected = (GATEWAY, push::NOT_FOR_THIS_GATEWAY);
            assert_eq!((error.fault, error.reason), expected, "{}", gateway.name());
        }
    }
    assert!(api.requests().is_empty() && tokens.requests().is_empty());
}
