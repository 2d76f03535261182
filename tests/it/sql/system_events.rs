//! System events: what happened to the system rather than to a message.

use crate::support::db::TestDb;
use crate::support::sql::Sql as _;

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
