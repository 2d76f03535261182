//! Amazon SES: a template, and a result for each entry.

use super::*;

/// SES sends several mails by a template only: one with nothing to replace.
#[tokio::test]
async fn ses_gets_a_template_with_nothing_to_replace() -> anyhow::Result<()> {
    let double = HttpDouble::answering(200, results(&[("SUCCESS", ""); 3])).await;
    let messages = shared(&full(), &RECIPIENTS);
    let answers = send(&ses::ses(&double), &messages, later()).await?;
    let ids: Vec<_> = answers.into_iter().flatten().collect();
    let ids: Vec<_> = ids.iter().map(|a| a.external_id.as_deref()).collect();
    assert_eq!(ids, [Some("id-1"), Some("id-2"), Some("id-3")]);
    let request = only(&double);
    assert_eq!(request.path, "/v2/email/outbound-bulk-emails");
    assert!(
        request
            .header("authorization")
            .starts_with("AWS4-HMAC-SHA256 ")
    );
    let entry = |message: &Rendered| {
        json!({
            "Destination": { "ToAddresses": [message.recipient] },
            "ReplacementTags": [
                { "Name": "postroad_id", "Value": message.message_id.to_string() },
                { "Name": "notes", "Value": "true" },
            ],
        })
    };
    let expected = json!({
        "FromEmailAddress": "Postroad <post@road.example>",
        "ReplyToAddresses": ["Answers <answers@notes.example>"],
        "DefaultContent": { "Template": {
            "TemplateContent": { "Subject": "Notes", "Text": BODY, "Html": "<p>100% of { it }</p>" },
            "TemplateData": "{}",
            "Headers": [{ "Name": "List-Unsubscribe", "Value": "<https://example.org/u>" }],
        }},
        "BulkEmailEntries": messages.iter().map(entry).collect::<Vec<_>>(),
        "ConfigurationSetName": "events-alerts",
    });
    assert_eq!(request.json(), expected);
    Ok(())
}

/// A 200 of SES tells of each entry by itself.
#[tokio::test]
async fn each_entry_of_ses_is_judged_by_its_own_status() -> anyhow::Result<()> {
    let transient = Fault::Transient { retry_after: None };
    let recipient = Fault::Permanent(Blame::Recipient);
    let cases = [
        ("MESSAGE_REJECTED", "", MESSAGE, "rejected"),
        (
            "MESSAGE_REJECTED",
            "Email address is not verified.",
            GATEWAY,
            "identity_not_verified",
        ),
        ("INVALID_PARAMETER", "", MESSAGE, "rejected"),
        (
            "INVALID_PARAMETER",
            "Missing final '@domain'",
            recipient,
            "invalid_address",
        ),
        ("TEMPLATE_NOT_FOUND", "", MESSAGE, "rejected"),
        (
            "MAIL_FROM_DOMAIN_NOT_VERIFIED",
            "",
            GATEWAY,
            "identity_not_verified",
        ),
        (
            "CONFIGURATION_SET_NOT_FOUND",
            "",
            GATEWAY,
            "configuration_not_found",
        ),
        (
            "INVALID_SENDING_POOL_NAME",
            "",
            GATEWAY,
            "configuration_not_found",
        ),
        ("ACCOUNT_SUSPENDED", "", GATEWAY, "account_suspended"),
        ("ACCOUNT_SENDING_PAUSED", "", GATEWAY, "sending_paused"),
        (
            "CONFIGURATION_SET_SENDING_PAUSED",
            "",
            GATEWAY,
            "sending_paused",
        ),
        ("ACCOUNT_THROTTLED", "", GATEWAY, "throttled"),
        (
            "ACCOUNT_DAILY_QUOTA_EXCEEDED",
            "",
            GATEWAY,
            "quota_exceeded",
        ),
        ("TRANSIENT_FAILURE", "", transient, "send_failed"),
        ("FAILED", "", transient, "send_failed"),
        ("SOMETHING_NEW", "", Fault::Unknown, "answer_garbled"),
    ];
    for (status, error, fault, reason) in cases {
        let body = results(&[("SUCCESS", ""), (status, error)]);
        let double = HttpDouble::answering(200, body).await;
        let messages = shared(&mail(), &RECIPIENTS[..2]);
        let answers = send(&ses::ses(&double), &messages, later()).await?;
        assert!(
            answers[0].is_ok(),
            "{status}: the other one's fate is its own"
        );
        let refusal = answers[1].as_ref().expect_err(status);
        assert_eq!((refusal.fault, refusal.reason), (fault, reason), "{status}");
        assert_eq!(refusal.code.as_deref(), Some(status));
    }
    Ok(())
}

/// An answer with fewer results than entries does not say what became of the rest.
#[tokio::test]
async fn an_entry_without_a_result_is_unknown() -> anyhow::Result<()> {
    let double = HttpDouble::answering(200, results(&[("SUCCESS", "")])).await;
    let messages = shared(&mail(), &RECIPIENTS[..2]);
    let answers = send(&ses::ses(&double), &messages, later()).await?;
    assert!(answers[0].is_ok());
    assert_eq!(
        answers[1].as_ref().map_err(|e| e.fault),
        Err(Fault::Unknown)
    );
    for garbled in ["{}", "[]", "ok", ""] {
        let double = HttpDouble::answering(200, garbled).await;
        let error = send(&ses::ses(&double), &messages, later()).await;
        assert_eq!(error.expect_err(garbled).reason, "answer_garbled");
    }
    Ok(())
}

/// Whoever may send mails one by one goes on doing so.
#[tokio::test]
async fn without_the_permission_for_bulk_ses_gets_mails_one_by_one() -> anyhow::Result<()> {
    let double = HttpDouble::answering(403, r#"{"__type":"AccessDeniedException"}"#).await;
    let ses = ses::ses(&double);
    let error = send(&ses, &shared(&mail(), &RECIPIENTS), later()).await;
    assert_eq!(
        error.expect_err("denied").fault,
        MESSAGE,
        "they are taken apart"
    );
    assert!(ses.batch().is_none());

    let double = HttpDouble::answering(403, r#"{"__type":"InvalidClientTokenId"}"#).await;
    let ses = ses::ses(&double);
    let error = send(&ses, &shared(&mail(), &RECIPIENTS), later()).await;
    assert_eq!(error.expect_err("refused").fault, GATEWAY);
    assert!(ses.batch().is_some());
    Ok(())
}
