//! Spans of traced messages, for a collector: OTLP over HTTP, in JSON.
//!
//! Written here and not by the crates of OpenTelemetry: they and what they bring would double the build for one kind of
//! span. The format is <https://opentelemetry.io/docs/specs/otlp/#otlphttp>: ids in hexadecimal, times as text.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::counted::{self, Counter};
use super::names;
use crate::model::secret::Secret;

/// Spans that wait for the collector; beyond that they are dropped: sending mail comes first.
const QUEUE: usize = 4096;
/// Spans in one request.
const BATCH: usize = 512;
/// How long a few spans wait for more.
const GATHER: Duration = Duration::from_secs(1);
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// `[telemetry]` of the configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The collector's base URL, such as `http://localhost:4318`; without it nothing is exported.
    #[serde(default)]
    pub otlp_endpoint: Option<String>,
    /// Headers that the collector wants: `name=value,name=value`.
    #[serde(default)]
    pub otlp_headers: Option<Secret>,
    /// Under what name the spans are shown.
    pub service_name: String,
}

impl Settings {
    /// The collector and its headers; `None` when nothing is to be exported.
    ///
    /// # Errors
    ///
    /// The setting that is wrong, and what would be right.
    pub fn read(&self) -> Result<Option<(Url, HeaderMap)>, (&'static str, String)> {
        let Some(endpoint) = &self.otlp_endpoint else {
            return Ok(None);
        };
        let wrong = || {
            let problem =
                "expected a URL such as http://localhost:4318, without user, query or fragment";
            ("telemetry.otlp_endpoint", problem.to_owned())
        };
        let base = format!("{}/", endpoint.trim_end_matches('/'));
        let url: Url = base.parse().map_err(|_| wrong())?;
        let is_plain = url.username().is_empty() && url.password().is_none();
        if !is_plain || url.query().is_some() || !matches!(url.scheme(), "http" | "https") {
            return Err(wrong());
        }
        let url = url.join("v1/traces").map_err(|_| wrong())?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let given = self.otlp_headers.as_ref().map_or("", Secret::expose);
        for pair in given.split(',').filter(|pair| !pair.trim().is_empty()) {
            let header = pair.split_once('=').and_then(|(name, value)| {
                let mut value = HeaderValue::from_str(value.trim()).ok()?;
                value.set_sensitive(true);
                Some((HeaderName::from_bytes(name.trim().as_bytes()).ok()?, value))
            });
            let problem = || "expected name=value,name=value".to_owned();
            let (name, value) = header.ok_or_else(|| ("telemetry.otlp_headers", problem()))?;
            headers.insert(name, value);
        }
        Ok(Some((url, headers)))
    }
}

/// One call of a gateway, or one message's part in a call for several.
#[derive(Clone, Debug)]
pub struct Span {
    /// The trace.
    pub trace_id: u128,
    /// Its own id.
    pub span_id: u64,
    /// What caused it.
    pub parent_id: u64,
    /// The channel.
    pub name: &'static str,
    /// When it began.
    pub began: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// Further facts; no address, body or secret.
    pub attributes: Vec<(&'static str, String)>,
    /// The call that a message shared with others, in the same trace.
    pub call: Option<u64>,
    /// Why it failed, if it did.
    pub error: Option<&'static str>,
}

static EXPORTER: OnceLock<mpsc::Sender<Span>> = OnceLock::new();
static EXPORTED: Counter = Counter::new();
static DROPPED: Counter = Counter::new();

/// Whether spans are exported.
pub fn is_on() -> bool {
    EXPORTER.get().is_some()
}

/// Hands a span to the exporter; one for which there is no room is dropped, and counted.
pub fn export(span: Span) {
    if let Some(exporter) = EXPORTER.get()
        && exporter.try_send(span).is_err()
    {
        DROPPED.add(1);
    }
}

/// Exports spans until `shutdown`, then what is left. The first call of a process wins.
pub async fn run(
    client: Client,
    (url, headers): (Url, HeaderMap),
    service_name: String,
    shutdown: CancellationToken,
) {
    let (sender, mut spans) = mpsc::channel(QUEUE);
    if EXPORTER.set(sender).is_err() {
        return;
    }
    let _shown = counted::register(|samples| {
        for (result, counter) in [("exported", &EXPORTED), ("dropped", &DROPPED)] {
            samples.add(&names::SPANS, &[result], counter.get() as f64);
        }
    });
    let mut warned = false;
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            count = spans.recv_many(&mut batch, BATCH) => if count == 0 { return },
            () = shutdown.cancelled() => {}
        }
        let is_last = shutdown.is_cancelled();
        if batch.len() < BATCH && !is_last {
            tokio::select! {
                () = sleep(GATHER) => {}
                () = shutdown.cancelled() => {}
            }
        }
        while batch.len() < BATCH
            && let Ok(span) = spans.try_recv()
        {
            batch.push(span);
        }
        if !batch.is_empty() {
            let body = json(&service_name, &batch).to_string();
            let sent = client
                .post(url.clone())
                .headers(headers.clone())
                .body(body)
                .send();
            let taken = timeout(PATIENCE, sent).await;
            let is_taken = matches!(&taken, Ok(Ok(answer)) if answer.status().is_success());
            match is_taken {
                true => EXPORTED.add(batch.len() as u64),
                false => DROPPED.add(batch.len() as u64),
            }
            if !is_taken && !warned {
                tracing::warn!(
                    "the trace collector does not take spans; they are dropped meanwhile"
                );
            }
            warned = !is_taken;
        }
        if is_last {
            return;
        }
    }
}

fn json(service_name: &str, spans: &[Span]) -> Value {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let nanos = |at: SystemTime| {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_nanos().to_string()
    };
    let spans: Vec<Value> = spans
        .iter()
        .map(|span| {
            let mut attributes = vec![text("messaging.system", "postroad")];
            attributes.extend(span.attributes.iter().map(|(key, value)| text(key, value)));
            attributes.extend(span.error.map(|reason| text("error.type", reason)));
            let link = |id| json!({"traceId": format!("{:032x}", span.trace_id), "spanId": format!("{id:016x}")});
            let links: Vec<Value> = span.call.map(link).into_iter().collect();
            json!({
                "traceId": format!("{:032x}", span.trace_id),
                "spanId": format!("{:016x}", span.span_id),
                "parentSpanId": format!("{:016x}", span.parent_id),
                "name": format!("send {}", span.name),
                "kind": if span.call.is_some() { 1 } else { 3 }, // internal; client: only the call leaves the house
                "startTimeUnixNano": nanos(span.began),
                "endTimeUnixNano": nanos(span.ended),
                "attributes": attributes,
                "links": links,
                "status": if span.error.is_some() { json!({"code": 2}) } else { json!({}) },
            })
        })
        .collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": [
            text("service.name", service_name),
            text("service.version", env!("CARGO_PKG_VERSION")),
        ]},
        "scopeSpans": [{"scope": {"name": "postroad"}, "spans": spans}],
    }]})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(endpoint: &str, headers: Option<&str>) -> Settings {
        Settings {
            otlp_endpoint: Some(endpoint.into()),
            otlp_headers: headers.map(Secret::new),
            service_name: "postroad".into(),
        }
    }

    /// The base URL is what other programs are configured with too: `/v1/traces` is put behind it.
    #[test]
    fn the_endpoint_is_a_base_url() {
        let read = |endpoint, headers| settings(endpoint, headers).read();
        for endpoint in ["http://localhost:4318", "http://localhost:4318/"] {
            let (url, headers) = read(endpoint, Some("x-key=a=b, y=2")).unwrap().unwrap();
            assert_eq!(url.as_str(), "http://localhost:4318/v1/traces");
            assert_eq!(headers["x-key"], "a=b");
        }
        for wrong in [
            "localhost:4318",
            "ftp://x",
            "http://u:p@x",
            "http://x/?a=b",
            "",
        ] {
            assert_eq!(
                read(wrong, None).unwrap_err().0,
                "telemetry.otlp_endpoint",
                "{wrong}"
            );
        }
        let error = read("http://x", Some("hunter2")).unwrap_err();
        assert!(error.0 == "telemetry.otlp_headers" && !error.1.contains("hunter2"));
        assert!(Settings::default().read().unwrap().is_none());
    }
}
