//! All figures, as a table and as JSON.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::figure::{Figure, number, word};
use crate::options::Options;
use postroad::db::Database;

/// All that was measured, and on what.
pub(crate) struct Report {
    facts: Vec<(&'static str, String)>,
    figures: Vec<Figure>,
    broken: Vec<String>,
}

impl Report {
    pub(crate) async fn new(cluster: &Cluster, options: &Options) -> anyhow::Result<Self> {
        let client = Database::new(&cluster.url("postgres"), "bench")?
            .connect()
            .await?;
        let version = client.query_one("show server_version", &[]).await?;
        let line = |path: &str, start: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let found = text.lines().find(|line| line.starts_with(start));
            let value = found.and_then(|line| line.split_once(':'));
            value.map_or_else(|| "unknown".into(), |(_, value)| value.trim().to_owned())
        };
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        Ok(Self {
            facts: vec![
                ("cores", cores.to_string()),
                ("processor", line("/proc/cpuinfo", "model name")),
                ("memory", line("/proc/meminfo", "MemTotal")),
                ("load before", load()),
                ("PostgreSQL", version.get(0)),
                ("settings", "fsync, synchronous_commit, full_page_writes on; shared_buffers 2GB; max_wal_size 8GB; checkpoint_timeout 15min".into()),
                ("beside them", options.set.iter().map(|(name, value)| format!("{name}={value} ")).collect()),
                ("rounds", options.rounds().to_string()),
                ("sizes", options.size("full", "quick: too small to judge by").into()),
            ],
            figures: Vec::new(),
            broken: Vec::new(),
        })
    }

    pub(crate) fn add(&mut self, figures: Vec<Figure>) {
        for figure in &figures {
            let (ours, _) = figure.middle();
            let (compared, _, met) = figure.verdict();
            let verdict = met.map_or("", word);
            crate::progress(format!(
                "{}: {} {} {compared} {verdict}",
                figure.name,
                number(ours),
                figure.unit
            ));
        }
        self.figures.extend(figures);
    }

    pub(crate) fn broke(&mut self, what: String) {
        self.broken.push(what);
    }

    pub(crate) fn took(&mut self, time: Duration) {
        self.facts.push(("load after", load()));
        self.facts
            .push(("took", format!("{:.0} s", time.as_secs_f64())));
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.broken.is_empty()
    }

    pub(crate) fn print(&self) {
        let mut rows = vec![["figure", "ours", "floor", "", "bar", ""].map(str::to_owned)];
        for figure in &self.figures {
            let (ours, floor) = figure.middle();
            let (compared, bar, met) = figure.verdict();
            let ours = format!("{} {}", number(ours), figure.unit);
            let floor = floor.map(number).unwrap_or_default();
            let met = met.map_or("", word).to_owned();
            let ours = ours.trim().to_owned();
            rows.push([figure.name.clone(), ours, floor, compared, bar, met]);
        }
        let widths: Vec<usize> = (0..6)
            .map(|n| rows.iter().map(|row| row[n].chars().count()).max())
            .map(Option::unwrap_or_default)
            .collect();
        println!();
        for row in rows {
            let cell = |n: usize| " ".repeat(widths[n] - row[n].chars().count());
            let line = format!(
                "{}{}  {}{}  {}{}  {}{}  {}{}  {}",
                row[0],
                cell(0),
                cell(1),
                row[1],
                cell(2),
                row[2],
                cell(3),
                row[3],
                row[4],
                cell(4),
                row[5]
            );
            println!("{}", line.trim_end());
        }
        println!();
        for figure in self.figures.iter().filter(|figure| !figure.note.is_empty()) {
            println!("{}: {}", figure.name, figure.note);
        }
        println!();
        for (name, value) in &self.facts {
            println!("{name:<12} {value}");
        }
        for what in &self.broken {
            println!("BROKEN       {what}");
        }
    }

    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let facts: serde_json::Map<String, Value> = self
            .facts
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let figures: Vec<Value> = self.figures.iter().map(Figure::json).collect();
        let all = json!({"facts": facts, "figures": figures, "broken": self.broken});
        fs::write(path, format!("{all:#}\n"))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// How many processes wanted to run in the last minute; on a quiet machine it is near 0 before the bench.
fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}
