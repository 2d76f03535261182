//! `/health/live` and `/health/ready`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::Request;
use super::figures::{Figures, NoFigures};
use super::respond::{Refusal, Response, json as answer};
use super::route::Handler;

/// How often the log says why the database does not answer: anyone may ask, as often as they like.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The process runs; says nothing about what it depends on, so that nobody restarts it for a database's sake.
pub(super) struct Live;

#[async_trait]
impl Handler for Live {
    async fn handle(&self, _request: Request) -> Result<Response, Refusal> {
        Ok(answer(StatusCode::OK, &json!({"status": "ok"})))
    }
}

/// 503 when the database does not answer within two seconds, or has no schema: requests to this process would fail.
/// What concerns all processes alike, a channel whose gateways are all down, is `degraded`, with the reasons, and 200:
/// a provider's outage must not take every process out of rotation.
pub(super) struct Ready {
    figures: Arc<Figures>,
    logged_at: Mutex<Option<Instant>>,
}

impl Ready {
    pub(super) fn new(figures: Arc<Figures>) -> Self {
        Self {
            figures,
            logged_at: Mutex::default(),
        }
    }

    /// The log has the causes; who asks may be anyone, and gets a sentence that names nothing of ours.
    fn log(&self, error: &NoFigures) {
        let mut logged_at = self
            .logged_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if logged_at.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            *logged_at = Some(Instant::now());
            let error = one_line(error);
            tracing::warn!(error, "not ready: the database cannot be asked");
        }
    }
}

#[async_trait]
impl Handler for Ready {
    async fn handle(&self, _request: Request) -> Result<Response, Refusal> {
        let (status, reasons) = match self.figures.get().await {
            Ok(read) => (StatusCode::OK, degraded(&read.value)),
            Err(error) => {
                let (is_ready, reason) = trouble(&error);
                if !is_ready {
                    self.log(&error);
                }
                let status = match is_ready {
                    true => StatusCode::OK,
                    false => StatusCode::SERVICE_UNAVAILABLE,
                };
                (status, vec![reason.into()])
            }
        };
        let word = match (status, reasons.is_empty()) {
            (StatusCode::OK, true) => "ok",
            (StatusCode::OK, false) => "degraded",
            _ => "unavailable",
        };
        Ok(answer(status, &json!({"status": word, "reasons": reasons})))
    }
}

/// What a failure to ask says of us: whether this process may serve all the same, and the reason.
fn trouble(error: &NoFigures) -> (bool, &'static str) {
    match error.code() {
        // No such schema, function or table.
        Some("3F000" | "42883" | "42P01") => {
            let reason =
                "the database has no schema postroad, or an older one: run postroad migrate";
            (false, reason)
        }
        Some("42501") => {
            let reason =
                "the queue cannot be looked at: grant postroad_reader to the user of database.url";
            (true, reason)
        }
        _ => (false, "the database does not answer; the log says why"),
    }
}

/// The channels that have gateways, none of which gets traffic.
fn degraded(figures: &Value) -> Vec<String> {
    let mut channels: BTreeMap<&str, Vec<(bool, String)>> = BTreeMap::new();
    for gateway in figures["gateways"].as_array().into_iter().flatten() {
        let text = |column: &str| gateway[column].as_str();
        let name = text("gateway").unwrap_or_default();
        let state = match (text("paused"), text("state")) {
            (Some(_), _) => (false, format!("{name} is paused")),
            (None, Some("closed")) => (true, String::new()),
            _ => {
                let cause = text("cause").unwrap_or("unknown");
                (false, format!("{name}'s breaker is open ({cause})"))
            }
        };
        channels
            .entry(text("channel").unwrap_or_default())
            .or_default()
            .push(state);
    }
    let down = channels
        .into_iter()
        .filter(|(_, gateways)| gateways.iter().all(|(works, _)| !works));
    down.map(|(channel, gateways)| {
        let whys: Vec<_> = gateways.into_iter().map(|(_, why)| why).collect();
        format!("no gateway of {channel} gets traffic: {}", whys.join(", "))
    })
    .collect()
}

/// An error with its causes, without what repeats the one before.
fn one_line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !line.contains(&cause_text) {
            line = format!("{line}: {cause_text}");
        }
        source = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(name: &str, channel: &str, state: &str, paused: Option<&str>) -> Value {
        json!({"gateway": name, "channel": channel, "state": state, "paused": paused, "cause": "stalled"})
    }

    /// One that works is enough for a channel.
    #[test]
    fn a_channel_is_down_when_all_its_gateways_are() {
        let figures = json!({"gateways": [
            gateway("a", "email", "open", None),
            gateway("b", "email", "closed", None),
            gateway("a", "sms", "open", None),
            gateway("c", "sms", "closed", Some("outage")),
        ]});
        let expected = "no gateway of sms gets traffic: a's breaker is open (stalled), c is paused";
        assert_eq!(degraded(&figures), [expected]);
    }
}
