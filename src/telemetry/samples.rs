//! Samples → the text that Prometheus reads, or OpenMetrics.
//!
//! Written here and not by a library: the official one writes OpenMetrics only, and wants each figure registered with a
//! lock around it. The format is small: <https://prometheus.io/docs/instrumenting/exposition_formats/> and
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::names::{ALL, Kind, Metric};

/// How they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own text, version 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The one that an `Accept` header asks for: OpenMetrics if it is named and not refused, else Prometheus' own.
    pub fn by_accept(accept: Option<&str>) -> Self {
        let mut ranges = accept.unwrap_or_default().split(',');
        let wanted = ranges.any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_named = parts
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case("application/openmetrics-text"));
            let is_refused = parts.any(|parameter| {
                let weight = parameter
                    .strip_prefix("q=")
                    .and_then(|q| q.parse::<f32>().ok());
                weight == Some(0.0)
            });
            is_named && !is_refused
        });
        match wanted {
            true => Self::OpenMetrics,
            false => Self::Prometheus,
        }
    }

    /// Its media type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

enum Value {
    Number(f64),
    /// Upper bounds but the last one, the counts of the buckets each for itself, and the sum.
    Histogram(Vec<f64>, Vec<u64>, f64),
}

/// Samples of the metrics in the list, gathered from everywhere before they are written.
#[derive(Default)]
pub struct Samples {
    by_name: BTreeMap<&'static str, Vec<(Vec<String>, Value)>>,
}

impl Samples {
    /// Adds a sample of a counter or a gauge; `labels` are the values of its labels, in their order.
    pub fn add(&mut self, metric: &'static Metric, labels: &[&str], value: f64) {
        debug_assert!(metric.kind != Kind::Histogram, "{}", metric.name);
        self.push(metric, labels, Value::Number(value));
    }

    /// Adds a histogram: upper bounds but the last one, which is infinity, and the count of each bucket.
    pub fn histogram(
        &mut self,
        metric: &'static Metric,
        labels: &[&str],
        bounds: &[f64],
        counts: Vec<u64>,
        sum: f64,
    ) {
        debug_assert!(metric.kind == Kind::Histogram && counts.len() == bounds.len() + 1);
        self.push(
            metric,
            labels,
            Value::Histogram(bounds.to_vec(), counts, sum),
        );
    }

    fn push(&mut self, metric: &'static Metric, labels: &[&str], value: Value) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "{}", metric.name);
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.by_name
            .entry(metric.name)
            .or_default()
            .push((labels, value));
    }

    /// Writes them, in the order of the list.
    pub fn write(&self, format: Format) -> String {
        let mut text = String::new();
        for metric in ALL {
            let Some(samples) = self.by_name.get(metric.name) else {
                continue;
            };
            let shown = shown_name(metric);
            let family = match format {
                Format::Prometheus => shown.as_str(),
                Format::OpenMetrics => metric.name,
            };
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let _ = writeln!(text, "# HELP {family} {}", metric.help);
            let _ = writeln!(text, "# TYPE {family} {kind}");
            for (labels, value) in samples {
                let labels = joined(metric.labels, labels);
                match value {
                    Value::Number(number) => line(&mut text, &shown, &labels, *number),
                    Value::Histogram(bounds, counts, sum) => {
                        let mut upto = 0;
                        for (nth, count) in counts.iter().enumerate() {
                            upto += count;
                            let bound = bounds.get(nth).map_or("+Inf".into(), |b| format!("{b:?}"));
                            let comma = if labels.is_empty() { "" } else { "," };
                            let labels = format!("{labels}{comma}le=\"{bound}\"");
                            line(&mut text, &format!("{shown}_bucket"), &labels, upto as f64);
                        }
                        line(&mut text, &format!("{shown}_count"), &labels, upto as f64);
                        line(&mut text, &format!("{shown}_sum"), &labels, *sum);
                    }
                }
            }
        }
        if format == Format::OpenMetrics {
            text.push_str("# EOF\n");
        }
        text
    }
}

/// The name that samples have.
fn shown_name(metric: &Metric) -> String {
    match metric.kind {
        Kind::Counter => format!("{}_total", metric.name),
        Kind::Gauge | Kind::Histogram => metric.name.to_owned(),
    }
}

/// Every name under which a metric of the list may be asked for.
pub fn series_names() -> impl Iterator<Item = String> {
    ALL.iter().flat_map(|metric| {
        let name = shown_name(metric);
        match metric.kind {
            Kind::Counter | Kind::Gauge => vec![name],
            Kind::Histogram => ["_bucket", "_count", "_sum"]
                .map(|end| format!("{name}{end}"))
                .to_vec(),
        }
    })
}

fn joined(names: &[&str], values: &[String]) -> String {
    let mut text = String::new();
    for (name, value) in names.iter().zip(values) {
        if !text.is_empty() {
            text.push(',');
        }
        let value = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        let _ = write!(text, "{name}=\"{value}\"");
    }
    text
}

fn line(text: &mut String, name: &str, labels: &str, value: f64) {
    text.push_str(name);
    if !labels.is_empty() {
        let _ = write!(text, "{{{labels}}}");
    }
    let _ = match value {
        v if v.is_nan() => writeln!(text, " NaN"),
        v if v.is_infinite() => writeln!(text, " {}Inf", if v > 0.0 { '+' } else { '-' }),
        v => writeln!(text, " {v}"),
    };
}

#[cfg(test)]
mod tests {
    use super::super::names;
    use super::*;

    /// A scraper that is offered the wrong one drops the whole page.
    #[test]
    fn the_format_is_what_the_scraper_accepts() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        assert_eq!(Format::by_accept(Some(prometheus)), Format::OpenMetrics);
        for plain in [
            None,
            Some("*/*"),
            Some("text/plain"),
            Some("application/openmetrics-text;q=0"),
        ] {
            assert_eq!(Format::by_accept(plain), Format::Prometheus, "{plain:?}");
        }
    }

    /// Counters end in `_total`, buckets count what is below them too, labels are escaped, OpenMetrics has an end.
    #[test]
    fn samples_are_written_by_the_book() {
        let mut samples = Samples::default();
        samples.histogram(
            &names::ENQUEUE_TO_SENT,
            &["P0"],
            &[0.5, 1.0],
            vec![2, 0, 1],
            4.5,
        );
        samples.add(&names::RETRIES, &["a\"b\\c\nd"], 3.0);
        let plain = "# HELP postroad_retries_total Attempts that failed and are followed by another one.\n\
            # TYPE postroad_retries_total counter\n\
            postroad_retries_total{reason=\"a\\\"b\\\\c\\nd\"} 3\n";
        let text = samples.write(Format::Prometheus);
        assert!(text.starts_with(plain), "{text}");
        let buckets = "postroad_enqueue_to_sent_seconds_bucket{priority=\"P0\",le=\"0.5\"} 2\n\
            postroad_enqueue_to_sent_seconds_bucket{priority=\"P0\",le=\"1.0\"} 2\n\
            postroad_enqueue_to_sent_seconds_bucket{priority=\"P0\",le=\"+Inf\"} 3\n\
            postroad_enqueue_to_sent_seconds_count{priority=\"P0\"} 3\n\
            postroad_enqueue_to_sent_seconds_sum{priority=\"P0\"} 4.5\n";
        assert!(text.ends_with(buckets), "{text}");
        let open = samples.write(Format::OpenMetrics);
        assert!(
            open.contains("# TYPE postroad_retries counter\npostroad_retries_total{"),
            "{open}"
        );
        assert!(open.ends_with("# EOF\n"));
    }
}
