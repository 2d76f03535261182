//! The shared content of bulk sends, fetched once and kept at hand.

use uuid::Uuid;

use super::*;
use crate::support::smtp_sink::SmtpSink;

/// What a campaign says must be what its own recipients get, also when the contents at hand do not fit into memory.
#[tokio::test]
async fn each_recipient_gets_the_content_of_its_own_batch() -> anyhow::Result<()> {
    let site = Site::new().await?;
    // Three contents of 9 MB, of which 16 MB are kept; their recipients take turns.
    site.db
        .client
        .batch_execute(
            "select postroad.enqueue_bulk('push',
               jsonb_build_array('device-' || n || '-0', 'device-' || n || '-1', 'device-' || n || '-2'),
               subject => 'batch ' || n, body => rpad('batch ' || n, 9000000, '.'), message_type => 'campaign')
             from generate_series(1, 3) as n;
             update postroad.message_queue as q
             set seq = 1000 + t.nth
             from (
               select m.message_id, row_number() over (order by right(m.recipient, 1), m.recipient) as nth
               from postroad.messages as m
             ) as t
             where t.message_id = q.message_id",
        )
        .await?;
    let config = "[gateways.outbox]\ntype = \"file\"\npath = \"outbox\"\n[worker.pools.P3]\nconcurrency = [1, 1]\n";
    let _worker = site.worker("worker", config)?;
    site.db.wait_until_idle().await?;
    let failed = "select coalesce(string_agg(distinct event_type || ' ' || reason, ', '), '')
        from postroad.delivery_events where event_type <> 'sent'";
    assert_eq!(site.db.value::<String>(failed).await?, "");
    let mut seen = 0;
    for entry in std::fs::read_dir(site.directory.path.join("outbox"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|kind| kind != "json") {
            continue;
        }
        let mail: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
        let recipient = mail["recipient"].as_str().expect("a recipient");
        let batch = format!("batch {}", &recipient[7..8]);
        assert_eq!(mail["subject"], batch, "{recipient}");
        assert!(
            mail["body"]
                .as_str()
                .is_some_and(|body| body.starts_with(&batch)),
            "{recipient}"
        );
        seen += 1;
    }
    assert_eq!(seen, 9);
    Ok(())
}

/// A content that is gone cannot come back: its messages end with a reason, and hold nothing up.
#[tokio::test]
async fn messages_whose_content_is_gone_end_failed() -> anyhow::Result<()> {
    let site = Site::new().await?;
    let bulk = async |body: &str| -> anyhow::Result<Uuid> {
        let query = format!(
            "select batch_id from postroad.enqueue_bulk('email', '[\"a@example.org\", \"b@example.org\"]', body => '{body}')"
        );
        site.db.value(&query).await
    };
    let gone = bulk("gone").await?;
    let there = bulk("there").await?;
    site.db
        .client
        .batch_execute("delete from postroad.contents where body = 'gone'")
        .await?;
    let _worker = site.accepting("worker")?;
    site.db.wait_until_idle().await?;
    for (batch, expected) in [(gone, "failed content_gone"), (there, "sent")] {
        let query = format!(
            "select distinct s.status || coalesce(' ' || s.reason, '')
             from postroad.messages as m, postroad.status(m.message_id) as s where m.batch_id = '{batch}'"
        );
        assert_eq!(site.db.value::<String>(&query).await?, expected);
    }
    Ok(())
}

/// The first five minutes with a database of one's own: two variables, no file, real mail.
#[tokio::test]
async fn run_with_smtp_url_alone_delivers_single_mails_and_bulk() -> anyhow::Result<()> {
    let sink = SmtpSink::start().await?;
    let site = Site::new().await?;
    let mut command = site.directory.postroad(&["run"]);
    command
        .env("DATABASE_URL", &site.db.url)
        .env("SMTP_URL", format!("smtp://127.0.0.1:{}", sink.port()))
        .env("MAIL_FROM", "post@example.org")
        .stderr(std::process::Stdio::null());
    let mut process = Node::of(command.spawn()?);
    site.db.enqueue(1, "subject => 'single'").await?;
    sink.wait_for_mails(1).await;
    let queued = "select queued from postroad.enqueue_bulk('email',
        (select jsonb_agg('reader' || n || '@example.org') from generate_series(1, 500) as n),
        subject => 'bulk', body => 'shared')";
    assert_eq!(site.db.value::<i32>(queued).await?, 500);
    let mails = sink.wait_for_mails(501).await;
    assert_eq!(mails.len(), 501);
    let mut to: Vec<&str> = mails.iter().map(|mail| mail.to[0].as_str()).collect();
    to.sort_unstable();
    to.dedup();
    assert_eq!(to.len(), 501, "somebody got two");
    let bulk = |mail: &&crate::support::smtp_sink::ReceivedMail| {
        let data = String::from_utf8_lossy(&mail.data);
        data.contains("Subject: bulk") && data.contains("shared")
    };
    assert_eq!(mails.iter().filter(bulk).count(), 500);
    site.db.wait_until_idle().await?;
    process.signal("-TERM");
    assert_eq!(process.ended().await?, Some(0));
    Ok(())
}
