//! `options.push`, as callers write it and as gateways get it.

use postroad::model::message::Push;
use serde_json::{Value, json};

use crate::support::db::TestDb;

/// What `enqueue` lets through and a worker cannot read would fail hours later, far from who wrote it.
#[tokio::test]
async fn enqueue_accepts_the_push_options_that_a_worker_can_read() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let wrong = async |push: &Value| -> anyhow::Result<Option<String>> {
        let query = "select postroad.check_options('push', jsonb_build_object('push', $1::jsonb))";
        Ok(db.client.query_one(query, &[push]).await?.get(0))
    };
    for good in [
        json!({}),
        json!({
            "badge": 999_999_999, "sound": "default", "image": "https://example.org/a.png", "click_action": "OPEN",
            "collapse_key": "k", "ttl": 2_419_200, "android": {"priority": "HIGH"}, "apns": {"aps": {"badge": 1.5}},
            "webpush": {},
        }),
        json!({"badge": 0, "ttl": 0}),
    ] {
        assert_eq!(wrong(&good).await?, None, "{good}");
        serde_json::from_value::<Push>(good)?;
    }
    for (bad, named) in [
        (json!([]), "push must be an object"),
        (json!({"badge": -1}), "push.badge"),
        (json!({"badge": 1.5}), "push.badge"),
        (json!({"badge": "1"}), "push.badge"),
        (json!({"badge": 1_000_000_000}), "push.badge"),
        (json!({"ttl": 2_419_201}), "push.ttl"),
        (json!({"ttl": "1h"}), "push.ttl"),
        (json!({"sound": 1}), "push.sound"),
        (json!({"image": null}), "push.image"),
        (json!({"apns": "{}"}), "push.apns"),
        (json!({"android": null}), "push.android"),
        (json!({"bagde": 1}), "push.bagde"),
    ] {
        let problem = wrong(&bad).await?;
        assert!(
            problem.is_some_and(|problem| problem.contains(named)),
            "{bad}"
        );
    }
    Ok(())
}
