//! The one list of metrics: what is not in it is never shown.
//!
//! Names and units follow the conventions of Prometheus. Labels have values from closed sets: priorities, channels,
//! events, outcomes, configured gateways and the reasons of our own code, never an address, an id or a tenant.

/// What kind of figure a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up only, and starts over with the process (or, where it says so, never).
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

/// One metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name; what is shown of a counter ends in `_total`.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, in a sentence.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(
            #[doc = $help]
            pub static $constant: Metric = Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };
        )+

        /// All of them, in the order in which they are shown.
        pub static ALL: &[&Metric] = &[$(&$constant),+];
    };
}

metrics! {
    BUILD_INFO: Gauge "postroad_build_info" ["version"]
        "The version that runs; always 1.";

    // The queue, as the database has it: every process that serves it shows the same. Use max, not sum.
    DATABASE_UP: Gauge "postroad_database_up" []
        "Whether the database answered this scrape; the figures of the queue are left out when it did not.";
    QUEUE_DEPTH: Gauge "postroad_queue_depth" ["priority"]
        "Messages that can be sent now: exact below 10,000, above that the span of their places, which is at most a few rows too many.";
    QUEUE_OLDEST: Gauge "postroad_queue_oldest_age_seconds" ["priority"]
        "Age of the message that is next in the queue; 0 when none waits.";
    QUEUE_OVERDUE: Gauge "postroad_queue_overdue" ["priority"]
        "1 when the next message is older than its priority allows (P0 300 s, P1 900 s, P2 and P4 3600 s, P3 86400 s).";
    QUEUE_PAUSED: Gauge "postroad_queue_paused" ["priority"]
        "1 while the priority is paused.";
    ENQUEUED: Counter "postroad_enqueued_messages" ["channel"]
        "Messages enqueued and committed, as they are counted a few seconds later; starts over at midnight, UTC.";
    QUEUE_PLACED: Counter "postroad_queue_placed" ["priority"]
        "Places given in the queue: to messages that were enqueued, came due or are tried again; also to those rolled back. Never starts over.";
    SCHEDULED: Gauge "postroad_scheduled_messages" ["priority"]
        "Messages that wait for their time or their next attempt; 10,000 stands for that many or more.";
    PARKED: Gauge "postroad_parked_messages" ["priority"]
        "Messages that a pause holds; 10,000 stands for that many or more.";
    PROCESSING: Gauge "postroad_processing_messages" ["priority"]
        "Messages that workers have claimed and not finished.";
    FLOOR_LAG: Gauge "postroad_queue_floor_lag" ["priority"]
        "Places between the floor, where claims start to look, and the first message that waits.";
    OLDEST_LEASE: Gauge "postroad_oldest_lease_age_seconds" []
        "Age of the oldest claimed batch; 0 without one.";
    WORKERS: Gauge "postroad_workers" []
        "Worker processes that said within 15 seconds that they live.";
    PAUSES: Gauge "postroad_pauses" ["scope"]
        "What is paused, by scope.";
    PARTITIONS_AHEAD: Gauge "postroad_partitions_ahead" []
        "Days after today that have their partitions.";
    NOTIFY_USAGE: Gauge "postroad_notify_queue_usage_ratio" []
        "How full the server's queue of notifications is, 0 to 1: a session that listens and does not read fills it.";
    GATEWAY_SUCCESS: Gauge "postroad_gateway_success_ratio" ["gateway", "channel"]
        "Share of the calls of the last 5 minutes, on all nodes, that the provider accepted.";

    WEBHOOK_EVENTS: Counter "postroad_webhook_events" ["gateway", "result"]
        "What became of the requests of providers, on all nodes: stored, parsed or in error; and events, those that were in them.";

    // What this process did.
    CLAIMS: Counter "postroad_claims" ["priority", "result"]
        "Claims: with messages, empty, or failed.";
    CLAIMED: Counter "postroad_claimed_messages" ["priority"]
        "Messages that were claimed.";
    COMPLETIONS: Counter "postroad_completions" ["priority", "result"]
        "Batches of outcomes: written, or failed and tried again.";
    SENT: Counter "postroad_sent_messages" ["priority"]
        "Messages that a gateway accepted, once that is written down.";
    ENDED: Counter "postroad_failed_messages" ["event", "reason"]
        "Messages that ended unsent: bounced, expired, failed, suppressed or unknown, and why.";
    RETRIES: Counter "postroad_retries" ["reason"]
        "Attempts that failed and are followed by another one.";
    SNOOZES: Counter "postroad_snoozes" ["reason"]
        "Messages put off without an attempt that counts: no gateway in order, a gateway's fault, a pause.";
    ENQUEUE_TO_SENT: Histogram "postroad_enqueue_to_sent_seconds" ["priority"]
        "From enqueue to the written outcome sent; of scheduled messages it has their wait, too.";
    GATEWAY_REQUEST: Histogram "postroad_gateway_request_seconds" ["gateway", "outcome"]
        "Calls of gateways: accepted, or by whose fault not (transient, permanent, gateway, unknown).";
    GATEWAY_IN_FLIGHT: Gauge "postroad_gateway_in_flight" ["gateway"]
        "Calls under way.";
    GATEWAY_BREAKER: Gauge "postroad_gateway_breaker" ["gateway", "state"]
        "1 for the state that the gateway's breaker is in: closed, half_open or open.";
    GATEWAY_PAUSED: Gauge "postroad_gateway_paused" ["gateway"]
        "1 while an operator has paused the gateway.";
    WEBHOOK_REQUESTS: Counter "postroad_webhook_requests" ["result"]
        "Requests of providers to this process: stored, duplicate, ignored, or how they were refused.";
    DATABASE_CONNECTIONS: Gauge "postroad_database_connections" ["pool", "state"]
        "Connections to the database: idle, used, and tasks that wait for one.";
    DATABASE_CONNECTIONS_MAX: Gauge "postroad_database_connections_max" ["pool"]
        "Connections that the pool may have.";
    LIVE_VIEWERS: Gauge "postroad_live_viewers" []
        "Browsers that look at the live page now.";
    SPANS: Counter "postroad_trace_spans" ["result"]
        "Spans of traced messages: exported, or dropped because the collector did not take them.";

    // Of the process, by the names that every client library uses.
    PROCESS_CPU: Counter "process_cpu_seconds" []
        "Processor time, of user and system.";
    PROCESS_MEMORY: Gauge "process_resident_memory_bytes" []
        "Resident memory.";
    PROCESS_FILES: Gauge "process_open_fds" []
        "Open file descriptors.";
    PROCESS_START: Gauge "process_start_time_seconds" []
        "When it started, in seconds since 1970.";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prometheus refuses a page that names a metric twice; `_total` and the like are put behind by the writer.
    #[test]
    fn names_are_unique_and_well_formed() {
        let mut names: Vec<_> = ALL.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            let ours = metric.name.starts_with("postroad_") || metric.name.starts_with("process_");
            let is_plain = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(ours && is_plain(metric.name), "{}", metric.name);
            assert!(
                metric
                    .labels
                    .iter()
                    .all(|label| is_plain(label) && *label != "le")
            );
            let suffixes = ["_total", "_count", "_sum", "_bucket", "_created"];
            assert!(
                !suffixes.iter().any(|s| metric.name.ends_with(s)),
                "{}",
                metric.name
            );
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }
}
