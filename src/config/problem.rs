//! From a reader's complaint to one line that names the setting.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{Config, ConfigError};
use crate::gateway::endpoints::EndpointSettings;
use crate::gateway::registry::GatewaySettings;

/// Reads TOML text.
///
/// # Errors
///
/// The line and what was expected, without the line's text, which may hold a secret.
pub(super) fn parse(name: &str, text: &str) -> Result<Table, ConfigError> {
    text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().and_then(|span| text.get(..span.start));
        let line = line.map_or(1, |before| before.matches('\n').count() + 1);
        ConfigError::new(format!("{name} line {line}"), error.message())
    })
}

/// Turns settings into their types.
///
/// # Errors
///
/// The setting that does not fit.
pub(super) fn deserialize(settings: Table) -> Result<Config, ConfigError> {
    // One by one first: a tagged type reports the table, not its setting.
    check_each::<GatewaySettings>("gateways", &settings)?;
    check_each::<EndpointSettings>("webhooks", &settings)?;
    read(&Value::Table(settings)).map_err(|(path, message)| explain(&path, &message))
}

/// The value, or the path and the message of what does not fit.
fn read<T: DeserializeOwned>(value: &Value) -> Result<T, (String, String)> {
    value.clone().try_into().map_err(|error: toml::de::Error| {
        let message = error.message().to_owned();
        // The path is public only in the text: "…\nin `worker.pools.P1.poll`\n".
        let text = error.to_string();
        let path = text.trim_end().rsplit_once("\nin `");
        let path = path.and_then(|(_, path)| path.strip_suffix('`'));
        (path.unwrap_or_default().to_owned(), message)
    })
}

fn check_each<T: DeserializeOwned>(kind: &str, settings: &Table) -> Result<(), ConfigError> {
    let tables = settings.get(kind).and_then(Value::as_table);
    for (name, table) in tables.into_iter().flatten() {
        check_table::<T>(&format!("{kind}.{name}"), table)?;
    }
    Ok(())
}

fn check_table<T: DeserializeOwned>(path: &str, settings: &Value) -> Result<(), ConfigError> {
    let Err((_, message)) = read::<T>(settings) else {
        return Ok(());
    };
    // The guilty setting is the one without which the complaint is another one, or none.
    let guilty = settings.as_table().and_then(|table| {
        table.keys().find(|key| {
            let mut without = table.clone();
            without.remove(*key);
            read::<T>(&Value::Table(without)).map_or_else(|(_, other)| other != message, |_| true)
        })
    });
    Err(match guilty {
        Some(key) if !message.contains("unknown field") && !message.contains("missing field") => {
            explain(&format!("{path}.{key}"), &message)
        }
        _ => explain(path, &message),
    })
}

/// Serde's words in the operator's.
fn explain(path: &str, message: &str) -> ConfigError {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    };
    if let Some((name, expected)) = quoted_after(message, "unknown field ") {
        let problem = format!("there is no such setting{expected}");
        return ConfigError::new(below(name), problem);
    }
    if let Some((name, _)) = quoted_after(message, "missing field ") {
        return ConfigError::new(below(name), "is missing");
    }
    if let Some((name, expected)) = quoted_after(message, "unknown variant ") {
        return ConfigError::new(path, format!("there is no {name}{expected}"));
    }
    if message == "invalid socket address syntax" {
        let problem = "expected an IP address and a port, such as 127.0.0.1:8025 or [::]:8025";
        return ConfigError::new(path, problem);
    }
    if message.contains("untagged enum BackoffSettings") {
        let problem = "expected a list of delays, such as [\"60s\", \"5m\"], or \
                       { base = \"60s\", factor = 2.0, max = \"1h\" }";
        return ConfigError::new(path, problem);
    }
    if is_secret(path) {
        let expected = message
            .rsplit_once("expected ")
            .map_or("another value", |(_, e)| e);
        return ConfigError::new(path, format!("expected {expected}"));
    }
    ConfigError::new(path, message)
}

/// Splits "…{before}`name`{rest}".
fn quoted_after<'a>(message: &'a str, before: &str) -> Option<(&'a str, &'a str)> {
    message
        .strip_prefix(before)?
        .strip_prefix('`')?
        .split_once('`')
}

/// Whether the values of the setting must not be shown.
pub(super) fn is_secret(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or_default();
    let words = ["url", "pass", "secret", "token", "key", "sid", "credential"];
    !name.contains("public") && words.iter().any(|word| name.contains(word))
}
