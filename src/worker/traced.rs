//! A gateway call as a part of the caller's trace.

use std::time::{Instant, SystemTime};

use crate::gateway::{Batch, Gateway, Member, http};
use crate::model::message::Rendered;
use crate::model::outcome::{Accepted, Fault, SendError};
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
        note(gateway.name(), message, &answer);
        return answer;
    };
    let is_exported = trace.is_sampled() && otlp::is_on();
    let own = if is_exported { trace.child() } else { trace };
    let began = SystemTime::now();
    let answer = http::traced(own, gateway.send(message, deadline)).await;
    note(gateway.name(), message, &answer);
    if is_exported {
        let mut span = span(trace, own, began, gateway.name(), message);
        span.attributes.push(id_of(message));
        span.error = answer.as_ref().err().map(|error| error.reason);
        otlp::export(span);
    }
    answer
}

/// Hands `messages`, which share their options and so their trace, to a gateway's call for several. The call is one span,
/// which it carries on; each message has a span, too, below the caller's like that of a message alone, with a link to the
/// call (OpenTelemetry, "Semantic conventions for messaging spans": links stand where one parent cannot). A call that is
/// taken apart says nothing of its messages yet.
pub(super) async fn send_batch(
    batch: &dyn Batch,
    gateway: &str,
    messages: &[&Rendered],
    deadline: Instant,
) -> Result<Vec<Result<Accepted, SendError>>, SendError> {
    let members: Vec<Member<'_>> = messages.iter().copied().map(Member::from).collect();
    let first = messages.first();
    let Some((first, trace)) = first.and_then(|first| Some((first, trace_of(first)?))) else {
        return batch.send_batch(&members, deadline).await;
    };
    let is_exported = trace.is_sampled() && otlp::is_on();
    let own = if is_exported { trace.child() } else { trace };
    let began = SystemTime::now();
    let answers = http::traced(own, batch.send_batch(&members, deadline)).await;
    if !is_exported {
        return answers;
    }
    let mut call = span(trace, own, began, gateway, first);
    let count = ("messaging.batch.message_count", messages.len().to_string());
    call.attributes.push(count);
    call.error = answers.as_ref().err().map(|error| error.reason);
    otlp::export(call);
    if matches!(&answers, Err(error) if matches!(error.fault, Fault::Permanent(_))) {
        return answers;
    }
    for (nth, message) in messages.iter().enumerate() {
        let answer = match &answers {
            Ok(answers) => answers.get(nth).and_then(|answer| answer.as_ref().err()),
            Err(error) => Some(error),
        };
        let mut span = span(trace, trace.child(), began, gateway, message);
        span.attributes.push(id_of(message));
        span.call = Some(own.span_id);
        span.error = answer.map(|error| error.reason);
        otlp::export(span);
    }
    answers
}

/// A span below `trace` that ends now.
fn span(
    trace: TraceContext,
    own: TraceContext,
    began: SystemTime,
    gateway: &str,
    message: &Rendered,
) -> Span {
    Span {
        trace_id: trace.trace_id,
        span_id: own.span_id,
        parent_id: trace.span_id,
        name: message.channel.as_str(),
        began,
        ended: SystemTime::now(),
        attributes: vec![
            ("postroad.gateway", gateway.to_owned()),
            ("postroad.priority", message.priority.to_string()),
            ("postroad.attempt", message.attempt.to_string()),
        ],
        call: None,
        error: None,
    }
}

fn id_of(message: &Rendered) -> (&'static str, String) {
    ("messaging.message.id", message.message_id.to_string())
}

/// The trace of a message; one that is not valid is none (W3C Trace Context, section 3.2.2).
fn trace_of(message: &Rendered) -> Option<TraceContext> {
    message.options.traceparent.as_deref()?.parse().ok()
}

/// Says in the log what became of a message at a gateway.
pub(super) fn note(gateway: &str, message: &Rendered, answer: &Result<Accepted, SendError>) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let message_id = message.message_id;
    let trace_id = trace_of(message).map(|trace| trace.trace_id_hex());
    match answer {
        Ok(_) => tracing::debug!(%message_id, trace_id, gateway, "accepted"),
        Err(error) => tracing::debug!(%message_id, trace_id, gateway, %error, "not accepted"),
    }
}
