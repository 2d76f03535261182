//! `migrate`: the shape by refinery, then the whole of `sql/` anew.

use super::{Database, DbError};

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// The files of `sql/` in the order in which they are applied, by name.
pub const SQL_FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/sql_files.rs"));

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

/// Functions of ours that this run did not make anew: an overload left behind makes calls ambiguous.
const DROP_STALE: &str = "
    select p.oid::regprocedure::text
    from pg_proc as p
    where p.pronamespace = 'postroad'::regnamespace
      and p.xmin <> pg_current_xact_id()::xid
      and not exists (select from pg_depend as d where d.objid = p.oid and d.deptype = 'e')";

/// Brings the schema to what this binary needs. Safe to run at any time, beside running workers too.
///
/// # Errors
///
/// When a statement fails (nothing of that step stays), or the role may not do what it needs:
/// own the schema, and create roles where they are not there yet.
pub async fn migrate(database: &Database) -> Result<Report, DbError> {
    let mut client = database.connect().await?;
    client.batch_execute(MIGRATE_LOCK).await?;
    client
        .batch_execute("create schema if not exists postroad")
        .await?;
    client
        .batch_execute("set search_path = postroad; set client_min_messages = warning")
        .await?;
    let report = embedded::migrations::runner()
        .run_async(&mut client)
        .await
        .map_err(|error| DbError::Migration(error.to_string()))?;
    let applied = report
        .applied_migrations()
        .iter()
        .map(ToString::to_string)
        .collect();

    let transaction = client.transaction().await?;
    transaction
        .batch_execute(
            "set local search_path = pg_catalog, pg_temp; set local check_function_bodies = off",
        )
        .await?;
    for (name, sql) in SQL_FILES
        .iter()
        .filter(|(name, _)| *name != "sql/grants.sql")
    {
        transaction
            .batch_execute(sql)
            .await
            .map_err(|error| in_file(name, error))?;
    }
    let mut dropped = Vec::new();
    for row in transaction.query(DROP_STALE, &[]).await? {
        let routine: String = row.get(0);
        transaction
            .batch_execute(&format!("drop routine {routine}"))
            .await?;
        dropped.push(routine);
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
    client
        .batch_execute("select postroad.create_partitions()")
        .await?;
    Ok(Report { applied, dropped })
}

fn in_file(name: &str, error: tokio_postgres::Error) -> DbError {
    DbError::Migration(format!("{name}: {}", DbError::from(error)))
}

/// Checks that `migrate` has been run by this version or a newer one.
///
/// # Errors
///
/// [`DbError::Schema`] when it has not; says what to run.
pub async fn check_schema(database: &Database) -> Result<(), DbError> {
    let client = database.connect().await?;
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
