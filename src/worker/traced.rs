//! A gateway call as a part of the caller's trace.

use std::time::{Instant, SystemTime};

use crate::gateway::{Gateway, http};
use crate::model::message::Rendered;
use crate::model::outcome::{Accepted, SendError};
use crate::model::trace::TraceContext;
use crate::telemetry::otlp::{self, Span};

/// Hands `message` to `gateway`. A message with a trace takes it along; when spans are exported and the caller records
/// the trace, the call is a span of its own.
pub(super) async fn send(
    gateway: &dyn Gateway,
    message: &Rendered,
    deadline: Instant,
) -> Result<Accepted, SendError> {
    let Some(trace) = trace_of(message) else {
        let answer = gateway.send(message, deadline).await;
        note(gateway, message, None, &answer);
        return answer;
    };
    let is_exported = trace.is_sampled() && otlp::is_on();
    let own = if is_exported { trace.child() } else { trace };
    let began = SystemTime::now();
    let answer = http::traced(own, gateway.send(message, deadline)).await;
    note(gateway, message, Some(trace), &answer);
    if is_exported {
        otlp::export(Span {
            trace_id: trace.trace_id,
            span_id: own.span_id,
            parent_id: trace.span_id,
            name: message.channel.as_str(),
            began,
            ended: SystemTime::now(),
            attributes: [
                ("messaging.message.id", message.message_id.to_string()),
                ("postroad.gateway", gateway.name().to_owned()),
                ("postroad.priority", message.priority.to_string()),
                ("postroad.attempt", message.attempt.to_string()),
            ],
            error: answer.as_ref().err().map(|error| error.reason),
        });
    }
    answer
}

/// The trace of a message; one that is not valid is none (W3C Trace Context, section 3.2.2).
fn trace_of(message: &Rendered) -> Option<TraceContext> {
    message.options.traceparent.as_deref()?.parse().ok()
}

fn note(
    gateway: &dyn Gateway,
    message: &Rendered,
    trace: Option<TraceContext>,
    answer: &Result<Accepted, SendError>,
) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let (message_id, gateway) = (message.message_id, gateway.name());
    let trace_id = trace.map(|trace| trace.trace_id_hex());
    match answer {
        Ok(_) => tracing::debug!(%message_id, trace_id, gateway, "accepted"),
        Err(error) => tracing::debug!(%message_id, trace_id, gateway, %error, "not accepted"),
    }
}
