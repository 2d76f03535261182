//! Who may look at the page, and who may act.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, COOKIE, HOST, HeaderValue, ORIGIN, SET_COOKIE};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::server::Request;
use crate::server::api::Api;
use crate::server::respond::{Refusal, Response, json as answer};
use crate::server::route::Handler;

/// The cookie that holds the key. Over TLS its name says that no other host or scheme can have set it (RFC 6265bis).
const COOKIE_NAME: &str = "postroad_key";
const SECURE_COOKIE_NAME: &str = "__Host-postroad_key";

/// For how long a browser keeps it.
const COOKIE_SECONDS: u32 = 12 * 3600;

/// How long a wrong key is answered late, and how many at a time.
const WRONG_KEY: Duration = Duration::from_millis(500);
const WRONG_KEYS: usize = 8;

/// A login has no more.
const LOGIN_BYTES: usize = 4096;

/// Who looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// For what is recorded of actions.
    pub(super) name: String,
    /// Whether they may act.
    pub(super) is_admin: bool,
}

/// By what a request was let through, for what goes on after it was: a key, or nothing where there are none.
pub(super) struct Pass(Option<String>);

/// What a proxy says of whom it asks for (RFC 7239; RFC 9110, section 7.6.3).
const FORWARDING: [&str; 6] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "via",
];

/// Who may look.
pub(super) enum Access {
    /// Whoever is on this machine, as admin: for development. Other hosts are refused, and so are requests that name
    /// another host: a page elsewhere may make a browser ask us under its own name (DNS rebinding). A proxy on this machine
    /// asks for others: what it forwards is refused, if it says so.
    ThisMachine,
    /// Operators, by what opens the HTTP API to them.
    Operators(Arc<Api>),
}

impl Access {
    /// The operator whose key or token it is.
    async fn operator(&self, key: &str) -> Result<Option<Caller>, Refusal> {
        let Self::Operators(api) = self else {
            return Ok(None);
        };
        let operator = api.operator(key).await?;
        Ok(operator.map(|(is_admin, name)| Caller { name, is_admin }))
    }
}

/// Lets requests through, or not.
pub(super) struct Gate {
    access: Access,
    is_secure: bool,
    wrong_keys: Semaphore,
}

impl Gate {
    pub(super) fn new(access: Access, is_secure: bool) -> Self {
        Self {
            access,
            is_secure,
            wrong_keys: Semaphore::new(WRONG_KEYS),
        }
    }

    /// What every request must be, for the page itself too: where there are no keys, one from this machine to this machine.
    pub(super) fn admit(&self, request: &Request) -> Result<(), Refusal> {
        if !matches!(self.access, Access::ThisMachine) {
            return Ok(());
        }
        let host = request.header(HOST.as_str()).unwrap_or_default();
        let is_forwarded = FORWARDING
            .iter()
            .any(|name| request.headers.contains_key(*name));
        if request.client.to_canonical().is_loopback() && is_this_machine(host) && !is_forwarded {
            return Ok(());
        }
        let error = "this page is for the machine that it runs on; ask for it as http://localhost, without a proxy";
        Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, error))
    }

    /// Who asks.
    pub(super) async fn caller(&self, request: &Request) -> Result<Caller, Refusal> {
        self.pass(request).await.map(|(caller, _)| caller)
    }

    /// Who asks, and by what they may, for an answer that goes on.
    pub(super) async fn pass(&self, request: &Request) -> Result<(Caller, Pass), Refusal> {
        self.admit(request)?;
        match &self.access {
            Access::ThisMachine => {
                let caller = Caller {
                    name: "this machine".into(),
                    is_admin: true,
                };
                Ok((caller, Pass(None)))
            }
            Access::Operators(_) => {
                let no_key = || Refusal::unauthenticated("log in with a key", "Bearer");
                let key = key_of(request).ok_or_else(no_key)?;
                let caller = self.access.operator(&key).await?.ok_or_else(no_key)?;
                Ok((caller, Pass(Some(key))))
            }
        }
    }

    /// Whether the key is still one: asked as often as one likes, the database is asked once a second. While it does not
    /// answer there is nothing to see.
    pub(super) async fn still_admits(&self, pass: &Pass) -> bool {
        match &pass.0 {
            None => true,
            Some(key) => !matches!(self.access.operator(key).await, Ok(None)),
        }
    }

    /// Who acts: an admin, from our own page. A cookie goes along with requests that other pages make; that it is
    /// `SameSite` is one bar, that the browser says where a request comes from another (Fetch Metadata, `Origin`).
    pub(super) async fn actor(&self, request: &Request) -> Result<Caller, Refusal> {
        self.is_of_our_page(request)?;
        let caller = self.caller(request).await?;
        match caller.is_admin {
            true => Ok(caller),
            false => Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "this key may look, not act",
            )),
        }
    }

    fn is_of_our_page(&self, request: &Request) -> Result<(), Refusal> {
        let refused = |error| Err(Refusal::new(StatusCode::FORBIDDEN, error));
        let is_json = request.header("content-type").is_some_and(|kind| {
            kind.split(';')
                .next()
                .is_some_and(|k| k.trim() == "application/json")
        });
        if !is_json {
            // A form of another page cannot say so without asking first (CORS), which nobody answers.
            return refused("expected a body of application/json");
        }
        if let Some(site) = request.headers.get("sec-fetch-site")
            && site != "same-origin"
        {
            return refused("it comes from another page");
        }
        if let Some(origin) = request.headers.get(ORIGIN) {
            let host = request.header(HOST.as_str());
            let origin = origin.to_str().ok().and_then(|o| o.split_once("://"));
            if host.is_none() || origin.map(|(_, host)| host) != host {
                return refused("it comes from another page");
            }
        }
        Ok(())
    }

    fn cookie(&self, key: &str, seconds: u32) -> Option<HeaderValue> {
        let (name, secure) = match self.is_secure {
            true => (SECURE_COOKIE_NAME, "; Secure"),
            false => (COOKIE_NAME, ""),
        };
        let cookie =
            format!("{name}={key}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
        let mut value = HeaderValue::from_str(&cookie).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// The key that a request brings: as a bearer token, or in our cookie.
fn key_of(request: &Request) -> Option<String> {
    if let Some(given) = request.header(AUTHORIZATION.as_str()) {
        let (scheme, key) = given.split_once(' ')?;
        return scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| key.trim().to_owned());
    }
    let cookies = request
        .headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';'));
    pairs.find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        matches!(name, COOKIE_NAME | SECURE_COOKIE_NAME).then(|| value.to_owned())
    })
}

/// Whether a `Host` header names this machine, whatever the port.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(address, _)| address),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Says who looks, and what there is to look at.
pub(super) struct Session {
    gate: Arc<Gate>,
    has_outbox: bool,
}

impl Session {
    pub(super) fn new(gate: &Arc<Gate>, has_outbox: bool) -> Self {
        let gate = Arc::clone(gate);
        Self { gate, has_outbox }
    }
}

#[async_trait]
impl Handler for Session {
    async fn handle(&self, request: Request) -> Result<Response, Refusal> {
        let caller = self.gate.caller(&request).await?;
        let is_open = matches!(self.gate.access, Access::ThisMachine);
        let body = json!({
            "name": caller.name,
            "is_admin": caller.is_admin,
            "is_open": is_open,
            "has_outbox": self.has_outbox,
        });
        Ok(answer(StatusCode::OK, &body))
    }
}

/// Takes a key, and gives it back as a cookie that no script can read.
pub(super) struct Login(Arc<Gate>);

impl Login {
    pub(super) fn new(gate: &Arc<Gate>) -> Self {
        Self(Arc::clone(gate))
    }
}

#[derive(Deserialize)]
struct Given {
    key: String,
}

#[async_trait]
impl Handler for Login {
    async fn handle(&self, mut request: Request) -> Result<Response, Refusal> {
        let gate = &self.0;
        gate.admit(&request)?;
        gate.is_of_our_page(&request)?;
        let body = request.body(LOGIN_BYTES).await?;
        let given: Option<Given> = serde_json::from_slice(&body).ok();
        let key = given
            .map(|given| given.key.trim().to_owned())
            .unwrap_or_default();
        let is_token = |b: u8| b.is_ascii_graphic() && !matches!(b, b';' | b',' | b'"' | b'\\');
        let caller = match !key.is_empty() && key.bytes().all(is_token) {
            true => gate.access.operator(&key).await?,
            false => None,
        };
        let Some(caller) = caller else {
            // Guessing takes its time, also for many at once.
            let Ok(_place) = gate.wrong_keys.try_acquire() else {
                return Err(Refusal::busy("too many wrong keys at once"));
            };
            sleep(WRONG_KEY).await;
            let error = "no such key, or one that may not look at all tenants";
            return Err(Refusal::new(StatusCode::FORBIDDEN, error));
        };
        let mut response = answer(StatusCode::OK, &json!({"name": caller.name}));
        if let Some(cookie) = gate.cookie(&key, COOKIE_SECONDS) {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        Ok(response)
    }
}

/// Takes the cookie away.
pub(super) struct Logout(Arc<Gate>);

impl Logout {
    pub(super) fn new(gate: &Arc<Gate>) -> Self {
        Self(Arc::clone(gate))
    }
}

#[async_trait]
impl Handler for Logout {
    async fn handle(&self, request: Request) -> Result<Response, Refusal> {
        self.0.admit(&request)?;
        self.0.is_of_our_page(&request)?;
        let mut response = answer(StatusCode::OK, &json!({}));
        if let Some(cookie) = self.0.cookie("", 0) {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page of another host can have its name resolve to this machine.
    #[test]
    fn only_names_of_this_machine_are_taken_for_it() {
        for ours in [
            "localhost",
            "localhost:8025",
            "LOCALHOST.",
            "app.localhost:1",
            "127.0.0.1:8025",
            "127.8.8.8",
            "[::1]:8025",
        ] {
            assert!(is_this_machine(ours), "{ours}");
        }
        for other in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8025",
            "192.168.0.7",
            "0.0.0.0",
            "[::2]",
            "notlocalhost",
            ":8025",
            "[::1",
        ] {
            assert!(!is_this_machine(other), "{other}");
        }
    }
}
