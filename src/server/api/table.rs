//! The endpoints: rows of `api_routes`, kept for a while.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use deadpool_postgres::Pool;
use hyper::Method;
use percent_encoding::percent_decode_str;
use tokio::sync::Mutex;
use tracing::warn;

use super::problem::Problem;
use super::roles::Roles;
use crate::db::{DbError, http};

/// After so long they are read anew, beside the calls: a `migrate` needs no restart.
const FRESH: Duration = Duration::from_secs(10);

/// Where the endpoints are.
pub(super) const PREFIX: &str = "/api/v1";

/// One endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    method: Method,
    segments: Vec<Segment>,
    /// Its path below the prefix, as `api_routes` has it.
    pub(super) path: String,
    /// Calls it.
    pub(super) statement: String,
    /// A caller needs one of them.
    pub(super) roles: Roles,
    /// Whether callers that are bound to a tenant may call it.
    pub(super) tenants: bool,
    /// What it takes from the caller's limit.
    pub(super) cost: u32,
    /// Whether it takes a body.
    pub(super) takes_body: bool,
    /// Whether it takes NDJSON too.
    pub(super) is_stream: bool,
}

#[derive(Debug)]
enum Segment {
    Literal(String),
    Parameter(String),
}

impl Endpoint {
    fn new(row: http::RouteRow) -> Option<Self> {
        let segment = |text: &str| match text
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
        {
            Some(name) => Segment::Parameter(name.to_owned()),
            None => Segment::Literal(text.to_owned()),
        };
        Some(Self {
            method: row.method.parse().ok()?,
            segments: row.path.split('/').skip(1).map(segment).collect(),
            path: row.path,
            statement: http::statement(&row.function),
            roles: Roles::of_names(row.roles.iter().map(String::as_str)),
            tenants: row.tenants,
            cost: row.cost,
            takes_body: row.takes_body,
            is_stream: row.is_stream,
        })
    }

    /// The parameters in a path that fits, decoded.
    fn fit(&self, path: &str) -> Option<Vec<(&str, String)>> {
        let mut given = path.split('/').skip(1);
        let mut parameters = Vec::new();
        for segment in &self.segments {
            let text = given.next()?;
            match segment {
                Segment::Literal(literal) if literal == text => {}
                Segment::Parameter(name) if !text.is_empty() => {
                    let value = percent_decode_str(text).decode_utf8().ok()?;
                    parameters.push((name.as_str(), value.into_owned()));
                }
                _ => return None,
            }
        }
        given.next().is_none().then_some(parameters)
    }
}

/// What is found for a path.
pub(super) enum Found<'a> {
    /// An endpoint, and the parameters in its path.
    Endpoint(&'a Endpoint, Vec<(&'a str, String)>),
    /// Other methods.
    Methods(String),
    Nothing,
}

/// All endpoints.
pub(super) struct Table {
    /// Those with fewer parameters first: `/messages/bulk` is no message.
    endpoints: Vec<Endpoint>,
    /// OpenAPI, in JSON.
    pub(super) openapi: Bytes,
    loaded_at: Instant,
}

impl Table {
    fn new(rows: Vec<http::RouteRow>, openapi: Vec<u8>) -> Self {
        let mut endpoints: Vec<_> = rows.into_iter().filter_map(Endpoint::new).collect();
        endpoints.sort_by_key(|endpoint| {
            let parameters = endpoint.segments.iter();
            parameters
                .filter(|segment| matches!(segment, Segment::Parameter(_)))
                .count()
        });
        Self {
            endpoints,
            openapi: openapi.into(),
            loaded_at: Instant::now(),
        }
    }

    /// What answers a method on a path, which is below the prefix. `HEAD` is answered as `GET` is.
    pub(super) fn find(&self, method: &Method, path: &str) -> Found<'_> {
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let mut allowed = Vec::new();
        let mut pattern = None;
        for endpoint in &self.endpoints {
            // The first pattern that fits is the one: `/messages/bulk` is no message of that id.
            if pattern.is_some_and(|pattern| pattern != endpoint.path) {
                continue;
            }
            let Some(parameters) = endpoint.fit(path) else {
                continue;
            };
            pattern = Some(endpoint.path.as_str());
            if endpoint.method == *method {
                return Found::Endpoint(endpoint, parameters);
            }
            allowed.push(endpoint.method.as_str());
        }
        match allowed.is_empty() {
            true => Found::Nothing,
            false => Found::Methods(allowed.join(", ")),
        }
    }
}

/// Reads the table, and keeps it.
pub(super) struct Tables {
    pool: Pool,
    kept: RwLock<Option<Arc<Table>>>,
    /// Who reads it holds it.
    reading: Mutex<()>,
}

impl Tables {
    pub(super) fn new(pool: Pool) -> Arc<Self> {
        Arc::new(Self {
            pool,
            kept: RwLock::default(),
            reading: Mutex::default(),
        })
    }

    /// The table; only the first call waits for the database.
    ///
    /// # Errors
    ///
    /// 503 when there is none yet and the database does not answer.
    pub(super) async fn get(self: &Arc<Self>) -> Result<Arc<Table>, Problem> {
        if let Some(table) = self.kept() {
            if table.loaded_at.elapsed() > FRESH {
                let tables = Arc::clone(self);
                tokio::spawn(async move {
                    if let Ok(_reading) = tables.reading.try_lock()
                        && let Err(error) = tables.read().await
                    {
                        warn!(%error, "cannot read the routes of the HTTP API; those from before hold on");
                    }
                });
            }
            return Ok(table);
        }
        let _reading = self.reading.lock().await;
        match self.kept() {
            Some(table) => Ok(table),
            None => Ok(self.read().await?),
        }
    }

    fn kept(&self) -> Option<Arc<Table>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.clone()
    }

    async fn read(&self) -> Result<Arc<Table>, DbError> {
        let client = self.pool.get().await?;
        let table = Table::new(http::routes(&client).await?, http::openapi(&client).await?);
        let table = Arc::new(table);
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        *kept = Some(Arc::clone(&table));
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let row = |method: &str, path: &str| http::RouteRow {
            method: method.into(),
            path: path.into(),
            function: "f".into(),
            roles: vec!["reader".into()],
            tenants: true,
            cost: 1,
            takes_body: false,
            is_stream: false,
        };
        let rows = vec![
            row("GET", "/messages/{message_id}"),
            row("POST", "/messages/bulk"),
            row("GET", "/messages/stats/queue"),
            row("DELETE", "/messages/{message_id}"),
            row("GET", "/messages/{message_id}/timeline"),
        ];
        Table::new(rows, Vec::new())
    }

    fn found(method: Method, path: &str) -> String {
        match table().find(&method, path) {
            Found::Endpoint(endpoint, parameters) => {
                let values: Vec<_> = parameters
                    .into_iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                format!("{} {}", endpoint.path, values.join(" "))
            }
            Found::Methods(allowed) => format!("not {allowed}"),
            Found::Nothing => "nothing".into(),
        }
    }

    /// A word in the path is not taken for an id, nor an id cut at a slash that is part of it.
    #[test]
    fn literals_go_before_parameters_and_parameters_are_decoded() {
        assert_eq!(
            found(Method::GET, "/messages/stats/queue"),
            "/messages/stats/queue "
        );
        assert_eq!(
            found(Method::HEAD, "/messages/a%2Fb"),
            "/messages/{message_id} message_id=a/b"
        );
        assert_eq!(found(Method::POST, "/messages/bulk"), "/messages/bulk ");
        assert_eq!(found(Method::GET, "/messages/bulk"), "not POST");
        assert_eq!(found(Method::PATCH, "/messages/7"), "not GET, DELETE");
        for path in [
            "/messages/",
            "/messages/1/2/3",
            "/message",
            "",
            "/messages/%ff",
            "/messages/1/timeline/",
        ] {
            assert_eq!(found(Method::GET, path), "nothing", "{path}");
        }
    }
}
