//! `bulk_status`: how far a campaign is.

use super::runs::ids_of;
use crate::support::db::TestDb;
use crate::support::sql::{Outcome, Sql as _};

/// What `bulk_status` says, and what `status` says of each message.
async fn figures(db: &TestDb, batch: &str) -> anyhow::Result<(String, String)> {
    let all = format!(
        "select string_agg(s.status || ' ' || s.messages, ', ') from postroad.bulk_status('{batch}') as s"
    );
    let each = format!(
        "select string_agg(s.status || ' ' || s.count, ', ' order by array_position('{{scheduled,queued,processing,sent,delivered,bounced,failed,unknown,suppressed,expired,cancelled}}', s.status))
         from (select s.status, count(*) from postroad.messages as m, postroad.status(m.message_id) as s where m.batch_id = '{batch}' group by 1) as s"
    );
    Ok((db.client.row(&all).await?, db.client.row(&each).await?))
}

async fn send(db: &TestDb, name: &str, count: u32, more: &str) -> anyhow::Result<String> {
    db.client
        .row(&format!(
            "select batch_id from postroad.enqueue_bulk('email', (select jsonb_agg('{name}' || n || '@x.org') from generate_series(1, {count}) as n),
               body => 'x', priority => 'P4'{more})"
        ))
        .await
}

/// One word for each message, the same as `status` has, whatever became of it and in whichever order it was told.
#[tokio::test]
async fn a_bulk_send_is_counted_by_the_status_of_each_message() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client
        .batch_execute("select postroad.suppress('email', 'u7@x.org')")
        .await?;
    let batch = send(&db, "u", 60, "").await?;
    // Beside it, and not counted with it.
    send(&db, "v", 3, "").await?;
    db.enqueue_to("single@x.org", "").await?;
    assert_eq!(figures(&db, &batch).await?.0, "queued 59, suppressed 1");

    let (lease, claimed) = db.claim(4, 30).await?;
    let ids = ids_of(&claimed);
    let (mut nth, mut seen) = (0, Vec::new());
    for (event, retry, gateway, reported) in [
        ("sent", "null", "", ""),
        ("sent", "null", "postal", "delivered"),
        ("sent", "null", "postal", "delivered opened clicked"),
        ("sent", "null", "postal", "bounced"),
        ("sent", "null", "postal", "delivered bounced"),
        ("sent", "null", "postal", "bounced delivered"),
        ("sent", "null", "postal", "soft"),
        ("sent", "null", "postal", "complained unsubscribed"),
        ("bounced", "null", "", ""),
        ("bounced", "null", "postal", "delivered"),
        ("bounced", "null", "postal", "sent"),
        ("failed", "null", "", ""),
        ("failed", "null", "postal", "delivered"),
        ("expired", "null", "", ""),
        ("suppressed", "null", "", ""),
        ("unknown", "null", "", ""),
        ("unknown", "null", "postal", "complained"),
        ("unknown", "null", "postal", "delivered"),
        ("unknown", "null", "settle", "sent"),
        ("unknown", "null", "settle", "failed"),
        ("unknown", "null", "settle", "resend"),
        ("deferred", "60", "", ""),
        ("deferred", "60", "cancel", ""),
        ("deferred", "0", "again", "sent"),
        ("deferred", "0", "again", "failed"),
        ("failed", "null", "retry", "sent"),
        ("sent", "null", "retry", ""),
    ] {
        let id = ids[nth].clone();
        nth += 1;
        let mut outcome = Outcome::new(&lease, &id, event);
        outcome.retry = retry;
        outcome.finished = false;
        db.complete(&outcome).await?;
        match gateway {
            "settle" => drop(
                db.client
                    .row(&format!("select postroad.settle('{id}', '{reported}')"))
                    .await?,
            ),
            "cancel" => drop(
                db.client
                    .row(&format!("select postroad.cancel('{id}')"))
                    .await?,
            ),
            "postal" => {
                for kind in reported.split(' ') {
                    let (kind, bounce) = match kind {
                        "soft" => ("bounced", r#", "bounce_type": "soft""#),
                        "bounced" => ("bounced", r#", "bounce_type": "hard""#),
                        other => (other, ""),
                    };
                    db.record("postal", &format!(r#"{{"message_id": "{id}", "event_type": "{kind}", "source_key": "{kind}-{nth}"{bounce}}}"#))
                        .await?;
                }
            }
            "again" | "retry" => {
                let back = match gateway {
                    "retry" => format!("select postroad.retry('{id}')"),
                    _ => "select postroad.promote_due(4::smallint)".into(),
                };
                db.client.row(&back).await?;
                // It is behind the others, which wait meanwhile.
                let place = format!(
                    "update postroad.message_queue set seq = (select min(seq) - 1 from postroad.message_queue) where message_id = '{id}'"
                );
                db.client.batch_execute(&place).await?;
                let (again, claimed) = db.claim(4, 1).await?;
                if ids_of(&claimed) == [id.clone()] && !reported.is_empty() {
                    db.complete(&Outcome::new(&again, &id, reported)).await?;
                }
            }
            _ => {}
        }
        let (all, each) = figures(&db, &batch).await?;
        assert_eq!(all, each, "after {event} {gateway} {reported}");
        seen.push(all);
    }
    let words = [
        "scheduled",
        "queued",
        "processing",
        "sent",
        "delivered",
        "bounced",
        "failed",
        "unknown",
        "suppressed",
        "expired",
        "cancelled",
    ];
    let last = seen.last().expect("a figure");
    for word in words {
        assert!(last.contains(word), "{word} is not among {last}");
    }

    db.client
        .row(&format!("select postroad.cancel_bulk('{batch}')"))
        .await?;
    db.client.batch_execute("select postroad.rescue(7)").await?;
    let (all, each) = figures(&db, &batch).await?;
    assert_eq!(all, each);
    Ok(())
}

/// What is not there has no figures, and costs no error.
#[tokio::test]
async fn a_bulk_send_that_nobody_knows_has_no_figures() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.enqueue_to("single@x.org", "").await?;
    for batch in ["gen_random_uuid()", "postroad.uuid_v7()", "null"] {
        let query = format!("select count(*) from postroad.bulk_status({batch})");
        assert_eq!(db.client.row(&query).await?, "0", "{batch}");
    }
    let nobody = db
        .client
        .row(r#"select batch_id from postroad.enqueue_bulk('email', '["nobody"]', body => 'x')"#)
        .await?;
    assert_eq!(figures(&db, &nobody).await?.0, "null");
    let later = send(&db, "w", 20, ", scheduled_for => now() + interval '1 hour'").await?;
    assert_eq!(figures(&db, &later).await?.0, "scheduled 20");
    Ok(())
}

/// Who has the recipients in arrays may commit them slice by slice.
#[tokio::test]
async fn a_bulk_send_of_several_transactions_is_counted_whole() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let begin = "select batch_id from postroad.begin_bulk('email', null, 'x', null, null, null, 'campaign', null, null, null, null, null, null, null)";
    let batch = db.client.row(begin).await?;
    for count in [20, 30] {
        let rows = format!(
            "select queued from postroad.enqueue_rows('{batch}', 'email', array(select 'u' || n || '@x.org' from generate_series(1, {count}) as n),
               array_fill(null::bigint, array[{count}]), array_fill(null::text, array[{count}]), array_fill(null::text, array[{count}]),
               array_fill(null::jsonb, array[{count}]), 'campaign', 3::smallint, null, null, null, null, null, null, null, null)"
        );
        assert_eq!(db.client.row(&rows).await?, count.to_string());
        send(&db, "other", 5, "").await?;
    }
    assert_eq!(figures(&db, &batch).await?.0, "queued 50");
    Ok(())
}

/// As for `status`: the setting binds whoever calls.
#[tokio::test]
async fn a_bulk_send_of_another_tenant_is_not_known() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let batch = send(&db, "u", 2, ", tenant_id => 1").await?;
    let reader = db.connect_as("postroad_reader").await?;
    for (tenant, rows) in [("", "1"), ("1", "1"), ("2", "0")] {
        reader
            .batch_execute(&format!("set postroad.tenant = '{tenant}'"))
            .await?;
        let query = format!("select count(*) from postroad.bulk_status('{batch}')");
        assert_eq!(reader.row(&query).await?, rows, "tenant {tenant}");
    }
    Ok(())
}

/// By what bulk sends are found goes with their contents, a day after their messages.
#[tokio::test]
async fn the_transactions_of_a_bulk_send_are_forgotten_with_its_day() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client
        .batch_execute(
            "do $$ begin
               for back in 39..41 loop
                 execute format('create table postroad.messages_%s partition of postroad.messages for values from (%L) to (%L)', to_char(current_date - back, 'YYYYMMDD'),
                   postroad.uuid_at(current_date - back), postroad.uuid_at(current_date - back + 1));
                 insert into postroad.bulk_transactions (batch_id, xid) values (postroad.uuid_at(current_date - back), back);
               end loop;
             end $$",
        )
        .await?;
    for left in ["39,40,41", "39,40", "39"] {
        let dropped = "select postroad.drop_partitions('30 days')";
        assert_eq!(db.client.row(dropped).await?, "1");
        let kept = "select string_agg(xid::text, ',' order by xid) from postroad.bulk_transactions";
        assert_eq!(db.client.row(kept).await?, left);
    }
    Ok(())
}
