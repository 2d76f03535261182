//! The examples for Prometheus and Grafana name only what is shown.

use std::collections::BTreeSet;

use anyhow::Context as _;
use postroad::telemetry::names;
use postroad::telemetry::samples::series_names;
use serde_json::Value;

const ALERTS: &str = include_str!("../../../scripts/observability/alerts.yml");
const DASHBOARD: &str = include_str!("../../../scripts/observability/grafana.json");

/// The metrics in a text: words that begin as ours do.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with("postroad_") || word.starts_with("process_"))
        .collect()
}

/// An alert on a metric that was renamed never rings.
#[test]
fn alerts_and_dashboard_name_only_metrics_of_the_list() -> anyhow::Result<()> {
    let listed: BTreeSet<String> = series_names().collect();
    let dashboard: Value = serde_json::from_str(DASHBOARD)?;
    let panels = dashboard["panels"].as_array().context("panels")?;
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries: Vec<&str> = targets
        .filter_map(|target| target["expr"].as_str())
        .collect();
    assert!(queries.len() >= panels.len(), "a panel shows nothing");
    let shown = queries.iter().flat_map(|query| named(query));
    let lines = ALERTS.lines().filter(|line| {
        !["#", "summary:"]
            .iter()
            .any(|start| line.trim_start().starts_with(start))
    });
    let mut asked: BTreeSet<&str> = lines.flat_map(named).collect();
    assert!(asked.len() > 10, "{asked:?}");
    asked.extend(shown);
    let unknown: Vec<_> = asked
        .iter()
        .filter(|name| !listed.contains(**name))
        .collect();
    assert!(unknown.is_empty(), "not in the list: {unknown:?}");
    // And what is measured is looked at: but for what the others are told apart by.
    let base = |name: &str| {
        ["_bucket", "_count", "_sum", "_total"]
            .iter()
            .fold(name.to_owned(), |name, end| {
                name.strip_suffix(end).map_or(name.clone(), str::to_owned)
            })
    };
    let seen: BTreeSet<String> = asked.iter().map(|name| base(name)).collect();
    let unseen: Vec<_> = names::ALL
        .iter()
        .map(|metric| metric.name)
        .filter(|name| !seen.contains(*name))
        .collect();
    assert_eq!(
        unseen,
        [
            "postroad_live_viewers",
            "postroad_trace_spans",
            "process_open_fds",
            "process_start_time_seconds"
        ]
    );
    Ok(())
}
