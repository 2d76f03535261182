//! What FCM and Google's token service answer, and whose fault that is.

use super::*;

/// The answer of FCM to a first message.
async fn on_answer(status: u16, headers: &[(&str, &str)], body: &str) -> SendError {
    let (api, tokens) = (HttpDouble::start().await, token_service().await);
    api.answer(status, headers, body.to_owned());
    let error = refusal(&fcm_at(&api, &tokens), &push_to(FCM_TOKEN)).await;
    assert_eq!(api.requests().len(), 1, "tried twice");
    error
}

/// FCM's form of an error.
fn error_body(
    status: u16,
    name: &str,
    message: &str,
    fcm_code: Option<&str>,
    field: Option<&str>,
) -> String {
    let mut details = Vec::new();
    if let Some(code) = fcm_code {
        details.push(json!({"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}));
    }
    if let Some(field) = field {
        let violations = json!([{"field": field, "description": message}]);
        details.push(json!({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}));
    }
    json!({"error": {"code": status, "message": message, "status": name, "details": details}})
        .to_string()
}

async fn on_error(status: u16, name: &str, fcm_code: &str) -> (Fault, &'static str) {
    let error = on_answer(
        status,
        &[],
        &error_body(status, name, "no", Some(fcm_code), None),
    )
    .await;
    assert_eq!(error.code.as_deref(), Some(fcm_code));
    (error.fault, error.reason)
}

/// The app is gone from the device: the address is dead, and only it.
#[tokio::test]
async fn an_unregistered_token_is_the_recipients_fault() {
    let expected = (BAD_RECIPIENT, "unregistered");
    assert_eq!(on_error(404, "NOT_FOUND", "UNREGISTERED").await, expected);
}

/// The same code means a bad token and a bad message; the words and the field tell which (examples of Google's page
/// "FCM error codes").
#[tokio::test]
async fn an_invalid_argument_is_the_tokens_only_when_it_names_the_token() {
    let words = "The registration token is not a valid FCM registration token";
    let invalid = Some("INVALID_ARGUMENT");
    let judge = async |message: &str, code, field| {
        let body = error_body(400, "INVALID_ARGUMENT", message, code, field);
        let error = on_answer(400, &[], &body).await;
        (error.fault, error.reason)
    };
    let token = (BAD_RECIPIENT, "invalid_token");
    assert_eq!(judge(words, invalid, None).await, token);
    assert_eq!(
        judge("Invalid registration token", invalid, Some("message.token")).await,
        token
    );
    let value = "Invalid value at 'message.data[0].value' (TYPE_STRING), 12";
    let message = (BAD_MESSAGE, "invalid_argument");
    assert_eq!(
        judge(value, None, Some("message.data[0].value")).await,
        message
    );
    assert_eq!(
        judge(words, invalid, Some("message.android.ttl")).await,
        message
    );
    assert_eq!(
        judge("Request contains an invalid argument.", None, None).await,
        message
    );
}

/// Tokens of another project are bad where others work; where none does, the project is the wrong one.
#[tokio::test]
async fn a_sender_mismatch_suppresses_only_where_the_project_is_proven() -> anyhow::Result<()> {
    let (api, tokens) = (HttpDouble::start().await, token_service().await);
    let mismatch = error_body(
        403,
        "PERMISSION_DENIED",
        "no",
        Some("SENDER_ID_MISMATCH"),
        None,
    );
    api.answer(403, &[], mismatch.clone());
    api.answer(200, &[], json!({"name": NAME}).to_string());
    api.answer(403, &[], mismatch);
    let fcm = fcm_at(&api, &tokens);
    let message = push_to(FCM_TOKEN);
    let error = refusal(&fcm, &message).await;
    assert_eq!(
        (error.fault, error.reason),
        (BAD_MESSAGE, "sender_id_mismatch")
    );
    fcm.send(&message, later()).await?;
    assert_eq!(refusal(&fcm, &message).await.fault, BAD_RECIPIENT);
    Ok(())
}

/// FCM says when; when it does not, a minute is what its guide to scaling asks for.
#[tokio::test]
async fn quota_is_the_gateways_and_waits_as_asked() {
    let body = error_body(
        429,
        "RESOURCE_EXHAUSTED",
        "no",
        Some("QUOTA_EXCEEDED"),
        None,
    );
    for (headers, seconds) in [(&[][..], 60), (&[("retry-after", "7")][..], 7)] {
        let error = on_answer(429, headers, &body).await;
        let retry_after = Some(Duration::from_secs(seconds));
        assert_eq!(
            (error.fault, error.reason),
            (Fault::Gateway { retry_after }, "throttled")
        );
    }
}

/// An outage is Google's, also when its front answers with a page.
#[tokio::test]
async fn an_outage_is_the_gateways_fault() {
    let expected = (GATEWAY, "provider_unavailable");
    assert_eq!(on_error(503, "UNAVAILABLE", "UNAVAILABLE").await, expected);
    assert_eq!(on_error(500, "INTERNAL", "INTERNAL").await, expected);
    let error = on_answer(
        500,
        &[],
        "<!DOCTYPE html><title>Error 500 (Server Error)!!1</title>",
    )
    .await;
    assert_eq!((error.fault, error.reason), expected);
}

/// Credentials are ours to mend; no message suffers for them.
#[tokio::test]
async fn refused_credentials_are_the_gateways_fault() {
    let expected = (GATEWAY, "third_party_auth_error");
    assert_eq!(
        on_error(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR").await,
        expected
    );
    for (status, name) in [(401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED")] {
        let error = on_answer(status, &[], &error_body(status, name, "no", None, None)).await;
        assert_eq!((error.fault, error.reason), (GATEWAY, "unauthorized"));
    }
    let error = on_answer(
        404,
        &[],
        &error_body(404, "NOT_FOUND", "no project", None, None),
    )
    .await;
    assert_eq!((error.fault, error.reason), (GATEWAY, "endpoint_not_found"));
}

/// A success without a name is no answer of FCM's.
#[tokio::test]
async fn a_200_that_is_not_fcms_is_no_success() {
    for body in [
        "<html>Welcome to this network</html>",
        "{}",
        "",
        "{\"name\": \"\"}",
    ] {
        let error = on_answer(200, &[], body).await;
        assert_eq!(
            (error.fault, error.reason),
            (GATEWAY, "unexpected_answer"),
            "{body}"
        );
    }
}

/// Without a token nothing goes out, and all that wait for it learn it at once.
#[tokio::test]
async fn a_refused_token_is_the_gateways_fault_and_asked_for_once() {
    let (api, tokens) = (HttpDouble::start().await, HttpDouble::start().await);
    let body = json!({"error": "invalid_grant", "error_description": "Invalid JWT Signature."});
    tokens.answer(400, &[], body.to_string());
    let fcm = fcm_at(&api, &tokens);
    let message = push_to(FCM_TOKEN);
    let sends = (0..5).map(|_| refusal(&fcm, &message));
    for error in futures_util::future::join_all(sends).await {
        assert_eq!((error.fault, error.reason), (GATEWAY, "token_refused"));
        assert!(
            error
                .provider_text
                .is_some_and(|text| text.contains("invalid_grant"))
        );
    }
    assert_eq!((tokens.requests().len(), api.requests().len()), (1, 0));
}

/// A token service that is out, or that answers with something else.
#[tokio::test]
async fn a_token_that_cannot_be_had_is_the_gateways_fault() {
    for (status, headers, body, retry_after, reason) in [
        (
            503,
            &[("retry-after", "9")][..],
            "",
            Some(9),
            "token_unavailable",
        ),
        (200, &[], "<html>", None, "token_unreadable"),
        (
            200,
            &[],
            r#"{"access_token": "a\r\nX: y"}"#,
            None,
            "token_unreadable",
        ),
    ] {
        let (api, tokens) = (HttpDouble::start().await, HttpDouble::start().await);
        tokens.answer(status, headers, body);
        let error = refusal(&fcm_at(&api, &tokens), &push_to(FCM_TOKEN)).await;
        let retry_after = retry_after.map(Duration::from_secs);
        assert_eq!(
            (error.fault, error.reason),
            (Fault::Gateway { retry_after }, reason)
        );
    }
}

/// While there is no token the message has not gone out; once it has, nobody knows.
#[tokio::test]
async fn silence_is_unknown_only_once_the_message_is_out() {
    let (api, tokens) = (HttpDouble::start().await, HttpDouble::start().await);
    tokens.hang();
    let result = fcm_at(&api, &tokens)
        .send(&push_to(FCM_TOKEN), soon())
        .await;
    let error = result.expect_err("no token");
    assert_eq!((error.fault, error.reason), (TRANSIENT, "deadline_passed"));

    let tokens = token_service().await;
    api.hang();
    let result = fcm_at(&api, &tokens)
        .send(&push_to(FCM_TOKEN), soon())
        .await;
    let error = result.expect_err("no answer");
    assert_eq!((error.fault, error.reason), (Fault::Unknown, "no_answer"));
}
