//! What every gateway must do. A new one adds itself to the three lists.

use std::any::Any;
use std::collections::BTreeMap;
use std::time::Instant;

use postroad::gateway::registry::{GatewaySettings, Registry};
use postroad::gateway::{Gateway, file, stub};
use postroad::model::message::Channel;
use postroad::model::outcome::Fault;

use super::*;
use crate::support::http_double::HttpDouble;
use crate::support::scratch::Scratch;
use crate::support::smtp_sink::Answer::{Hang, Reply};
use crate::support::smtp_sink::Stage;

struct Subject {
    gateway: Box<dyn Gateway>,
    channels: &'static [Channel],
    /// Instead of the usual one of the channel.
    recipient: Option<String>,
    /// What must live as long as it.
    _keep: Box<dyn Any>,
}

impl Subject {
    /// Its messages go to `recipient`.
    fn to(self, recipient: &str) -> Self {
        Self {
            recipient: Some(recipient.into()),
            ..self
        }
    }

    fn message(&self, channel: Channel) -> Rendered {
        let mut message = message(channel);
        if let Some(recipient) = &self.recipient {
            message.recipient.clone_from(recipient);
        }
        message
    }
}

fn subject(
    gateway: impl Gateway + 'static,
    channels: &'static [Channel],
    keep: impl Any,
) -> Subject {
    Subject {
        gateway: Box::new(gateway),
        channels,
        recipient: None,
        _keep: Box::new(keep),
    }
}

/// The push gateways, each in front of a provider that answers so.
async fn push_gateways(fcm: Scripted, apns: Scripted, webpush: Scripted) -> Vec<Subject> {
    let double = async |(status, body): Scripted| {
        let double = HttpDouble::start().await;
        match status {
            0 => double.hang(),
            _ => double.answer(status, &[], body),
        }
        double
    };
    const PUSH: &[Channel] = &[Channel::Push];
    let (fcm, apns, webpush) = (double(fcm).await, double(apns).await, double(webpush).await);
    let tokens = push::token_service().await;
    let subscription = push::subscription(&format!("{}/push", webpush.url()));
    vec![
        subject(push::fcm_at(&fcm, &tokens), PUSH, (fcm, tokens)),
        subject(push::apns_at(&apns), PUSH, apns).to(push::DEVICE),
        subject(push::webpush_with(&push::webpush_settings()), PUSH, webpush).to(&subscription),
    ]
}

/// Status and body; status 0 never answers.
type Scripted = (u16, &'static str);

fn stub_with(settings: &str) -> stub::Stub {
    let settings = toml::from_str(settings).expect("settings");
    stub::Stub::new("stub", &settings).expect("a stub")
}

fn file_in(path: &std::path::Path) -> file::File {
    let settings = file::Settings {
        path: path.into(),
        ..file::Settings::default()
    };
    file::File::new("file", &settings).expect("a file gateway")
}

/// A provider that answers so.
async fn answering(status: u16, headers: &[(&str, &str)], body: &str) -> HttpDouble {
    let double = HttpDouble::start().await;
    double.answer(status, headers, body.to_owned());
    double
}

/// A provider that takes each request and answers none.
async fn hanging() -> HttpDouble {
    let double = HttpDouble::start().await;
    double.hang();
    double
}

/// Each as it is when all goes well.
async fn healthy() -> anyhow::Result<Vec<Subject>> {
    let sink = SmtpSink::start().await?;
    let scratch = Scratch::new()?;
    let postal = answering(200, &[], postal::SUCCESS).await;
    let ses = answering(200, &[], ses::SUCCESS).await;
    let sendgrid = answering(202, &sendgrid::SUCCESS, "").await;
    let mailgun = answering(200, &[], mailgun::SUCCESS).await;
    let sns = answering(200, &[], sns::SUCCESS).await;
    let messages = HttpDouble::answering(201, twilio::ACCEPTED).await;
    let texts = HttpDouble::answering(202, bandwidth::ACCEPTED).await;
    let jobs = ovh::answering(200, ovh::ACCEPTED).await;
    let receiver = HttpDouble::start().await;
    let hook = format!("{}/hook", receiver.url());
    let mut subjects = vec![
        subject(gateway(&sink), &[Channel::Email], sink),
        subject(
            file_in(&scratch.path().join("outbox")),
            Channel::ALL,
            scratch,
        ),
        subject(stub_with(""), Channel::ALL, ()),
        subject(
            twilio::gateway(&messages),
            &[Channel::Sms, Channel::Voice],
            messages,
        ),
        subject(bandwidth::gateway(&texts), &[Channel::Sms], texts),
        subject(ovh::gateway(&jobs), &[Channel::Sms], jobs),
        subject(webhook::gateway(), &[Channel::Webhook], receiver).to(&hook),
        subject(postal::postal(&postal), &[Channel::Email], postal),
        subject(ses::ses(&ses), &[Channel::Email], ses),
        subject(sendgrid::sendgrid(&sendgrid), &[Channel::Email], sendgrid),
        subject(mailgun::mailgun(&mailgun), &[Channel::Email], mailgun),
        subject(sns::sns(&sns), &[Channel::Sms], sns),
    ];
    let sent = (200, r#"{"name": "projects/p/messages/1"}"#);
    subjects.extend(push_gateways(sent, (200, ""), (201, "")).await);
    Ok(subjects)
}

/// What no provider should say, in each of the places where providers say something.
const TOLD_IN_JSON: &str = r#"{"__type":"ada@example.org","message":"engine","errors":[{"field":"ada@example.org","message":"engine"}],"status":"error","data":{"code":"ada@example.org: engine",
    "message":"ada@example.org: The engine weaves algebraical patterns."}}"#;

/// The same from SNS.
const TOLD_IN_XML: &str = "<Error><Code>OptedOut</Code>
    <Message>ada@example.org: The engine weaves algebraical patterns.</Message></Error>";

/// Each as it is when something is wrong, with providers that tell more than they should.
async fn failing() -> anyhow::Result<Vec<Subject>> {
    let told = Reply("550 5.1.1 <ada@example.org>: The engine weaves algebraical patterns.");
    let sink = SmtpSink::start().on(Stage::Rcpt, told).await?;
    let login = SmtpSink::start().with_login("post", "another").await?;
    let with_login = Settings {
        username: Some("post".into()),
        password: Some(PASSWORD.into()),
        ..settings(&login)
    };
    let scratch = Scratch::new()?;
    let postal = answering(200, &[], TOLD_IN_JSON).await;
    let ses = answering(400, &[], TOLD_IN_JSON).await;
    let sendgrid = answering(400, &[], TOLD_IN_JSON).await;
    let mailgun = answering(400, &[], TOLD_IN_JSON).await;
    let sns = answering(400, &[], TOLD_IN_XML).await;
    let taken = scratch.path().join("outbox");
    std::fs::write(&taken, "not a folder")?;
    let mut subjects = vec![
        subject(gateway(&sink), &[Channel::Email], sink),
        subject(smtp(&with_login), &[Channel::Email], login),
        subject(file_in(&taken), Channel::ALL, scratch),
        subject(postal::postal(&postal), &[Channel::Email], postal),
        subject(ses::ses(&ses), &[Channel::Email], ses),
        subject(sendgrid::sendgrid(&sendgrid), &[Channel::Email], sendgrid),
        subject(mailgun::mailgun(&mailgun), &[Channel::Email], mailgun),
        subject(sns::sns(&sns), &[Channel::Sms], sns),
    ];
    let told = r#"{"code": 21211, "message": "+15005550006: The engine weaves", "errorCode": "correct-horse"}"#;
    for status in [400, 401, 500] {
        let api = HttpDouble::answering(status, told).await;
        subjects.push(subject(twilio::gateway(&api), &[Channel::Sms], api));
        let api = HttpDouble::answering(status, told).await;
        subjects.push(subject(bandwidth::gateway(&api), &[Channel::Sms], api));
        let api = ovh::answering(status, r#"{"message": "+15005550006: The engine weaves"}"#).await;
        subjects.push(subject(ovh::gateway(&api), &[Channel::Sms], api));
        let api = HttpDouble::answering(status, told).await;
        let hook = format!("{}/ada?token={PASSWORD}", api.url());
        subjects.push(subject(webhook::gateway(), &[Channel::Webhook], api).to(&hook));
    }
    for answer in ["transient", "permanent", "recipient", "gateway", "unknown"] {
        let stub = stub_with(&format!("answer = '{answer}'"));
        subjects.push(subject(stub, Channel::ALL, ()));
    }
    let told = "token-1 of ada: The engine weaves algebraical patterns.";
    subjects.extend(push_gateways((400, told), (400, told), (400, told)).await);
    Ok(subjects)
}

/// Each whose provider never answers, and what then is known about the message.
async fn silent() -> anyhow::Result<Vec<(Subject, Fault)>> {
    let transient = Fault::Transient { retry_after: None };
    let greeting = SmtpSink::start().on(Stage::Connect, Hang).await?;
    let dot = SmtpSink::start().on(Stage::Dot, Hang).await?;
    let postal = hanging().await;
    let ses = hanging().await;
    let sendgrid = hanging().await;
    let mailgun = hanging().await;
    let sns = hanging().await;
    let messages = HttpDouble::hanging().await;
    let texts = HttpDouble::hanging().await;
    let time = HttpDouble::hanging().await;
    let jobs = HttpDouble::answering(200, "1457018875").await;
    jobs.hang();
    let receiver = HttpDouble::hanging().await;
    let hook = receiver.url().to_owned();
    let push = push_gateways((0, ""), (0, ""), (0, "")).await;
    let push = push.into_iter().map(|subject| (subject, Fault::Unknown));
    let mut subjects = vec![
        (
            subject(gateway(&greeting), &[Channel::Email], greeting),
            transient,
        ),
        (
            subject(gateway(&dot), &[Channel::Email], dot),
            Fault::Unknown,
        ),
        (
            subject(stub_with("hang = true"), Channel::ALL, ()),
            Fault::Unknown,
        ),
        (
            subject(stub_with("latency = '1h'"), Channel::ALL, ()),
            Fault::Unknown,
        ),
        (
            subject(twilio::gateway(&messages), &[Channel::Sms], messages),
            Fault::Unknown,
        ),
        (
            subject(bandwidth::gateway(&texts), &[Channel::Sms], texts),
            Fault::Unknown,
        ),
        (
            subject(ovh::gateway(&time), &[Channel::Sms], time),
            transient,
        ),
        (
            subject(ovh::gateway(&jobs), &[Channel::Sms], jobs),
            Fault::Unknown,
        ),
        (
            subject(webhook::gateway(), &[Channel::Webhook], receiver).to(&hook),
            Fault::Unknown,
        ),
        (
            subject(postal::postal(&postal), &[Channel::Email], postal),
            Fault::Unknown,
        ),
        (
            subject(ses::ses(&ses), &[Channel::Email], ses),
            Fault::Unknown,
        ),
        (
            subject(sendgrid::sendgrid(&sendgrid), &[Channel::Email], sendgrid),
            Fault::Unknown,
        ),
        (
            subject(mailgun::mailgun(&mailgun), &[Channel::Email], mailgun),
            Fault::Unknown,
        ),
        (
            subject(sns::sns(&sns), &[Channel::Sms], sns),
            Fault::Unknown,
        ),
    ];
    subjects.extend(push);
    Ok(subjects)
}

/// Routing goes by what a gateway says that it serves.
#[tokio::test]
async fn a_gateway_says_its_name_and_what_it_serves() -> anyhow::Result<()> {
    let subjects = healthy().await?;
    let names: Vec<_> = subjects.iter().map(|s| s.gateway.name()).collect();
    assert_eq!(
        names,
        [
            "smtp",
            "file",
            "stub",
            "twilio",
            "bandwidth",
            "ovh",
            "webhook",
            "postal",
            "ses",
            "sendgrid",
            "mailgun",
            "sns",
            "fcm",
            "apns",
            "webpush"
        ]
    );
    for subject in subjects {
        assert_eq!(subject.gateway.channels(), subject.channels);
    }
    Ok(())
}

/// Events come back under the external id; without one a delivery is never seen.
#[tokio::test]
async fn a_gateway_accepts_a_plain_message_over_each_of_its_channels() -> anyhow::Result<()> {
    for subject in healthy().await? {
        for channel in subject.channels {
            let message = subject.message(*channel);
            let accepted = subject.gateway.send(&message, later()).await?;
            assert!(
                accepted.external_id.is_some_and(|id| !id.is_empty()),
                "{} has no external id for {channel}",
                subject.gateway.name()
            );
        }
    }
    Ok(())
}

/// Errors are logged, and logs are read by people whom the mail does not concern.
#[tokio::test]
async fn an_error_shows_neither_address_nor_body_nor_secret() -> anyhow::Result<()> {
    for subject in failing().await? {
        let message = subject.message(subject.channels[0]);
        let result = subject.gateway.send(&message, later()).await;
        let error = result.expect_err("it fails");
        let shown = error.to_string();
        for secret in [message.recipient.as_str(), "ada", BODY, "engine", PASSWORD] {
            assert!(!shown.contains(secret), "{shown:?} holds {secret:?}");
        }
        let snake = |c: char| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit();
        assert!(error.reason.chars().all(snake), "{}", error.reason);
    }
    Ok(())
}

/// A slot that is never given back is a slot less for the priority's other messages.
#[tokio::test]
async fn a_gateway_keeps_the_deadline_when_nothing_answers() -> anyhow::Result<()> {
    for (subject, fault) in silent().await? {
        let message = subject.message(subject.channels[0]);
        let result = tokio::select! {
            biased;
            result = subject.gateway.send(&message, soon()) => result,
            _ = subject.gateway.send(&message, later()) => panic!("{}: not by its deadline", subject.gateway.name()),
        };
        assert_eq!(result.expect_err("no answer").fault, fault);
    }
    Ok(())
}

/// A message whose time is over before the call must not go out.
#[tokio::test]
async fn nothing_is_sent_after_the_deadline() -> anyhow::Result<()> {
    for subject in healthy().await? {
        let result = subject
            .gateway
            .send(&subject.message(subject.channels[0]), Instant::now())
            .await;
        let error = result.expect_err("too late");
        assert_eq!(error.fault, Fault::Transient { retry_after: None });
        assert_eq!(error.reason, "deadline_passed");
    }
    Ok(())
}

/// Each can be written in the configuration, where a mistake stops the start.
#[test]
fn a_gateway_is_built_from_its_table_in_the_configuration() -> anyhow::Result<()> {
    let build = |text: &str| -> anyhow::Result<Registry> {
        let settings: BTreeMap<String, GatewaySettings> = toml::from_str(text)?;
        Ok(Registry::build(&settings, &BTreeMap::new())?)
    };
    let registry = build(
        "[relay]
         type = 'smtp'
         url = 'smtps://post:secret@relay.example'
         from = 'Postroad <post@road.example>'
         connections = 5
         connect_timeout = '3s'
         [outbox]
         type = 'file'
         path = 'outbox'
         [browsers]
         type = 'webpush'
         vapid_private_key = 'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI'
         vapid_subject = 'mailto:push@example.org'
         push_services = ['push.example']
         [dry]
         type = 'stub'
         answer = 'accept'
         latency = '5ms'
         [phones]
         type = 'twilio'
         account_sid = 'AC0123'
         auth_token = 'secret'
         messaging_service_sid = 'MG0123'
         [phones_us]
         type = 'bandwidth'
         account_id = '123'
         api_token = 'secret'
         api_secret = 'secret'
         application_id = '93de2206-9669-4e07-948d-329f4b722ee2'
         [phones_eu]
         type = 'ovh'
         application_key = 'secret'
         application_secret = 'secret'
         consumer_key = 'secret'
         service = 'sms-ab12345-1'
         [hooks]
         type = 'webhook'
         secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
         [postal]
         type = 'postal'
         api_url = 'https://postal.example'
         api_key = 'secret'
         from = 'post@road.example'
         [ses]
         type = 'ses'
         access_key_id = 'AKIDEXAMPLE'
         secret_access_key = 'secret'
         region = 'eu-central-1'
         configuration_set = 'events'
         ip_pools = { alerts = 'alerts-set' }
         [grid]
         type = 'sendgrid'
         api_key = 'secret'
         [gun]
         type = 'mailgun'
         api_key = 'secret'
         domain = 'mg.road.example'
         region = 'eu'
         [sns]
         type = 'sns'
         access_key_id = 'AKIDEXAMPLE'
         secret_access_key = 'secret'
         region = 'eu-central-1'
         sender_id = 'Postroad'",
    )?;
    let names = |channel| -> Vec<&str> {
        let gateways = registry.for_channel(channel).iter();
        gateways.map(|gateway| gateway.name()).collect()
    };
    assert_eq!(
        names(Channel::Email),
        ["dry", "grid", "gun", "outbox", "postal", "relay", "ses"]
    );
    assert_eq!(
        names(Channel::Sms),
        ["dry", "outbox", "phones", "phones_eu", "phones_us", "sns"]
    );
    // Calls need a number to call from.
    assert_eq!(names(Channel::Voice), ["dry", "outbox"]);
    assert_eq!(names(Channel::Webhook), ["dry", "hooks", "outbox"]);
    assert_eq!(names(Channel::Push), ["browsers", "dry", "outbox"]);

    for mistake in [
        "[relay]\ntype = 'smtp'",
        "[relay]\ntype = 'smtp'\nhost = 'relay.example'\ntsl = 'none'",
        "[relay]\ntype = 'smtp'\nurl = 'smtp://post:secret@relay.example?tls=none'",
        "[outbox]\ntype = 'file'\nfrom = 'nobody'",
        "[dry]\ntype = 'stub'\nanswer = 'maybe'",
        "[phones]\ntype = 'twilio'\naccount_sid = 'AC0'\nauth_token = 'secret'",
        "[phones]\ntype = 'bandwidth'\naccount_id = '1'\napi_token = 'secret'\napi_secret = 'secret'",
        "[phones]\ntype = 'ovh'\napplication_secret = 'secret'",
        "[hooks]\ntype = 'webhook'\nallow_private = 1",
        "[push]\ntype = 'firebase'\nserver_key = 'secret'",
        "[push]\ntype = 'apns'\nkey_file = 'key.p8'\nkey = 'secret'",
        "[push]\ntype = 'webpush'\nvapid_private_key = 'secret'\nvapid_subject = 'mailto:a@b.c'",
        "[postal]\ntype = 'postal'\napi_key = 'secret'",
        "[grid]\ntype = 'sendgrid'\napi_key = \"secret\\n\"",
        "[gun]\ntype = 'mailgun'\napi_key = 'secret'",
        "[gun]\ntype = 'mailgun'\napi_key = 'secret'\ndomain = 'x.org'\nregion = 'moon'",
        "[sns]\ntype = 'sns'\naccess_key_id = 'a'\nsecret_access_key = 'secret'\nregion = 'x'\nsender_id = '1'",
        "[ses]\ntype = 'ses'\naccess_key_id = 'a'\nsecret_access_key = 'secret'",
        "[ses]\ntype = 'ses'\naccess_key_id = 'a'\nsecret_access_key = 'secret'\nregion = 'a/b'",
        "[postal]\ntype = 'postal'\napi_url = 'http://postal.example'\napi_key = 'secret'",
    ] {
        let error = build(mistake).err().expect("a mistake");
        assert!(!format!("{error:#}").contains("secret"), "{error:#}");
    }
    Ok(())
}
