//! `postroad stats`: the queue, the gateways and what failed, once or again and again.

use std::io::{IsTerminal as _, Write, stdout};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::db::DbError;
use crate::db::looks::{self, Line};
use crate::db::operate::{self, TextTable};
use crate::db::pool::Database;

/// Clears a terminal, and goes to its first line.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// How it is printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    /// JSON instead of tables: one object, or with `every` one a line.
    pub(super) as_json: bool,
    /// Again and again, with this pause.
    pub(super) every: Option<Duration>,
}

/// Prints how it goes. With `every` until it is interrupted; a database that does not answer meanwhile is waited for.
pub(super) async fn stats(url: &str, options: Options) -> anyhow::Result<()> {
    let database = Database::new(url, "postroad stats")?;
    let exists = operate::schema_exists(&database).await;
    if !exists.context("the database does not answer")? {
        bail!("the database has no schema postroad; run `postroad migrate`");
    }
    let line = Line::new(database);
    let clears = options.every.is_some() && !options.as_json && stdout().is_terminal();
    let mut before: Option<Read> = None;
    loop {
        let text = match read(&line).await {
            Ok(read) => {
                let text = match (options.as_json, options.every) {
                    (true, None) => format!("{:#}\n", read.value),
                    (true, Some(_)) => format!("{}\n", read.value),
                    (false, _) => tables(&read, before.as_ref()),
                };
                before = Some(read);
                text
            }
            Err(error) if options.every.is_none() => return Err(error.into()),
            Err(error) if options.as_json => format!("{}\n", json!({"error": error.to_string()})),
            Err(error) => format!("The database does not answer: {error}\n"),
        };
        let mut out = stdout().lock();
        let start = if clears { CLEAR } else { "" };
        let end = if options.every.is_some() && !clears && !options.as_json {
            "\n"
        } else {
            ""
        };
        // A reader that is gone (`| head`) is no failure.
        if write!(out, "{start}{text}{end}")
            .and_then(|()| out.flush())
            .is_err()
        {
            return Ok(());
        }
        drop(out);
        match options.every {
            Some(every) => sleep(every).await,
            None => return Ok(()),
        }
    }
}

struct Read {
    at: Instant,
    /// `postroad.figures()`, and the failures of `postroad.recent()`.
    value: Value,
}

async fn read(line: &Line) -> Result<Read, DbError> {
    let open = line.open().await?;
    let at = Instant::now();
    let mut value = looks::figures(open.client()).await?;
    let mut recent = looks::recent(open.client()).await?;
    open.keep();
    value["failures"] = recent["failures"].take();
    Ok(Read { at, value })
}

fn tables(read: &Read, before: Option<&Read>) -> String {
    let mut text = String::new();
    for (title, table) in [
        ("Queue", queue(read, before)),
        ("Gateways", gateways(&read.value)),
        ("Failures of the last hour", failures(&read.value)),
        ("Pauses", pauses(&read.value)),
    ] {
        if title == "Queue" || !table.rows.is_empty() {
            let gap = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}{title}\n{}", aligned(&table)));
        }
    }
    let workers = read.value["workers"].as_i64().unwrap_or(0);
    text.push_str(&match workers {
        0 => "\nNo worker runs: nothing is sent.\n".to_owned(),
        1 => "\n1 worker runs.\n".to_owned(),
        more => format!("\n{more} workers run.\n"),
    });
    text
}

fn rows(value: &Value, name: &str) -> Vec<Value> {
    value[name].as_array().cloned().unwrap_or_default()
}

/// A value as a cell: null is empty there.
fn cell(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn table(columns: &[&str], rows: Vec<Vec<Option<String>>>) -> TextTable {
    TextTable {
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        rows,
    }
}

fn queue(read: &Read, before: Option<&Read>) -> TextTable {
    let count = |queue: &Value, column: &str| queue[column].as_i64().unwrap_or(0);
    let old = before.map_or_else(Vec::new, |before| rows(&before.value, "queues"));
    let seconds = before.map_or(0.0, |before| (read.at - before.at).as_secs_f64());
    let rate =
        |count: i64| (seconds > 0.0).then(|| format!("{:.1}", count.max(0) as f64 / seconds));
    let lines = rows(&read.value, "queues")
        .into_iter()
        .enumerate()
        .map(|(nth, queue)| {
            let rates = old.get(nth).map(|old| {
                let came = count(&queue, "placed") - count(old, "placed");
                (came, came - (count(&queue, "ready") - count(old, "ready")))
            });
            let oldest = queue["oldest_seconds"]
                .as_f64()
                .map(|s| age(Duration::from_secs_f64(s)));
            let state = match (queue["paused"].as_str(), queue["is_overdue"] == true) {
                (Some(reason), _) => Some(format!("paused: {reason}")),
                (None, true) => Some("overdue".into()),
                (None, false) => None,
            };
            vec![
                cell(&queue["priority"]),
                cell(&queue["ready"]),
                oldest,
                rates.and_then(|(came, _)| rate(came)),
                rates.and_then(|(_, went)| rate(went)),
                cell(&queue["processing"]),
                cell(&queue["scheduled"]),
                cell(&queue["parked"]),
                state,
            ]
        });
    let columns = [
        "priority",
        "waiting",
        "oldest",
        "in/s",
        "out/s",
        "processing",
        "scheduled",
        "parked",
        "state",
    ];
    table(&columns, lines.collect())
}

fn gateways(value: &Value) -> TextTable {
    let lines = rows(value, "gateways").into_iter().map(|gateway| {
        let state = match (gateway["paused"].as_str(), gateway["cause"].as_str()) {
            (Some(reason), _) => Some(format!("paused: {reason}")),
            (None, Some(cause)) => Some(format!(
                "{}: {cause}",
                gateway["state"].as_str().unwrap_or_default()
            )),
            (None, None) => cell(&gateway["state"]),
        };
        let calls = gateway["calls_5m"].as_f64().unwrap_or(0.0);
        let share = (calls > 0.0).then(|| {
            format!(
                "{:.1}",
                100.0 * gateway["sent_5m"].as_f64().unwrap_or(0.0) / calls
            )
        });
        vec![
            cell(&gateway["channel"]),
            cell(&gateway["gateway"]),
            state,
            share,
            cell(&gateway["p50_ms"]),
            cell(&gateway["p95_ms"]),
            cell(&gateway["sent_1h"]),
            cell(&gateway["failed_1h"]),
            cell(&gateway["last_reason"]),
        ]
    });
    let columns = [
        "channel",
        "gateway",
        "breaker",
        "accepted%",
        "median_ms",
        "p95_ms",
        "sent_1h",
        "failed_1h",
        "last_failure",
    ];
    table(&columns, lines.collect())
}

fn failures(value: &Value) -> TextTable {
    let lines = rows(value, "failures").into_iter();
    let lines = lines.map(|row| {
        ["count", "event_type", "reason", "gateway"]
            .map(|name| cell(&row[name]))
            .to_vec()
    });
    table(&["count", "event", "reason", "gateway"], lines.collect())
}

fn pauses(value: &Value) -> TextTable {
    let lines = rows(value, "pauses").into_iter();
    let names = ["scope", "key", "paused_by", "reason"];
    table(
        &names,
        lines
            .map(|row| names.map(|name| cell(&row[name])).to_vec())
            .collect(),
    )
}

/// A span to its largest unit: `42s`, `7m`, `3h`, `2d`.
fn age(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..100 => format!("{seconds}s"),
        seconds @ 100..6000 => format!("{}m", seconds / 60),
        seconds @ 6000..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// The table as text: numbers to the right, the rest to the left, two spaces between.
pub(super) fn aligned(table: &TextTable) -> String {
    let cell =
        |row: &[Option<String>], column: usize| row[column].clone().unwrap_or_else(|| "-".into());
    let columns: Vec<(usize, bool)> = table
        .columns
        .iter()
        .enumerate()
        .map(|(column, name)| {
            let widths = table
                .rows
                .iter()
                .map(|row| cell(row, column).chars().count());
            let width = widths.chain([name.chars().count()]).max().unwrap_or(0);
            let mut values = table.rows.iter().filter_map(|row| row[column].as_deref());
            (width, values.all(|value| value.parse::<f64>().is_ok()))
        })
        .collect();
    let line = |cells: &mut dyn Iterator<Item = String>| {
        let padded: Vec<_> = cells
            .zip(&columns)
            .map(|(text, &(width, number))| match number {
                true => format!("{text:>width$}"),
                false => format!("{text:<width$}"),
            })
            .collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut text = line(&mut table.columns.iter().cloned());
    for row in &table.rows {
        text.push_str(&line(
            &mut (0..columns.len()).map(|column| cell(row, column)),
        ));
    }
    if table.rows.is_empty() {
        text.push_str("(no rows)\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Operators compare digits by their place.
    #[test]
    fn numbers_stand_right_and_text_left() {
        let row =
            |name: &str, value: Option<&str>| vec![Some(name.to_owned()), value.map(str::to_owned)];
        let table = TextTable {
            columns: vec!["gateway".into(), "sent".into()],
            rows: vec![
                row("smtp", Some("12345")),
                row("file", Some("7")),
                row("stub", None),
            ],
        };
        let expected = "gateway   sent\nsmtp     12345\nfile         7\nstub         -\n";
        assert_eq!(aligned(&table), expected);
    }

    /// Rates need two looks: seven of ten that came in two seconds went again.
    #[test]
    fn rates_are_shown_from_the_second_look_on() {
        let at = Instant::now();
        let look = |seconds, ready: i64, placed: i64| Read {
            at: at + Duration::from_secs(seconds),
            value: json!({"workers": 2, "queues": [{
                "priority": "P0", "ready": ready, "placed": placed, "oldest_seconds": 61.5, "is_overdue": false,
                "processing": 0, "scheduled": 0, "parked": 0, "paused": null,
            }]}),
        };
        let first = look(0, 0, 100);
        let text = tables(&first, None);
        assert!(
            text.contains("P0              0  61s        -      -"),
            "{text}"
        );
        let text = tables(&look(2, 3, 110), Some(&first));
        assert!(
            text.contains("P0              3  61s      5.0    3.5"),
            "{text}"
        );
        assert!(text.ends_with("\n2 workers run.\n"), "{text}");
    }

    /// One unit is enough to see whether to worry.
    #[test]
    fn ages_have_one_unit() {
        let ages = [0, 99, 100, 5999, 6000, 172_799, 172_800].map(|s| age(Duration::from_secs(s)));
        assert_eq!(ages, ["0s", "99s", "1m", "99m", "1h", "47h", "2d"]);
    }
}
