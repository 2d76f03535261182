//! What the bench was asked for.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Measures Postroad on a Postgres of its own; ./scripts/bench builds and runs it
#[derive(Clone, Debug, Parser)]
#[command(name = "bench", after_help = SUBJECTS)]
pub(crate) struct Options {
    /// Small sizes and one round: about a minute, to see that it works
    #[arg(long)]
    pub(crate) quick: bool,

    /// Only these subjects
    #[arg(long, value_name = "a,c,f", value_delimiter = ',')]
    only: Vec<char>,

    /// Rounds of each figure, of which the median counts [default: 3, quick: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=9))]
    rounds: Option<u8>,

    /// Entries of the long suppression list, for m [default: 10000000, quick: 200000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(20_000..=100_000_000))]
    list: Option<i64>,

    /// Requests after which subject x looks at memory [default: 1000000, quick: 20000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1000..=100_000_000))]
    requests: Option<u64>,

    /// Connections that say nothing beside subject x; a tenth as many that never end a line [default: 10000, quick: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(10..=50_000))]
    idle: Option<u16>,

    /// A setting of Postgres to try, such as jit=off; may be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) set: Vec<(String, String)>,

    /// Where the figures are written as JSON
    #[arg(long, value_name = "FILE", default_value = "target/bench.json")]
    pub(crate) json: PathBuf,

    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

const SUBJECTS: &str = "\
Subjects:
  a  single enqueue/s            d  WAL bytes a message          g  drains under an old snapshot
  b  bulk enqueue/s              e  worker memory                h  claims at 10 M waiting
  c  drain/s                     f  P0 latency, idle and behind  i  notifications
  j  failover under 1,000/s      k  HTTP gateway of 50 ms        l  SMTP beside smtp-source
  m  suppression checks beside a list of 10 M, and its import
  w  webhook events/s, answers, and a kill -9 in the middle
  x  POST /messages/s, beside the same by SQL, among a crowd, and memory after a million

Exit codes: 0 measured, 2 something broke. A bar that is missed is printed as missed, and is no error.";

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Options {
    /// Reads the command line; what to exit with when there is nothing to run.
    pub(crate) fn parse() -> Result<Self, ExitCode> {
        let options = Self::try_parse().map_err(|error| {
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { 2 } else { 0 })
        })?;
        match options
            .only
            .iter()
            .find(|c| !matches!(c, 'a'..='m' | 'w' | 'x'))
        {
            Some(unknown) => {
                eprintln!("bench: --only takes letters from a to m, w and x; got {unknown}");
                Err(ExitCode::from(2))
            }
            None => Ok(options),
        }
    }

    pub(crate) fn wants(&self, subject: char) -> bool {
        self.only.is_empty() || self.only.contains(&subject)
    }

    pub(crate) fn rounds(&self) -> usize {
        usize::from(self.rounds.unwrap_or(if self.quick { 1 } else { 3 }))
    }

    /// How long the long suppression list is.
    pub(crate) fn list(&self) -> i64 {
        self.list.unwrap_or(self.size(10_000_000, 200_000))
    }

    pub(crate) fn requests(&self, full: u64, quick: u64) -> u64 {
        self.requests.unwrap_or(self.size(full, quick))
    }

    pub(crate) fn idle(&self, full: usize, quick: usize) -> usize {
        self.idle.map_or(self.size(full, quick), usize::from)
    }

    /// A size: the full one, or the quick one.
    pub(crate) fn size<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}
