//! Twilio: the requests that it gets, and what its answers mean.

use postroad::gateway::Gateway as _;
use postroad::gateway::twilio::{Settings, Twilio};
use postroad::model::message::{Sms, Voice};
use postroad::model::outcome::{Accepted, Blame, Fault, SendError};

use super::*;
use crate::support::http_double::{HttpDouble, Request};

/// The answer to a message in Twilio's API reference (`Messages`, "Create a Message"), shortened.
pub(super) const ACCEPTED: &str = r#"{"account_sid": "AC0123", "body": "Hi there", "error_code": null,
    "error_message": null, "num_segments": "1", "sid": "SM90c6fc909d8504d45ecdb3a3d5b3556e", "status": "queued"}"#;

fn settings(double: &HttpDouble) -> Settings {
    Settings {
        account_sid: "AC0123".into(),
        auth_token: Some(PASSWORD.into()),
        from: Some("+15005550001".into()),
        api_url: double.url().into(),
        ..Settings::default()
    }
}

fn built(settings: &Settings) -> Twilio {
    Twilio::new("twilio", settings).expect("settings that make sense")
}

/// A gateway to `double`.
pub(super) fn gateway(double: &HttpDouble) -> Twilio {
    built(&settings(double))
}

fn with(channel: Channel, change: impl FnOnce(&mut Options)) -> Rendered {
    let mut options = Options::default();
    change(&mut options);
    Rendered {
        options: Arc::new(options),
        ..message(channel)
    }
}

/// The request by which `message` goes out through a gateway with `settings`.
async fn request(
    message: &Rendered,
    change: impl FnOnce(&mut Settings),
) -> anyhow::Result<Request> {
    let double = HttpDouble::answering(201, ACCEPTED).await;
    let mut settings = settings(&double);
    change(&mut settings);
    built(&settings).send(message, later()).await?;
    Ok(double.requests().remove(0))
}

fn fields(request: &Request) -> Vec<(String, String)> {
    request.form()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = pairs.iter();
    pairs.map(|(n, v)| ((*n).into(), (*v).into())).collect()
}

/// What comes of a text message that gets this answer.
async fn outcome(status: u16, headers: &[(&str, &str)], body: &str) -> Result<Accepted, SendError> {
    let double = HttpDouble::start().await;
    double.answer(status, headers, body.to_owned());
    gateway(&double).send(&message(Channel::Sms), later()).await
}

async fn error(status: u16, body: &str) -> SendError {
    outcome(status, &[], body).await.expect_err("refused")
}

const GATEWAY: Fault = Fault::Gateway { retry_after: None };
const TRANSIENT: Fault = Fault::Transient { retry_after: None };
const RECIPIENT: Fault = Fault::Permanent(Blame::Recipient);
const MESSAGE: Fault = Fault::Permanent(Blame::Message);

/// As the API reference has it: a form, Basic credentials, the account in the path.
#[tokio::test]
async fn a_text_message_is_posted_as_the_reference_says() -> anyhow::Result<()> {
    let request = request(&message(Channel::Sms), |_| {}).await?;
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/2010-04-01/Accounts/AC0123/Messages.json");
    // printf AC0123:correct-horse | base64
    assert_eq!(
        request.header("authorization"),
        "Basic QUMwMTIzOmNvcnJlY3QtaG9yc2U="
    );
    assert_eq!(
        request.header("content-type"),
        "application/x-www-form-urlencoded"
    );
    assert_eq!(
        fields(&request),
        pairs(&[
            ("To", "+15005550006"),
            ("From", "+15005550001"),
            ("Body", BODY)
        ])
    );
    Ok(())
}

/// Whatever a message has for a text message goes along.
#[tokio::test]
async fn sender_media_validity_and_callback_go_along() -> anyhow::Result<()> {
    let message = with(Channel::Sms, |options| {
        options.from = Some("Postroad".into());
        options.sms = Sms {
            media_urls: vec!["https://x.org/a.png".into(), "https://x.org/b.png".into()],
            validity_seconds: Some(172_800),
        };
    });
    let request = request(&message, |settings| {
        settings.status_callback = Some("https://post.example.org/hooks/twilio?key=1".into());
        settings.messaging_service_sid = Some("MG0123".into());
    })
    .await?;
    let callback = format!(
        "https://post.example.org/hooks/twilio?key=1&message_id={}",
        message.message_id
    );
    assert_eq!(
        fields(&request),
        pairs(&[
            ("To", "+15005550006"),
            ("From", "Postroad"),
            ("Body", BODY),
            ("MediaUrl", "https://x.org/a.png"),
            ("MediaUrl", "https://x.org/b.png"),
            ("ValidityPeriod", "36000"),
            ("StatusCallback", &callback),
        ])
    );
    Ok(())
}

/// A messaging service picks the sender; a call has a number of its own.
#[tokio::test]
async fn a_messaging_service_sends_texts_and_the_number_calls() -> anyhow::Result<()> {
    let service = |settings: &mut Settings| settings.messaging_service_sid = Some("MG0123".into());
    let text = request(&message(Channel::Sms), service).await?;
    assert_eq!(
        fields(&text)[1],
        ("MessagingServiceSid".into(), "MG0123".into())
    );
    let call = request(&message(Channel::Voice), service).await?;
    assert_eq!(fields(&call)[1], ("From".into(), "+15005550001".into()));
    Ok(())
}

/// A call reads the text out.
#[tokio::test]
async fn a_call_is_posted_as_the_reference_says() -> anyhow::Result<()> {
    let request = request(&message(Channel::Voice), |_| {}).await?;
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/2010-04-01/Accounts/AC0123/Calls.json");
    let twiml = format!("<Response><Say language=\"en-US\">{BODY}</Say></Response>");
    assert_eq!(
        fields(&request),
        pairs(&[
            ("To", "+15005550006"),
            ("From", "+15005550001"),
            ("Twiml", &twiml)
        ])
    );
    Ok(())
}

/// A warning in a language that nobody understands warns nobody; one in a language that nobody knows is still read.
#[tokio::test]
async fn a_call_is_in_the_messages_language_or_the_configured_one() -> anyhow::Result<()> {
    let spoken = async |language: &str, voice: Option<&str>| -> anyhow::Result<String> {
        let message = with(Channel::Voice, |options| {
            options.voice = Voice {
                language: Some(language.into()),
                voice: voice.map(Into::into),
            };
        });
        let configured = |settings: &mut Settings| settings.language = "de".into();
        let request = request(&message, configured).await?;
        let twiml = fields(&request).remove(2).1;
        let end = twiml.find('>').expect("an element") + 1;
        let attributes = &twiml[end..];
        Ok(attributes[..attributes.find('>').expect("an element")].into())
    };
    assert_eq!(spoken("fr_CA", None).await?, "<Say language=\"fr-CA\"");
    assert_eq!(
        spoken("en", Some("Polly.Amy")).await?,
        "<Say language=\"en-US\" voice=\"Polly.Amy\""
    );
    assert_eq!(spoken("\"><Dial>", None).await?, "<Say language=\"de-DE\"");
    Ok(())
}

/// No text can become another field of the form, or another verb of the call.
#[tokio::test]
async fn hostile_text_stays_in_its_field() -> anyhow::Result<()> {
    let hostile = "x&To=%2B1900&MediaUrl=http://evil\r\nX-Evil: 1</Say><Dial>+1900</Dial>";
    for channel in [Channel::Sms, Channel::Voice] {
        let message = Rendered {
            recipient: hostile.into(),
            body: Some(hostile.into()),
            ..with(channel, |options| options.from = Some(hostile.into()))
        };
        let request = request(&message, |_| {}).await?;
        let fields = fields(&request);
        assert_eq!(fields.len(), 3, "{fields:?}");
        assert_eq!(fields[0].1, hostile);
        assert_eq!(fields[1].1, hostile);
        assert!(!fields[2].1.contains("<Dial>") || channel == Channel::Sms);
        assert!(request.headers.get("x-evil").is_none());
    }
    Ok(())
}

/// Events name it by its sid.
#[tokio::test]
async fn a_created_message_is_accepted_under_its_sid() -> anyhow::Result<()> {
    let accepted = outcome(201, &[], ACCEPTED).await?;
    let sid = "SM90c6fc909d8504d45ecdb3a3d5b3556e";
    assert_eq!(accepted.external_id.as_deref(), Some(sid));
    assert_eq!(accepted.provider_text.as_deref(), Some("queued"));
    Ok(())
}

/// 2xx alone is no success.
#[tokio::test]
async fn a_success_that_is_none_is_not_accepted() {
    let failed = r#"{"sid": "SM1", "status": "failed", "error_code": 30007, "error_message": "x"}"#;
    let error_of = error(201, failed).await;
    assert_eq!(
        (error_of.fault, error_of.reason),
        (MESSAGE, "content_refused")
    );
    assert_eq!(error_of.code.as_deref(), Some("30007"));
    let error_of = error(
        201,
        r#"{"sid": "SM1", "status": "failed", "error_code": null}"#,
    )
    .await;
    assert_eq!(
        (error_of.fault, error_of.reason),
        (TRANSIENT, "failed_at_once")
    );
    for unreadable in [
        "",
        "<html>Welcome to the hotel</html>",
        "[]",
        "{}",
        r#"{"sid": ""}"#,
    ] {
        let error = error(200, unreadable).await;
        assert_eq!(error.fault, Fault::Unknown, "{unreadable}");
        assert_eq!(error.reason, "answer_unreadable");
    }
}

/// Both forms of an error that Twilio has.
#[tokio::test]
async fn an_error_is_read_in_either_form() {
    let legacy = r#"{"code": 21211, "message": "The 'To' number is not valid", "more_info": "https://www.twilio.com/docs/errors/21211", "status": 400}"#;
    let problem = r#"{"type": "https://…", "title": "Invalid To", "status": 400, "code": "21211", "detail": "The 'To' number is not valid"}"#;
    for body in [legacy, problem] {
        let error = error(400, body).await;
        assert_eq!((error.fault, error.reason), (RECIPIENT, "invalid_number"));
        assert_eq!(error.code.as_deref(), Some("21211"));
        let text = error.provider_text.as_deref();
        assert_eq!(text, Some("The 'To' number is not valid"));
    }
}

/// Each class that the codes fall into: whose fault decides between suppression, retry and another gateway.
#[tokio::test]
async fn codes_tell_whose_fault_it_was() {
    for (status, code, fault, reason) in [
        (400, 21614, RECIPIENT, "not_a_mobile_number"),
        (400, 21635, RECIPIENT, "not_a_mobile_number"),
        (400, 21610, RECIPIENT, "unsubscribed"),
        (400, 21216, RECIPIENT, "number_blocked"),
        (400, 21612, TRANSIENT, "unreachable"),
        (400, 21617, MESSAGE, "message_too_large"),
        (400, 21620, MESSAGE, "media_refused"),
        (400, 21602, MESSAGE, "rejected"),
        (400, 21611, GATEWAY, "throttled"),
        (429, 20429, GATEWAY, "throttled"),
        (401, 20003, GATEWAY, "unauthorized"),
        (401, 20005, GATEWAY, "account_inactive"),
        (404, 20404, GATEWAY, "endpoint_not_found"),
        (400, 21606, GATEWAY, "sender_refused"),
        (400, 21659, GATEWAY, "sender_refused"),
        (403, 21408, MESSAGE, "region_not_permitted"),
        (400, 21608, GATEWAY, "trial_account"),
        (400, 30034, GATEWAY, "sender_not_registered"),
        (500, 20500, GATEWAY, "provider_unavailable"),
        (503, 20503, GATEWAY, "provider_unavailable"),
        (400, 99_999, MESSAGE, "rejected"),
    ] {
        let body = format!(r#"{{"code": {code}, "message": "x", "status": {status}}}"#);
        let error = error(status, &body).await;
        assert_eq!((error.fault, error.reason), (fault, reason), "{code}");
        assert_eq!(error.code, Some(code.to_string()));
    }
}

/// An outage speaks HTML, if at all.
#[tokio::test]
async fn an_error_that_cannot_be_read_is_judged_by_its_status() {
    for (status, fault, reason) in [
        (401, GATEWAY, "unauthorized"),
        (429, GATEWAY, "throttled"),
        (400, MESSAGE, "rejected"),
        (503, GATEWAY, "provider_unavailable"),
        (502, Fault::Unknown, "no_answer"),
        (302, GATEWAY, "unexpected_answer"),
    ] {
        let error = error(status, "<html>Bad Gateway</html>").await;
        assert_eq!((error.fault, error.reason), (fault, reason), "{status}");
    }
}

/// "Never processed and always safe to retry", but not at once.
#[tokio::test]
async fn a_throttled_send_waits_as_long_as_it_is_told() {
    let body = r#"{"code": 20429, "message": "Too Many Requests", "status": 429}"#;
    let error = outcome(429, &[("retry-after", "7")], body)
        .await
        .expect_err("throttled");
    let retry_after = Some(Duration::from_secs(7));
    assert_eq!(error.fault, Fault::Gateway { retry_after });
}

/// One caller's wrong sender must not close the gateway for the others.
#[tokio::test]
async fn a_refused_sender_is_the_fault_of_who_named_it() {
    let double = HttpDouble::answering(400, r#"{"code": 21606, "message": "x"}"#).await;
    let own = with(Channel::Sms, |options| options.from = Some("Nobody".into()));
    let error = gateway(&double).send(&own, later()).await;
    assert_eq!(error.expect_err("refused").fault, MESSAGE);
}

/// Nothing to say is nothing to send.
#[tokio::test]
async fn a_message_without_a_body_is_not_sent() {
    let double = HttpDouble::answering(201, ACCEPTED).await;
    let empty = Rendered {
        body: None,
        ..message(Channel::Sms)
    };
    let error = gateway(&double).send(&empty, later()).await;
    assert_eq!(error.expect_err("refused").reason, "body_missing");
    assert!(double.requests().is_empty());
}

/// Settings are logged, and errors too.
#[tokio::test]
async fn the_token_is_in_no_debug_output_and_no_error() {
    let double = HttpDouble::answering(401, r#"{"code": 20003, "message": "Authenticate"}"#).await;
    let settings = settings(&double);
    let error = built(&settings)
        .send(&message(Channel::Sms), later())
        .await
        .expect_err("refused");
    assert!(!format!("{settings:?} {error} {error:?}").contains(PASSWORD));
}
