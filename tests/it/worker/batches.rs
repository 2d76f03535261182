//! Messages that share their content go out by one call, and each has its own outcome.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::*;
use crate::support::http_double::{HttpDouble, Request};
use crate::support::wait::until;

/// A `[gateways.NAME]` table of a provider's double.
fn gateway(kind: &str, double: &HttpDouble) -> String {
    let credentials = match kind {
        "ses" => "access_key_id = 'AKID'\nsecret_access_key = 'hunter2'\nregion = 'eu-central-1'",
        "mailgun" => "api_key = 'hunter2'\ndomain = 'mg.example.org'",
        _ => "api_key = 'hunter2'",
    };
    let url = double.url();
    format!(
        "[gateways.{kind}]\ntype = '{kind}'\napi_url = '{url}'\nfrom = 'post@example.org'\n{credentials}\n"
    )
}

/// SES, which refuses whoever has `refused` in the address.
async fn ses() -> HttpDouble {
    let double = HttpDouble::start().await;
    double.answer_by(|request: &Request| {
        let body = request.json();
        let Some(entries) = body["BulkEmailEntries"].as_array() else {
            return (200, r#"{"MessageId": "alone"}"#.into());
        };
        let answer = |entry: &Value| {
            let to = entry["Destination"]["ToAddresses"][0].as_str();
            match to.is_some_and(|to| to.contains("refused")) {
                true => serde_json::json!({ "Status": "MESSAGE_REJECTED" }),
                false => serde_json::json!({ "Status": "SUCCESS", "MessageId": to }),
            }
        };
        let results: Vec<_> = entries.iter().map(answer).collect();
        (
            200,
            serde_json::json!({ "BulkEmailEntryResults": results }).to_string(),
        )
    });
    double
}

/// How many mails SendGrid was asked for by each request.
fn personalizations(double: &HttpDouble) -> Vec<usize> {
    let count = |request: &Request| {
        request.json()["personalizations"]
            .as_array()
            .map_or(0, Vec::len)
    };
    double.requests().iter().map(count).collect()
}

impl Site {
    /// One newsletter to so many.
    async fn newsletter(&self, count: usize, arguments: &str) -> anyhow::Result<()> {
        let query = format!(
            "select postroad.enqueue_bulk('email',
               (select jsonb_agg('reader' || n || '@example.org') from generate_series(1, {count}) as n),
               subject => 'Hello', body => 'News', message_type => 'newsletter' {arguments})"
        );
        Ok(self.db.client.batch_execute(&query).await?)
    }

    /// Events by type, gateway and reason.
    async fn events(&self) -> anyhow::Result<BTreeMap<String, i64>> {
        let query = "select concat_ws(' ', event_type, gateway, reason), count(*) from postroad.delivery_events group by 1";
        let rows = self.db.client.query(query, &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}

fn counts<const N: usize>(expected: [(&str, i64); N]) -> BTreeMap<String, i64> {
    expected
        .map(|(what, count)| (what.to_owned(), count))
        .into()
}

/// A newsletter to many is a few calls, and nobody gets it twice.
#[tokio::test]
async fn a_bulk_send_goes_out_in_few_calls() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let double = HttpDouble::answering(202, "").await;
    site.newsletter(300, "").await?;
    let _worker = site.worker("worker", &gateway("sendgrid", &double))?;
    site.db.wait_until_idle().await?;
    assert_eq!(site.events().await?, counts([("sent sendgrid", 300)]));
    let asked = personalizations(&double);
    assert_eq!(asked.iter().sum::<usize>(), 300);
    assert!(asked.len() <= 100, "{asked:?}");
    let mut ids: Vec<String> = Vec::new();
    for request in double.requests() {
        for mail in request.json()["personalizations"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let id = mail["custom_args"]["postroad_id"].as_str();
            let alone = &request.json()["custom_args"]["postroad_id"];
            ids.extend(id.or(alone.as_str()).map(str::to_owned));
        }
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 300, "each call names its messages");
    Ok(())
}

/// What differs in anything is not sent as if it were the same.
#[tokio::test]
async fn messages_of_other_contents_are_not_mixed() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let double = HttpDouble::answering(202, "").await;
    site.db.enqueue(20, "message_type => 'newsletter'").await?;
    site.newsletter(30, "").await?;
    site.newsletter(30, ", ip_pool => 'other'").await?;
    let _worker = site.worker("worker", &gateway("sendgrid", &double))?;
    site.db.wait_until_idle().await?;
    assert_eq!(site.events().await?, counts([("sent sendgrid", 80)]));
    let (mut own, mut pooled) = (0, 0);
    for request in double.requests() {
        let body = request.json();
        let mails = body["personalizations"].as_array().map_or(0, Vec::len);
        match body["content"][0]["value"].as_str() {
            Some("News") if body["ip_pool_name"] == "other" => pooled += mails,
            Some("News") => {}
            _ => {
                assert_eq!(mails, 1, "each of these has its own content");
                own += 1;
            }
        }
    }
    assert_eq!((own, pooled), (20, 30));
    Ok(())
}

/// A provider that takes some and refuses others is believed for each.
#[tokio::test]
async fn each_message_of_a_call_has_its_own_outcome() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let double = ses().await;
    site.db
        .client
        .batch_execute(
            "select postroad.enqueue_bulk('email',
               (select jsonb_agg(case when n % 10 = 0 then 'refused' else 'reader' end || n || '@example.org')
                from generate_series(1, 100) as n),
               subject => 'Hello', body => 'News', message_type => 'campaign')",
        )
        .await?;
    let _worker = site.worker("worker", &gateway("ses", &double))?;
    site.db.wait_until_idle().await?;
    let expected = counts([("sent ses", 90), ("failed ses rejected", 10)]);
    assert_eq!(site.events().await?, expected);
    let mixed: i64 = site
        .db
        .value(
            "select count(*) from postroad.delivery_events as e join postroad.messages as m using (message_id)
             where e.event_type = 'sent' and e.external_id not in (m.recipient, 'alone')",
        )
        .await?;
    assert_eq!(mixed, 0, "answers belong to their own messages");
    assert!(double.requests().len() < 60, "{}", double.requests().len());
    Ok(())
}

/// A provider that refuses the whole call for one address does not make the others fail.
#[tokio::test]
async fn a_call_refused_for_one_message_is_taken_apart() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let double = HttpDouble::start().await;
    double.answer_by(
        |request: &Request| match request.text().contains("reader77@") {
            true => (
                400,
                r#"{"errors": [{"message": "bad", "field": "personalizations.0.to.0.email"}]}"#
                    .into(),
            ),
            false => (202, String::new()),
        },
    );
    site.newsletter(200, "").await?;
    let _worker = site.worker("worker", &gateway("sendgrid", &double))?;
    site.db.wait_until_idle().await?;
    let expected = counts([
        ("sent sendgrid", 199),
        ("bounced sendgrid invalid_address", 1),
    ]);
    assert_eq!(site.events().await?, expected);
    let sent = personalizations(&double).len();
    assert!(sent < 120, "{sent} calls");
    Ok(())
}

/// A gateway that cannot serve the call hands all of it on, and each message says so by its one event.
#[tokio::test]
async fn a_call_that_one_gateway_cannot_take_goes_to_the_next() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let (first, second) = (
        HttpDouble::answering(503, "").await,
        HttpDouble::answering(200, r#"{"id": "<a@mg.example.org>"}"#).await,
    );
    let config = format!(
        "[channels]\nemail = ['sendgrid', 'mailgun']\n{}{}",
        gateway("sendgrid", &first),
        gateway("mailgun", &second)
    );
    site.newsletter(100, "").await?;
    let _worker = site.worker("worker", &config)?;
    site.db.wait_until_idle().await?;
    assert_eq!(site.events().await?, counts([("sent mailgun", 100)]));
    assert!(!first.requests().is_empty());
    let to = |request: &Request| {
        request
            .form()
            .iter()
            .filter(|(name, _)| name == "to")
            .count()
    };
    assert_eq!(second.requests().iter().map(to).sum::<usize>(), 100);
    assert!(second.requests().len() < 50);
    Ok(())
}

/// No answer to a call is no answer to each of its messages, and newsletters are held then.
#[tokio::test]
async fn silence_after_a_call_leaves_each_of_its_messages_unknown() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let double = HttpDouble::hanging().await;
    site.newsletter(30, "").await?;
    let config = format!(
        "[worker]\nsend_timeout = '500ms'\n[worker.pools.P2]\nconcurrency = [10, 10]\n{}",
        gateway("sendgrid", &double)
    );
    let _worker = site.worker("worker", &config)?;
    site.db.wait_until_idle().await?;
    let expected = counts([("unknown sendgrid no_answer", 30)]);
    assert_eq!(site.events().await?, expected);
    assert_eq!(
        personalizations(&double).iter().sum::<usize>(),
        30,
        "none was sent again"
    );
    let opened = "select count(*) from postroad.health_log where state = 'open'";
    let calls = personalizations(&double).len();
    assert!(calls < 5, "{calls} calls");
    assert_eq!(
        site.db.value::<i64>(opened).await?,
        0,
        "a call that fails is one fault, not one for each message"
    );
    Ok(())
}

/// Bulk sends are all that some gateways get: one of their messages must be the probe, too.
#[tokio::test]
async fn a_gateway_that_gets_bulk_sends_only_comes_back() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let (first, second) = (HttpDouble::start().await, HttpDouble::start().await);
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    first.answer_by(move |_| match well.load(Ordering::SeqCst) {
        true => (202, String::new()),
        false => (503, String::new()),
    });
    second.answer(200, &[], r#"{"id": "<a@mg.example.org>"}"#);
    let config = format!(
        "[channels]\nemail = ['sendgrid', 'mailgun']\n{}{}",
        gateway("sendgrid", &first),
        gateway("mailgun", &second)
    );
    let _worker = site.worker("worker", &config)?;
    let log = |state: &str| {
        format!(
            "exists (select from postroad.health_log where gateway = 'sendgrid' and state = '{state}')"
        )
    };
    until("the breaker opened", async || {
        site.newsletter(20, "").await?;
        site.db.wait_until_idle().await?;
        site.db.value(&format!("select {}", log("open"))).await
    })
    .await?;
    is_well.store(true, Ordering::SeqCst);
    until("the breaker closed", async || {
        site.newsletter(20, "").await?;
        site.db.wait_until_idle().await?;
        site.db.value(&format!("select {}", log("closed"))).await
    })
    .await?;
    site.newsletter(20, "").await?;
    until("it gets bulk sends again", async || {
        Ok(personalizations(&first)
            .last()
            .is_some_and(|mails| *mails > 1))
    })
    .await?;
    let not_sent = "select count(*) from postroad.delivery_events where event_type <> 'sent'";
    assert_eq!(site.db.value::<i64>(not_sent).await?, 0);
    Ok(())
}

/// Newsletters are what calls for several are for, and each of them carries a link of its own.
#[tokio::test]
async fn newsletters_with_our_links_go_out_in_few_calls() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let double = HttpDouble::answering(202, "").await;
    site.newsletter(300, ", html => '<a href=\"https://example.org/\">News</a>'")
        .await?;
    let config = format!(
        "[server]\npublic_url = 'https://road.example'\n[tracking]\nsecret = '0123456789abcdef0123456789abcdef'\n{}",
        gateway("sendgrid", &double)
    );
    let _worker = site.worker("worker", &config)?;
    site.db.wait_until_idle().await?;
    assert_eq!(site.events().await?, counts([("sent sendgrid", 300)]));
    let asked = personalizations(&double);
    assert_eq!(asked.iter().sum::<usize>(), 300);
    assert!(asked.len() <= 100, "{asked:?}");
    let mut ways_out = Vec::new();
    for request in double.requests() {
        let body = request.json();
        for mail in body["personalizations"].as_array().into_iter().flatten() {
            let header = |of: &Value| {
                of["headers"]["List-Unsubscribe"]
                    .as_str()
                    .map(str::to_owned)
            };
            let way_out = header(mail).or_else(|| header(&body)).expect("a way out");
            assert!(way_out.starts_with("<https://road.example/u/"), "{way_out}");
            ways_out.push(way_out);
        }
    }
    ways_out.sort();
    ways_out.dedup();
    assert_eq!(ways_out.len(), 300, "each its own");
    Ok(())
}

/// Mailgun refuses large batches of new domains: that is no reason to stop using it, nor to send nothing.
#[tokio::test]
async fn a_domain_that_may_not_send_to_many_at_once_sends_to_fewer() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let double = HttpDouble::start().await;
    let to = |request: &Request| {
        let form = request.form();
        form.iter().filter(|(name, _)| name == "to").count()
    };
    double.answer_by(move |request: &Request| match to(request) > 3 {
        true => (
            403,
            r#"{"message": "Domain mg.example.org is not allowed to send large batches yet"}"#
                .into(),
        ),
        false => (200, r#"{"id": "<a@mg.example.org>"}"#.into()),
    });
    site.newsletter(100, "").await?;
    let _worker = site.worker("worker", &gateway("mailgun", &double))?;
    site.db.wait_until_idle().await?;
    assert_eq!(site.events().await?, counts([("sent mailgun", 100)]));
    let asked: Vec<usize> = double.requests().iter().map(to).collect();
    let taken: Vec<usize> = asked.iter().copied().filter(|mails| *mails <= 3).collect();
    assert_eq!(taken.iter().sum::<usize>(), 100);
    assert!(taken.iter().any(|mails| *mails > 1), "{asked:?}");
    let faults =
        "select count(*) from postroad.health_log where gateway = 'mailgun' and state = 'open'";
    assert_eq!(site.db.value::<i64>(faults).await?, 0);
    Ok(())
}
