//! What the HTTP API calls: `sql/http`, whose functions do the work.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use deadpool_postgres::{GenericClient, Object, Transaction};
use futures_util::SinkExt as _;
use postgres_types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{CopyInSink, Row};

use super::DbError;

/// The version that begins the binary form of a `jsonb` (jsonb_recv in Postgres).
const JSONB_VERSION: u8 = 1;

type BoxedError = Box<dyn std::error::Error + Sync + Send>;

/// A `jsonb` to hand over, as its text.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a>(pub &'a [u8]);

impl ToSql for Json<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxedError> {
        out.reserve(self.0.len() + 1);
        out.put_u8(JSONB_VERSION);
        out.put_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSONB
    }

    to_sql_checked!();
}

/// A `jsonb` that came, as its text.
struct JsonBytes(Vec<u8>);

impl<'a> FromSql<'a> for JsonBytes {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, BoxedError> {
        match raw.split_first() {
            Some((&JSONB_VERSION, text)) => Ok(Self(text.to_vec())),
            _ => Err("a jsonb of an unknown version".into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSONB
    }
}

/// An endpoint, as `api_routes` has it.
#[derive(Clone, Debug)]
pub struct RouteRow {
    /// `GET`, `POST` …
    pub method: String,
    /// Below `/api/v1`, with `{name}` for parameters.
    pub path: String,
    /// The SQL function, quoted.
    pub function: String,
    /// One of them is needed.
    pub roles: Vec<String>,
    /// Whether callers that are bound to a tenant may call it.
    pub tenants: bool,
    /// What a call takes of the caller's rate limit.
    pub cost: u32,
    /// Whether it takes a body.
    pub takes_body: bool,
    /// Whether it takes NDJSON too.
    pub is_stream: bool,
}

/// All endpoints.
///
/// # Errors
///
/// When the call failed; it may be called again. So with all that follow, unless they say otherwise.
pub async fn routes(client: &Object) -> Result<Vec<RouteRow>, DbError> {
    let query = "select method, path, function, roles, tenants, cost, takes_body, is_stream from postroad.http_routes()";
    let rows = client.query(query, &[]).await?;
    let route = |row: &Row| {
        Ok(RouteRow {
            method: row.try_get(0)?,
            path: row.try_get(1)?,
            function: row.try_get(2)?,
            roles: row.try_get(3)?,
            tenants: row.try_get(4)?,
            cost: row.try_get::<_, i32>(5)?.unsigned_abs(),
            takes_body: row.try_get(6)?,
            is_stream: row.try_get(7)?,
        })
    };
    rows.iter().map(route).collect()
}

/// The API as OpenAPI 3.1, in JSON.
///
/// # Errors
///
/// See [`routes`].
pub async fn openapi(client: &Object) -> Result<Vec<u8>, DbError> {
    let row = client
        .query_one("select postroad.http_openapi()", &[])
        .await?;
    Ok(row.try_get::<_, JsonBytes>(0)?.0)
}

/// Whose key it is, or why it is refused.
#[derive(Debug)]
pub struct KeyRow {
    /// Absent when there is no such key.
    pub key_id: Option<i64>,
    /// The tenant to which it is bound.
    pub tenant_id: Option<i64>,
    /// Its roles.
    pub roles: Option<Vec<String>>,
    /// Its own limit.
    pub requests_per_second: Option<i32>,
    /// `unknown`, `revoked`, `expired`; absent when it is good.
    pub refusal: Option<String>,
    /// Until it expires; absent when it does not.
    pub left: Option<Duration>,
}

/// Looks a key up by its SHA-256, and notes its use, once a minute at most.
///
/// # Errors
///
/// See [`routes`].
pub async fn check_api_key(client: &Object, hash: &[u8]) -> Result<KeyRow, DbError> {
    let statement = client
        .prepare_cached("select key_id, tenant_id, roles, requests_per_second, refusal, seconds_left from postroad.check_api_key($1)")
        .await?;
    let row = client.query_one(&statement, &[&hash]).await?;
    let left: Option<f64> = row.try_get(5)?;
    Ok(KeyRow {
        key_id: row.try_get(0)?,
        tenant_id: row.try_get(1)?,
        roles: row.try_get(2)?,
        requests_per_second: row.try_get(3)?,
        refusal: row.try_get(4)?,
        left: left
            .map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)),
    })
}

/// Tells that callers exceed their limits; how many of them nobody had told of in the last minute.
///
/// # Errors
///
/// See [`routes`].
pub async fn report_limited_callers(
    client: &Object,
    callers: &serde_json::Value,
) -> Result<i32, DbError> {
    let statement = client
        .prepare_cached("select postroad.report_limited_callers($1)")
        .await?;
    let row = client.query_one(&statement, &[callers]).await?;
    Ok(row.try_get(0)?)
}

/// The call of an endpoint, as JSON texts.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Who calls: `{"id", "tenant_id"}`.
    pub caller: &'a str,
    /// Parameters of path and query, as strings by name.
    pub parameters: &'a str,
    /// The body, where it has one.
    pub body: Option<&'a [u8]>,
}

/// What an endpoint answers.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// JSON.
    pub body: Vec<u8>,
}

impl Answer {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            status: row.try_get::<_, i16>(0)?.unsigned_abs(),
            body: row
                .try_get::<_, Option<JsonBytes>>(1)?
                .map_or_else(Vec::new, |body| body.0),
        })
    }
}

/// The statement that calls an endpoint: a transaction by itself, bound to the caller's tenant.
pub fn statement(function: &str) -> String {
    format!(
        "select a.status, a.body from postroad.{function}(postroad.begin_call($1, $2, $3)) as a"
    )
}

/// Calls an endpoint by its [`statement`].
///
/// # Errors
///
/// With a SQLSTATE `PR…`: the caller's; nothing was done. With others see [`routes`].
pub async fn call(
    client: &impl GenericClient,
    statement: &str,
    call: &Call<'_>,
) -> Result<Answer, DbError> {
    let statement = client.prepare_cached(statement).await?;
    let row = client
        .query_one(
            &statement,
            &[
                &Json(call.caller.as_bytes()),
                &Json(call.parameters.as_bytes()),
                &call.body.map(Json),
            ],
        )
        .await?;
    Ok(Answer::from_row(&row)?)
}

/// What is known of a call with an idempotency key.
#[derive(Debug)]
pub enum Recalled {
    /// Nothing: it may run, in the transaction that asked.
    New,
    /// It runs at this moment, elsewhere.
    Running,
    /// It ran, and this was answered.
    Known(Answer),
    /// The key came with another call.
    Reused,
    /// It ran, or another did: ask again with the fingerprint.
    Seen,
}

/// Asks what is known of a call with an idempotency key, in the transaction of the call. `fingerprint` is null while the
/// body is not read.
///
/// # Errors
///
/// See [`routes`].
pub async fn recall_call(
    transaction: &Transaction<'_>,
    caller_id: &str,
    key: &str,
    fingerprint: Option<&[u8]>,
) -> Result<Recalled, DbError> {
    let statement = transaction
        .prepare_cached("select status, body, state from postroad.recall_call($1, $2, $3)")
        .await?;
    let row = transaction
        .query_one(&statement, &[&caller_id, &key, &fingerprint])
        .await?;
    Ok(match row.try_get::<_, &str>(2)? {
        "new" => Recalled::New,
        "running" => Recalled::Running,
        "known" => Recalled::Known(Answer::from_row(&row)?),
        "seen" => Recalled::Seen,
        _ => Recalled::Reused,
    })
}

/// Keeps the answer to a call with an idempotency key, in the transaction of the call.
///
/// # Errors
///
/// See [`routes`]; the transaction has failed with it.
pub async fn remember_call(
    transaction: &Transaction<'_>,
    caller_id: &str,
    key: &str,
    fingerprint: &[u8],
    answer: &Answer,
) -> Result<(), DbError> {
    let statement = transaction
        .prepare_cached("select postroad.remember_call($1, $2, $3, $4, $5)")
        .await?;
    let status = i16::try_from(answer.status).unwrap_or(500);
    let body = (!answer.body.is_empty()).then_some(Json(&answer.body));
    transaction
        .execute(
            &statement,
            &[&caller_id, &key, &fingerprint, &status, &body],
        )
        .await?;
    Ok(())
}

/// The recipients of a streamed bulk send, on their way into a temporary table of the transaction.
pub struct Recipients<'a> {
    sink: std::pin::Pin<Box<CopyInSink<Bytes>>>,
    transaction: &'a Transaction<'a>,
}

impl<'a> Recipients<'a> {
    /// Makes the table.
    ///
    /// # Errors
    ///
    /// See [`routes`].
    pub async fn begin(transaction: &'a Transaction<'a>) -> Result<Self, DbError> {
        transaction
            .batch_execute(
                "create temporary table http_recipients (address text, id text, type text, data jsonb, locale text) on commit drop;
                 grant select on pg_temp.http_recipients to postroad_bound_functions",
            )
            .await?;
        let sink = transaction
            .copy_in("copy pg_temp.http_recipients from stdin")
            .await?;
        Ok(Self {
            sink: Box::pin(sink),
            transaction,
        })
    }

    /// Sends rows, in the text format of COPY; waits while Postgres does not keep up.
    ///
    /// # Errors
    ///
    /// When a row is refused, or the connection broke: then nothing of the transaction stays.
    pub async fn send(&mut self, rows: Bytes) -> Result<(), DbError> {
        Ok(self.sink.send(rows).await?)
    }

    /// Sends the message to those who came.
    ///
    /// # Errors
    ///
    /// As those of [`call`].
    pub async fn finish(mut self, call: &Call<'_>) -> Result<Answer, DbError> {
        self.sink.as_mut().finish().await?;
        let statement = "select a.status, a.body
            from postroad.http_bulk_from(postroad.begin_call($1, $2, $3), 'pg_temp.http_recipients'::regclass) as a";
        let row = self
            .transaction
            .query_one(
                statement,
                &[
                    &Json(call.caller.as_bytes()),
                    &Json(call.parameters.as_bytes()),
                    &call.body.map(Json),
                ],
            )
            .await?;
        Ok(Answer::from_row(&row)?)
    }
}
