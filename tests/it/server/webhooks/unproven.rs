//! What anybody may have sent: mails that come back, and receipts of apps.

use super::*;
use crate::support::sql::Outcome;

/// `address|channel|tenant|reason` of the list.
const LISTED: &str = "select address, channel, tenant_id, reason from postroad.suppression_list order by address, channel, tenant_id";
/// `gateway|cause|events` of what was left out.
const LEFT_OUT: &str =
    "select gateway, cause, events from postroad.left_out_events order by gateway";

/// Of last month, as it seems, and of nobody.
const INVENTED: &str = "0199d3a0-0000-7abc-8def-0123456789ad";

/// The endpoints `smtp` and `webpush`, with the token `token-of-sixteen`.
fn open_endpoints() -> Endpoints {
    let endpoint = |kind: &str| -> (String, EndpointSettings) {
        let settings = format!("type = '{kind}'\ntoken = 'token-of-sixteen'");
        (kind.into(), toml::from_str(&settings).expect("settings"))
    };
    Endpoints::build(&["smtp", "webpush"].map(endpoint).into()).expect("endpoints")
}

/// A notification that `recipients` do not exist, about the mail `id`.
fn dsn(id: &str, recipients: &[&str]) -> String {
    let failed = recipients.iter().map(|recipient| {
        format!("Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n")
    });
    report(
        "delivery-status",
        &format!(
            "Reporting-MTA: dns; mx.example\r\n\r\n{}",
            failed.collect::<String>()
        ),
        id,
    )
}

/// `recipient` says that the mail `id` is spam.
fn arf(id: &str, recipient: &str) -> String {
    let fields = format!(
        "Feedback-Type: abuse\r\nUser-Agent: x/1\r\nVersion: 1\r\nOriginal-Rcpt-To: <{recipient}>\r\n"
    );
    report("feedback-report", &fields, id)
}

fn report(kind: &str, fields: &str, id: &str) -> String {
    let own = Uuid::now_v7();
    format!(
        "From: <mailer@x.example>\r\nMessage-ID: <{own}.r@x.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type={kind}; boundary=\"b\"\r\n\r\n\
         --b\r\nContent-Type: message/{kind}\r\n\r\n{fields}\r\n\
         --b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{id}@example.org>\r\n\r\n--b--\r\n"
    )
}

fn receipt(id: &str, event: &str) -> String {
    format!(r#"{{"message_id": "{id}", "event": "{event}"}}"#)
}

/// Posts to `/webhooks/…`, each with the token, and waits until all of it is read.
async fn post(db: &TestDb, server: &Running, posted: &[(&str, String)]) -> anyhow::Result<()> {
    let mut sender = server.connect().await?;
    for (endpoint, body) in posted {
        let path = format!("/webhooks/{endpoint}");
        let (status, _) = sender
            .post(&path, "authorization: Bearer token-of-sixteen\r\n", body)
            .await?;
        assert_eq!(status, 200, "{body}");
    }
    db.wait_until("not exists (select from postroad.webhook_batches)")
        .await?;
    let unread = "select count(*) from postroad.webhook_failures";
    assert_eq!(db.client.row(unread).await?, "0", "{posted:?}");
    Ok(())
}

async fn enqueue(
    db: &TestDb,
    channel: &str,
    recipient: &str,
    more: &str,
) -> anyhow::Result<String> {
    let query = format!(
        "select message_id from postroad.enqueue('{channel}', '{recipient}', body => 'x'{more})"
    );
    db.client.row(&query).await
}

/// Enqueues a message, and sends it.
async fn sent(db: &TestDb, channel: &str, recipient: &str, more: &str) -> anyhow::Result<String> {
    let id = enqueue(db, channel, recipient, more).await?;
    let (lease, claimed) = db.claim(4, 1).await?;
    assert!(claimed[0].starts_with(&id), "{claimed:?}");
    db.complete(&Outcome::new(&lease, &id, "sent")).await?;
    Ok(id)
}

/// A mailbox takes mail from anybody: one mail must not silence a thousand strangers.
#[tokio::test]
async fn a_mail_about_no_message_of_ours_suppresses_nobody() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let server = Running::start(&db.database, open_endpoints()).await?;
    let staff: Vec<_> = (1..=1000)
        .map(|n| format!("staff{n}@big.example"))
        .collect();
    let staff: Vec<_> = staff.iter().map(String::as_str).collect();
    post(
        &db,
        &server,
        &[
            ("smtp", dsn(INVENTED, &staff)),
            ("smtp", arf(INVENTED, "vip@big.example")),
            ("smtp", arf("20261121.of-another", "noid@big.example")),
            ("smtp", dsn("20261121.of-another", &["noid@big.example"])),
            ("webpush", receipt(INVENTED, "unsubscribed")),
        ],
    )
    .await?;
    assert_eq!(db.client.rows(LISTED).await?, Vec::<String>::new());
    assert_eq!(events(&db).await?, 0);
    assert_eq!(
        db.client.rows(LEFT_OUT).await?,
        ["smtp|unproven|1003", "webpush|unproven|1"]
    );
    server.stop().await
}

/// A bounce that is true must still suppress, and whoever wrote it may put any address into it.
#[tokio::test]
async fn a_mail_about_a_message_that_was_sent_counts_for_its_recipients_alone() -> anyhow::Result<()>
{
    let db = TestDb::new().await?;
    let server = Running::start(&db.database, open_endpoints()).await?;
    for (told, reason, wanted) in [
        (["ada@x.org"], "hard_bounce", "ada@x.org"),
        (["victim@big.example"], "hard_bounce", "ada@x.org"),
    ] {
        let id = sent(&db, "email", "ada@x.org", "").await?;
        post(&db, &server, &[("smtp", dsn(&id, &told))]).await?;
        assert_eq!(
            db.client.rows(LISTED).await?,
            [format!("{wanted}|email|null|{reason}")],
            "{told:?}"
        );
        db.client
            .batch_execute("delete from postroad.suppression_list")
            .await?;
    }
    let copied = r#", options => '{"cc": ["bob@x.org"]}'"#;
    let id = sent(&db, "email", "ada@x.org", copied).await?;
    let told = ["victim@big.example", "bob@x.org"];
    post(&db, &server, &[("smtp", dsn(&id, &told))]).await?;
    assert_eq!(
        db.client.rows(LISTED).await?,
        ["bob@x.org|email|null|hard_bounce"]
    );
    post(&db, &server, &[("smtp", arf(&id, "ada@x.org"))]).await?;
    assert_eq!(
        db.client.rows(LISTED).await?,
        [
            "ada@x.org|email|null|complaint",
            "bob@x.org|email|null|hard_bounce"
        ]
    );
    assert_eq!(db.client.rows(LEFT_OUT).await?, Vec::<String>::new());
    server.stop().await
}

/// A token that ships with an app is everybody's, and must not reach the messages of another channel.
#[tokio::test]
async fn a_receipt_or_a_mail_is_about_messages_of_its_own_channel() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let server = Running::start(&db.database, open_endpoints()).await?;
    let sms = sent(&db, "sms", "+14155550123", "").await?;
    let mail = sent(&db, "email", "ada@x.org", "").await?;
    let push = sent(&db, "push", "token-1", "").await?;
    post(
        &db,
        &server,
        &[
            ("webpush", receipt(&sms, "unsubscribed")),
            ("webpush", receipt(&mail, "unsubscribed")),
            ("smtp", arf(&push, "ada@x.org")),
            ("smtp", arf(&sms, "ada@x.org")),
        ],
    )
    .await?;
    assert_eq!(db.client.rows(LISTED).await?, Vec::<String>::new());
    assert_eq!(
        db.client.rows(LEFT_OUT).await?,
        ["smtp|unproven|2", "webpush|unproven|2"]
    );
    post(
        &db,
        &server,
        &[
            ("webpush", receipt(&push, "opened")),
            ("webpush", receipt(&push, "unsubscribed")),
        ],
    )
    .await?;
    assert_eq!(
        db.client.rows(LISTED).await?,
        ["token-1|push|null|unsubscribe"]
    );
    let kept = "select event_type, gateway, detail ->> 'unproven' from postroad.delivery_events where lease_id is null order by 1";
    assert_eq!(
        db.client.rows(kept).await?,
        ["opened|webpush|true", "unsubscribed|webpush|true"]
    );
    server.stop().await
}

async fn events(db: &TestDb) -> anyhow::Result<i64> {
    db.value("select count(*) from postroad.delivery_events")
        .await
}

/// Who may enqueue knows the id of a message that never goes out, and must not stop its recipient's mail from others by it.
#[tokio::test]
async fn a_report_about_a_message_that_was_not_sent_counts_for_nothing() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let server = Running::start(&db.database, open_endpoints()).await?;
    let later = ", tenant_id => 5, scheduled_for => clock_timestamp() + interval '9 years'";
    let mail = enqueue(&db, "email", "vip@big.example", later).await?;
    let push = enqueue(&db, "push", "token-1", later).await?;
    let waiting = enqueue(&db, "email", "vip@big.example", "").await?;
    let reports = || {
        [
            ("smtp", arf(&mail, "vip@big.example")),
            ("smtp", dsn(&mail, &["vip@big.example"])),
            ("smtp", arf(&waiting, "vip@big.example")),
            ("webpush", receipt(&push, "unsubscribed")),
        ]
    };
    post(&db, &server, &reports()).await?;
    db.client
        .rows(&format!(
            "select postroad.cancel('{mail}'), postroad.cancel('{push}'), postroad.cancel('{waiting}')"
        ))
        .await?;
    post(&db, &server, &reports()[..3]).await?;
    assert_eq!(db.client.rows(LISTED).await?, Vec::<String>::new());
    assert_eq!(
        db.client.rows(LEFT_OUT).await?,
        ["smtp|unproven|6", "webpush|unproven|1"]
    );
    server.stop().await
}

/// A server on the same network bounces before our own outcome is written; and a send without a reply may have arrived.
#[tokio::test]
async fn a_report_about_a_message_that_is_under_way_or_in_doubt_counts() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let server = Running::start(&db.database, open_endpoints()).await?;
    let id = enqueue(&db, "email", "ada@x.org", "").await?;
    let (lease, _) = db.claim(4, 1).await?;
    post(&db, &server, &[("smtp", dsn(&id, &["ada@x.org"]))]).await?;
    assert_eq!(
        db.client.rows(LISTED).await?,
        ["ada@x.org|email|null|hard_bounce"]
    );
    db.complete(&Outcome::new(&lease, &id, "unknown")).await?;
    post(&db, &server, &[("smtp", arf(&id, "ada@x.org"))]).await?;
    assert_eq!(
        db.client.rows(LISTED).await?,
        ["ada@x.org|email|null|complaint"]
    );
    server.stop().await
}

/// One tenant must not be able to forge away another's readers.
#[tokio::test]
async fn a_report_suppresses_for_the_tenant_of_its_message() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let server = Running::start(&db.database, open_endpoints()).await?;
    let mail = sent(&db, "email", "ada@x.org", ", tenant_id => 5").await?;
    let push = sent(&db, "push", "token-1", ", tenant_id => 5").await?;
    let ours = sent(&db, "email", "bob@x.org", "").await?;
    post(
        &db,
        &server,
        &[
            ("smtp", dsn(&mail, &["ada@x.org"])),
            ("smtp", arf(&ours, "bob@x.org")),
            ("webpush", receipt(&push, "unsubscribed")),
        ],
    )
    .await?;
    assert_eq!(
        db.client.rows(LISTED).await?,
        [
            "ada@x.org|email|5|hard_bounce",
            "bob@x.org|email|null|complaint",
            "token-1|push|5|unsubscribe"
        ]
    );
    server.stop().await
}

/// Three full mailboxes, two of which a tenant made up, are one to everybody else.
#[tokio::test]
async fn strikes_that_nobody_vouches_for_count_for_their_tenant() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let strike = async |tenant: &str, rest: &str| -> anyhow::Result<Vec<String>> {
        let more = format!(", tenant_id => {tenant}");
        let id = sent(&db, "email", "ada@x.org", &more).await?;
        let event = format!(
            r#"{{"message_id": "{id}", "event_type": "bounced", "source_key": "1", "bounce_type": "soft", "bounce_class": "mailbox_full"{rest}}}"#
        );
        assert_eq!(db.record("relay", &event).await?, "1");
        db.client.rows(LISTED).await
    };
    let unproven = r#", "is_proven": false, "channel": "email""#;
    let none = Vec::<String>::new();
    assert_eq!(strike("5", unproven).await?, none);
    assert_eq!(strike("5", unproven).await?, none);
    assert_eq!(strike("6", "").await?, none);
    assert_eq!(strike("6", unproven).await?, none);
    assert_eq!(
        strike("5", unproven).await?,
        ["ada@x.org|email|5|soft_bounce"]
    );
    db.client
        .batch_execute("delete from postroad.suppression_list")
        .await?;
    assert_eq!(strike("6", "").await?, none);
    assert_eq!(strike("6", "").await?, ["ada@x.org|email|null|soft_bounce"]);
    Ok(())
}

/// What a relay that anybody can use says was delivered takes back the strikes of its tenant, and no other's.
#[tokio::test]
async fn a_delivery_that_nobody_vouches_for_ends_the_strikes_of_its_tenant() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let report = async |tenant: u8, event: &str| -> anyhow::Result<()> {
        let more = format!(", tenant_id => {tenant}");
        let id = sent(&db, "email", "ada@x.org", &more).await?;
        let event = format!(
            r#"{{"message_id": "{id}", "event_type": {event}, "source_key": "1", "channel": "email"}}"#
        );
        assert_eq!(db.record("relay", &event).await?, "1");
        Ok(())
    };
    let soft =
        r#""bounced", "is_proven": false, "bounce_type": "soft", "bounce_class": "mailbox_full""#;
    report(5, soft).await?;
    report(6, soft).await?;
    report(5, r#""delivered", "is_proven": false"#).await?;
    let left = "select m.tenant_id from postroad.suppression_strikes join postroad.messages as m using (message_id)";
    assert_eq!(db.client.rows(left).await?, ["6"]);
    report(5, r#""delivered""#).await?;
    assert_eq!(db.client.rows(left).await?, Vec::<String>::new());
    Ok(())
}
