//! Our links, followed: `GET /o/{token}` (a pixel), `GET /c/{token}` (on to where the link leads), and `/u/{token}`, where
//! a POST unsubscribes (RFC 8058) and a GET shows a page with a button, since filters follow every link of a mail.
//!
//! A token says all there is to know, and only we can make one: there is no other place to which `/c/` leads.

mod machine;
mod page;
mod recorder;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use deadpool_postgres::Pool;
use hyper::header::{HeaderName, HeaderValue, LOCATION, USER_AGENT};
use hyper::{HeaderMap, Method, StatusCode};
use percent_encoding::{AsciiSet, utf8_percent_encode};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};
use tracing::error;

use self::machine::machine;
use self::recorder::{Recorder, record};
use super::Request;
use super::respond::{Refusal, Response, whole};
use super::route::{Handler, Route};
use crate::db::Database;
use crate::db::types::JsonText;
use crate::model::event::EventType;
use crate::model::link::{Keys, Kind, Link, Purpose};
use crate::model::outcome::shorten;

/// What is read of a form that unsubscribes, in bytes. What it says is of no interest.
const FORM_MAX: usize = 64 * 1024;

/// A transparent pixel: GIF89a, 1 × 1.
const PIXEL: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

/// Search engines are to forget what they find here.
const ROBOTS_TAG: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-robots-tag"),
    HeaderValue::from_static("noindex, nofollow"),
);

/// The routes, and what writes their events: a future that ends when the routes are gone.
pub(super) fn routes(
    keys: Arc<Keys>,
    database: &Database,
) -> (Vec<Route>, impl Future<Output = ()> + Send + use<>) {
    let (recorder, writing) = Recorder::start(database);
    let counted = |kind| -> Arc<dyn Handler> {
        let (keys, recorder) = (Arc::clone(&keys), recorder.clone());
        Arc::new(Counted {
            keys,
            kind,
            recorder,
        })
    };
    let unsubscribe = Arc::new(Unsubscribe {
        keys: Arc::clone(&keys),
        pool: database.pool(2),
    });
    let routes = vec![
        Route::new(&[Method::GET], "/o/{token}", counted(Kind::Open)),
        Route::new(&[Method::GET], "/c/{token}", counted(Kind::Click)),
        Route::new(&[Method::GET, Method::POST], "/u/{token}", unsubscribe),
    ];
    (routes, writing)
}

fn link_of(keys: &Keys, kind: Kind, request: &Request) -> Option<Link> {
    let token = request.parameters.first()?;
    keys.open(kind, token)
}

fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// An open or a click.
struct Counted {
    keys: Arc<Keys>,
    kind: Kind,
    recorder: Recorder,
}

#[async_trait]
impl Handler for Counted {
    async fn handle(&self, request: Request) -> Result<Response, Refusal> {
        let Some(link) = link_of(&self.keys, self.kind, &request) else {
            return Ok(page::not_ours());
        };
        // Who only asks for the head looks at nothing.
        if request.method == Method::GET {
            let event = event(&link, &request.headers, unix_seconds());
            self.recorder.note((link.gateway.clone(), event));
        }
        let mut response = match &link.purpose {
            Purpose::Click { target } => {
                let mut response = page::on_its_way();
                let location = HeaderValue::from_str(&ascii(target));
                let location = location.map_err(|_| Refusal::not_found())?;
                response.headers_mut().insert(LOCATION, location);
                response
            }
            _ => whole(StatusCode::OK, "image/gif", PIXEL),
        };
        response.headers_mut().extend([ROBOTS_TAG]);
        Ok(response)
    }
}

/// A URL as a header has it: what is not ASCII is percent-encoded (RFC 3986, section 2.5), the rest is left alone.
fn ascii(url: &str) -> String {
    const SPACES: AsciiSet = AsciiSet::EMPTY.add(b' ');
    utf8_percent_encode(url, &SPACES).to_string()
}

/// An open or a click as an event. Of one kind and one link one an hour is kept, so that nobody fills tables with it.
fn event(link: &Link, headers: &HeaderMap, now: u64) -> Value {
    let hour = now / 3600;
    let machine = machine(headers);
    let mut detail = Map::new();
    if let Some(machine) = machine {
        detail.insert("machine".into(), machine.into());
    }
    if let Some(agent) = headers
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
    {
        detail.insert("user_agent".into(), shorten(agent, 255).into());
    }
    let who = if machine.is_some() {
        "machine"
    } else {
        "person"
    };
    let (event_type, key) = match &link.purpose {
        Purpose::Click { target } => {
            detail.insert("url".into(), target.as_str().into());
            let hash = digest(&SHA256, target.as_bytes());
            let hash: String = hash.as_ref()[..8]
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect();
            (EventType::Clicked, format!("click:{who}:{hash}:{hour}"))
        }
        _ => (EventType::Opened, format!("open:{who}:{hour}")),
    };
    json!({
        "message_id": link.message_id,
        "event_type": event_type,
        "source_key": key,
        "channel": "email",
        "detail": detail,
    })
}

/// The way out.
struct Unsubscribe {
    keys: Arc<Keys>,
    pool: Pool,
}

#[async_trait]
impl Handler for Unsubscribe {
    async fn handle(&self, mut request: Request) -> Result<Response, Refusal> {
        let Some(link) = link_of(&self.keys, Kind::Unsubscribe, &request) else {
            return Ok(page::not_ours());
        };
        if request.method != Method::POST {
            return Ok(page::question());
        }
        // `List-Unsubscribe=One-Click` as a form of either kind (RFC 8058, section 3.2), or nothing: the token says it all.
        request.body(FORM_MAX).await?;
        let Some(event) = unsubscribed(&link, unix_seconds()) else {
            return Ok(page::not_ours());
        };
        let events = JsonText(json!([event]).to_string());
        match record(&self.pool, &link.gateway, &events).await {
            Ok(()) => Ok(page::done()),
            Err(error) => {
                error!(message_id = %link.message_id, error, "somebody could not unsubscribe");
                Ok(page::try_again())
            }
        }
    }
}

/// Once a minute is enough; and who came back and leaves again leaves.
fn unsubscribed(link: &Link, now: u64) -> Option<Value> {
    let Purpose::Unsubscribe {
        recipient,
        tenant_id,
    } = &link.purpose
    else {
        return None;
    };
    Some(json!({
        "message_id": link.message_id,
        "event_type": EventType::Unsubscribed,
        "source_key": format!("unsubscribe:{}", now / 60),
        "recipient": recipient,
        "tenant_id": tenant_id,
        "channel": "email",
        "reason": "unsubscribed",
        "detail": {"by": "link"},
    }))
}
