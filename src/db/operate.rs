//! What commands and health checks ask of the database.

use tokio_postgres::SimpleQueryMessage;

use super::{Database, DbError};
use crate::model::message::Channel;

/// Rows as text, in the order of their columns; `None` is null.
pub struct TextTable {
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Option<String>>>,
}

/// The version of the server, such as `15.4`.
///
/// # Errors
///
/// The database does not answer, or refuses.
pub async fn server_version(database: &Database) -> Result<String, DbError> {
    let client = database.connect().await?;
    let row = client.query_one(
        "select split_part(current_setting('server_version'), ' ', 1)",
        &[],
    );
    Ok(row.await?.get(0))
}

/// Whether `postroad migrate` has been run.
///
/// # Errors
///
/// The database does not answer, or refuses.
pub async fn schema_exists(database: &Database) -> Result<bool, DbError> {
    let client = database.connect().await?;
    let row = client.query_one(
        "select to_regclass('postroad.message_queue') is not null",
        &[],
    );
    Ok(row.await?.get(0))
}

/// Everything that a view of the schema `postroad` shows.
///
/// # Errors
///
/// The database does not answer, or there is no such view.
pub async fn view(database: &Database, name: &str) -> Result<TextTable, DbError> {
    let client = database.connect().await?;
    let mut columns = Vec::new();
    let mut rows = Vec::new();
    for message in client
        .simple_query(&format!("select * from postroad.{name}"))
        .await?
    {
        match message {
            SimpleQueryMessage::RowDescription(described) => {
                columns = described
                    .iter()
                    .map(|column| column.name().to_owned())
                    .collect();
            }
            SimpleQueryMessage::Row(row) => {
                let values = (0..row.len()).map(|index| row.get(index).map(str::to_owned));
                rows.push(values.collect());
            }
            _ => {}
        }
    }
    Ok(TextTable { columns, rows })
}

/// As [`view`], as a JSON array of objects.
///
/// # Errors
///
/// As those of [`view`].
pub async fn view_json(database: &Database, name: &str) -> Result<serde_json::Value, DbError> {
    let client = database.connect().await?;
    let query = format!(
        "select coalesce(json_agg(row_to_json(v)), '[]') from (select * from postroad.{name}) as v"
    );
    Ok(client.query_one(&query, &[]).await?.get(0))
}

/// Whether a message over `channel` to `address` would be suppressed.
///
/// # Errors
///
/// The database does not answer, or refuses.
pub async fn is_suppressed(
    database: &Database,
    channel: Channel,
    address: &str,
) -> Result<bool, DbError> {
    let client = database.connect().await?;
    let row = client
        .query_one(
            "select postroad.is_suppressed($1, $2)",
            &[&channel.as_str(), &address],
        )
        .await?;
    Ok(row.get(0))
}

/// Creates the database `name`, from a connection to another one.
///
/// # Errors
///
/// The server does not answer, or refuses; also when the database is there already.
pub async fn create_database(other: &Database, name: &str) -> Result<(), DbError> {
    let client = other.connect().await?;
    let quoted = name.replace('"', "\"\"");
    client
        .batch_execute(&format!("create database \"{quoted}\""))
        .await?;
    Ok(())
}

/// What a new key of the HTTP API is to be.
#[derive(Debug)]
pub struct NewKey {
    /// Who will use it.
    pub name: String,
    /// Of `sender`, `reader`, `admin`, `webhook`.
    pub roles: Vec<String>,
    /// The tenant to which it is bound.
    pub tenant_id: Option<i64>,
    /// In how many seconds it expires.
    pub expires_in_seconds: Option<f64>,
    /// Its own limit.
    pub requests_per_second: Option<i32>,
}

/// Makes a key of the HTTP API; returns its id and the key, which nothing else knows.
///
/// # Errors
///
/// The database does not answer, or refuses the name, the roles or the limit.
pub async fn create_api_key(database: &Database, key: &NewKey) -> Result<(i64, String), DbError> {
    let client = database.connect().await?;
    let query = "select key_id, key from postroad.create_api_key(name => $1, roles => $2, tenant_id => $3, \
        expires_at => clock_timestamp() + $4::float8 * interval '1 second', requests_per_second => $5)";
    let row = client
        .query_one(
            query,
            &[
                &key.name,
                &key.roles,
                &key.tenant_id,
                &key.expires_in_seconds,
                &key.requests_per_second,
            ],
        )
        .await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Ends a key of the HTTP API; false when there is no such key that holds.
///
/// # Errors
///
/// The database does not answer, or refuses.
pub async fn revoke_api_key(database: &Database, key_id: i64) -> Result<bool, DbError> {
    let client = database.connect().await?;
    let row = client
        .query_one("select postroad.revoke_api_key($1)", &[&key_id])
        .await?;
    Ok(row.try_get(0)?)
}
