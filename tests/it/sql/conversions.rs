//! What a message was for.

use uuid::Uuid;

use crate::support::db::TestDb;
use crate::support::sql::Sql as _;

/// An order must count once, however often its transaction is tried.
#[tokio::test]
async fn a_conversion_counts_once_for_its_key() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db.enqueue_to("ada@example.org", "").await?;
    let app = db.connect_as("postroad_sender").await?;
    let convert = async |arguments: &str| {
        let call = format!("select postroad.convert('{id}'{arguments})");
        app.row(&call).await
    };
    assert_eq!(convert(r#", '{"order": 42}', 'order-42'"#).await?, "t");
    assert_eq!(convert(", key => 'order-42'").await?, "f");
    assert_eq!(convert(", key => 'order-43'").await?, "t");
    assert_eq!(convert("").await?, "t");
    assert_eq!(convert("").await?, "f", "without a key once");
    let events =
        "select event_type, detail from postroad.delivery_events order by detail nulls last";
    let kept = db.client.rows(events).await?;
    assert_eq!(
        kept,
        [
            r#"converted|{"order": 42}"#,
            "converted|null",
            "converted|null"
        ]
    );
    assert_eq!(db.status(&id).await?, "queued", "it changes no status");
    Ok(())
}

/// People take their time, and messages are dropped after a month; but an id that never was converts nothing.
#[tokio::test]
async fn a_message_that_is_gone_converts_and_one_that_never_was_does_not() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let convert = async |id: Uuid| {
        let call = format!("select postroad.convert('{id}')");
        db.client.row(&call).await
    };
    assert_eq!(convert(Uuid::now_v7()).await?, "f");
    assert_eq!(convert(Uuid::new_v4()).await?, "f");
    let old: Uuid = "01900000-0000-7000-8000-000000000001".parse()?; // of June 2024
    assert_eq!(convert(old).await?, "t");
    assert_eq!(convert(old).await?, "f");
    assert_eq!(db.client.row("select postroad.convert(null)").await?, "f");
    Ok(())
}

/// A bug of the caller says so; and whoever only sends messages may tell of them, others may not.
#[tokio::test]
async fn wrong_arguments_are_refused() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let id = db.enqueue_to("ada@example.org", "").await?;
    let long = "x".repeat(201);
    for arguments in [
        ", '[]'".to_owned(),
        ", key => ''".into(),
        format!(", key => '{long}'"),
    ] {
        let raised = db
            .client
            .raised(&format!("select postroad.convert('{id}'{arguments})"))
            .await?;
        assert_eq!(raised.code, "PR001", "{}", raised.message);
    }
    let reader = db.connect_as("postroad_reader").await?;
    let raised = reader
        .raised(&format!("select postroad.convert('{id}')"))
        .await?;
    assert_eq!(raised.code, "42501");
    Ok(())
}
