//! `migrate`: the shape by refinery, then the whole of `sql/` anew.

use std::time::Duration;

use tokio::time::sleep;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Transaction};

use super::pooler::check_sessions;
use super::{Database, DbError};

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// The files of `sql/` in the order in which they are applied, by name.
pub const SQL_FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/sql_files.rs"));

/// The owner of the schema, where the user is not one.
const OTHER_OWNER: &str = "
    select n.nspowner::regrole::text
    from pg_namespace as n
    where n.nspname = 'postroad'
      and not pg_has_role(n.nspowner, 'usage')";

const HAS_SCHEMA: &str = "select to_regnamespace('postroad') is not null";

/// What a migration did.
#[derive(Debug)]
pub struct Report {
    /// The migrations that were new.
    pub applied: Vec<String>,
    /// Functions that `sql/` no longer has, dropped.
    pub dropped: Vec<String>,
}

/// Held by `migrate` from its beginning to its end: two at a time take turns.
const MIGRATE_LOCK: &str = "select pg_advisory_lock(1886351220, 2)";

/// Who waits for a lock that excludes all others holds up everybody who comes after: such a wait is short, and there is a pause before the next.
const SET_UP: &str =
    "set lock_timeout = '300ms'; set search_path = postroad; set client_min_messages = warning";

/// Between two tries to have a lock, and how many there are: some two minutes.
const LOCK_PAUSE: Duration = Duration::from_millis(700);
const LOCK_TRIES: usize = 120;

/// Workers and callers speak UTF-8; another encoding cannot hold each text, and SQL_ASCII holds what nobody can read.
const ENCODING: &str = "select pg_encoding_to_char(d.encoding) from pg_database as d where d.datname = current_database()";

/// Functions of ours that this run did not make anew: an overload left behind makes calls ambiguous.
const DROP_STALE: &str = "
    select p.oid::regprocedure::text
    from pg_proc as p
    where p.pronamespace = 'postroad'::regnamespace
      and age(p.xmin) > 0                      -- made before this transaction, whose xid is the age 0
      and not exists (select from pg_depend as d where d.objid = p.oid and d.deptype = 'e')";

/// The functions with these names: each with its arguments, these alone, and its oid.
const OVERLOADS: &str = "
    select p.oid::regprocedure::text, oidvectortypes(p.proargtypes), p.oid
    from pg_proc as p
    where p.pronamespace = 'postroad'::regnamespace
      and p.proname = any ($1)";

/// Brings the schema to what this binary needs. Safe to run at any time, beside running workers too.
///
/// # Errors
///
/// When a statement fails (nothing of that step stays), or the role may not do what it needs:
/// own the schema, and create roles where they are not there yet.
pub async fn migrate(database: &Database) -> Result<Report, DbError> {
    migrate_step_by_step(database, &mut |_, _| {}).await
}

/// [`migrate`], which says after each step how many are done, of how many.
///
/// # Errors
///
/// As those of [`migrate`].
pub async fn migrate_step_by_step(
    database: &Database,
    done: &mut (dyn FnMut(usize, usize) + Send),
) -> Result<Report, DbError> {
    let steps = SQL_FILES.len() + 2; // with the migrations before them and the partitions after them
    check_sessions(database).await?;
    let mut client = database.connect().await?;
    let encoding: String = client.query_one(ENCODING, &[]).await?.get(0);
    if encoding != "UTF8" {
        return Err(DbError::Migration(format!(
            "the encoding of the database is {encoding}, and Postroad needs UTF8: create database … encoding 'UTF8' template template0"
        )));
    }
    check_owner(&client).await?;
    client.batch_execute(MIGRATE_LOCK).await?;
    if !client.query_one(HAS_SCHEMA, &[]).await?.get::<_, bool>(0) {
        client.batch_execute("create schema postroad").await?;
    }
    client.batch_execute(SET_UP).await?;
    let mut applied = Vec::new();
    let mut tries = 0;
    loop {
        let ran = embedded::migrations::runner().run_async(&mut client).await;
        let report = ran.as_ref().map_or_else(refinery::Error::report, Some);
        let new = report.map(refinery::Report::applied_migrations);
        applied.extend(new.into_iter().flatten().map(ToString::to_string));
        match ran {
            Ok(_) => break,
            Err(error) => again(&mut tries, of_refinery(&error)).await?,
        }
    }
    done(1, steps);

    let dropped = loop {
        match apply(&mut client, &mut |place| done(place, steps)).await {
            Ok(dropped) => break dropped,
            Err(error) => again(&mut tries, error).await?,
        }
    };
    done(steps - 1, steps);
    create_partitions(&client).await?;
    done(steps, steps);
    Ok(Report { applied, dropped })
}

/// A schema is changed by its owner.
async fn check_owner(client: &Client) -> Result<(), DbError> {
    let owner = client.query_opt(OTHER_OWNER, &[]).await?;
    match owner.map(|row| row.get::<_, String>(0)) {
        None => Ok(()),
        Some(owner) => Err(DbError::Migration(format!(
            "the schema postroad belongs to {owner}: migrate as {owner}, as a member of it, or as a superuser"
        ))),
    }
}

/// Waits for the next try, if the error is that a lock could not be had.
async fn again(tries: &mut usize, error: DbError) -> Result<(), DbError> {
    if error.code() != Some(SqlState::LOCK_NOT_AVAILABLE.code()) {
        return Err(error);
    }
    if *tries == LOCK_TRIES {
        return Err(DbError::Migration(format!(
            "a transaction that is open for long keeps a lock that is needed ({error}): end it (see pg_stat_activity), and migrate again"
        )));
    }
    *tries += 1;
    sleep(LOCK_PAUSE).await;
    Ok(())
}

/// What Postgres said, which is what helps, rather than that it said something.
fn of_refinery(error: &refinery::Error) -> DbError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(postgres) = inner.downcast_ref::<tokio_postgres::Error>()
            && let Some(said) = postgres.as_db_error()
        {
            if *said.code() == SqlState::LOCK_NOT_AVAILABLE {
                return DbError::Busy(format!("{text}: {said}"));
            }
            text = format!("{text}: {said}");
            if *said.code() == SqlState::INSUFFICIENT_PRIVILEGE {
                text = format!(
                    "{text} (the first time, migrate needs a user who may create roles, or a superuser)"
                );
            }
        }
        cause = inner.source();
    }
    if let refinery::error::Kind::MissingVersion(_) = error.kind() {
        text = format!("{text}: the schema is newer than this binary");
    }
    DbError::Migration(text)
}

/// Makes what is in `sql/` anew, in one transaction. Returns the functions that it dropped.
async fn apply(
    client: &mut Client,
    done: &mut (dyn FnMut(usize) + Send),
) -> Result<Vec<String>, DbError> {
    let mut transaction = client.transaction().await?;
    transaction
        .batch_execute(
            "set local search_path = pg_catalog, pg_temp; set local check_function_bodies = off",
        )
        .await?;
    let mut dropped = Vec::new();
    let mut set_aside = Vec::new();
    let files = SQL_FILES
        .iter()
        .filter(|(name, _)| *name != "sql/grants.sql");
    for (place, (name, sql)) in files.enumerate() {
        let savepoint = transaction.savepoint("file").await?;
        match savepoint.batch_execute(sql).await {
            Ok(()) => savepoint.commit().await?,
            Err(error)
                if matches!(
                    error.code(),
                    // The second: another result, which no function can be given in its place.
                    Some(&SqlState::AMBIGUOUS_FUNCTION | &SqlState::INVALID_FUNCTION_DEFINITION)
                ) =>
            {
                savepoint.rollback().await?;
                let all = error.code() == Some(&SqlState::INVALID_FUNCTION_DEFINITION);
                for (routine, aside) in set_overloads_aside(&mut transaction, sql, all)
                    .await
                    .map_err(|error| in_file(name, error))?
                {
                    dropped.push(routine);
                    set_aside.push(aside);
                }
                transaction
                    .batch_execute(sql)
                    .await
                    .map_err(|error| in_file(name, error))?;
            }
            Err(error) => return Err(in_file(name, error)),
        }
        done(place + 2);
    }
    for row in transaction.query(DROP_STALE, &[]).await? {
        let routine: String = row.get(0);
        set_aside.push(routine.clone());
        dropped.push(routine);
    }
    for routine in set_aside {
        transaction
            .batch_execute(&format!("drop routine {routine}"))
            .await?;
    }
    for (name, sql) in SQL_FILES
        .iter()
        .filter(|(name, _)| *name == "sql/grants.sql")
    {
        transaction
            .batch_execute(sql)
            .await
            .map_err(|error| in_file(name, error))?;
    }
    transaction
        .batch_execute("select postroad.reset_floors()")
        .await?;
    transaction.commit().await?;
    Ok(dropped)
}

/// Renames the overloads of a file's functions that the file itself does not make: beside one, the comment and the
/// grant that name a function without its arguments are ambiguous. Views may still use them, so they are dropped
/// only at the end. With `all`, those that it makes too. Returns each with its new name.
async fn set_overloads_aside(
    transaction: &mut Transaction<'_>,
    sql: &str,
    all: bool,
) -> Result<Vec<(String, String)>, tokio_postgres::Error> {
    let names: Vec<&str> = sql
        .split("create or replace function postroad.")
        .skip(1)
        .filter_map(|rest| rest.split('(').next())
        .collect();
    let there = transaction.query(OVERLOADS, &[&names]).await?;
    // What the file makes, seen where nothing else of these names is; then all is as it was.
    let trial = transaction.savepoint("trial").await?;
    for row in &there {
        trial
            .batch_execute(&format!("drop routine {} cascade", row.get::<_, &str>(0)))
            .await?;
    }
    trial.batch_execute(sql).await?;
    let made: Vec<String> = trial
        .query(OVERLOADS, &[&names])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect();
    trial.rollback().await?;

    let mut set_aside = Vec::new();
    for row in &there {
        let (routine, arguments, oid): (String, String, u32) = (row.get(0), row.get(1), row.get(2));
        if all || !made.contains(&routine) {
            transaction
                .batch_execute(&format!("alter routine {routine} rename to old_{oid}"))
                .await?;
            set_aside.push((routine, format!("postroad.old_{oid}({arguments})")));
        }
    }
    Ok(set_aside)
}

/// Makes the days ahead. The workers that run meanwhile hold its locks for moments: it is tried until they do not.
async fn create_partitions(client: &Client) -> Result<(), tokio_postgres::Error> {
    let mut tries = 0;
    loop {
        let made = client
            .query_one("select postroad.create_partitions()", &[])
            .await;
        match made {
            Ok(row) if row.try_get::<_, i32>(0)? == 0 => return Ok(()),
            Ok(_) => {} // there may be more days that have something to move
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) && tries < 50 => {
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

fn in_file(name: &str, error: tokio_postgres::Error) -> DbError {
    if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) {
        return DbError::Busy(format!("{name}: {}", DbError::from(error)));
    }
    DbError::Migration(format!("{name}: {}", DbError::from(error)))
}

/// Checks that `migrate` has been run by this version or a newer one, in a database that has sessions.
///
/// # Errors
///
/// [`DbError::Schema`] when it has not, or when the user may not work there; says what to run. [`DbError::Url`]: see [`check_sessions`].
pub async fn check_schema(database: &Database) -> Result<(), DbError> {
    check_sessions(database).await?;
    let client = database.connect().await?;
    check_rights(&client).await?;
    let wanted = embedded::migrations::runner()
        .get_migrations()
        .iter()
        .map(refinery::Migration::version)
        .max()
        .unwrap_or_default();
    let there = client
        .query_one(
            "select to_regclass('postroad.refinery_schema_history') is not null",
            &[],
        )
        .await?
        .get::<_, bool>(0);
    let have = if there {
        client
            .query_one(
                "select max(version) from postroad.refinery_schema_history",
                &[],
            )
            .await?
            .get::<_, Option<i32>>(0)
            .unwrap_or(0)
    } else {
        0
    };
    if i64::from(have) < i64::from(wanted) {
        return Err(DbError::Schema(format!(
            "the database has schema version {have}, this binary needs {wanted}: run postroad migrate"
        )));
    }
    Ok(())
}

/// Without this role every session of a worker would fail, again and again.
async fn check_rights(client: &Client) -> Result<(), DbError> {
    let row = client
        .query_one(
            "select current_user::text, coalesce(bool_and(has_function_privilege(p.oid, 'execute') and has_schema_privilege(p.pronamespace, 'usage')), true)
             from pg_proc as p
             join pg_namespace as n on n.oid = p.pronamespace
             where n.nspname = 'postroad'
               and p.proname = 'register_worker'",
            &[],
        )
        .await?;
    let (user, may_work): (String, bool) = (row.get(0), row.get(1));
    if may_work {
        return Ok(());
    }
    Err(DbError::Schema(format!(
        "{user}, the user of database.url, may not do the work of a worker, of maintain or of outbound: grant postroad_worker to {user}"
    )))
}
