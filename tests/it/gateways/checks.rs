//! Whether credentials are good is asked without sending, and what is wrong is told by the setting.

use postroad::gateway::Gateway;
use postroad::gateway::check::Checked;

use super::*;
use crate::support::http_double::{HttpDouble, Request};

/// A gateway, the setting that 401 blames, what the provider answers to good credentials, and to which question.
struct Case {
    gateway: Box<dyn Gateway>,
    double: HttpDouble,
    good: (u16, &'static str),
    asks: (&'static str, &'static str),
    blamed: &'static str,
    /// What must live as long as it.
    _keep: Option<HttpDouble>,
}

async fn case(
    build: impl Fn(&HttpDouble) -> Box<dyn Gateway>,
    asks: (&'static str, &'static str),
    good: (u16, &'static str),
    blamed: &'static str,
) -> Case {
    let double = HttpDouble::start().await;
    Case {
        gateway: build(&double),
        double,
        good,
        asks,
        blamed,
        _keep: None,
    }
}

async fn cases() -> Vec<Case> {
    const MESSAGES: &str = "/2010-04-01/Accounts/";
    let tokens = push::token_service().await;
    let fcm = case(
        |double| Box::new(push::fcm_at(double, &tokens)),
        ("POST", "messages:send"),
        (200, r#"{"name": "projects/p/messages/fake"}"#),
        "credentials_file",
    )
    .await;
    vec![
        case(
            |double| Box::new(sendgrid::sendgrid(double)),
            ("GET", "/v3/scopes"),
            (200, r#"{"scopes": ["mail.batch.read", "mail.send"]}"#),
            "api_key",
        )
        .await,
        case(
            |double| Box::new(mailgun::mailgun(double)),
            ("GET", "/v3/domains/mg.road.example"),
            (200, r#"{"domain": {"state": "active"}}"#),
            "api_key",
        )
        .await,
        case(
            |double| Box::new(ses::ses(double)),
            ("GET", "/v2/email/account"),
            (
                200,
                r#"{"SendingEnabled": true, "ProductionAccessEnabled": true}"#,
            ),
            "access_key_id and secret_access_key",
        )
        .await,
        case(
            |double| Box::new(postal::postal(double)),
            ("POST", "/api/v1/messages/message"),
            (
                200,
                r#"{"status": "error", "data": {"code": "MessageNotFound"}}"#,
            ),
            "api_key",
        )
        .await,
        case(
            |double| Box::new(sns::sns(double)),
            ("POST", "/"),
            (200, "<GetSMSAttributesResponse/>"),
            "access_key_id and secret_access_key",
        )
        .await,
        case(
            |double| Box::new(twilio::gateway(double)),
            ("GET", MESSAGES),
            (200, r#"{"status": "active"}"#),
            "auth_token",
        )
        .await,
        case(
            |double| Box::new(bandwidth::gateway(double)),
            ("GET", "/media"),
            (200, "[]"),
            "api_token and api_secret",
        )
        .await,
        Case {
            _keep: Some(tokens),
            ..fcm
        },
    ]
}

/// Each provider is asked one question, and nothing is sent by it.
#[tokio::test]
async fn good_credentials_are_taken_and_nothing_is_sent() {
    for case in cases().await {
        let (status, body) = case.good;
        case.double.answer(status, &[], body);
        let name = case.gateway.name().to_owned();
        let checked = case.gateway.check(later()).await;
        assert_eq!(checked.expect(&name), Checked::Taken, "{name}");
        let requests = case.double.requests();
        let [request] = requests.as_slice() else {
            panic!("{name}: {requests:?}");
        };
        let (method, path) = case.asks;
        assert_eq!(request.method, method, "{name}");
        assert!(request.path.contains(path), "{name} {}", request.path);
        match name.as_str() {
            "fcm" => assert_eq!(request.json()["validate_only"], true),
            "sns" => assert!(request.text().starts_with("Action=GetSMSAttributes&")),
            "postal" => assert_eq!(request.text(), r#"{"id": 0}"#),
            _ => assert!(request.body.is_empty(), "{name}"),
        }
    }
}

/// A wrong key is a wrong setting; a provider that is down is not.
#[tokio::test]
async fn a_refusal_names_the_setting_and_an_outage_is_none() {
    for case in cases().await {
        let name = case.gateway.name().to_owned();
        case.double
            .answer(401, &[], format!("no such key: {PASSWORD}"));
        let wrong = case.gateway.check(later()).await.expect_err(&name);
        assert_eq!(
            (wrong.setting, wrong.is_refusal()),
            (case.blamed, true),
            "{name}"
        );
        assert_eq!(wrong.error.reason, "unauthorized", "{name}");
        assert!(!wrong.to_string().contains(PASSWORD), "{wrong}");
    }
    for case in cases().await {
        let name = case.gateway.name().to_owned();
        case.double.answer(503, &[], "");
        let wrong = case.gateway.check(later()).await.expect_err(&name);
        assert_eq!(
            (wrong.setting, wrong.is_refusal()),
            ("api_url", false),
            "{name}"
        );
    }
    for case in cases().await {
        let name = case.gateway.name().to_owned();
        case.double.answer(200, &[], "<html>hello</html>");
        // Of those whose answer says nothing but that it is one, the status alone is known.
        let says_more = !matches!(name.as_str(), "mailgun" | "sns" | "bandwidth" | "fcm");
        assert_eq!(
            case.gateway.check(later()).await.is_err(),
            says_more,
            "{name}"
        );
    }
}

/// What a key may not do is found out before the first mail.
#[tokio::test]
async fn a_key_that_may_not_send_is_wrong() {
    let double = HttpDouble::answering(200, r#"{"scopes": ["stats.read"]}"#).await;
    let wrong = sendgrid::sendgrid(&double).check(later()).await;
    assert_eq!(
        wrong.expect_err("wrong").to_string(),
        "api_key: not_permitted_to_send"
    );
    let body = r#"{"SendingEnabled": false, "ProductionAccessEnabled": true}"#;
    let double = HttpDouble::answering(200, body).await;
    let wrong = ses::ses(&double).check(later()).await;
    assert_eq!(wrong.expect_err("wrong").error.reason, "sending_paused");
    let double = HttpDouble::answering(200, r#"{"status": "suspended"}"#).await;
    let wrong = twilio::gateway(&double).check(later()).await;
    assert_eq!(wrong.expect_err("wrong").error.reason, "account_inactive");
    let body = r#"{"status": "error", "data": {"code": "InvalidServerAPIKey"}}"#;
    let double = HttpDouble::answering(200, body).await;
    let wrong = postal::postal(&double).check(later()).await;
    assert_eq!(wrong.expect_err("wrong").setting, "api_key");
}

/// Credentials with few permissions are good ones.
#[tokio::test]
async fn a_key_that_may_only_send_is_taken() {
    let double = HttpDouble::start().await;
    double.answer_by(|request: &Request| match request.method.as_str() {
        "GET" => (401, "Forbidden".into()),
        _ => (400, r#"{"message": "from parameter is missing"}"#.into()),
    });
    let checked = mailgun::mailgun(&double).check(later()).await;
    assert_eq!(checked.expect("taken"), Checked::TakenBut("a sending key"));
    let requests = double.requests();
    assert!(requests[1].body.is_empty(), "it names nobody");

    let double = HttpDouble::answering(403, r#"{"__type":"AccessDeniedException"}"#).await;
    let checked = ses::ses(&double).check(later()).await;
    assert!(matches!(checked, Ok(Checked::TakenBut(_))), "{checked:?}");
}

/// OVH's time is asked for first, since the question is signed like any other.
#[tokio::test]
async fn ovh_is_asked_for_its_service() {
    for (status, blamed) in [
        (200, None),
        (
            403,
            Some("application_key and application_secret and consumer_key"),
        ),
        (404, Some("service")),
    ] {
        let double = ovh::answering(status, "{}").await;
        let checked = ovh::gateway(&double).check(later()).await;
        assert_eq!(checked.err().map(|wrong| wrong.setting), blamed);
        let request = double.requests().pop().expect("a request");
        assert_eq!(request.method, "GET");
        assert!(request.path.contains("/sms/") && !request.path.ends_with("/jobs"));
        assert!(request.header("x-ovh-signature").starts_with("$1$"));
    }
}

/// A session that logs in and leaves is all that it takes by SMTP.
#[tokio::test]
async fn smtp_logs_in_and_says_goodbye() -> anyhow::Result<()> {
    let login = |password: &str, sink: &SmtpSink| Settings {
        username: Some("ada".into()),
        password: Some(password.into()),
        ..settings(sink)
    };
    let sink = SmtpSink::start().with_login("ada", PASSWORD).await?;
    let checked = smtp(&login(PASSWORD, &sink)).check(later()).await;
    assert_eq!(checked.expect("taken"), Checked::Taken);
    assert_eq!((sink.count("QUIT"), sink.count("MAIL")), (1, 0));
    let wrong = smtp(&login("wrong", &sink)).check(later()).await;
    assert_eq!(wrong.expect_err("refused").setting, "username and password");
    let checked = gateway(&SmtpSink::start().await?).check(later()).await;
    assert_eq!(
        checked.expect("taken"),
        Checked::TakenBut("without a login")
    );
    let sink = SmtpSink::start().await?;
    let nameless = Settings {
        from: None,
        ..settings(&sink)
    };
    let checked = smtp(&nameless).check(later()).await;
    let Checked::TakenBut(remark) = checked.expect("taken") else {
        panic!("without a remark");
    };
    assert!(remark.contains("from"), "{remark}");
    let nowhere = Settings {
        port: Some(1),
        ..settings(&sink)
    };
    let wrong = smtp(&nowhere)
        .check(later())
        .await
        .expect_err("nobody there");
    assert_eq!(
        (wrong.setting, wrong.is_refusal()),
        ("host and port", false)
    );
    Ok(())
}
