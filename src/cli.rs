//! The command line: what is asked for, and an error's exit code.

mod check_config;
mod keys;
mod progress;
mod psql;
mod roles;
mod send;
mod stats;
mod suppressions;
mod up;

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::config::{Config, ConfigError};
use crate::db::migrate::migrate_step_by_step;
use crate::db::pool::Database;
use crate::model::message::Priority;
use crate::{embedded, telemetry};
use progress::Progress;
use roles::Role;

/// Something went wrong while it ran.
const EXIT_RUNTIME: u8 = 1;
/// It was asked for wrongly: usage (clap exits with it too) or configuration.
const EXIT_CONFIG: u8 = 2;

/// The messaging layer of an organisation, in its Postgres.
#[derive(Debug, Parser)]
#[command(name = "postroad", version, about, after_help = EXAMPLES)]
struct Cli {
    /// Settings that differ from the defaults (TOML); without it the environment is enough
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  postroad up                                  everything, on a private Postgres under .postroad/
  export DATABASE_URL=postgres://ada@db/post   from here on, that database:
  postroad migrate && postroad run             make its schema, then run every role
  postroad worker --priorities P0,P1           one more worker, for what is urgent
  postroad psql -c 'select * from postroad.queue_stats'

Errors are one line on standard error; on a terminal, long commands show there how far they are. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs everything: a private Postgres (or DATABASE_URL), migrations and all roles
    ///
    /// The private Postgres comes from this machine's own binaries (15 or newer) and lives in .postroad/ of the
    /// working directory; Ctrl-C stops it too. Channels without a gateway write to .postroad/outbox.
    Up,
    /// Runs all roles on DATABASE_URL: worker, maintain, outbound and serve
    Run,
    /// Sends messages
    #[command(after_help = "Example:\n  postroad worker --priorities P0,P1")]
    Worker {
        /// The pools to run, such as P0,P1; all of them by default
        #[arg(long, value_name = "P0,P1,…", value_delimiter = ',')]
        priorities: Vec<Priority>,
    },
    /// Answers HTTP: the live page, the API (/api/v1, /openapi.json), providers' webhooks, figures and health checks
    Serve,
    /// Keeps the tables: promotion of what is due, rescue, partitions, counters
    Maintain,
    /// Posts events to the endpoints that asked for them
    Outbound,
    /// Makes the schema `postroad`, or brings it up to date
    Migrate,
    /// Checks the configuration, down to each gateway's credentials, and shows it, secrets masked
    ///
    /// Each provider that has one is asked by a call that sends nothing. Exits with 2 when a setting is wrong, with 1
    /// when a provider or the database does not answer.
    CheckConfig {
        /// Asks neither providers nor the database
        #[arg(long)]
        offline: bool,
    },
    /// Sends one message through one gateway, and prints what goes over the wire, secrets masked
    ///
    /// It is not queued, and leaves no trace in the database; but if one is configured, a suppressed recipient is
    /// refused.
    #[command(
        after_help = "Example:\n  postroad send --channel email --to ada@example.org --gateway ses --subject Hello --body 'It works.'"
    )]
    Send(send::Arguments),
    /// Shows what waits in the queues, how the gateways do and what failed
    #[command(
        after_help = "Examples:\n  postroad stats --watch\n  postroad stats --json | jq .queues"
    )]
    Stats {
        /// One JSON object instead of tables; with --watch one a line
        #[arg(long)]
        json: bool,
        /// Again and again, every so many seconds, with rates
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = clap::value_parser!(u16).range(1..))]
        watch: Option<u16>,
    },
    /// Makes, shows and ends the keys of the HTTP API
    #[command(subcommand)]
    Keys(keys::Command),
    /// Imports and exports the suppression list
    Suppressions {
        #[command(subcommand)]
        command: suppressions::Command,
    },
    /// Opens psql on the database, its search_path set to postroad
    #[command(
        after_help = "Examples:\n  postroad psql\n  postroad psql -c 'select * from queue_stats'"
    )]
    Psql {
        /// Passed on to psql
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "ARGS"
        )]
        arguments: Vec<String>,
    },
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = format!("{error:#}")
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            let _ = writeln!(std::io::stderr(), "postroad: {line}");
            match error.chain().any(|cause| cause.is::<ConfigError>()) {
                true => ExitCode::from(EXIT_CONFIG),
                false => ExitCode::from(EXIT_RUNTIME),
            }
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    let config = Config::load(cli.config.as_deref())?;
    let all = Priority::ALL.to_vec();
    match cli.command {
        Command::Up => up::up(config).await,
        Command::Run => {
            let serve = [Role::Maintain, Role::Outbound, Role::Serve];
            let roles = [Role::Worker(all)].into_iter().chain(serve).collect();
            roles::run(config, roles).await
        }
        Command::Worker { priorities } if priorities.is_empty() => {
            roles::run(config, vec![Role::Worker(all)]).await
        }
        Command::Worker { mut priorities } => {
            priorities.sort();
            priorities.dedup();
            roles::run(config, vec![Role::Worker(priorities)]).await
        }
        Command::Serve => roles::run(config, vec![Role::Serve]).await,
        Command::Maintain => roles::run(config, vec![Role::Maintain]).await,
        Command::Outbound => roles::run(config, vec![Role::Outbound]).await,
        Command::Migrate => {
            telemetry::start();
            let database = Database::new(configured_url(&config)?, "postroad migrate")?;
            let mut progress = Progress::new("steps");
            let mut told = |done: usize, of: usize| {
                progress.show(done as u64, Some((done as u64, of as u64)));
            };
            let migrated = migrate_step_by_step(&database, &mut told).await;
            migrated.context("cannot migrate")?;
            drop(progress);
            say("The schema postroad is up to date.");
            Ok(())
        }
        Command::CheckConfig { offline } => {
            check_config::check_config(&config, cli.config.as_deref(), offline).await
        }
        Command::Send(arguments) => send::send(&config, arguments).await,
        Command::Stats { json, watch } => {
            let options = stats::Options {
                as_json: json,
                every: watch.map(|seconds| Duration::from_secs(seconds.into())),
            };
            stats::stats(&operators_url(&config).await?, options).await
        }
        Command::Keys(command) => keys::keys(&operators_url(&config).await?, command).await,
        Command::Suppressions { command } => {
            suppressions::run(&operators_url(&config).await?, command).await
        }
        Command::Psql { arguments } => psql::psql(&operators_url(&config).await?, &arguments),
    }
}

/// The database that a role works on: only one that is configured.
fn configured_url(config: &Config) -> Result<&str, ConfigError> {
    let url = config.database.url.as_ref().map(|url| url.expose());
    url.ok_or_else(|| {
        let problem = "is missing: set DATABASE_URL, such as postgres://user:password@host:5432/name, or use \
                       `postroad up`, which brings its own Postgres";
        ConfigError::new("database.url", problem)
    })
}

/// The database that an operator looks at: the one that is configured, or the one of the `up` that runs here.
async fn operators_url(config: &Config) -> Result<String, ConfigError> {
    if let Some(url) = &config.database.url {
        return Ok(url.expose().to_owned());
    }
    embedded::running_url(Path::new(embedded::FOLDER)).await.ok_or_else(|| {
        let problem = "is missing, and no `postroad up` runs in this directory: set DATABASE_URL, or start `postroad up`";
        ConfigError::new("database.url", problem)
    })
}

/// Prints for people. A reader that is gone is no reason to stop.
fn say(text: &str) {
    let _ = writeln!(stdout(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// clap finds contradictions among arguments only when they are used.
    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// psql's own options must not be taken for ours.
    #[test]
    fn what_follows_psql_is_passed_on() {
        let cli = Cli::parse_from(["postroad", "psql", "-Atc", "select 1", "--csv"]);
        let Command::Psql { arguments } = cli.command else {
            panic!("{cli:?}");
        };
        assert_eq!(arguments, ["-Atc", "select 1", "--csv"]);
    }

    /// `--watch` alone is enough; what follows it may be another option.
    #[test]
    fn watching_has_a_pace_of_its_own() {
        let watch = |arguments: &[&str]| {
            let cli = Cli::try_parse_from([&["postroad", "stats"], arguments].concat()).ok()?;
            let Command::Stats { watch, .. } = cli.command else {
                panic!("not stats")
            };
            Some(watch)
        };
        assert_eq!(watch(&[]), Some(None));
        assert_eq!(watch(&["--watch"]), Some(Some(2)));
        assert_eq!(watch(&["--watch", "--json"]), Some(Some(2)));
        assert_eq!(watch(&["--watch", "5"]), Some(Some(5)));
        assert_eq!(watch(&["--watch", "0"]), None);
    }

    /// A typo in a priority is a pool that nobody runs.
    #[test]
    fn priorities_are_a_list_of_known_names() {
        let parse = |list| Cli::try_parse_from(["postroad", "worker", "--priorities", list]);
        let Command::Worker { priorities } = parse("P0,P4").unwrap().command else {
            panic!("not a worker");
        };
        assert_eq!(priorities, [Priority::P0, Priority::P4]);
        assert!(parse("P0,P9").is_err_and(|error| error.to_string().contains("accepted: P0")));
    }
}
