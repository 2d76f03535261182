//! The schema as a whole: its dump, its files, and `migrate`.

use std::path::Path;
use std::process::Command;

use postroad::db::Database;
use postroad::db::migrate::{check_schema, migrate};
use postroad::embedded::OLDEST_MAJOR;
use tokio_util::sync::CancellationToken;

use crate::support::db::{TestDb, empty_database};
use crate::support::sql::Sql as _;

/// What pg_dump says of the schema that `url` has, without what changes from day to day and from version to version.
async fn dump(url: &str) -> anyhow::Result<String> {
    let client = Database::new(url, "test")?.connect().await?;
    let folder = client
        .row("select setting from pg_config where name = 'BINDIR'")
        .await?;
    let output = Command::new(Path::new(&folder).join("pg_dump"))
        .args([
            "--schema-only",
            "--no-owner",
            "--schema=postroad",
            "--exclude-table=postroad.*_[0-9]*",
            "--exclude-table=postroad.refinery_schema_history",
        ])
        .arg(url)
        .output()?;
    anyhow::ensure!(
        output.status.success(),
        "pg_dump: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    let noise = [
        "-- Dumped ",
        "SET ",
        "SELECT pg_catalog.set_config",
        "\\restrict",
        "\\unrestrict",
    ];
    let mut lines: Vec<&str> = Vec::new();
    for line in text
        .lines()
        .filter(|line| !noise.iter().any(|start| line.starts_with(start)))
    {
        if !(line.is_empty() && lines.last().is_none_or(|last| last.is_empty())) {
            lines.push(line);
        }
    }
    Ok(lines.join("\n") + "\n")
}

/// A reviewer sees in one file what a change makes of the schema, grants included. The file is the oldest version's: newer ones write some views otherwise, and
/// are compared by the names of all that there is.
#[tokio::test]
async fn the_dump_of_the_schema_is_what_the_files_build() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let made = dump(&db.url).await?;
    let major = "select current_setting('server_version_num')::integer / 10000";
    let is_oldest = db.client.row(major).await? == OLDEST_MAJOR.to_string();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema.sql");
    if std::env::var_os("POSTROAD_DUMP_SCHEMA").is_some() {
        anyhow::ensure!(
            is_oldest,
            "tests/schema.sql is written with Postgres {OLDEST_MAJOR}"
        );
        std::fs::write(&path, &made)?;
    }
    let kept = std::fs::read_to_string(&path)?;
    let lines = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| is_oldest || line.starts_with("-- Name: "))
            .map(str::to_owned)
            .collect()
    };
    let (made, kept) = (lines(&made), lines(&kept));
    let differs = made.iter().zip(&kept).find(|(made, kept)| made != kept);
    assert!(
        made.len() > 500 && made == kept,
        "tests/schema.sql is not what migrations/ and sql/ build: run scripts/dump-schema; first {differs:?}"
    );
    Ok(())
}

/// Refinery passes over a file whose name it cannot read, with a warning that nobody sees.
#[test]
fn every_migration_is_named_as_refinery_reads_it() -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut versions = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let version = name
            .strip_prefix('V')
            .and_then(|rest| rest.split_once("__"))
            .filter(|(digits, rest)| {
                let word = rest.strip_suffix(".sql").unwrap_or_default();
                digits.len() == 4
                    && digits.bytes().all(|byte| byte.is_ascii_digit())
                    && !word.is_empty()
                    && word.bytes().all(|byte| {
                        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
                    })
            });
        let Some((digits, _)) = version else {
            panic!("migrations/{name} is not named V0000__words.sql")
        };
        versions.push(digits.parse::<usize>()?);
    }
    versions.sort_unstable();
    assert_eq!(
        versions,
        (1..=versions.len()).collect::<Vec<_>>(),
        "one migration a version, none left out"
    );
    Ok(())
}

/// Whoever deploys runs it each time, wherever it stands.
#[tokio::test]
async fn migrating_again_changes_nothing() -> anyhow::Result<()> {
    let url = empty_database().await?;
    let database = Database::new(&url, "test")?;
    assert!(
        check_schema(&database).await.is_err(),
        "an empty database has no schema"
    );
    let migrations = std::fs::read_dir("migrations")?.count();
    assert_eq!(migrate(&database).await?.applied.len(), migrations);
    check_schema(&database).await?;
    let first = dump(&url).await?;
    let again = migrate(&database).await?;
    assert!(
        again.applied.is_empty() && again.dropped.is_empty(),
        "{again:?}"
    );
    assert_eq!(dump(&url).await?, first);
    Ok(())
}

/// An overload of an older version left behind makes every call ambiguous.
#[tokio::test]
async fn functions_that_sql_no_longer_has_are_dropped() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client
        .batch_execute(
            "create function postroad.cancel(message_id uuid, why text default '') returns boolean language sql as 'select false';
             create procedure postroad.old_job() language sql as 'select 1';
             create function public.mine() returns int language sql as 'select 1'",
        )
        .await?;
    let mut dropped = migrate(&db.database).await?.dropped;
    dropped.sort();
    assert_eq!(
        dropped,
        ["postroad.cancel(uuid,text)", "postroad.old_job()"]
    );
    assert_eq!(
        db.client
            .row("select public.mine(), postroad.cancel(gen_random_uuid())")
            .await?,
        "1|f"
    );
    Ok(())
}

/// An upgrade must not stop the mail: claims, enqueues and completions go on around it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn migrating_runs_beside_live_claims() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.register(1).await?;
    let stop = CancellationToken::new();
    let mut busy = Vec::new();
    for _ in 0..3 {
        let (client, stop) = (db.connect().await?, stop.clone());
        busy.push(tokio::spawn(async move {
            let mut rounds = 0;
            while !stop.is_cancelled() {
                client
                    .rows("select status from postroad.enqueue('email', 'a@x.org', body => 'x')")
                    .await?;
                let lease = uuid::Uuid::now_v7();
                client
                    .rows(&format!(
                        "select message_id from postroad.claim(4::smallint, '{lease}', 1, 10)"
                    ))
                    .await?;
                client
                    .rows(&format!("select postroad.release('{lease}')"))
                    .await?;
                rounds += 1;
            }
            anyhow::Ok(rounds)
        }));
    }
    for _ in 0..3 {
        migrate(&db.database).await?;
    }
    stop.cancel();
    let mut rounds = 0;
    for task in busy {
        rounds += task.await??;
    }
    assert!(rounds > 0);
    let lost = "select (select count(*) from postroad.messages) - (select count(*) from postroad.message_queue)";
    assert_eq!(db.client.row(lost).await?, "0");
    Ok(())
}

/// A session plans once, perhaps while a table is empty. What looks up by a key must not search the table then for as long as the session lives.
#[tokio::test]
async fn functions_that_look_up_in_tables_that_grow_never_plan_to_search_them() -> anyhow::Result<()>
{
    // These read a table as a whole, or a page of it in the order of an index, once in a while.
    let readers = "alarms audit_counters drop_partitions export_suppressions figures follow_clock look_at_workers purge_events \
        purge_idempotency_keys purge_reports purge_webhooks replay_webhooks reset_floors";
    let tables = "messages|messages_kept|contents|contents_kept|message_queue|scheduled|leases|intents|delivery_events|suppression_list|suppression_strikes|\
        idempotency_keys|inbound_messages|webhook_inbox|webhook_outbox";
    let query = format!(
        "select p.proname from pg_proc as p join pg_language as l on l.oid = p.prolang
         where p.pronamespace = 'postroad'::regnamespace and l.lanname = 'plpgsql'
           and p.prosrc ~ '\\m(from|join|using|update) +postroad\\.({tables})\\M'
           and not 'enable_seqscan=off' = any (coalesce(p.proconfig, '{{}}'))
           and p.proname <> all (string_to_array('{readers}', ' ')) order by 1"
    );
    let db = TestDb::new().await?;
    assert_eq!(
        db.client.rows(&query).await?,
        [""; 0],
        "set enable_seqscan = off"
    );
    Ok(())
}

/// What may plan no sequential scan and yet has no other way is priced so high that it would be compiled, for a tenth of a second and more, before it reads a row.
#[tokio::test]
async fn functions_that_never_plan_a_sequential_scan_are_never_compiled() -> anyhow::Result<()> {
    let query = "select p.proname from pg_proc as p
         where p.pronamespace = 'postroad'::regnamespace
           and 'enable_seqscan=off' = any (p.proconfig) and not 'jit=off' = any (p.proconfig) order by 1";
    let db = TestDb::new().await?;
    assert_eq!(db.client.rows(query).await?, [""; 0], "set jit = off");
    Ok(())
}

/// A table that empties again and again is often thought to hold nothing: what then takes a few of it in order must not read all of it first.
#[tokio::test]
async fn functions_that_take_the_first_of_what_waits_never_plan_to_read_all_of_it()
-> anyhow::Result<()> {
    let query = "select p.proname from pg_proc as p join pg_language as l on l.oid = p.prolang
         where p.pronamespace = 'postroad'::regnamespace and l.lanname = 'plpgsql'
           and p.prosrc ~ 'postroad\\.(message_queue|scheduled|webhook_outbox)[^;]*\\mlimit\\M'
           and not 'enable_bitmapscan=off' = any (coalesce(p.proconfig, '{}'))
           and p.proname not in ('purge_events') -- by a BRIN index, in no order
         order by 1";
    let db = TestDb::new().await?;
    assert_eq!(
        db.client.rows(query).await?,
        [""; 0],
        "set enable_bitmapscan = off"
    );
    Ok(())
}

/// What a function returns may change from one version to the next, which Postgres lets nobody do in place.
#[tokio::test]
async fn a_function_with_another_result_is_made_anew() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let result = "select pg_get_function_result('postroad.purge_reports'::regproc)";
    let before = db.client.row(result).await?;
    let arguments = "select pg_get_function_arguments('postroad.purge_reports'::regproc)";
    let arguments = db.client.row(arguments).await?;
    db.client
        .batch_execute(&format!(
            "drop function postroad.purge_reports; create function postroad.purge_reports({arguments}) returns uuid language sql as 'select null::uuid'"
        ))
        .await?;
    migrate(&db.database).await?;
    assert_eq!(db.client.row(result).await?, before);
    let old = "select count(*) from pg_proc where proname ~ '^old_'";
    assert_eq!(db.client.row(old).await?, "0");
    Ok(())
}

/// A dump that is restored where the roles are not there loses the boundary between tenants.
#[tokio::test]
async fn policies_that_a_restore_lost_are_there_after_migrate() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let policies = "select p.polrelid::regclass, p.polname, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid) from pg_policy as p order by 1, 2";
    let before = db.client.rows(policies).await?;
    assert_eq!(before.len(), 16);
    db.client
        .batch_execute(
            "do $$ declare p record; begin for p in select polrelid::regclass as t, polname from pg_policy loop execute format('drop policy %I on %s', p.polname, p.t); end loop; end $$",
        )
        .await?;
    migrate(&db.database).await?;
    assert_eq!(db.client.rows(policies).await?, before);
    Ok(())
}

/// A reader who forgot to end a transaction must not have an upgrade hold up everybody behind it.
#[tokio::test]
async fn a_migration_that_waits_for_a_lock_holds_nobody_up() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let open = db.connect().await?;
    open.batch_execute("begin; table postroad.queue_stats")
        .await?;
    let database = db.database.clone();
    let migrating = tokio::spawn(async move { migrate(&database).await });
    let waits = "select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    db.until(waits).await?;
    db.client
        .batch_execute("set statement_timeout = '10s'; table postroad.queue_stats")
        .await?;
    db.enqueue_to("a@x.org", "").await?;
    anyhow::ensure!(!migrating.is_finished(), "it had nothing to wait for");
    open.batch_execute("commit").await?;
    migrating.await??;
    Ok(())
}

/// In any other encoding than UTF-8 a text could stop a queue: it is said before anything is made.
#[tokio::test]
async fn a_database_of_another_encoding_is_refused() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let name = format!("other_{}", encoding.to_lowercase());
        db.client
            .batch_execute(&format!(
                "create database {name} encoding '{encoding}' locale 'C' template template0"
            ))
            .await?;
        let current = db.client.row("select current_database()").await?;
        let url = db.url.replace(&current, &name);
        let other = Database::new(&url, "test")?;
        let error = migrate(&other).await.expect_err("refused").to_string();
        assert!(
            error.contains(encoding) && error.contains("UTF8"),
            "{error}"
        );
    }
    Ok(())
}

/// An old application's database may have backslashes escape in each string: what is made in it is the same.
#[tokio::test]
async fn a_database_whose_strings_escape_has_the_same_schema() -> anyhow::Result<()> {
    let escapes = "do $$ begin execute format('alter database %I set standard_conforming_strings = off', current_database()); end $$";
    let made = "select p.oid::regprocedure::text, p.prosrc, obj_description(p.oid, 'pg_proc')
        from pg_proc as p where p.pronamespace = 'postroad'::regnamespace order by 1";
    let mut schemas = Vec::new();
    for defaults in ["select", escapes] {
        let url = empty_database().await?;
        let database = Database::new(&url, "test")?;
        database.connect().await?.batch_execute(defaults).await?;
        migrate(&database).await?;
        schemas.push(database.connect().await?.rows(made).await?);
    }
    assert!(
        schemas[0].len() > 100 && schemas[0] == schemas[1],
        "backslashes got lost"
    );
    Ok(())
}

/// Change data capture publishes all tables, and a table without a replica identity then keeps its rows.
#[tokio::test]
async fn a_publication_of_all_tables_keeps_nothing_from_being_sent() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let bare = "select c.relname from pg_class as c where c.relnamespace = 'postroad'::regnamespace and c.relkind = 'r' and c.relname !~ '_[0-9]{8}$'
        and c.relreplident = 'd' and not exists (select from pg_index as i where i.indrelid = c.oid and i.indisprimary)";
    assert_eq!(db.client.rows(bare).await?, [""; 0]);
    db.client
        .batch_execute(
            "set client_min_messages = error; create publication everything for all tables",
        )
        .await?;
    let cancelled = db.enqueue_to("a@x.org", "").await?;
    let cancel = format!("select postroad.cancel('{cancelled}')");
    assert_eq!(db.client.row(&cancel).await?, "t");
    db.ended("sent").await?;
    db.client
        .batch_execute(
            "select postroad.suppress('email', 'b@x.org'); select postroad.unsuppress('email', 'b@x.org');
             select postroad.purge_events('1 day'); select postroad.purge_idempotency_keys(); select postroad.count_events()",
        )
        .await?;
    Ok(())
}

/// On managed servers nobody is a superuser, and from Postgres 16 on only who made a role may grant it: another one's word is enough.
#[tokio::test]
async fn an_owner_that_is_no_superuser_migrates_once_it_is_a_member() -> anyhow::Result<()> {
    let url = empty_database().await?;
    let admin = Database::new(&url, "test")?.connect().await?;
    let owner = format!("owner_{}", uuid::Uuid::now_v7().simple());
    let theirs = Database::new(&format!("{url}&user={owner}"), "test")?;
    let create = format!(
        "create role {owner} login;
         do $$ begin execute format('alter database %I owner to {owner}', current_database()); end $$"
    );
    admin.batch_execute(&create).await?;
    let error = migrate(&theirs).await.expect_err("refused").to_string();
    assert!(error.contains("who may create roles"), "{error}");

    let grant = format!("grant postroad_functions, postroad_bound_functions to {owner}");
    let create_roles = format!("alter role {owner} createrole; {grant}");
    admin.batch_execute(&create_roles).await?;
    migrate(&theirs).await?;

    let create_none = format!("alter role {owner} nocreaterole");
    admin.batch_execute(&create_none).await?;
    migrate(&theirs).await?;

    let revoke = format!("revoke postroad_functions, postroad_bound_functions from {owner}");
    admin.batch_execute(&revoke).await?;
    let error = migrate(&theirs).await.expect_err("refused").to_string();
    assert!(error.contains(&grant), "{error}");
    admin.batch_execute(&grant).await?;
    migrate(&theirs).await?;

    let done = format!("drop owned by {owner} cascade");
    admin.batch_execute(&done).await?;
    Ok(())
}
