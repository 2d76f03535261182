//! `enqueue_bulk_from`: the recipients in a table of the caller's, of any size.

use tokio_postgres::Client;

use crate::support::db::TestDb;
use crate::support::sql::Sql as _;

const WRITTEN: &str =
    "select count(*), count(distinct recipient), count(distinct message_id) from postroad.messages";

/// A sender with a table of these columns and rows.
async fn sender(db: &TestDb, table: &str) -> anyhow::Result<Client> {
    let sender = db.connect_as("postroad_sender").await?;
    sender.batch_execute(table).await?;
    Ok(sender)
}

async fn send(sender: &Client, arguments: &str) -> anyhow::Result<String> {
    let query = format!(
        "select queued, suppressed, invalid, duplicate, reason \
         from postroad.enqueue_bulk_from('email', 'members', body => 'x'{arguments})"
    );
    sender.row(&query).await
}

/// A producer may keep its recipients where only it can read.
#[tokio::test]
async fn a_temporary_table_of_the_senders_is_sent_to() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client
        .batch_execute("select postroad.suppress('email', 'stop@x.org')")
        .await?;
    let sender = sender(
        &db,
        "create temporary table members (address varchar, id int, type text, data json, locale text, unrelated int);
         insert into members values ('a@X.org', 7, 'subscriber', '{\"n\": 1}', 'de');
         insert into members values ('stop@x.org'), (null), ('nobody'), ('nobody'), (''), ('b@x.org'), ('a@x.org')",
    )
    .await?;
    assert_eq!(
        send(
            &sender,
            ", source_type => 'issue', source_id => 3, tenant_id => 5, locale => 'en'"
        )
        .await?,
        "2|1|4|1|null"
    );
    let rows = "select recipient, recipient_id, recipient_type, locale, data, source_type, source_id, tenant_id, message_type from postroad.messages order by recipient";
    assert_eq!(
        db.client.rows(rows).await?,
        [
            r#"a@x.org|7|subscriber|de|{"n": 1}|issue|3|5|campaign"#,
            "b@x.org|null|null|en|null|issue|3|5|campaign",
            "stop@x.org|null|null|en|null|issue|3|5|campaign",
        ]
    );
    Ok(())
}

/// What is twice in a large table is rarely on the same page.
#[tokio::test]
async fn duplicates_are_found_across_slices_and_each_address_is_sent_to_once() -> anyhow::Result<()>
{
    let db = TestDb::new().await?;
    let sender = sender(
        &db,
        "create temporary table members as select 'u' || n || '@x.org' as address, n as id, repeat('d', 200) as type from generate_series(1, 30000) as n;
         insert into members select 'u' || n || '@X.ORG' from generate_series(1, 30000, 300) as n;
         insert into members select 'U' || n || '@x.org' from generate_series(1, 10) as n;
         insert into members select null from generate_series(1, 20);
         insert into members select 'nobody' from generate_series(1, 20)",
    )
    .await?;
    assert!(
        sender
            .row("select pg_relation_size('members') / 8192 > 900")
            .await?
            == "t",
        "several slices"
    );
    assert_eq!(send(&sender, "").await?, "30010|0|40|100|null");
    assert_eq!(db.client.row(WRITTEN).await?, "30010|30010|30010");
    assert_eq!(
        db.client
            .row("select count(*) from postroad.messages where recipient_id is null")
            .await?,
        "10",
        "the first row of an address stays"
    );
    assert_eq!(
        db.client
            .row("select count(distinct u.id), count(distinct seq) = count(distinct message_id), max(cardinality(more_ids)) from postroad.message_queue, unnest(message_id || more_ids) as u (id)")
            .await?,
        "30010|t|15"
    );
    Ok(())
}

/// Deleted rows leave pages without any: nothing there is no reason to stop.
#[tokio::test]
async fn empty_pages_and_empty_tables_are_passed_over() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let sender = sender(
        &db,
        "create temporary table members (address text, filler text)",
    )
    .await?;
    assert_eq!(send(&sender, "").await?, "0|0|0|0|null");
    sender
        .batch_execute(
            "insert into members select 'u' || n || '@x.org', repeat('f', 700) from generate_series(1, 20000) as n;
             delete from members where ctid >= '(200,0)' and ctid < '(1700,0)'",
        )
        .await?;
    let left = sender.row("select count(*) from members").await?;
    assert_eq!(send(&sender, "").await?, format!("{left}|0|0|0|null"));
    assert_eq!(
        db.client.row(WRITTEN).await?,
        format!("{left}|{left}|{left}")
    );
    Ok(())
}

/// The table may be one in parts: its rows have the same places in several of them.
#[tokio::test]
async fn partitions_heirs_and_materialized_views_are_tables_too() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client
        .batch_execute(
            "create schema app;
             create table app.members (address text, id int) partition by range (id);
             create table app.members_1 partition of app.members for values from (0) to (3000);
             create table app.members_2 partition of app.members default partition by range (id);
             create table app.members_21 partition of app.members_2 for values from (3000) to (9000);
             create table app.members_22 partition of app.members_2 default;
             insert into app.members select 'u' || n % 8000 || '@x.org', n from generate_series(0, 9999) as n;
             create table app.base (address text);
             create table app.heir () inherits (app.base);
             insert into app.base values ('a@x.org');
             insert into app.heir values ('a@x.org'), ('b@x.org');
             create materialized view app.seen as select address from app.members where id < 5;
             grant usage on schema app to postroad_sender;
             grant select on app.members, app.base, app.seen to postroad_sender",
        )
        .await?;
    let sender = db.connect_as("postroad_sender").await?;
    for (table, wanted) in [
        ("members", "8000|0|0|2000"),
        ("base", "2|0|0|1"),
        ("seen", "5|0|0|0"),
    ] {
        let query = format!(
            "select queued, suppressed, invalid, duplicate from postroad.enqueue_bulk_from('email', 'app.{table}', body => 'x')"
        );
        assert_eq!(sender.row(&query).await?, wanted, "{table}");
    }
    db.client.batch_execute("drop schema app cascade").await?;
    Ok(())
}

/// What cannot be walked by pages must be refused before anything is written.
#[tokio::test]
async fn what_is_no_table_with_addresses_is_refused() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let sender = sender(
        &db,
        "create temporary table nameless (email text); create temporary view seen as select 'a@x.org' as address; create temporary sequence numbers",
    )
    .await?;
    for (table, message) in [
        ("'nameless'", "no column address"),
        ("'seen'", "not a table"),
        ("'numbers'", "not a table"),
        ("null", "not a table"),
    ] {
        let raised = sender
            .raised(&format!(
                "select * from postroad.enqueue_bulk_from('email', {table}, body => 'x')"
            ))
            .await?;
        assert_eq!(raised.code, "PR001", "{table}: {}", raised.message);
        assert!(
            raised.message.contains(message),
            "{table}: {}",
            raised.message
        );
        assert!(!raised.hint.is_empty(), "{table}");
    }
    Ok(())
}

/// It reads with the caller's rights, not with ours.
#[tokio::test]
async fn a_table_that_the_sender_may_not_read_is_not_read() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client.batch_execute("create table public.private (address text); insert into public.private values ('a@x.org')").await?;
    let sender = db.connect_as("postroad_sender").await?;
    for table in ["public.private", "postroad.suppression_list"] {
        let raised = sender
            .raised(&format!(
                "select * from postroad.enqueue_bulk_from('email', '{table}', body => 'x')"
            ))
            .await?;
        assert_eq!(raised.code, "42501", "{table}: {}", raised.message);
    }
    assert_eq!(db.client.row(WRITTEN).await?, "0|0|0");
    Ok(())
}

/// Ids that came from a file as text: one that is no number costs its row, not the call.
#[tokio::test]
async fn ids_of_another_type_are_read_and_bad_ones_are_invalid() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let sender = sender(
        &db,
        "create temporary table members (address text, id text);
         insert into members values ('a@x.org', '12'), ('b@x.org', 'x'), ('c@x.org', null), ('d@x.org', '9223372036854775808'), ('a@x.org', '13'), ('b@x.org', '14')",
    )
    .await?;
    assert_eq!(send(&sender, "").await?, "3|0|2|1|null");
    assert_eq!(
        db.client
            .rows("select recipient, recipient_id from postroad.messages order by recipient")
            .await?,
        ["a@x.org|12", "b@x.org|14", "c@x.org|null"]
    );
    Ok(())
}

/// The key is for the call: a second one sends nothing, and says how many it did not send.
#[tokio::test]
async fn the_key_of_a_call_with_a_table_is_seen_again() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let sender = sender(&db, "create temporary table members as select 'u' || n || '@x.org' as address from generate_series(1, 50) as n").await?;
    let key = ", idempotency_key => 'k'";
    assert_eq!(send(&sender, key).await?, "50|0|0|0|null");
    assert_eq!(send(&sender, key).await?, "0|0|0|50|idempotency_key");
    assert_eq!(
        send(&sender, &format!("{key}, subject => 'other'")).await?,
        "0|0|50|0|key_reused"
    );
    assert_eq!(
        send(&sender, ", scheduled_for => now() + interval '1 h'").await?,
        "50|0|0|0|null"
    );
    assert_eq!(
        db.client
            .row("select count(*) from postroad.scheduled")
            .await?,
        "50"
    );
    Ok(())
}

/// Numbers have many spellings, and one phone.
#[tokio::test]
async fn spellings_of_one_number_are_one_recipient() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let sender = sender(
        &db,
        "create temporary table members (address text);
         insert into members values ('+14155550123'), ('+1 (415) 555-0123'), (' 001.415.555.0123'), ('+14155550124'), ('+1 (415)'), ('+1 415')",
    )
    .await?;
    let query = "select queued, suppressed, invalid, duplicate from postroad.enqueue_bulk_from('sms', 'members', body => 'x')";
    assert_eq!(sender.row(query).await?, "2|0|2|2");
    Ok(())
}

/// One row of many is no reason to send none; and who exported the table may have made its data text.
#[tokio::test]
async fn data_that_is_no_json_is_an_invalid_recipient_of_many() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (kind, bad) in [("text", "not json"), ("json", r#"{"a": "\u0000"}"#)] {
        db.client
            .batch_execute(&format!(
                r#"truncate postroad.messages, postroad.message_queue;
                   drop table if exists public.people;
                   create table public.people (address text, data {kind});
                   insert into public.people values ('a@x.org', '{{"n": 1}}'), ('b@x.org', '{bad}'), ('c@x.org', null)"#
            ))
            .await?;
        let send = "select queued, invalid from postroad.enqueue_bulk_from('email', 'public.people', body => 'x')";
        assert_eq!(db.client.row(send).await?, "2|1", "{kind}");
        let stored = "select recipient, data from postroad.messages order by 1";
        assert_eq!(
            db.client.rows(stored).await?,
            [r#"a@x.org|{"n": 1}"#, "c@x.org|null"],
            "{kind}"
        );
    }
    Ok(())
}
