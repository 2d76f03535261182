//! Who may do what: the folder of a function is its grant.

use std::collections::BTreeSet;

use postroad::db::migrate::SQL_FILES;

use crate::support::db::TestDb;
use crate::support::sql::Sql as _;

const ROLES: [&str; 7] = [
    "postroad_sender",
    "postroad_consumer",
    "postroad_worker",
    "postroad_webhook",
    "postroad_admin",
    "postroad_reader",
    "postroad_http",
];

/// Owned by the role that row-level security binds, beside the endpoints of the HTTP API.
const BOUND: [&str; 17] = [
    "bulk_status",
    "cancel_bulk",
    "convert",
    "status",
    "timeline",
    "explain",
    "message_report",
    "cancel",
    "retry",
    "retry_failed",
    "settle",
    "suppress",
    "unsuppress",
    "create_api_key",
    "revoke_api_key",
    "list_api_keys",
    "audit_trail",
];

/// Granted beside what the folders say, each with its reason.
const EXCEPTIONS: [(&str, &str); 40] = [
    // Operators read what a reader of events cannot, and end it.
    ("read_events", "postroad_admin"),
    ("ack_events", "postroad_admin"),
    ("unregister_consumer", "postroad_admin"),
    // Operators and readers look messages up; operators stop them.
    ("cancel", "postroad_admin"),
    ("cancel_bulk", "postroad_admin"),
    ("bulk_status", "postroad_admin"),
    ("bulk_status", "postroad_reader"),
    ("explain", "postroad_admin"),
    ("explain", "postroad_reader"),
    ("is_suppressed", "postroad_admin"),
    ("is_suppressed", "postroad_reader"),
    ("status", "postroad_admin"),
    ("status", "postroad_reader"),
    ("timeline", "postroad_admin"),
    ("timeline", "postroad_reader"),
    // The functions in a view run with the rights of whoever looks.
    ("uuid_at", "postroad_reader"),
    ("uuid_at", "postroad_admin"),
    ("created_at", "postroad_reader"),
    ("created_at", "postroad_admin"),
    ("created_at", "postroad_sender"),
    ("queue_depth", "postroad_reader"),
    ("queue_depth", "postroad_admin"),
    ("overdue_after", "postroad_reader"),
    ("overdue_after", "postroad_admin"),
    // What monitors and the live page ask for, with the rights of whoever looks.
    ("bounded_scheduled", "postroad_reader"),
    ("bounded_scheduled", "postroad_admin"),
    ("queue_figures", "postroad_reader"),
    ("queue_figures", "postroad_admin"),
    ("gateway_figures", "postroad_reader"),
    ("gateway_figures", "postroad_admin"),
    ("figures", "postroad_reader"),
    ("figures", "postroad_admin"),
    ("latest_events", "postroad_reader"),
    ("latest_events", "postroad_admin"),
    ("recent", "postroad_reader"),
    ("recent", "postroad_admin"),
    ("message_report", "postroad_reader"),
    ("message_report", "postroad_admin"),
    ("find_messages", "postroad_reader"),
    ("find_messages", "postroad_admin"),
];

/// What `enqueue_bulk_from` calls, which runs with the rights of its caller.
const FOR_SENDERS: [&str; 10] = [
    "normalize_recipient",
    "normalize_email",
    "normalize_other_email",
    "normalize_domain",
    "fold_domain",
    "u_label",
    "normalize_phone",
    "is_push_subscription",
    "is_bigint",
    "is_jsonb",
];

/// Called by functions of their folder only.
const INTERNAL: [&str; 15] = [
    "status_of",
    "in_flight_of",
    "held_worker_ids",
    "place_of",
    "unsent_of",
    "enqueuers",
    "rescue_lease",
    "suppression_address",
    "record_reports",
    "to_time",
    "day_of",
    "check_endpoint",
    "checked_secret",
    "retry_one",
    "is_suppressible",
];

/// The functions that a file makes.
fn made_by(sql: &str) -> impl Iterator<Item = &str> {
    sql.match_indices("create or replace function postroad.")
        .map(|(at, phrase)| {
            let rest = &sql[at + phrase.len()..];
            rest[..rest.find('(').unwrap_or(0)].trim()
        })
}

fn role_of(folder: &str) -> Option<&'static str> {
    Some(match folder {
        "api" => "postroad_sender",
        "events" => "postroad_consumer",
        "worker" | "maintain" => "postroad_worker",
        "webhook" => "postroad_webhook",
        "admin" => "postroad_admin",
        "http" => "postroad_http",
        _ => return None,
    })
}

/// A worker that is broken into must not be able to enqueue, nor a sender to read who else gets mail.
#[tokio::test]
async fn each_role_may_call_the_functions_of_its_folder_and_no_other() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let mut wanted = BTreeSet::new();
    for (file, sql) in SQL_FILES {
        let Some(role) = file.split('/').nth(1).and_then(role_of) else {
            continue;
        };
        let functions = made_by(sql).filter(|name| !INTERNAL.contains(name));
        wanted.extend(functions.map(|name| format!("{name}|{role}")));
    }
    wanted.extend(
        EXCEPTIONS
            .iter()
            .map(|(name, role)| format!("{name}|{role}")),
    );
    wanted.extend(
        FOR_SENDERS
            .iter()
            .map(|name| format!("{name}|postroad_sender")),
    );
    let query = "select p.proname, r.rolname from pg_proc as p, pg_roles as r where p.pronamespace = 'postroad'::regnamespace \
        and r.rolname like 'postroad\\_%' and r.rolname not like '%\\_functions' and has_function_privilege(r.oid, p.oid, 'execute')";
    let granted: BTreeSet<String> = db.client.rows(query).await?.into_iter().collect();
    let missing: Vec<_> = wanted.difference(&granted).collect();
    let too_many: Vec<_> = granted.difference(&wanted).collect();
    assert!(missing.is_empty(), "not granted: {missing:?}");
    assert!(
        too_many.is_empty(),
        "granted beyond the folder: {too_many:?}"
    );
    Ok(())
}

/// Tables are private: whoever could write one could send, or hide what was sent.
#[tokio::test]
async fn no_role_touches_a_table_and_only_readers_and_operators_see_views() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let touched = "select r.rolname, c.relname from pg_class as c, pg_roles as r \
        where c.relnamespace = 'postroad'::regnamespace and c.relkind in ('r', 'p', 'S', 'm', 'f') and r.rolname like 'postroad\\_%' \
        and r.rolname not like '%\\_functions' and c.relname <> 'refinery_schema_history' and case when c.relkind = 'S' then has_sequence_privilege(r.oid, c.oid, 'usage, select, update') \
        else has_table_privilege(r.oid, c.oid, 'select, insert, update, delete, truncate, references, trigger') or has_any_column_privilege(r.oid, c.oid, 'select, insert, update, references') end";
    assert_eq!(db.client.rows(touched).await?, Vec::<String>::new());
    // A process asks whether it fits the schema.
    for role in ["postroad_worker", "postroad_webhook", "postroad_http"] {
        let version = "select max(version) >= 13 from postroad.refinery_schema_history";
        assert_eq!(db.connect_as(role).await?.row(version).await?, "t");
    }
    let views = db.client.rows("select c.relname from pg_class as c where c.relnamespace = 'postroad'::regnamespace and c.relkind = 'v'").await?;
    assert!(views.len() >= 7, "{views:?}");
    for role in ROLES {
        let client = db.connect_as(role).await?;
        let looks = matches!(role, "postroad_reader" | "postroad_admin");
        for view in &views {
            let answer = client.rows(&format!("select * from postroad.{view}")).await;
            assert_eq!(answer.is_ok(), looks, "{role} {view}: {answer:?}");
        }
        for table in [
            "messages",
            "message_queue_p4",
            "suppression_list",
            "delivery_events",
        ] {
            for statement in [
                "select from postroad.",
                "delete from postroad.",
                "truncate postroad.",
            ] {
                let raised = client.raised(&format!("{statement}{table}")).await?;
                assert_eq!(raised.code, "42501", "{role}: {statement}{table}");
            }
        }
        let raised = client.raised("create table postroad.mine (n int)").await?;
        assert_eq!(raised.code, "42501", "{role} may create tables");
        let raised = client
            .raised("create function postroad.mine() returns int language sql as 'select 1'")
            .await?;
        assert_eq!(raised.code, "42501", "{role} may create functions");
    }
    Ok(())
}

/// Every user of the database is in PUBLIC.
#[tokio::test]
async fn public_has_nothing() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let granted = "select p.oid::regprocedure::text from pg_proc as p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a \
        where p.pronamespace = 'postroad'::regnamespace and a.grantee = 0 \
        union all select c.oid::regclass::text from pg_class as c, aclexplode(c.relacl) as a where c.relnamespace = 'postroad'::regnamespace and a.grantee = 0 \
        union all select n.nspname from pg_namespace as n, aclexplode(n.nspacl) as a where n.nspname = 'postroad' and a.grantee = 0";
    assert_eq!(db.client.rows(granted).await?, Vec::<String>::new());
    let name = format!("stranger_{}", uuid::Uuid::now_v7().simple());
    db.client
        .batch_execute(&format!("create role {name}"))
        .await?;
    let stranger = db.connect_as(&name).await?;
    let raised = stranger
        .raised("select * from postroad.enqueue('email', 'a@x.org', body => 'x')")
        .await?;
    assert_eq!(raised.code, "42501");
    drop(stranger);
    db.client
        .batch_execute(&format!("drop role {name}"))
        .await?;
    Ok(())
}

/// psql's \df+ is the manual; a definer's function without a search_path of its own belongs to whoever calls it.
#[tokio::test]
async fn every_function_is_documented_owned_and_closed_to_its_callers_search_path()
-> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let ours = "from pg_proc as p where p.pronamespace = 'postroad'::regnamespace";
    for (rule, wrong) in [
        (
            "has a comment",
            "coalesce(obj_description(p.oid, 'pg_proc'), '') = ''",
        ),
        (
            "is owned by a role of functions",
            "p.proowner not in ('postroad_functions'::regrole, 'postroad_bound_functions'::regrole) and p.proname not in ('create_partitions', 'drop_partitions', 'summarize_events')",
        ),
        (
            "needs the rights of the tables' owner",
            "p.proowner in ('postroad_functions'::regrole, 'postroad_bound_functions'::regrole) and p.proname in ('create_partitions', 'drop_partitions', 'summarize_events')",
        ),
        (
            "has a search_path, pg_temp last",
            "(p.prosecdef or has_function_privilege('postroad_sender', p.oid, 'execute') and p.prolang <> (select oid from pg_language where lanname = 'sql')) \
            and not coalesce('search_path=pg_catalog, pg_temp' = any (p.proconfig), false) and p.proname <> 'is_push_subscription'",
        ),
    ] {
        let names = db
            .client
            .rows(&format!(
                "select p.oid::regprocedure::text {ours} and {wrong}"
            ))
            .await?;
        assert_eq!(names, Vec::<String>::new(), "each {rule}");
    }
    let undocumented = "select c.relname from pg_class as c where c.relnamespace = 'postroad'::regnamespace and c.relkind in ('r', 'p', 'v') \
        and coalesce(obj_description(c.oid, 'pg_class'), '') = '' and c.relname <> 'refinery_schema_history'";
    assert_eq!(
        db.client.rows(undocumented).await?,
        Vec::<String>::new(),
        "each table and view has a comment"
    );
    Ok(())
}

/// What looks and changes on behalf of a caller must be bound to the caller's tenant; what workers call must not be.
#[tokio::test]
async fn endpoints_and_what_they_rest_on_belong_to_the_role_that_tenants_bind() -> anyhow::Result<()>
{
    let db = TestDb::new().await?;
    let mut wanted: BTreeSet<_> = BOUND.iter().map(|name| (*name).to_owned()).collect();
    for (file, sql) in SQL_FILES {
        if file.starts_with("sql/http/") {
            wanted.extend(made_by(sql).map(str::to_owned));
        }
    }
    let owned =
        "select p.proname from pg_proc as p where p.proowner = 'postroad_bound_functions'::regrole";
    let owned: BTreeSet<_> = db.client.rows(owned).await?.into_iter().collect();
    assert_eq!(owned, wanted);
    let called = "select p.proname from pg_proc as p where p.pronamespace = 'postroad'::regnamespace \
        and has_function_privilege('postroad_worker', p.oid, 'execute') and has_function_privilege('postroad_bound_functions', p.oid, 'execute')";
    assert_eq!(db.client.rows(called).await?, Vec::<String>::new());
    Ok(())
}

/// The owner of the functions is what an injection would become.
#[tokio::test]
async fn the_owner_of_the_functions_cannot_log_in_and_owns_no_table() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let role = "select r.rolcanlogin, r.rolsuper, r.rolcreaterole, r.rolbypassrls, \
        (select count(*) from pg_class as c where c.relowner = r.oid), has_schema_privilege(r.oid, 'postroad', 'create'), \
        has_table_privilege(r.oid, 'postroad.refinery_schema_history', 'select, insert, update, delete'), \
        has_table_privilege(r.oid, 'postroad.messages', 'truncate') \
        from pg_roles as r where r.rolname = 'postroad_functions'";
    assert_eq!(db.client.row(role).await?, "f|f|f|f|0|f|f|f");
    Ok(())
}

/// Whoever may create temporary objects must not be able to put one of ours aside.
#[tokio::test]
async fn objects_of_the_senders_own_do_not_stand_in_for_ours() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let sender = db.connect_as("postroad_sender").await?;
    sender
        .batch_execute(
            "create temporary table messages (message_id uuid); create temporary table message_queue (n int); create temporary table suppression_list (n int);
             create temporary table leases (n int); create temporary table members as select 'b@x.org' as address;
             create function pg_temp.uuid_v7() returns uuid language sql as $$ select '00000000-0000-0000-0000-000000000000'::uuid $$;
             create function pg_temp.clock_timestamp() returns timestamptz language sql as $$ select '-infinity'::timestamptz $$;
             create function pg_temp.lower(text) returns text language plpgsql as $$ begin raise exception 'run as %', current_user; end $$;
             create function pg_temp.normalize_recipient(text, text) returns text language plpgsql as $$ begin raise exception 'run as %', current_user; end $$;
             create function pg_temp.not_equal(text, text) returns boolean language plpgsql as $$ begin raise exception 'run as %', current_user; end $$;
             create operator pg_temp.= (leftarg = text, rightarg = text, function = pg_temp.not_equal);
             create operator pg_temp.<> (leftarg = text, rightarg = text, function = pg_temp.not_equal);
             set search_path = pg_temp, postroad, pg_catalog",
        )
        .await?;
    let one = sender.row("select e.status, e.message_id > '01000000-0000-0000-0000-000000000000' from postroad.enqueue('email', 'a@X.org', body => 'x') as e").await?;
    assert_eq!(one, "queued|t");
    assert_eq!(
        sender
            .row("select queued from postroad.enqueue_bulk('email', '[\"c@x.org\"]', body => 'x')")
            .await?,
        "1"
    );
    assert_eq!(
        sender
            .row("select queued from postroad.enqueue_bulk_from('email', 'members', body => 'x')")
            .await?,
        "1"
    );
    assert_eq!(sender.row("select (select count(*) from pg_temp.messages) + (select count(*) from pg_temp.message_queue)").await?, "0");
    assert_eq!(
        db.client
            .row("select count(*) from postroad.messages")
            .await?,
        "3"
    );
    Ok(())
}

/// The server's user may have a table read by a function that can do more than it: nothing in that table may be code of its own.
#[tokio::test]
async fn a_stream_of_recipients_is_a_table_that_runs_nothing() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let server = db.connect_as("postroad_http").await?;
    server
        .batch_execute(
            "create temporary table plain (address text); create temporary table bound (address text); alter table bound enable row level security;
             create temporary table parent (address text); create temporary table heir () inherits (parent);
             create temporary view seen as select * from plain; create type pg_temp.pair as (a text); create temporary table typed (address text, data pg_temp.pair);
             grant select on plain, bound, parent, seen, typed to postroad_bound_functions",
        )
        .await?;
    for (table, code) in [
        ("plain", None),
        ("bound", Some("PR001")),
        ("parent", Some("PR001")),
        ("seen", Some("PR001")),
        ("typed", Some("PR001")),
    ] {
        let call = r#"{"id": "x"}', '{}', '{"channel": "email", "subject": "s", "body": "b"}"#;
        let query = format!(
            "select status from postroad.http_bulk_from(postroad.begin_call('{call}'), 'pg_temp.{table}'::regclass)"
        );
        match code {
            None => assert_eq!(server.row(&query).await?, "202"),
            Some(code) => assert_eq!(server.raised(&query).await?.code, code, "{table}"),
        }
    }
    Ok(())
}
