//! System events: what happened to the system rather than to a message.

use crate::support::db::TestDb;
use crate::support::sql::Sql as _;
use crate::support::wait::until;

/// A change is told once, however many nodes see it; what stays as it is is no event.
#[tokio::test]
async fn each_change_of_a_gateways_health_is_one_system_event() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let report = |is_open: bool| {
        format!("select postroad.report_breaker('ses', {is_open}, 'timeout', 1000, 1)")
    };
    for is_open in [true, true, false, false, true] {
        db.client.rows(&report(is_open)).await?;
    }
    let reader = db.connect_as("postroad_reader").await?;
    let log = "select kind, subject, detail ->> 'state' from postroad.system_log order by event_id";
    let wanted = ["open", "closed", "open"].map(|s| format!("gateway_health_changed|ses|{s}"));
    assert_eq!(reader.rows(log).await?, wanted);
    Ok(())
}

/// It is a fact of the caller's transaction, and its kind is a word that a filter can name.
#[tokio::test]
async fn a_system_event_is_there_if_and_only_if_its_transaction_commits() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let emit = "select postroad.emit_system_event('rate_limit_exceeded', 'domain:x.org')";
    db.client
        .batch_execute(&format!("begin; {emit}; rollback; {emit}"))
        .await?;
    let count = "select count(*) from postroad.system_events";
    assert_eq!(db.client.row(count).await?, "1");
    for kind in ["''", "null", "'A b'", "'a.b'", "'1a'"] {
        let call = format!("select postroad.emit_system_event({kind}, 'x')");
        assert_eq!(db.client.raised(&call).await?.code, "PR001", "{kind}");
    }
    Ok(())
}

fn throttled(gateway: &str, domain: Option<&str>) -> String {
    let domain = domain.map_or(String::new(), |d| format!(", \"domain\": \"{d}\""));
    format!(
        "select postroad.report_throttled('[{{\"gateway\": \"{gateway}\"{domain}, \"reason\": \"throttled\", \"code\": \"4.7.0\", \"retry_after_seconds\": 30, \"lasting_seconds\": 90}}]')"
    )
}

/// Every node meets the limit; whoever is to be woken by it wants to be woken once.
#[tokio::test]
async fn a_limit_that_is_exceeded_is_told_of_once_a_minute_by_all_nodes() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let (one, two) = (
        db.connect_as("postroad_worker").await?,
        db.connect_as("postroad_worker").await?,
    );
    let report = throttled("ses", None);
    assert_eq!(one.row(&report).await?, "1");
    assert_eq!(two.row(&report).await?, "0");
    for other in [
        throttled("relay", None),
        throttled("relay", Some("example.org")),
        throttled("other", Some("example.org")),
        throttled("relay", Some("example.com")),
    ] {
        assert_eq!(
            (two.row(&other).await?, one.row(&other).await?),
            ("1".into(), "0".into())
        );
    }
    let back = |seconds: u32| {
        format!(
            "update postroad.system_events set occurred_at = occurred_at - interval '{seconds} s'"
        )
    };
    db.client.rows(&back(50)).await?;
    assert_eq!(one.row(&report).await?, "0");
    db.client.rows(&back(11)).await?;
    assert_eq!(one.row(&report).await?, "1");
    let log = "select subject, detail ->> 'kind', detail ->> 'gateway', detail ->> 'retry_after_seconds', \
        round(extract(epoch from occurred_at - (detail ->> 'first_seen_at')::timestamptz)) >= 29 from postroad.system_log where subject like '%:_____' or subject like 'domain:%.com' order by event_id desc limit 2";
    assert_eq!(
        db.client.rows(log).await?,
        [
            "domain:example.com|domain|relay|30|t",
            "gateway:relay|gateway|relay|30|t"
        ]
    );
    Ok(())
}

/// Two nodes that tell at the same moment do not see each other's rows.
#[tokio::test]
async fn of_two_nodes_that_tell_at_once_one_waits_and_sees_the_others() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let (one, two) = (db.connect().await?, db.connect().await?);
    one.batch_execute("begin").await?;
    assert_eq!(one.row(&throttled("ses", None)).await?, "1");
    let report = throttled("ses", None);
    let waiting = two.row(&report);
    let committing = async {
        let waits = "select count(*) > 0 from pg_locks as l where not l.granted and l.locktype = 'advisory' \
            and l.database = (select d.oid from pg_database as d where d.datname = current_database())";
        until("the other one waits", async || {
            Ok(db.client.row(waits).await? == "t")
        })
        .await?;
        one.batch_execute("commit").await?;
        anyhow::Ok(())
    };
    let (waited, committed) = tokio::join!(waiting, committing);
    committed?;
    assert_eq!(waited?, "0");
    Ok(())
}
