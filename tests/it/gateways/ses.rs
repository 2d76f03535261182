//! Amazon SES: the requests that it gets (`SendEmail` of API v2, signed), and what its answers mean.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_parser::MessageParser;
use postroad::gateway::Gateway as _;
use postroad::gateway::ses::{Ses, Settings};
use postroad::model::outcome::{Blame, Fault};
use serde_json::json;

use super::mail_fields::{error_of, full_mail, mail_with_image, only};
use super::*;
use crate::support::http_double::HttpDouble;

/// As the API reference gives it.
pub(super) const SUCCESS: &str = r#"{"MessageId":"0100017a-example"}"#;

const GATEWAY: Fault = Fault::Gateway { retry_after: None };
const MESSAGE: Fault = Fault::Permanent(Blame::Message);

fn settings(double: &HttpDouble) -> Settings {
    Settings {
        access_key_id: "AKIDEXAMPLE".into(),
        secret_access_key: PASSWORD.into(),
        session_token: Some("hunter2".into()),
        region: "eu-central-1".into(),
        api_url: Some(double.url().into()),
        from: Some("Postroad <post@road.example>".into()),
        configuration_set: Some("events".into()),
        ip_pools: [("alerts".into(), "events-alerts".into())].into(),
        batch: true,
    }
}

pub(super) fn ses(double: &HttpDouble) -> Ses {
    Ses::new("ses", &settings(double)).expect("settings that make sense")
}

/// Text and HTML are parameters; so are headers, tags and the configuration set.
#[tokio::test]
async fn a_mail_without_files_is_simple_content() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    double.answer(200, &[], SUCCESS);
    let mut message = full_mail();
    let options = Arc::make_mut(&mut message.options);
    options.attachments.clear();
    options.from = Some("Jörg <j@bücher.example>".into());
    let accepted = ses(&double).send(&message, later()).await?;
    assert_eq!(accepted.external_id.as_deref(), Some("0100017a-example"));

    let request = only(&double);
    let target = (request.method.as_str(), request.path.as_str());
    assert_eq!(target, ("POST", "/v2/email/outbound-emails"));
    assert_eq!(request.header("content-type"), "application/json");
    let text = |data: &str| json!({ "Data": data, "Charset": "UTF-8" });
    let expected = json!({
        "FromEmailAddress": "=?utf-8?b?SsO2cmc=?= <j@xn--bcher-kva.example>",
        "Destination": {
            "ToAddresses": [RECIPIENT],
            "CcAddresses": ["Charles <charles@example.org>"],
            "BccAddresses": ["mary@example.org"],
        },
        "ReplyToAddresses": ["Answers <answers@notes.example>"],
        "Content": { "Simple": {
            "Subject": text("Notes"),
            "Body": { "Text": text(BODY), "Html": text("<p>The engine</p>") },
            "Headers": [
                { "Name": "List-Unsubscribe", "Value": "<https://example.org/u>" },
                { "Name": "X-Note", "Value": "=?utf-8?b?R3LDvMOfZQ==?=" },
            ],
        } },
        "EmailTags": [
            { "Name": "postroad_id", "Value": message.message_id.to_string() },
            { "Name": "notes", "Value": "true" },
            { "Name": "engine_g", "Value": "true" },
        ],
        "ConfigurationSetName": "events-alerts",
    });
    assert_eq!(request.json(), expected);
    Ok(())
}

/// The vectors are tested where requests are signed; here, that this one is, for the right service and region.
#[tokio::test]
async fn a_request_is_signed_for_ses_in_its_region() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    double.answer(200, &[], SUCCESS);
    ses(&double).send(&mail(), later()).await?;
    let request = only(&double);
    let time = request.header("x-amz-date");
    assert_eq!((time.len(), &time[8..9], &time[15..]), (16, "T", "Z"));
    let scope = format!("{}/eu-central-1/ses/aws4_request", &time[..8]);
    let names = "content-type;host;x-amz-date;x-amz-security-token";
    let start = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, SignedHeaders={names}, Signature="
    );
    let signature = request.header("authorization").strip_prefix(&start);
    assert_eq!(signature.map(str::len), Some(64));
    assert_eq!(request.header("x-amz-security-token"), "hunter2");
    assert_eq!(format!("http://{}", request.header("host")), double.url());
    Ok(())
}

/// Files make it a mail of our own; the envelope stays in the parameters, hidden copies too.
#[tokio::test]
async fn a_mail_with_files_is_raw_content() -> anyhow::Result<()> {
    for message in [full_mail(), mail_with_image()] {
        let double = HttpDouble::start().await;
        double.answer(200, &[], SUCCESS);
        ses(&double).send(&message, later()).await?;
        let body = only(&double).json();
        assert_eq!(body["Destination"]["ToAddresses"], json!([RECIPIENT]));
        assert_eq!(
            body["Destination"]["BccAddresses"],
            json!(["mary@example.org"])
        );
        assert_eq!(
            body["EmailTags"][0]["Value"],
            message.message_id.to_string()
        );
        let data = body["Content"]["Raw"]["Data"].as_str().expect("base64");
        let data = STANDARD.decode(data)?;
        let mail = MessageParser::default().parse(&data).expect("a mail");
        assert_eq!(mail.attachment_count(), 1);
        assert!(!String::from_utf8_lossy(&data).contains("mary@example.org"));
    }
    Ok(())
}

/// `Simple` content has 15 headers of 995 bytes.
#[tokio::test]
async fn more_headers_than_simple_content_carries_make_it_raw() -> anyhow::Result<()> {
    for (count, length, kind) in [(15, 995, "Simple"), (16, 10, "Raw"), (1, 996, "Raw")] {
        let double = HttpDouble::start().await;
        double.answer(200, &[], SUCCESS);
        let value = "x ".repeat(length / 2) + &"y".repeat(length % 2);
        let value = format!("{}z", &value[..length - 1]);
        let headers = (0..count).map(|n| (format!("X-H{n}"), value.clone()));
        let message = mail_with(|options| options.headers = headers.collect());
        ses(&double).send(&message, later()).await?;
        let body = only(&double).json();
        assert!(body["Content"][kind].is_object(), "{count} of {length}");
    }
    Ok(())
}

/// Another gateway may reach who cannot be reached by this one.
#[tokio::test]
async fn a_local_part_that_is_not_ascii_is_refused_but_not_blamed() -> anyhow::Result<()> {
    let double = HttpDouble::start().await;
    let message = Rendered {
        recipient: "jörg@example.org".into(),
        ..mail()
    };
    let error = ses(&double)
        .send(&message, later())
        .await
        .expect_err("refused");
    assert_eq!((error.fault, error.reason), (MESSAGE, "smtputf8_required"));
    assert!(double.requests().is_empty());
    Ok(())
}

/// Each error of `SendEmail`, and of AWS's front end, by whose fault it is.
#[tokio::test]
async fn each_error_blames_whom_it_should() {
    let recipient = Fault::Permanent(Blame::Recipient);
    for (status, code, text, fault, reason) in [
        (429, "TooManyRequestsException", "", GATEWAY, "throttled"),
        (
            400,
            "Throttling",
            "Maximum sending rate exceeded.",
            GATEWAY,
            "throttled",
        ),
        (
            400,
            "ThrottlingException",
            "Rate exceeded",
            GATEWAY,
            "throttled",
        ),
        (
            400,
            "Throttling",
            "Daily message quota exceeded.",
            GATEWAY,
            "quota_exceeded",
        ),
        (400, "LimitExceededException", "", GATEWAY, "throttled"),
        (
            400,
            "MessageRejected",
            "Email address is not verified. …",
            GATEWAY,
            "identity_not_verified",
        ),
        (400, "MessageRejected", "Bad content", MESSAGE, "rejected"),
        (
            400,
            "MailFromDomainNotVerifiedException",
            "",
            GATEWAY,
            "identity_not_verified",
        ),
        (
            400,
            "AccountSuspendedException",
            "",
            GATEWAY,
            "account_suspended",
        ),
        (400, "SendingPausedException", "", GATEWAY, "sending_paused"),
        (
            404,
            "NotFoundException",
            "Configuration set <x> does not exist.",
            GATEWAY,
            "configuration_not_found",
        ),
        (
            400,
            "BadRequestException",
            "Missing final '@domain'",
            recipient,
            "invalid_address",
        ),
        (
            400,
            "BadRequestException",
            "Invalid header",
            MESSAGE,
            "rejected",
        ),
        (
            403,
            "UnrecognizedClientException",
            "",
            GATEWAY,
            "unauthorized",
        ),
        (403, "InvalidClientTokenId", "", GATEWAY, "unauthorized"),
        (403, "SignatureDoesNotMatch", "", GATEWAY, "unauthorized"),
        (
            403,
            "InvalidSignatureException",
            "Signature expired: …",
            GATEWAY,
            "clock_skewed",
        ),
        (403, "RequestTimeTooSkewed", "", GATEWAY, "clock_skewed"),
        (403, "AccessDeniedException", "", GATEWAY, "unauthorized"),
        (403, "ExpiredTokenException", "", GATEWAY, "unauthorized"),
        (
            500,
            "InternalServiceErrorException",
            "",
            GATEWAY,
            "provider_unavailable",
        ),
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
        let body = json!({ "message": text }).to_string();
        let headers = [("x-amzn-ErrorType", code)];
        let error = error_of(&ses(&double), &double, status, &headers, &body).await;
        assert_eq!(
            (error.fault, error.reason),
            (fault, reason),
            "{code} {text}"
        );
    }
}

/// The code stands in a header or in the body, bare or dressed up; what was asked for is honoured.
#[tokio::test]
async fn the_code_is_found_wherever_aws_puts_it() {
    let retry_after = Some(Duration::from_secs(7));
    let url = "TooManyRequestsException:http://internal.amazon.com/coral/";
    for (headers, body) in [
        (vec![("x-amzn-errortype", url)], r#"{"message":null}"#),
        (
            vec![],
            r#"{"__type":"com.amazonaws.ses#TooManyRequestsException","message":"m"}"#,
        ),
        (
            vec![],
            r#"{"code":"TooManyRequestsException","Message":"m"}"#,
        ),
    ] {
        let double = HttpDouble::start().await;
        let headers = [&headers[..], &[("retry-after", "7")]].concat();
        let error = error_of(&ses(&double), &double, 400, &headers, body).await;
        assert_eq!(error.fault, Fault::Gateway { retry_after }, "{body}");
        assert_eq!(
            error.to_string(),
            "throttled (code TooManyRequestsException)"
        );
    }
}

/// AWS's answer to a wrong signature quotes the request, with the token in it.
#[tokio::test]
async fn a_quoted_token_is_masked() {
    let double = HttpDouble::start().await;
    let body =
        r#"{"message":"The Canonical String should have been x-amz-security-token:hunter2"}"#;
    let headers = [("x-amzn-errortype", "SignatureDoesNotMatch")];
    let error = error_of(&ses(&double), &double, 403, &headers, body).await;
    let text = error.provider_text.expect("AWS's words");
    assert!(text.ends_with("x-amz-security-token:***"), "{text}");
    assert!(!format!("{:?}", settings(&double)).contains("hunter2"));
}

/// Without an id its events are never found.
#[tokio::test]
async fn a_success_without_an_id_is_unknown() {
    for body in ["", "{}", "{\"MessageId\":\"\"}", "<SendEmailResponse/>"] {
        let double = HttpDouble::start().await;
        let error = error_of(&ses(&double), &double, 200, &[], body).await;
        assert_eq!(
            (error.fault, error.reason),
            (Fault::Unknown, "answer_garbled")
        );
    }
}
