//! The HTTP API, `/api/v1`: a request is checked here, and answered by the SQL function that its row of `api_routes`
//! names, in one statement.

mod answering;
mod bulk;
mod callers;
mod encoding;
mod excess;
mod jwks;
mod jwt;
mod key;
mod limiter;
mod once;
mod problem;
mod reading;
mod roles;
pub mod settings;
mod table;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use deadpool_postgres::Pool;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, StatusCode};
use ring::digest::{SHA256, digest};
use tokio::time::timeout;

pub use settings::Settings;

use super::request::Request;
use super::respond::{Refusal, Response};
use super::route::{Handler, Route};
use super::shares::{Share, Shares};
use crate::db::http::{self, Answer, Call, Recalled};
use crate::db::pool::Database;
use answering::{limit_headers, respond_with};
use bulk::Lines;
use callers::{Caller, Callers};
use excess::Teller;
use once::{Once, idempotency_key};
use problem::Problem;
use reading::{check_json, is_gzip, is_ndjson, parameters};
use roles::Roles;
use table::{Endpoint, Found, PREFIX, Tables};

/// How long a call may take, the reading of its body included; a stream.
const CALL: Duration = Duration::from_secs(60);
const STREAM: Duration = Duration::from_secs(15 * 60);

/// How long one statement may take, and that of a stream.
const STATEMENT: &str = "statement_timeout=30000";
const STREAM_STATEMENT: &str = "set local statement_timeout = '10min'";

/// A call whose body has more, in bytes, takes a while: it waits until it is its caller's turn.
const LARGE: usize = 1024 * 1024;

const JSON: &str = "application/json";

const IDEMPOTENCY_REPLAY: HeaderName = HeaderName::from_static("idempotency-replay");

/// Answers the calls of the API.
pub struct Api {
    pool: Pool,
    tables: Arc<Tables>,
    callers: Callers,
    teller: Arc<Teller>,
    max_body_bytes: usize,
    /// Streams hold a connection for as long as they last: they never have all of them, nor one tenant all that they have.
    streams: Shares,
    /// The same for calls with large bodies.
    large: Shares,
}

impl Api {
    /// One on its own connections to `database`.
    ///
    /// # Errors
    ///
    /// Says which setting cannot be used.
    pub fn new(database: &Database, settings: &Settings) -> Result<Arc<Self>, String> {
        let pool = database.with_setting(STATEMENT).pool(settings.connections);
        Ok(Arc::new(Self {
            tables: Tables::new(pool.clone()),
            callers: Callers::new(pool.clone(), settings)?,
            teller: Teller::new(pool.clone()),
            max_body_bytes: settings.max_body_bytes,
            streams: Shares::new(settings.connections / 2, settings.connections / 4),
            large: Shares::new(settings.connections / 4, settings.connections / 8),
            pool,
        }))
    }

    /// Its routes. What is below the prefix is found by the table in the database.
    pub fn routes(self: &Arc<Self>) -> [Route; 2] {
        let methods = [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
        ];
        let openapi = Arc::new(OpenApi(Arc::clone(self)));
        [
            Route::new(&[Method::GET], "/openapi.json", openapi),
            Route::new(
                &methods,
                "/api/v1/{path*}",
                Arc::clone(self) as Arc<dyn Handler>,
            )
            .timeout(None),
        ]
    }

    /// The operator whose key or token it is: a reader or an admin who is bound to no tenant. Whether they are an admin,
    /// and under what name they are known. `None`: nobody's, or one who may not see all.
    ///
    /// # Errors
    ///
    /// 503: it cannot be told now.
    pub(super) async fn operator(
        &self,
        credential: &str,
    ) -> Result<Option<(bool, String)>, Refusal> {
        let caller = match self.callers.identify_by(credential).await {
            Ok(caller) => caller,
            Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => return Ok(None),
            Err(_) => return Err(Refusal::busy("the database does not answer")),
        };
        let is_admin = caller.roles.meet(Roles::of_names(["admin"]));
        let may_look = is_admin || caller.roles.meet(Roles::of_names(["reader"]));
        let is_operator = may_look && caller.tenant_id.is_none();
        Ok(is_operator.then(|| (is_admin, caller.id.clone())))
    }

    async fn answer(&self, request: Request) -> Result<Response, Problem> {
        let table = self.tables.get().await?;
        let path = request
            .path()
            .strip_prefix(PREFIX)
            .unwrap_or_default()
            .to_owned();
        let (endpoint, parameters) = match table.find(&request.method, &path) {
            Found::Endpoint(endpoint, parameters) => (endpoint, parameters),
            Found::Methods(allowed) => {
                let problem = Problem::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "method_not_allowed",
                    "this path takes other methods",
                );
                let allowed =
                    HeaderValue::from_str(&allowed).unwrap_or(HeaderValue::from_static("GET"));
                return Err(problem.with(ALLOW, allowed));
            }
            Found::Nothing => {
                let detail = "there is no such path; see /openapi.json";
                return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", detail));
            }
        };
        let caller = self.callers.identify(&request).await?;
        if !endpoint.roles.meet(caller.roles) {
            return Err(Problem::forbidden(format!(
                "this needs the role {}",
                endpoint.roles
            )));
        }
        if caller.tenant_id.is_some() && !endpoint.tenants {
            return Err(Problem::forbidden(
                "this is not for callers that are bound to a tenant",
            ));
        }
        let taken = caller.bucket.take(endpoint.cost, Instant::now());
        let answered = match taken.is_granted {
            true => self.serve(request, endpoint, parameters, &caller).await,
            false => {
                self.teller.refused(&caller, &taken);
                let seconds = taken.wait.as_secs_f64().ceil() as u64;
                let problem = Problem::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too_many_requests",
                    "the caller's limit is reached",
                );
                Err(problem.with(RETRY_AFTER, seconds.max(1).into()))
            }
        };
        let mut response = answered.unwrap_or_else(Response::from);
        limit_headers(response.headers_mut(), &taken);
        Ok(response)
    }

    /// Answers a caller that may call.
    async fn serve(
        &self,
        request: Request,
        endpoint: &Endpoint,
        path: Vec<(&str, String)>,
        caller: &Caller,
    ) -> Result<Response, Problem> {
        let parameters = parameters(path, request.query())?;
        let key = idempotency_key(&request)?;
        let accepts = request.headers.clone();
        let mut once = Once {
            key: key.as_deref().filter(|_| request.method == Method::POST),
            seed: format!("{} {}\n{parameters}\n", request.method, endpoint.path),
            is_replay: false,
        };
        let answer = if endpoint.is_stream && is_ndjson(&request) {
            let share = self.streams.try_take(&caller.owner(), 1);
            let _share = share.ok_or_else(|| Problem::unavailable("too many streams at once"))?;
            let streamed = self.stream(request, caller, &parameters, &mut once);
            timeout(STREAM, streamed).await
        } else {
            timeout(
                CALL,
                self.call(request, endpoint, caller, &parameters, &mut once),
            )
            .await
        };
        let answer = answer.map_err(|_| Problem::unavailable("it took too long"))??;
        let mut response = respond_with(&accepts, answer);
        if once.is_replay {
            response
                .headers_mut()
                .insert(IDEMPOTENCY_REPLAY, HeaderValue::from_static("true"));
        }
        Ok(response)
    }

    /// A call whose body, if it has one, is read whole.
    async fn call(
        &self,
        mut request: Request,
        endpoint: &Endpoint,
        caller: &Caller,
        parameters: &str,
        once: &mut Once<'_>,
    ) -> Result<Answer, Problem> {
        let mut turn = None;
        let body = match endpoint.takes_body {
            true => Some(self.body(&mut request, caller, &mut turn).await?),
            false => None,
        };
        let call = Call {
            caller: &caller.json,
            parameters,
            body: body.as_deref(),
        };
        let mut client = self.pool.get().await.map_err(crate::db::DbError::from)?;
        let Some(key) = once.key else {
            return Ok(http::call(&client, &endpoint.statement, &call).await?);
        };
        let mut fingerprint = once.seed.clone().into_bytes();
        fingerprint.extend_from_slice(body.as_deref().unwrap_or_default());
        let fingerprint = digest(&SHA256, &fingerprint);
        let transaction = client
            .transaction()
            .await
            .map_err(crate::db::DbError::from)?;
        let recalled =
            http::recall_call(&transaction, &caller.id, key, Some(fingerprint.as_ref())).await?;
        if let Some(answer) = once.recalled(recalled)? {
            return Ok(answer);
        }
        let answer = http::call(&transaction, &endpoint.statement, &call).await?;
        http::remember_call(&transaction, &caller.id, key, fingerprint.as_ref(), &answer).await?;
        transaction
            .commit()
            .await
            .map_err(crate::db::DbError::from)?;
        Ok(answer)
    }

    /// A bulk send as a stream: all of its recipients, or none.
    async fn stream(
        &self,
        request: Request,
        caller: &Caller,
        parameters: &str,
        once: &mut Once<'_>,
    ) -> Result<Answer, Problem> {
        let is_gzip = is_gzip(&request)?;
        let mut lines = Lines::new(request, is_gzip, self.max_body_bytes, once.seed.as_bytes());
        let mut client = self.pool.get().await.map_err(crate::db::DbError::from)?;
        let transaction = client
            .transaction()
            .await
            .map_err(crate::db::DbError::from)?;
        if let Some(key) = once.key {
            let mut recalled = http::recall_call(&transaction, &caller.id, key, None).await?;
            if matches!(recalled, Recalled::Seen) {
                lines.skip().await?;
                recalled =
                    http::recall_call(&transaction, &caller.id, key, Some(&lines.fingerprint()))
                        .await?;
            }
            if let Some(answer) = once.recalled(recalled)? {
                return Ok(answer);
            }
        }
        let Some((_, head)) = lines.next().await? else {
            return Err(Problem::bad_request(
                "the first line must be the call, such as {\"channel\": \"email\", \"body\": \"…\"}",
            ));
        };
        check_json(&head)?;
        if !head.trim_ascii_start().starts_with(b"{") {
            return Err(Problem::bad_request("the first line must be an object"));
        }
        transaction
            .batch_execute(STREAM_STATEMENT)
            .await
            .map_err(crate::db::DbError::from)?;
        let mut recipients = http::Recipients::begin(&transaction).await?;
        let mut is_empty = true;
        while let Some(rows) = lines.rows().await? {
            is_empty = false;
            recipients.send(rows).await?;
        }
        if is_empty {
            return Err(Problem::bad_request(
                "recipients must follow the first line, one a line",
            ));
        }
        let call = Call {
            caller: &caller.json,
            parameters,
            body: Some(&head),
        };
        let answer = recipients.finish(&call).await?;
        if answer.status >= 400 {
            return Ok(answer);
        }
        if let Some(key) = once.key {
            http::remember_call(&transaction, &caller.id, key, &lines.fingerprint(), &answer)
                .await?;
        }
        transaction
            .commit()
            .await
            .map_err(crate::db::DbError::from)?;
        Ok(answer)
    }

    /// The body, inflated, which is JSON. When it is large, `turn` is what its caller has waited for, and holds until the call
    /// is answered; what is inflated is so after that.
    async fn body(
        &self,
        request: &mut Request,
        caller: &Caller,
        turn: &mut Option<Share>,
    ) -> Result<Bytes, Problem> {
        let is_json = match request.header(CONTENT_TYPE.as_str()) {
            None => !request.headers.contains_key(CONTENT_TYPE),
            Some(given) => {
                let media_type = given
                    .split(';')
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .to_ascii_lowercase();
                media_type == JSON
                    || media_type.starts_with("application/") && media_type.ends_with("+json")
            }
        };
        if !is_json {
            let detail = "the body must be application/json";
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                detail,
            )
            .about("Content-Type"));
        }
        let is_gzip = is_gzip(request)?;
        request.is_of(caller.owner());
        let mut body = request.body(self.max_body_bytes).await?;
        if body.len() > LARGE {
            *turn = self.large.take_one(&caller.owner()).await;
        }
        if is_gzip {
            let wrong = |wrong| match wrong {
                encoding::Wrong::Broken => {
                    Problem::bad_request("the body is no gzip, or breaks off")
                }
                encoding::Wrong::TooLarge => {
                    let detail =
                        format!("the body may have {} bytes, inflated", self.max_body_bytes);
                    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
                }
            };
            let mut inflation = encoding::Inflation::new(&body, self.max_body_bytes);
            let mut bytes = 0;
            while let Some(more) = inflation.step().map_err(wrong)? {
                bytes += more;
                if bytes > LARGE && turn.is_none() {
                    *turn = self.large.take_one(&caller.owner()).await;
                }
                request.hold(more)?;
            }
            body = inflation.into_whole().into();
        }
        if body.trim_ascii().is_empty() {
            return Err(Problem::bad_request("a body is needed, of JSON").at("#"));
        }
        check_json(&body)?;
        Ok(body)
    }
}

#[async_trait]
impl Handler for Api {
    async fn handle(&self, request: Request) -> Result<Response, Refusal> {
        Ok(self.answer(request).await.unwrap_or_else(Response::from))
    }
}

/// `/openapi.json`: says nothing that is secret, and so to everybody.
struct OpenApi(Arc<Api>);

#[async_trait]
impl Handler for OpenApi {
    async fn handle(&self, request: Request) -> Result<Response, Refusal> {
        let table = match self.0.tables.get().await {
            Ok(table) => table,
            Err(problem) => return Ok(problem.into()),
        };
        let answer = Answer {
            status: 200,
            body: table.openapi.to_vec(),
        };
        Ok(respond_with(&request.headers, answer))
    }
}
