//! A provider's HTTP API on loopback, HTTP/1.1 or HTTP/2 as the client begins: it keeps the requests and answers from a script.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// What a client asked for.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// `POST` and the like.
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    /// A header's value; empty when there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("an ASCII header"))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a body in JSON")
    }

    /// The body as the fields of a form, in their order.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.body)
            .into_owned()
            .collect()
    }
}

/// Status and body by what was asked.
type Reply = dyn Fn(&Request) -> (u16, String) + Send + Sync;

#[derive(Clone)]
enum Answer {
    Reply {
        status: u16,
        headers: Vec<(String, String)>,
        body: Bytes,
    },
    By(Arc<Reply>),
    Hang,
}

#[derive(Default)]
struct State {
    script: VecDeque<Answer>,
    requests: Vec<Request>,
    connections: usize,
}

/// The double. It ends with the value.
pub(crate) struct HttpDouble {
    url: String,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

impl HttpDouble {
    /// Listens on a free port. Until it is told otherwise it answers 200 with an empty body.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::<Mutex<State>>::default();
        Self {
            url: format!("http://127.0.0.1:{port}"),
            server: tokio::spawn(serve(listener, Arc::clone(&state))),
            state,
        }
    }

    /// One that gives this answer to all requests, without headers.
    pub(crate) async fn answering(status: u16, body: impl Into<Bytes>) -> Self {
        let double = Self::start().await;
        double.answer(status, &[], body);
        double
    }

    /// One that never answers.
    pub(crate) async fn hanging() -> Self {
        let double = Self::start().await;
        double.hang();
        double
    }

    /// Adds an answer to the script: the nth request gets the nth answer, and the last one repeats.
    pub(crate) fn answer(&self, status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) {
        let headers = headers.iter();
        self.add(Answer::Reply {
            status,
            headers: headers.map(|(n, v)| ((*n).into(), (*v).into())).collect(),
            body: body.into(),
        });
    }

    /// Adds to the script an answer by what was asked: status and body.
    pub(crate) fn answer_by(
        &self,
        reply: impl Fn(&Request) -> (u16, String) + Send + Sync + 'static,
    ) {
        self.add(Answer::By(Arc::new(reply)));
    }

    /// Adds silence to the script.
    pub(crate) fn hang(&self) {
        self.add(Answer::Hang);
    }

    fn add(&self, answer: Answer) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.script.push_back(answer);
    }

    /// Where it is, `http://127.0.0.1:<port>`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What it was asked for so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.requests.clone()
    }

    /// How many connections were made to it so far.
    pub(crate) fn connections(&self) -> usize {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.connections
    }
}

impl Drop for HttpDouble {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new(); // they end with it
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .connections += 1;
        connections.spawn(async move {
            let service = service_fn(|request| respond(request, Arc::clone(&state)));
            let server = auto::Builder::new(TokioExecutor::new());
            let connection = server.serve_connection(TokioIo::new(stream), service);
            let _ = connection.await; // a client that goes away is no concern of a double
        });
    }
}

async fn respond(
    request: hyper::Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes());
    let answer = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let request = Request {
            method: head.method.to_string(),
            path: head
                .uri
                .path_and_query()
                .map_or_else(String::new, ToString::to_string),
            headers: head.headers,
            body: body.unwrap_or_default(),
        };
        let answer = match state.script.len() {
            0 | 1 => state.script.front().cloned(),
            _ => state.script.pop_front(),
        };
        let answer = match answer {
            Some(Answer::By(reply)) => {
                let (status, body) = reply(&request);
                Some(Answer::Reply {
                    status,
                    headers: Vec::new(),
                    body: body.into(),
                })
            }
            answer => answer,
        };
        state.requests.push(request);
        answer
    };
    let mut response = Response::new(Full::default());
    match answer {
        Some(Answer::Hang | Answer::By(_)) => std::future::pending().await,
        Some(Answer::Reply {
            status,
            headers,
            body,
        }) => {
            *response.status_mut() = status.try_into().expect("a status");
            for (name, value) in headers {
                let name: hyper::header::HeaderName = name.parse().expect("a header's name");
                let value = value.parse().expect("a header's value");
                response.headers_mut().append(name, value);
            }
            *response.body_mut() = Full::new(body);
        }
        None => {}
    }
    Ok(response)
}
