//! Claims: who gets which messages.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::support::db::TestDb;

async fn enqueue(db: &TestDb, count: i32) -> anyhow::Result<BTreeSet<Uuid>> {
    let rows = db
        .client
        .query(
            "select (postroad.enqueue('email', 'user' || n || '@example.org', body => 'x', priority => 'P1')).message_id \
             from generate_series(1, $1) as n",
            &[&count],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Two workers that claim at once share the messages out: none twice, none left.
#[tokio::test]
async fn concurrent_claims_are_disjoint() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let enqueued = enqueue(&db, 100).await?;
    let claim = async |worker: i64| -> anyhow::Result<Vec<Uuid>> {
        let client = db.connect().await?;
        client
            .execute(
                "select postroad.register_worker($1, 'host', 1, 'v', '{1}')",
                &[&worker],
            )
            .await?;
        let rows = client
            .query(
                "select message_id from postroad.claim(1::smallint, gen_random_uuid(), $1, 60)",
                &[&worker],
            )
            .await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    };
    let (a, b) = tokio::try_join!(claim(1), claim(2))?;

    let claimed: BTreeSet<Uuid> = a.iter().chain(&b).copied().collect();
    assert_eq!(
        claimed.len(),
        a.len() + b.len(),
        "a message was claimed twice"
    );
    assert_eq!(claimed, enqueued, "a message was left unclaimed");
    Ok(())
}
