//! `/metrics`: what this process counts, and what the database says of the queue.

use std::sync::Arc;

use async_trait::async_trait;
use hyper::StatusCode;
use hyper::header::ACCEPT;
use serde_json::Value;

use super::Request;
use super::figures::Figures;
use super::respond::{Refusal, Response, whole};
use super::route::Handler;
use crate::telemetry::samples::{Format, Samples};
use crate::telemetry::{counted, names};

pub(super) struct Metrics {
    figures: Arc<Figures>,
}

impl Metrics {
    pub(super) fn new(figures: Arc<Figures>) -> Self {
        Self { figures }
    }
}

#[async_trait]
impl Handler for Metrics {
    /// Always 200: a database that is down is a figure, too.
    async fn handle(&self, request: Request) -> Result<Response, Refusal> {
        let mut samples = Samples::default();
        match self.figures.get().await {
            Ok(read) => {
                samples.add(&names::DATABASE_UP, &[], 1.0);
                of_database(&read.value, &mut samples);
            }
            Err(error) => {
                tracing::debug!(%error, "no figures of the database");
                samples.add(&names::DATABASE_UP, &[], 0.0);
            }
        }
        counted::collect(&mut samples);
        // Several headers of one name are one list (RFC 9110, section 5.3).
        let accepts: Vec<_> = request.headers.get_all(ACCEPT).iter().collect();
        let accepts: Vec<_> = accepts
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        let format = Format::by_accept(Some(&accepts.join(",")));
        let text = samples.write(format);
        Ok(whole(StatusCode::OK, format.content_type(), text))
    }
}

/// Adds `postroad.figures()`.
fn of_database(figures: &Value, samples: &mut Samples) {
    let list = |name: &str| {
        figures[name]
            .as_array()
            .map_or(&[] as &[Value], Vec::as_slice)
    };
    let number = |value: &Value| match value {
        Value::Bool(is_so) => f64::from(u8::from(*is_so)),
        other => other.as_f64().unwrap_or(0.0),
    };
    for queue in list("queues") {
        let priority = [queue["priority"].as_str().unwrap_or_default()];
        for (metric, column) in [
            (&names::QUEUE_DEPTH, "ready"),
            (&names::QUEUE_OLDEST, "oldest_seconds"),
            (&names::QUEUE_OVERDUE, "is_overdue"),
            (&names::QUEUE_PLACED, "placed"),
            (&names::SCHEDULED, "scheduled"),
            (&names::PARKED, "parked"),
            (&names::PROCESSING, "processing"),
            (&names::FLOOR_LAG, "floor_lag"),
        ] {
            samples.add(metric, &priority, number(&queue[column]));
        }
        samples.add(
            &names::QUEUE_PAUSED,
            &priority,
            f64::from(u8::from(!queue["paused"].is_null())),
        );
    }
    for gateway in list("gateways") {
        let text = |column: &str| gateway[column].as_str().unwrap_or_default();
        let (calls, sent) = (number(&gateway["calls_5m"]), number(&gateway["sent_5m"]));
        if calls > 0.0 {
            let labels = [text("gateway"), text("channel")];
            samples.add(&names::GATEWAY_SUCCESS, &labels, sent / calls);
        }
    }
    for webhook in list("webhooks") {
        let gateway = webhook["gateway"].as_str().unwrap_or_default();
        for result in ["stored", "parsed", "errors", "events"] {
            samples.add(
                &names::WEBHOOK_EVENTS,
                &[gateway, result],
                number(&webhook[result]),
            );
        }
    }
    for (channel, count) in figures["enqueued"].as_object().into_iter().flatten() {
        samples.add(&names::ENQUEUED, &[channel], number(count));
    }
    for scope in [
        "priority", "channel", "gateway", "source", "tenant", "domain",
    ] {
        let paused = list("pauses")
            .iter()
            .filter(|pause| pause["scope"] == scope)
            .count();
        samples.add(&names::PAUSES, &[scope], paused as f64);
    }
    for (metric, name) in [
        (&names::OLDEST_LEASE, "oldest_lease_seconds"),
        (&names::WORKERS, "workers"),
        (&names::PARTITIONS_AHEAD, "partitions_ahead"),
        (&names::NOTIFY_USAGE, "notify_usage"),
    ] {
        samples.add(metric, &[], number(&figures[name]));
    }
}
