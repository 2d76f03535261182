//! Amazon SNS: the requests that it gets (`Publish`, signed), and what its answers mean.

use postroad::gateway::Gateway as _;
use postroad::gateway::sns::{Settings, SmsType, Sns};
use postroad::model::outcome::{Blame, Fault};

use super::mail_fields::{error_of, only};
use super::*;
use crate::support::http_double::HttpDouble;

/// As the API reference gives it.
pub(super) const SUCCESS: &str = r#"<PublishResponse xmlns="https://sns.amazonaws.com/doc/2010-03-31/">
  <PublishResult><MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult>
  <ResponseMetadata><RequestId>d74b8436-ae13-5ab4-a9ff-ce54dfea72a0</RequestId></ResponseMetadata>
</PublishResponse>"#;

const GATEWAY: Fault = Fault::Gateway { retry_after: None };
const MESSAGE: Fault = Fault::Permanent(Blame::Message);

fn settings(double: &HttpDouble) -> Settings {
    Settings {
        access_key_id: "AKIDEXAMPLE".into(),
        secret_access_key: PASSWORD.into(),
        session_token: None,
        region: "eu-central-1".into(),
        api_url: Some(double.url().into()),
        sender_id: None,
        origination_number: None,
        sms_type: None,
        max_price: None,
    }
}

pub(super) fn sns(double: &HttpDouble) -> Sns {
    Sns::new("sns", &settings(double)).expect("settings that make sense")
}

fn refusal(code: &str, text: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{text}</Message></Error></ErrorResponse>"
    )
}

/// Parameters and attributes as the API reference names them, in order.
async fn form(
    settings: &Settings,
    message: &Rendered,
    double: &HttpDouble,
) -> anyhow::Result<Vec<(String, String)>> {
    double.answer(200, &[], SUCCESS);
    let sns = Sns::new("sns", settings).map_err(anyhow::Error::msg)?;
    sns.send(message, later()).await?;
    Ok(double.requests().pop().expect("a request").form())
}

/// The least that is said: the number, the text, and what kind of SMS it is.
#[tokio::test]
async fn a_message_is_published_to_the_number() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    double.answer(200, &[], SUCCESS);
    let message = message(Channel::Sms);
    let accepted = sns(&double).send(&message, later()).await?;
    let id = "567910cd-659e-55d4-8ccb-5aaf14679dc0";
    assert_eq!(accepted.external_id.as_deref(), Some(id));

    let request = only(&double);
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/")
    );
    let kind = "application/x-www-form-urlencoded; charset=utf-8";
    assert_eq!(request.header("content-type"), kind);
    let authorization = request.header("authorization");
    assert!(
        authorization.contains("/eu-central-1/sns/aws4_request, "),
        "{authorization}"
    );
    assert!(authorization.contains("SignedHeaders=content-type;host;x-amz-date, "));
    assert!(
        request.text().contains("PhoneNumber=%2B15005550006&"),
        "{}",
        request.text()
    );
    let expected = [
        ("Action", "Publish"),
        ("Version", "2010-03-31"),
        ("PhoneNumber", "+15005550006"),
        ("Message", BODY),
        ("MessageAttributes.entry.1.Name", "AWS.SNS.SMS.SMSType"),
        ("MessageAttributes.entry.1.Value.DataType", "String"),
        (
            "MessageAttributes.entry.1.Value.StringValue",
            "Transactional",
        ),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(request.form(), expected);
    Ok(())
}

/// What is configured is said to SNS, numbered without gaps.
#[tokio::test]
async fn each_setting_is_an_attribute() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    let settings = Settings {
        sender_id: Some("Postroad".into()),
        max_price: Some("0.50".into()),
        origination_number: Some("+15005550001".into()),
        sms_type: Some(SmsType::Promotional),
        ..settings(&double)
    };
    let form = form(&settings, &message(Channel::Sms), &double).await?;
    let names = |part: &str| -> Vec<&str> {
        let of_part = form.iter().filter(|(name, _)| name.ends_with(part));
        of_part.map(|(_, value)| value.as_str()).collect()
    };
    let kinds = [
        "AWS.SNS.SMS.SMSType",
        "AWS.SNS.SMS.SenderID",
        "AWS.SNS.SMS.MaxPrice",
        "AWS.MM.SMS.OriginationNumber",
    ];
    assert_eq!(names(".Name"), kinds);
    assert_eq!(
        names("StringValue"),
        ["Promotional", "Postroad", "0.50", "+15005550001"]
    );
    assert_eq!(names("DataType"), ["String", "String", "Number", "String"]);
    assert_eq!(
        form.last().expect("the last").0,
        "MessageAttributes.entry.4.Value.StringValue"
    );
    Ok(())
}

/// A campaign is not worth the price of an alarm.
#[tokio::test]
async fn the_type_of_the_message_decides_the_kind_of_sms() -> anyhow::Result<()> {
    for (message_type, kind) in [
        (MessageType::Emergency, "Transactional"),
        (MessageType::Alert, "Transactional"),
        (MessageType::Newsletter, "Promotional"),
        (MessageType::Campaign, "Promotional"),
    ] {
        let double = HttpDouble::start().await;
        let message = Rendered {
            message_type,
            ..message(Channel::Sms)
        };
        let form = form(&settings(&double), &message, &double).await?;
        assert_eq!(form[6].1, kind, "{message_type}");
    }
    Ok(())
}

/// Text is text, whatever it looks like.
#[tokio::test]
async fn hostile_text_stays_in_its_parameter() -> anyhow::Result<()> {
    let text = "Hi&PhoneNumber=+15005550009&TopicArn=arn\r\n%26Message=x\0é🚂";
    let double = HttpDouble::start().await;
    let message = Rendered {
        body: Some(text.into()),
        ..message(Channel::Sms)
    };
    let form = form(&settings(&double), &message, &double).await?;
    assert_eq!(form.len(), 7);
    assert_eq!(form[3], ("Message".to_owned(), text.to_owned()));
    Ok(())
}

/// SNS has no use for a message without text.
#[tokio::test]
async fn a_message_without_text_is_refused_here() {
    let double = HttpDouble::start().await;
    let message = Rendered {
        body: None,
        ..message(Channel::Sms)
    };
    let error = sns(&double)
        .send(&message, later())
        .await
        .expect_err("refused");
    assert_eq!((error.fault, error.reason), (MESSAGE, "content_missing"));
    assert!(double.requests().is_empty());
}

/// Each error of `Publish`, and of AWS's front end, by whose fault it is.
#[tokio::test]
async fn each_error_blames_whom_it_should() {
    let recipient = Fault::Permanent(Blame::Recipient);
    let number = "Invalid parameter: PhoneNumber Reason: +15005550006 is not valid to publish to";
    for (status, code, text, fault, reason) in [
        (
            400,
            "OptedOut",
            "Phone number is opted out",
            recipient,
            "opted_out",
        ),
        (400, "InvalidParameter", number, MESSAGE, "number_refused"),
        (
            400,
            "InvalidParameter",
            "Invalid parameter: Message too long",
            MESSAGE,
            "message_too_large",
        ),
        (
            400,
            "InvalidParameter",
            "Invalid parameter: Message Reason: Empty",
            MESSAGE,
            "rejected",
        ),
        (
            400,
            "ParameterValueInvalid",
            "AWS.SNS.SMS.MaxPrice",
            MESSAGE,
            "rejected",
        ),
        (
            400,
            "InvalidParameter",
            "No origination entities available to send",
            GATEWAY,
            "origination_missing",
        ),
        (
            400,
            "VerificationException",
            "",
            GATEWAY,
            "number_not_verified",
        ),
        (429, "Throttled", "Rate exceeded", GATEWAY, "throttled"),
        (400, "KMSThrottling", "", GATEWAY, "throttled"),
        (400, "KMSDisabled", "", GATEWAY, "encryption_failed"),
        (403, "AuthorizationError", "", GATEWAY, "unauthorized"),
        (403, "InvalidSecurity", "", GATEWAY, "unauthorized"),
        (403, "InvalidClientTokenId", "", GATEWAY, "unauthorized"),
        (403, "SignatureDoesNotMatch", "", GATEWAY, "unauthorized"),
        (
            403,
            "SignatureDoesNotMatch",
            "Signature expired: …",
            GATEWAY,
            "clock_skewed",
        ),
        (500, "InternalError", "", GATEWAY, "provider_unavailable"),
        (
            503,
            "ServiceUnavailable",
            "",
            GATEWAY,
            "provider_unavailable",
        ),
        (400, "SomethingNew", "", MESSAGE, "rejected"),
    ] {
        let double = HttpDouble::start().await;
        let error = error_of(&sns(&double), &double, status, &[], &refusal(code, text)).await;
        assert_eq!(
            (error.fault, error.reason),
            (fault, reason),
            "{code} {text}"
        );
    }
}

/// What AWS asks for is honoured, and its words are unescaped once.
#[tokio::test]
async fn an_answer_is_read_as_xml() {
    let double = HttpDouble::start().await;
    let body = refusal("Throttled", "a &amp;lt; b &lt; c");
    let error = error_of(&sns(&double), &double, 429, &[("retry-after", "3")], &body).await;
    let retry_after = Some(Duration::from_secs(3));
    assert_eq!(error.fault, Fault::Gateway { retry_after });
    assert_eq!(error.to_string(), "throttled (code Throttled)");
    assert_eq!(error.provider_text.as_deref(), Some("a &lt; b < c"));
}

/// A page, nothing, or another answer: the SMS may be on its way.
#[tokio::test]
async fn a_success_without_an_id_is_unknown() {
    for body in [
        "",
        "{}",
        "<PublishResponse/>",
        "<MessageId></MessageId>",
        "<MessageId>1",
    ] {
        let double = HttpDouble::start().await;
        let error = error_of(&sns(&double), &double, 200, &[], body).await;
        assert_eq!(
            (error.fault, error.reason),
            (Fault::Unknown, "answer_garbled"),
            "{body}"
        );
    }
}

/// A mistake in the settings stops the start, not each message.
#[test]
fn settings_that_sns_would_refuse_are_refused() {
    let build = |line: &str| {
        let text =
            format!("access_key_id='a'\nsecret_access_key='b'\nregion='eu-central-1'\n{line}");
        Sns::new("sns", &toml::from_str(&text).expect("settings")).map(drop)
    };
    for good in [
        "",
        "sender_id = 'Post-1'",
        "max_price = '0.5'",
        "sms_type = 'promotional'",
    ] {
        assert_eq!(build(good), Ok(()), "{good}");
    }
    for bad in [
        "sender_id = 'ab'",
        "sender_id = '12345'",
        "sender_id = 'Post Road'",
        "max_price = 'much'",
        "max_price = '-1'",
    ] {
        assert!(build(bad).is_err(), "{bad}");
    }
}
