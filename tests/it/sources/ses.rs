//! What SES publishes to SNS. Envelopes and signatures are SNS's, and tested there.

use postroad::gateway::ses::webhook::Source;
use serde_json::json;

use super::*;

pub(super) const EVENTS: &str = include_str!("../../fixtures/webhooks/ses/events.json");

pub(super) fn source() -> Source {
    let settings = super::sns::settings(&[super::sns::TOPIC]);
    Source::with_fetch("ses", &settings, Published::nothing()).expect("settings that make sense")
}

pub(super) fn posted(event: &Value) -> String {
    super::sns::signed(|message| message["Message"] = event.to_string().into()).to_string()
}

/// The same without a true signature, which costs less.
pub(super) fn envelope(event: &Value) -> String {
    json!({
        "Type": "Notification",
        "MessageId": "1",
        "TopicArn": super::sns::TOPIC,
        "Message": event.to_string(),
        "Timestamp": "2023-11-14T22:13:20Z",
        "SignatureVersion": "2",
        "Signature": "AAAA",
        "SigningCertURL": "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem",
    })
    .to_string()
}

fn reports(event: &Value) -> Vec<Report> {
    read(&source(), envelope(event).as_bytes()).expect("readable")
}

/// An event passes through the source of SES as through that of SNS, and a forged one does not.
#[tokio::test]
async fn an_event_is_verified_as_a_message_of_sns() {
    let pem = super::sns::certificate(&["sns.amazonaws.com"], 2030);
    let settings = super::sns::settings(&[super::sns::TOPIC]);
    let source = Source::with_fetch("ses", &settings, Published::new(pem)).expect("settings");
    let body = posted(&fixture(EVENTS)["complaint"]);
    let request = Request::new(&[], body.clone(), at(super::sns::NOW));
    assert!(request.verify(&source).await.is_ok());
    let victim = body.replace("recipient@example.com", "victim@example.com");
    assert!(request.with_body(victim).is_forged(&source).await);
}

/// Each event that SES documents, as we name it.
#[test]
fn each_documented_event_is_read() {
    let of = |what: &str| what.replace('@', "recipient@example.com");
    for (name, expected) in [
        (
            "bounce",
            &[
                "bounced | Bounce/Permanent/General | invalid_recipient | Hard/invalid_recipient | @ | 5.1.1",
            ][..],
        ),
        (
            "complaint",
            &["complained | Complaint/abuse | - | - | @ | -"],
        ),
        ("delivery", &["delivered | Delivery | - | - | @ | -"]),
        ("send", &["sent | Send | - | - | @ | -"]),
        ("open", &["opened | Open | - | - | @ | -"]),
        ("click", &["clicked | Click | - | - | @ | -"]),
        (
            "rendering_failure",
            &["failed | Rendering Failure | rejected | - | @ | -"],
        ),
        (
            "delivery_delay",
            &["deferred | DeliveryDelay/TransientCommunicationFailure | network | - | @ | 4.4.1"],
        ),
        (
            "subscription",
            &["unsubscribed | Subscription | - | - | @ | -"],
        ),
    ] {
        let expected: Vec<_> = expected.iter().map(|line| of(line)).collect();
        assert_eq!(lines(&reports(&fixture(EVENTS)[name])), expected, "{name}");
    }
    let reject = reports(&fixture(EVENTS)["reject"]);
    assert_eq!(
        lines(&reject),
        ["failed | Reject | content_refused | - | sender@example.com | -"]
    );
    assert_eq!(reject[0].text.as_deref(), Some("Bad content"));

    let click = &reports(&fixture(EVENTS)["click"])[0];
    let id = "EXAMPLE7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000";
    assert_eq!(click.external_id.as_deref(), Some(id));
    assert_eq!(click.message_id, None);
    let url = "http://docs.aws.amazon.com/ses/latest/DeveloperGuide/send-email-smtp.html";
    assert!(click.detail.contains(&("url", url.into())));
    let told = click.occurred_at.expect("a time");
    assert_eq!(
        told.duration_since(at(1_502_322_685))
            .expect("later")
            .as_millis(),
        570
    );
    let delivery = &reports(&fixture(EVENTS)["delivery"])[0];
    assert_eq!(delivery.text.as_deref(), Some("250 2.6.0 Message received"));
}

/// One notification may be of several people, each with a fate and a key of their own.
#[test]
fn each_recipient_has_a_report() {
    let reports = reports(&fixture(EVENTS)["notification_of_a_bounce_of_two"]);
    let expected = [
        "bounced | Bounce/Permanent/General | invalid_recipient | Hard/invalid_recipient | recipient1@example.com | 5.0.0",
        "bounced | Bounce/Permanent/General | invalid_recipient | Hard/invalid_recipient | recipient2@example.com | 4.0.0",
    ];
    assert_eq!(lines(&reports), expected);
    let feedback = "000001378603176d-5a4b5ad9-6f30-4198-a8c3-b1eb0c270a1d-000000";
    let keys = reports.iter().map(|report| report.source_key.clone());
    let expected = ["1", "2"].map(|n| format!("{feedback}:recipient{n}@example.com"));
    assert_eq!(keys.collect::<Vec<_>>(), expected);
}

/// By it the event finds its message.
#[test]
fn our_id_comes_back() {
    for (tag, expected) in [(OUR_ID, OUR_ID.parse().ok()), ("theirs", None)] {
        let mut event = fixture(EVENTS)["bounce"].clone();
        event["mail"]["tags"]["postroad_id"] = json!([tag]);
        assert_eq!(reports(&event)[0].message_id, expected);
    }
}

/// SES says first what it was; where it says nothing, the server does. Policy never suppresses.
#[test]
fn a_bounce_is_read_by_type_then_by_reply() {
    for (kind, subtype, status, diagnostic, expected) in [
        (
            "Permanent",
            "NoEmail",
            "5.7.1",
            "blocked",
            "invalid_recipient Hard/invalid_recipient",
        ),
        (
            "Permanent",
            "Suppressed",
            "5.1.1",
            "",
            "provider_suppressed Hard/invalid_recipient",
        ),
        (
            "Permanent",
            "OnAccountSuppressionList",
            "",
            "",
            "provider_suppressed Hard/invalid_recipient",
        ),
        (
            "Permanent",
            "General",
            "5.0.0",
            "",
            "invalid_recipient Hard/invalid_recipient",
        ),
        (
            "Permanent",
            "General",
            "5.7.1",
            "smtp; 550 5.7.1 spam",
            "policy Soft/policy",
        ),
        (
            "Permanent",
            "General",
            "5.0.0",
            "smtp; 554 5.7.26 DMARC",
            "authentication Soft/authentication",
        ),
        (
            "Permanent",
            "General",
            "5.2.2",
            "",
            "mailbox_full Soft/mailbox_full",
        ),
        (
            "Permanent",
            "General",
            "5.2.1",
            "",
            "mailbox_unavailable Hard/mailbox_unavailable",
        ),
        (
            "Transient",
            "General",
            "5.1.1",
            "",
            "invalid_recipient Soft/invalid_recipient",
        ),
        (
            "Transient",
            "General",
            "",
            "",
            "undetermined Soft/undetermined",
        ),
        (
            "Transient",
            "MailboxFull",
            "5.1.1",
            "",
            "mailbox_full Soft/mailbox_full",
        ),
        (
            "Transient",
            "MessageTooLarge",
            "",
            "",
            "message_refused Soft/message_refused",
        ),
        ("Transient", "ContentRejected", "", "", "policy Soft/policy"),
        (
            "Transient",
            "AttachmentRejected",
            "",
            "",
            "policy Soft/policy",
        ),
        (
            "Undetermined",
            "Undetermined",
            "",
            "",
            "undetermined Soft/undetermined",
        ),
    ] {
        let mut event = fixture(EVENTS)["bounce"].clone();
        event["bounce"]["bounceType"] = kind.into();
        event["bounce"]["bounceSubType"] = subtype.into();
        let recipient = &mut event["bounce"]["bouncedRecipients"][0];
        recipient["status"] = status.into();
        recipient["diagnosticCode"] = diagnostic.into();
        let report = &reports(&event)[0];
        let bounce = report.bounce.expect("a bounce");
        let reason = report.reason.expect("a reason");
        let found = format!("{reason} {:?}/{}", bounce.kind, bounce.class.as_str());
        assert_eq!(found, expected, "{kind} {subtype} {status}");
    }
}

/// Of feedback only a complaint is one.
#[test]
fn not_every_feedback_is_a_complaint() {
    let with = |name: &str, value: &str| {
        let mut event = fixture(EVENTS)["complaint"].clone();
        event["complaint"][name] = value.into();
        let reports = reports(&event);
        let types = reports.iter().map(|report| report.event_type.as_str());
        types.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(with("complaintFeedbackType", "abuse"), ["complained"]);
    assert_eq!(with("complaintFeedbackType", "fraud"), ["complained"]);
    assert_eq!(with("complaintFeedbackType", ""), ["complained"]);
    assert!(with("complaintFeedbackType", "not-spam").is_empty());
    assert!(with("complaintFeedbackType", "auth-failure").is_empty());
    let suppressed = with("complaintSubType", "OnAccountSuppressionList");
    assert_eq!(suppressed, ["failed", "complained"]);
}

/// A topic that is switched on, or was off before, is no goodbye.
#[test]
fn a_change_of_topics_unsubscribes_only_when_one_is_left() {
    let with = |all: bool, old: &str, new: &str| {
        let mut event = fixture(EVENTS)["subscription"].clone();
        let subscription = &mut event["subscription"];
        let topic = |status| json!([{"topicName": "news", "subscriptionStatus": status}]);
        subscription["newTopicPreferences"] =
            json!({"unsubscribeAll": all, "topicSubscriptionStatus": topic(new)});
        subscription["oldTopicPreferences"] =
            json!({"unsubscribeAll": false, "topicSubscriptionStatus": topic(old)});
        reports(&event).len()
    };
    assert_eq!(with(true, "OptIn", "OptIn"), 1);
    assert_eq!(with(false, "OptIn", "OptOut"), 1);
    assert_eq!(with(false, "OptOut", "OptOut"), 0);
    assert_eq!(with(false, "OptOut", "OptIn"), 0);
}

/// Who of several opened it is not told.
#[test]
fn an_open_of_a_mail_to_several_is_nobodys() {
    let mut event = fixture(EVENTS)["open"].clone();
    event["mail"]["destination"] = json!(["a@example.org", "b@example.org"]);
    let reports = reports(&event);
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].recipient, None);
}

/// What is no event waits in the inbox for somebody to look at it; what SES says once to a new topic does not.
#[test]
fn what_is_no_event_is_unreadable() {
    let of = |text: &str| {
        let body = super::sns::signed(|message| message["Message"] = text.into()).to_string();
        read(&source(), body.as_bytes())
    };
    for text in [
        "",
        "Hello world!",
        "{}",
        "[]",
        r#"{"eventType": "Bounce"}"#,
        r#"{"eventType": "Bounce", "bounce": {"bouncedRecipients": []}}"#,
    ] {
        assert!(of(text).is_err(), "{text}");
    }
    let greeting = "Successfully validated SNS topic for Amazon SES event publishing.";
    assert_eq!(of(greeting).expect("readable"), []);
    assert_eq!(
        of(r#"{"eventType": "Something New"}"#).expect("readable"),
        []
    );
    assert!(read(&source(), b"{}").is_err());
    let many =
        json!({"eventType": "Delivery", "delivery": {"recipients": vec!["a@example.org"; 10_001]}});
    assert!(of(&many.to_string()).is_err());
}
