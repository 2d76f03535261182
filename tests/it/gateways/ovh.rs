//! OVH: the requests that it gets, and what its answers mean.

use std::time::{SystemTime, UNIX_EPOCH};

use postroad::gateway::Gateway as _;
use postroad::gateway::ovh::{Ovh, Settings};
use postroad::model::message::Sms;
use postroad::model::outcome::{Accepted, Blame, Fault, SendError};
use serde_json::json;

use super::*;
use crate::support::http_double::{HttpDouble, Request};

/// A report of a job, by the schema of `POST /sms/{serviceName}/jobs` (`sms.SmsSendingReport`).
pub(super) const ACCEPTED: &str = r#"{"ids": [27814656], "invalidReceivers": [], "totalCreditsRemoved": 1,
    "validReceivers": ["+15005550006"], "tag": "x"}"#;

fn settings(double: &HttpDouble) -> Settings {
    Settings {
        application_key: Some("application".into()),
        application_secret: Some(PASSWORD.into()),
        consumer_key: Some("consumer".into()),
        service: "sms-ab12345-1".into(),
        sender: Some("Postroad".into()),
        api_url: format!("{}/1.0", double.url()),
    }
}

fn built(settings: &Settings) -> Ovh {
    Ovh::new("ovh", settings).expect("settings that make sense")
}

/// A gateway to `double`.
pub(super) fn gateway(double: &HttpDouble) -> Ovh {
    built(&settings(double))
}

/// A double that tells the time, and then gives this answer.
pub(super) async fn answering(status: u16, body: &str) -> HttpDouble {
    let double = HttpDouble::answering(200, now().to_string()).await;
    double.answer(status, &[], body.to_owned());
    double
}

fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.expect("a clock after 1970").as_secs()
}

async fn request(message: &Rendered) -> anyhow::Result<Request> {
    let double = answering(200, ACCEPTED).await;
    gateway(&double).send(message, later()).await?;
    Ok(double.requests().remove(1))
}

async fn outcome(status: u16, body: &str) -> Result<Accepted, SendError> {
    let double = answering(status, body).await;
    gateway(&double).send(&message(Channel::Sms), later()).await
}

async fn error(status: u16, body: &str) -> SendError {
    outcome(status, body).await.expect_err("refused")
}

const GATEWAY: Fault = Fault::Gateway { retry_after: None };
const RECIPIENT: Fault = Fault::Permanent(Blame::Recipient);
const MESSAGE: Fault = Fault::Permanent(Blame::Message);

/// As OVH's API console has it, under OVH's signature.
#[tokio::test]
async fn a_job_is_posted_as_the_schema_says() -> anyhow::Result<()> {
    let double = answering(200, ACCEPTED).await;
    gateway(&double)
        .send(&message(Channel::Sms), later())
        .await?;
    let [time, job] = &double.requests()[..] else {
        panic!("two requests");
    };
    assert_eq!((&*time.method, &*time.path), ("GET", "/1.0/auth/time"));
    assert_eq!(time.header("x-ovh-signature"), "");
    assert_eq!(job.method, "POST");
    assert_eq!(job.path, "/1.0/sms/sms-ab12345-1/jobs");
    assert_eq!(
        job.header("content-type"),
        "application/json; charset=utf-8"
    );
    assert_eq!(job.header("x-ovh-application"), "application");
    assert_eq!(job.header("x-ovh-consumer"), "consumer");
    let url = format!("{}{}", double.url(), job.path);
    let signed = format!(
        "{PASSWORD}+consumer+POST+{url}+{}+{}",
        job.text(),
        job.header("x-ovh-timestamp")
    );
    let sha1 = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, signed.as_bytes());
    let hex: String = sha1.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(job.header("x-ovh-signature"), format!("$1${hex}"));
    assert_eq!(
        job.json(),
        json!({
            "message": BODY,
            "receivers": ["+15005550006"],
            "sender": "Postroad",
            "senderForResponse": false,
            "noStopClause": true,
            "charset": "UTF-8",
            "coding": "7bit",
            "priority": "high",
        })
    );
    Ok(())
}

/// Marketing has to say how to stop; a password reset must not.
#[tokio::test]
async fn only_newsletters_and_campaigns_get_a_line_about_stop() -> anyhow::Result<()> {
    for (message_type, without) in [
        (MessageType::Emergency, true),
        (MessageType::Alert, true),
        (MessageType::Transactional, true),
        (MessageType::Newsletter, false),
        (MessageType::Campaign, false),
    ] {
        let message = Rendered {
            message_type,
            ..message(Channel::Sms)
        };
        let json = request(&message).await?.json();
        assert_eq!(json["noStopClause"], without, "{message_type}");
    }
    Ok(())
}

/// Whatever a message has for a text message goes along; OVH is told when the text is not of GSM-7.
#[tokio::test]
async fn sender_validity_priority_and_alphabet_go_along() -> anyhow::Result<()> {
    let options = Options {
        from: Some("Other".into()),
        sms: Sms {
            validity_seconds: Some(61),
            ..Sms::default()
        },
        ..Options::default()
    };
    let message = Rendered {
        priority: Priority::P3,
        body: Some("Здравствуйте".into()),
        options: Arc::new(options),
        ..message(Channel::Sms)
    };
    let json = request(&message).await?.json();
    assert_eq!(json["sender"], "Other");
    assert_eq!(json["coding"], "8bit");
    assert_eq!(json["priority"], "low");
    assert_eq!(json["validityPeriod"], 2); // minutes

    let double = answering(200, ACCEPTED).await;
    let anonymous = Settings {
        sender: None,
        ..settings(&double)
    };
    built(&anonymous)
        .send(&super::message(Channel::Sms), later())
        .await?;
    let json = double.requests()[1].json();
    assert_eq!(json["senderForResponse"], true);
    assert!(json.get("sender").is_none());
    Ok(())
}

/// OVH refuses a timestamp that is off by more than some seconds, and asking each time would double the requests.
#[tokio::test]
async fn the_difference_of_the_clocks_is_asked_for_once() -> anyhow::Result<()> {
    let theirs = now() + 10_000;
    let double = HttpDouble::answering(200, theirs.to_string()).await;
    double.answer(200, &[], ACCEPTED);
    let gateway = gateway(&double);
    for _ in 0..3 {
        gateway.send(&message(Channel::Sms), later()).await?;
    }
    let requests = double.requests();
    assert_eq!(requests.len(), 4);
    for job in &requests[1..] {
        let timestamp: u64 = job.header("x-ovh-timestamp").parse()?;
        assert!((theirs..theirs + 20).contains(&timestamp), "{timestamp}");
    }
    Ok(())
}

/// A clock that is set while we run would otherwise stop all messages for good.
#[tokio::test]
async fn a_refused_timestamp_is_mended_at_once() -> anyhow::Result<()> {
    let late = r#"{"errorCode": "QUERY_TIME_OUT", "httpCode": "400 Bad Request", "message": "Query out of time"}"#;
    let double = HttpDouble::answering(200, "1000").await;
    double.answer(400, &[], late);
    double.answer(200, &[], now().to_string());
    double.answer(200, &[], ACCEPTED);
    gateway(&double)
        .send(&message(Channel::Sms), later())
        .await?;
    let paths: Vec<_> = double.requests().into_iter().map(|r| r.path).collect();
    let (time, jobs) = ("/1.0/auth/time", "/1.0/sms/sms-ab12345-1/jobs");
    assert_eq!(paths, [time, jobs, time, jobs]);

    // But not for ever.
    let double = HttpDouble::answering(200, "1000").await;
    double.answer(400, &[], late);
    double.answer(200, &[], "1000");
    double.answer(400, &[], late);
    let error = gateway(&double).send(&message(Channel::Sms), later()).await;
    let error = error.expect_err("refused");
    assert_eq!((error.fault, error.reason), (GATEWAY, "clock_refused"));
    assert_eq!(double.requests().len(), 4);
    Ok(())
}

/// Without the time nothing went out, whatever the silence: it is no reason to hold a message.
#[tokio::test]
async fn a_time_that_cannot_be_had_is_the_gateways_fault() {
    for (status, body) in [(500, ""), (200, "soon"), (200, "-1"), (403, "1457018875")] {
        let double = HttpDouble::answering(status, body).await;
        let error = gateway(&double).send(&message(Channel::Sms), later()).await;
        let error = error.expect_err("no time");
        assert_eq!((error.fault, error.reason), (GATEWAY, "time_unavailable"));
        assert_eq!(double.requests().len(), 1);
    }
}

/// No text can become another field, or another receiver.
#[tokio::test]
async fn hostile_text_stays_in_its_field() -> anyhow::Result<()> {
    let hostile = "x\"], \"receivers\": [\"+1900\"], \"y\": [\"\r\nX-Evil: 1";
    let options = Options {
        from: Some(hostile.into()),
        ..Options::default()
    };
    let message = Rendered {
        recipient: hostile.into(),
        body: Some(hostile.into()),
        options: Arc::new(options),
        ..message(Channel::Sms)
    };
    let request = request(&message).await?;
    let json = request.json();
    assert_eq!(json["receivers"], json!([hostile]));
    assert_eq!(
        (&json["sender"], &json["message"]),
        (&json!(hostile), &json!(hostile))
    );
    assert_eq!(json.as_object().expect("an object").len(), 8);
    assert!(request.headers.get("x-evil").is_none());
    Ok(())
}

/// Reports name it by OVH's id.
#[tokio::test]
async fn an_accepted_message_has_ovhs_id() -> anyhow::Result<()> {
    let accepted = outcome(200, ACCEPTED).await?;
    assert_eq!(accepted.external_id.as_deref(), Some("27814656"));
    assert_eq!(accepted.provider_text.as_deref(), Some("1 credits"));
    Ok(())
}

/// 200 with the receiver among the invalid ones: taken for a success it would be sent for ever.
#[tokio::test]
async fn a_success_that_is_none_is_not_accepted() {
    let invalid = r#"{"ids": [], "invalidReceivers": ["+15005550006"], "totalCreditsRemoved": 0, "validReceivers": []}"#;
    let error_of = error(200, invalid).await;
    assert_eq!(
        (error_of.fault, error_of.reason),
        (RECIPIENT, "invalid_number")
    );
    for unreadable in ["", "<html></html>", "[]", r#"{"ids": []}"#] {
        let error = error(200, unreadable).await;
        let expected = (Fault::Unknown, "answer_unreadable");
        assert_eq!((error.fault, error.reason), expected, "{unreadable}");
    }
}

/// Each class of errors, by OVH's code or the status.
#[tokio::test]
async fn errors_tell_whose_fault_it_was() {
    let transient = Fault::Transient { retry_after: None };
    for (status, code, words, fault, reason) in [
        (
            403,
            "NOT_CREDENTIAL",
            "This credential does not exist",
            GATEWAY,
            "unauthorized",
        ),
        (
            403,
            "NOT_GRANTED_CALL",
            "This call has not been granted",
            GATEWAY,
            "unauthorized",
        ),
        (
            403,
            "INVALID_KEY",
            "This application key is invalid",
            GATEWAY,
            "unauthorized",
        ),
        (
            400,
            "INVALID_SIGNATURE",
            "Invalid signature",
            GATEWAY,
            "unauthorized",
        ),
        (
            404,
            "",
            "The requested object (serviceName) does not exist",
            GATEWAY,
            "endpoint_not_found",
        ),
        (
            460,
            "",
            "This service is expired",
            GATEWAY,
            "account_inactive",
        ),
        (403, "", "Not enough credits", GATEWAY, "no_credit"),
        (429, "", "Too many requests", GATEWAY, "throttled"),
        (
            409,
            "",
            "Another operation is running",
            transient,
            "conflict",
        ),
        (
            400,
            "",
            "cannot send contact information with shortcode",
            MESSAGE,
            "rejected",
        ),
        (
            500,
            "",
            "Internal server error",
            GATEWAY,
            "provider_unavailable",
        ),
        (503, "", "", GATEWAY, "provider_unavailable"),
    ] {
        let body = json!({"message": words, "errorCode": code, "httpCode": status.to_string()});
        let error = error(status, &body.to_string()).await;
        assert_eq!(
            (error.fault, error.reason),
            (fault, reason),
            "{status} {code}"
        );
        let expected = if code.is_empty() {
            status.to_string()
        } else {
            code.into()
        };
        assert_eq!(error.code, Some(expected));
    }
    let error = error(503, "<html>Service Unavailable</html>").await;
    assert_eq!(
        (error.fault, error.reason),
        (GATEWAY, "provider_unavailable")
    );
}

/// Throttled for as long as OVH says.
#[tokio::test]
async fn a_throttled_send_waits_as_long_as_it_is_told() {
    let double = HttpDouble::answering(200, now().to_string()).await;
    double.answer(429, &[("retry-after", "7")], "{}");
    let error = gateway(&double).send(&message(Channel::Sms), later()).await;
    let retry_after = Some(Duration::from_secs(7));
    assert_eq!(
        error.expect_err("throttled").fault,
        Fault::Gateway { retry_after }
    );
}

/// The secret signs; it never leaves.
#[tokio::test]
async fn the_secret_is_in_no_request_debug_output_or_error() {
    let double = answering(403, r#"{"errorCode": "NOT_CREDENTIAL", "message": "x"}"#).await;
    let settings = settings(&double);
    let error = built(&settings)
        .send(&message(Channel::Sms), later())
        .await
        .expect_err("refused");
    assert!(!format!("{settings:?} {error} {error:?}").contains(PASSWORD));
    assert!(!format!("{:?}", double.requests()).contains(PASSWORD));
}
