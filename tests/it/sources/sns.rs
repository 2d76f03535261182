//! What SNS posts: envelopes, for whatever is in them, and SMS that came in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postroad::gateway::sns::webhook::{Source, WebhookSettings};
use postroad::gateway::source::Action;
use postroad::gateway::source::list::List;
use postroad::model::duration;
use postroad::model::report::Wish;
use postroad::model::rfc3339;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::json;

use super::*;

/// Messages of SNS and the certificate that they name, as AWS's own library tests them (aws-sdk-ruby,
/// `message_verifier_spec.rb`).
const SIGNED: &str = include_str!("../../fixtures/webhooks/sns/signed.json");
const CERTIFICATE: &str = include_str!("../../fixtures/webhooks/sns/certificate.pem");

const CONFIRMATION: &str =
    include_str!("../../fixtures/webhooks/sns/subscription_confirmation.json");
pub(super) const TWO_WAY_SMS: &str = include_str!("../../fixtures/webhooks/sns/two_way_sms.json");

pub(super) const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:mail";

/// In that certificate's time.
const VECTOR_NOW: u64 = 1_659_043_450; // 2022-07-28T21:24:10Z

pub(super) fn settings(topics: &[&str]) -> WebhookSettings {
    WebhookSettings {
        topic_arns: List(topics.iter().map(|topic| (*topic).into()).collect()),
        certificates: List::default(),
        freshness: duration::Text(Duration::from_secs(3600)),
    }
}

pub(super) fn source(topics: &[&str], published: &Arc<Published>) -> Source {
    let fetch = Arc::clone(published);
    Source::with_fetch("sns", &settings(topics), fetch).expect("settings that make sense")
}

fn topic_of(message: &Value) -> String {
    message["TopicArn"].as_str().expect("a topic").to_owned()
}

/// The published messages, with a source that takes both topics.
fn vectors() -> (Value, Source, Arc<Published>) {
    let vectors = fixture(SIGNED);
    let topics = [topic_of(&vectors["sha1"]), topic_of(&vectors["sha256"])];
    let published = Published::new(CERTIFICATE);
    let source = source(&topics.each_ref().map(String::as_str), &published);
    (vectors, source, published)
}

fn posted(message: &Value) -> Request {
    Request::new(&[], message.to_string(), at(VECTOR_NOW))
}

/// A certificate for RFC 7515's key: to whom, and until which year.
pub(super) fn certificate(names: &[&str], year: i32) -> String {
    let key = KeyPair::from_pem(RSA_KEY).expect("a key");
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(year, 1, 1);
    params.self_signed(&key).expect("a certificate").pem()
}

pub(super) const NOW: u64 = 1_700_000_000;

/// A message of SNS to our topic that RFC 7515's key signed by version 2.
pub(super) fn signed(change: impl FnOnce(&mut Value)) -> Value {
    let mut message = json!({
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Message": "Hello world!",
        "Timestamp": rfc3339::format(at(NOW)),
        "SignatureVersion": "2",
        "SigningCertURL": "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem",
    });
    change(&mut message);
    let names = match message["Type"].as_str() {
        Some("Notification") => &[
            "Message",
            "MessageId",
            "Subject",
            "Timestamp",
            "TopicArn",
            "Type",
        ][..],
        _ => &[
            "Message",
            "MessageId",
            "SubscribeURL",
            "Timestamp",
            "Token",
            "TopicArn",
            "Type",
        ],
    };
    let lines = names
        .iter()
        .filter_map(|name| Some((name, message[*name].as_str()?)));
    let text: String = lines
        .map(|(name, value)| format!("{name}\n{value}\n"))
        .collect();
    message["Signature"] = STANDARD.encode(sign(text.as_bytes())).into();
    message
}

fn now_posted(message: &Value) -> Request {
    Request::new(&[], message.to_string(), at(NOW))
}

/// Both versions of the signature, and the certificate is asked for once.
#[tokio::test]
async fn awss_own_vectors_pass() {
    let (vectors, source, published) = vectors();
    for version in ["sha1", "sha256", "sha1"] {
        let verified = posted(&vectors[version])
            .verify(&source)
            .await
            .expect(version);
        assert_eq!(
            verified.key.as_deref(),
            vectors[version]["MessageId"].as_str()
        );
        assert_eq!((verified.replay, verified.action), (None, Action::Store));
    }
    assert_eq!(published.asked(), 1);
}

/// A forged complaint suppresses a victim.
#[tokio::test]
async fn each_single_change_is_refused() {
    let (vectors, source, _) = vectors();
    for version in ["sha1", "sha256"] {
        let other = if version == "sha1" { "sha256" } else { "sha1" };
        for (field, value) in [
            ("Message", json!("Hello World")),
            ("MessageId", json!("792cda85-518f-5dd3-9163-81d851212f3b")),
            ("Subject", json!("added")),
            ("Timestamp", json!("2022-07-28T21:24:08.325Z")),
            ("TopicArn", vectors[other]["TopicArn"].clone()),
            ("Signature", vectors[other]["Signature"].clone()),
            ("Signature", json!("")),
            ("Signature", json!("AAAA")),
            ("Signature", json!("no base64!")),
            (
                "SignatureVersion",
                vectors[other]["SignatureVersion"].clone(),
            ),
            ("SignatureVersion", json!("3")),
        ] {
            let mut forged = vectors[version].clone();
            forged[field] = value;
            assert!(
                posted(&forged).is_forged(&source).await,
                "{version} {field}"
            );
        }
        let text = vectors[version]["Signature"].as_str().expect("base64");
        for bytes in with_changed_bytes(&STANDARD.decode(text).expect("base64")) {
            let mut forged = vectors[version].clone();
            forged["Signature"] = STANDARD.encode(bytes).into();
            assert!(posted(&forged).is_forged(&source).await);
        }
        for field in [
            "Type",
            "MessageId",
            "TopicArn",
            "Message",
            "Timestamp",
            "Signature",
            "SigningCertURL",
        ] {
            let mut forged = vectors[version].clone();
            forged.as_object_mut().expect("an object").remove(field);
            let refused = posted(&forged).verify(&source).await;
            assert!(
                matches!(refused, Err(Refused::Malformed(_))),
                "{field}: {refused:?}"
            );
        }
    }
    let raw = posted(&vectors["sha1"]).with_header("x-amz-sns-rawdelivery", Some("true"));
    assert!(raw.is_forged(&source).await);
    let twice = format!(
        r#"{{"Type": "SubscriptionConfirmation", {}"#,
        &vectors["sha1"].to_string()[1..]
    );
    for body in ["", "{}", "null", "Hello world", &twice] {
        let refused = posted(&json!(null))
            .with_body(body.to_owned())
            .verify(&source)
            .await;
        assert!(matches!(refused, Err(Refused::Malformed(_))), "{refused:?}");
    }
}

/// Names and values are signed line by line: a message with a subject must not pass as one without, under another id.
#[tokio::test]
async fn a_line_of_what_is_signed_cannot_be_moved_into_the_id() {
    let published = Published::new(certificate(&["sns.amazonaws.com"], 2030));
    let source = source(&[TOPIC], &published);
    let message = signed(|message| message["Subject"] = json!("Amazon SES"));
    assert!(now_posted(&message).verify(&source).await.is_ok());
    let mut moved = message.clone();
    let id = message["MessageId"].as_str().expect("an id");
    moved["MessageId"] = format!("{id}\nSubject\nAmazon SES").into();
    moved.as_object_mut().expect("an object").remove("Subject");
    let refused = now_posted(&moved).verify(&source).await;
    assert!(matches!(refused, Err(Refused::Malformed(_))), "{refused:?}");
}

/// The header is not signed, so it may not say anything else than the body.
#[tokio::test]
async fn header_and_body_must_agree_on_the_type() {
    let (vectors, source, _) = vectors();
    let named = |kind| posted(&vectors["sha1"]).with_header("x-amz-sns-message-type", Some(kind));
    assert!(named("Notification").verify(&source).await.is_ok());
    let refused = named("SubscriptionConfirmation").verify(&source).await;
    assert!(matches!(refused, Err(Refused::Malformed(_))), "{refused:?}");
}

/// SNS keeps the time when it posts again, for an hour at most.
#[tokio::test]
async fn what_is_stale_is_refused_before_anything_is_fetched() {
    let (vectors, _, published) = vectors();
    let topic = topic_of(&vectors["sha256"]);
    let made = 1_659_043_448; // and 324 ms
    for (now, is_fresh) in [
        (made - 300, false),
        (made + 3601, false),
        (made - 299, true),
        (made + 3600, true),
    ] {
        let source = source(&[&topic], &published);
        let request = posted(&vectors["sha256"]).at(at(now));
        assert_eq!(request.is_forbidden(&source).await, !is_fresh, "{now}");
        assert_eq!(request.verify(&source).await.is_ok(), is_fresh, "{now}");
        assert_eq!(published.asked() > 0, is_fresh, "{now}");
    }
}

/// Nothing is fetched because of what an unverified request says, but of the one kind of URL, for a topic of ours.
#[tokio::test]
async fn only_for_a_configured_topic_and_from_sns_is_a_certificate_fetched() {
    let (vectors, source, published) = vectors();
    let mut other = vectors["sha1"].clone();
    other["TopicArn"] = json!("arn:aws:sns:us-east-2:295079676684:another");
    assert!(posted(&other).is_forbidden(&source).await);
    for url in [
        "http://sns.us-east-2.amazonaws.com/SimpleNotificationService-7ff5318490ec183fbaddaa2a969abfda.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-7ff5318490ec183fbaddaa2a969abfda.pem",
        "https://internetbadguys.com/SimpleNotificationService-7ff5318490ec183fbaddaa2a969abfda.pem",
        "https://sns.us-east-2.amazonaws.com/?Action=GetEndpointAttributes&x=.pem",
        "http://127.0.0.1/SimpleNotificationService-7ff5318490ec183fbaddaa2a969abfda.pem",
        "",
    ] {
        let mut forged = vectors["sha1"].clone();
        forged["SigningCertURL"] = url.into();
        assert!(posted(&forged).is_forbidden(&source).await, "{url}");
    }
    assert_eq!(published.asked(), 0);
}

/// What comes from SNS's host must name SNS, and be valid now.
#[tokio::test]
async fn a_certificate_must_be_of_sns_and_valid() {
    let message = signed(|_| {});
    for (names, year, is_good) in [
        (&["sns.amazonaws.com"][..], 2030, true),
        (&["sns-signing.eu-central-1.amazonaws.com"], 2030, true),
        (
            &["other.example", "sns.eu-central-1.amazonaws.com"],
            2030,
            true,
        ),
        (&["sns-signing.eu-west-1.amazonaws.com"], 2030, false),
        (&["s3.amazonaws.com"], 2030, false),
        (&["sns.amazonaws.com.evil.example"], 2030, false),
        (&[], 2030, false),
        (&["sns.amazonaws.com"], 2021, false),
    ] {
        let published = Published::new(certificate(names, year));
        let source = source(&[TOPIC], &published);
        let request = now_posted(&message);
        assert_eq!(
            request.verify(&source).await.is_ok(),
            is_good,
            "{names:?} {year}"
        );
        assert_eq!(
            request.is_forged(&source).await,
            !is_good,
            "{names:?} {year}"
        );
    }
    // Of SNS and valid, but another key's.
    let (vectors, _, _) = vectors();
    let published = Published::new(certificate(&["sns.amazonaws.com"], 2030));
    let source = source(&[&topic_of(&vectors["sha1"])], &published);
    assert!(posted(&vectors["sha1"]).is_forged(&source).await);
}

/// SNS tries again later. A flood of requests that name other certificates is not passed on.
#[tokio::test]
async fn a_certificate_that_cannot_be_had_is_asked_for_so_often_and_no_more() {
    let published = Published::nothing();
    let source = source(&[TOPIC], &published);
    for number in 0..50 {
        let message = signed(|message| {
            message["SigningCertURL"] = format!(
                "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-{number:032}.pem"
            )
            .into();
        });
        let refused = now_posted(&message).verify(&source).await;
        assert!(
            matches!(refused, Err(Refused::Unavailable(_))),
            "{refused:?}"
        );
    }
    assert_eq!(published.asked(), 20);

    for body in [
        "",
        "<html>",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let source = super::sns::source(&[TOPIC], &Published::new(body));
        assert!(now_posted(&signed(|_| {})).is_forged(&source).await);
    }
}

/// A pinned certificate is used whatever the message names, and nothing is fetched.
#[tokio::test]
async fn with_a_pinned_certificate_nothing_is_fetched() {
    let (vectors, _, published) = vectors();
    let topic = topic_of(&vectors["sha256"]);
    let pinned = |pem: &str| {
        let settings = WebhookSettings {
            certificates: List(vec![pem.into()]),
            ..settings(&[&topic])
        };
        Source::with_fetch("sns", &settings, Arc::clone(&published) as _)
    };
    for pem in [CERTIFICATE.to_owned(), CERTIFICATE.replace('\n', "\\n")] {
        let source = pinned(&pem).expect("settings");
        assert!(posted(&vectors["sha256"]).verify(&source).await.is_ok());
        let mut elsewhere = vectors["sha256"].clone();
        elsewhere["SigningCertURL"] = json!("https://evil.example/");
        assert!(
            posted(&elsewhere).verify(&source).await.is_ok(),
            "it is not signed, and not used"
        );
    }
    let other = pinned(&certificate(&["sns.amazonaws.com"], 2030)).expect("settings");
    assert!(posted(&vectors["sha256"]).is_forged(&other).await);
    assert!(pinned("no certificate").is_err());
    assert_eq!(published.asked(), 0);
}

/// A subscription to a topic of ours is confirmed by a URL that does nothing else; any other is not.
#[tokio::test]
async fn only_a_signed_confirmation_of_a_configured_topic_is_called() {
    let published = Published::new(certificate(&["sns.amazonaws.com"], 2030));
    let source = source(&[TOPIC], &published);
    let url = |host: &str, topic: &str| {
        format!("https://{host}/?Action=ConfirmSubscription&TopicArn={topic}&Token=2336412f37")
    };
    let confirmation = |url: &str| {
        signed(|message| {
            message["Type"] = json!("SubscriptionConfirmation");
            message["Token"] = json!("2336412f37");
            message["SubscribeURL"] = url.into();
        })
    };
    let good = url("sns.eu-central-1.amazonaws.com", TOPIC);
    let verified = now_posted(&confirmation(&good)).verify(&source).await;
    assert_eq!(
        verified.expect("verified").action,
        Action::Confirm(good.clone())
    );

    for other in [
        url("evil.example", TOPIC),
        url("sns.eu-central-1.amazonaws.com", &format!("{TOPIC}2")),
        good.replace("ConfirmSubscription", "Unsubscribe"),
        String::new(),
    ] {
        let refused = now_posted(&confirmation(&other)).verify(&source).await;
        assert!(
            matches!(refused, Err(Refused::Malformed(_))),
            "{other}: {refused:?}"
        );
    }
    let mut forged = confirmation(&good);
    forged["SubscribeURL"] = url("sns.eu-central-1.amazonaws.com", TOPIC)
        .replace("2336412f37", "1")
        .into();
    assert!(now_posted(&forged).is_forged(&source).await);
    let mut other = confirmation(&good);
    other["TopicArn"] = format!("{TOPIC}2").into();
    assert!(now_posted(&other).is_forbidden(&source).await);

    let farewell = signed(|message| {
        message["Type"] = json!("UnsubscribeConfirmation");
        message["Token"] = json!("2336412f37");
        message["SubscribeURL"] = good.clone().into();
    });
    let verified = now_posted(&farewell).verify(&source).await;
    assert_eq!(verified.expect("verified").action, Action::Ignore);
    let stored = read(&source, farewell.to_string().as_bytes());
    assert_eq!(stored.expect("readable"), []);
}

/// The documentation's own confirmation has no true signature, which shows that one is needed.
#[tokio::test]
async fn the_documented_confirmation_is_not_taken_for_true() {
    let message = fixture(CONFIRMATION);
    let published = Published::new(certificate(&["sns.amazonaws.com"], 2030));
    let source = source(&[&topic_of(&message)], &published);
    let request = posted(&message).at(at(1_335_473_110)); // 2012-04-26T20:45:10Z
    let refused = request.verify(&source).await;
    assert!(
        matches!(refused, Err(Refused::Unauthenticated(_))),
        "{refused:?}"
    );
}

/// A topic is the least that says whose messages are taken.
#[test]
fn a_source_without_a_topic_is_none() {
    for topics in [
        &[][..],
        &["mail"],
        &[TOPIC, "arn:aws:sqs:eu-central-1:123456789012:mail"],
    ] {
        let source = Source::with_fetch("sns", &settings(topics), Published::nothing());
        assert!(source.is_err(), "{topics:?}");
    }
    let of_environment = format!("topic_arns = '{TOPIC}, {TOPIC}2'");
    let settings: WebhookSettings = toml::from_str(&of_environment).expect("settings");
    assert_eq!(settings.topic_arns.0.len(), 2);
}

/// What people write to our numbers (AWS End User Messaging, "Two-way SMS messaging payload").
#[test]
fn an_sms_that_came_in_is_read() {
    let source = source(&[TOPIC], &Published::nothing());
    let reports = |text: &str| {
        let mut sms = fixture(TWO_WAY_SMS);
        sms["messageBody"] = text.into();
        let message = signed(|message| message["Message"] = sms.to_string().into());
        read(&source, message.to_string().as_bytes()).expect("readable")
    };
    let [report] = &reports("EXAMPLE")[..] else {
        panic!("one");
    };
    assert_eq!(
        line(report),
        "received | received | - | - | +14255550182 | -"
    );
    assert_eq!(report.text.as_deref(), Some("EXAMPLE"));
    assert_eq!(report.external_id.as_deref(), Some("wJalrXUtnFEMI"));
    assert_eq!(report.source_key, "cae173d2-66b9-564c-8309-21f858e9fb84");
    assert!(report.detail.contains(&("to", "+12125550101".into())));
    assert_eq!(report.occurred_at, Some(at(NOW)));
    for (text, wish) in [
        ("STOP", Some(Wish::Stop)),
        (" stop \n", Some(Wish::Stop)),
        ("Unsubscribe", Some(Wish::Stop)),
        ("start", Some(Wish::Start)),
        ("help", Some(Wish::Help)),
        ("please stop by", None),
        ("", None),
    ] {
        assert_eq!(reports(text)[0].wish, wish, "{text}");
    }
    for text in ["Hello world!", "{}", "[]"] {
        let message = signed(|message| message["Message"] = text.into());
        assert!(
            read(&source, message.to_string().as_bytes()).is_err(),
            "{text}"
        );
    }
}
