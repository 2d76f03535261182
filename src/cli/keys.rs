//! `postroad keys`.

use std::io::{Write, stdout};
use std::time::Duration;

use anyhow::bail;
use clap::Subcommand;

use super::say;
use super::stats::aligned;
use crate::db::operate::{self, NewKey};
use crate::db::pool::Database;
use crate::model::duration;

/// What is to be done with keys.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Makes a key and prints it, this once: only its hash is kept
    #[command(
        after_help = "Examples:\n  postroad keys create billing --role sender\n  postroad keys create portal --role sender --role reader --tenant 7 --expires 90d"
    )]
    Create {
        /// Who will use it, up to 100 characters
        name: String,
        /// What it may do; may be given again
        #[arg(long = "role", value_name = "ROLE", required = true, value_parser = ["sender", "reader", "admin", "webhook"])]
        roles: Vec<String>,
        /// The tenant to which it is bound: it sees nothing else. Without it, it sees all
        #[arg(long, value_name = "ID", allow_hyphen_values = true)]
        tenant: Option<i64>,
        /// In how long it expires, such as 90d; never by default
        #[arg(long, value_name = "90d", value_parser = duration::parse)]
        expires: Option<Duration>,
        /// What it may ask a second, instead of api.requests_per_second
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1_000_000))]
        requests_per_second: Option<i32>,
    },
    /// Shows the keys, without what they are
    List {
        /// One JSON array instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Ends a key, on all servers within two seconds
    Revoke {
        /// Its id, as `list` shows it
        key_id: i64,
    },
}

/// Does it.
pub(super) async fn keys(url: &str, command: Command) -> anyhow::Result<()> {
    let database = Database::new(url, "postroad keys")?;
    match command {
        Command::Create {
            name,
            roles,
            tenant,
            expires,
            requests_per_second,
        } => {
            let key = NewKey {
                name,
                roles,
                tenant_id: tenant,
                expires_in_seconds: expires.map(|expires| expires.as_secs_f64()),
                requests_per_second,
            };
            let (key_id, key) = operate::create_api_key(&database, &key).await?;
            // The key alone on standard output: it can be piped to where it belongs.
            let _ = writeln!(std::io::stderr(), "Key {key_id}; it is shown this once:");
            say(&key);
        }
        Command::List { json: true } => {
            let keys = operate::view_json(&database, "list_api_keys()").await?;
            say(&format!("{keys:#}"));
        }
        Command::List { json: false } => {
            let table = operate::view(&database, "list_api_keys()").await?;
            let _ = write!(stdout(), "{}", aligned(&table));
        }
        Command::Revoke { key_id } => match operate::revoke_api_key(&database, key_id).await? {
            true => say(&format!("Key {key_id} is revoked.")),
            false => bail!("there is no key {key_id}, or it was revoked before"),
        },
    }
    Ok(())
}
