//! Gateways that the environment alone configures.

use toml::{Table, Value};

use super::ConfigError;

/// A gateway, and the variables that its users know.
struct Known {
    /// Its type, and its name in the configuration.
    name: &'static str,
    /// It is configured when one of these is set.
    any_of: &'static [&'static str],
    /// Setting, variable, and what the variable holds.
    settings: &'static [(&'static str, &'static str, Kind)],
}

enum Kind {
    Text,
    Integer,
}

const KNOWN: &[Known] = &[Known {
    name: "smtp",
    any_of: &["SMTP_URL", "SMTP_HOST"],
    settings: &[
        ("url", "SMTP_URL", Kind::Text),
        ("host", "SMTP_HOST", Kind::Text),
        ("port", "SMTP_PORT", Kind::Integer),
        ("username", "SMTP_USERNAME", Kind::Text),
        ("password", "SMTP_PASSWORD", Kind::Text),
        ("from", "MAIL_FROM", Kind::Text),
    ],
}];

/// Adds to `gateways` those that the environment configures. One that is there already is left alone, so that a
/// file's `host` is never mixed with the environment's `url`.
///
/// # Errors
///
/// A variable whose value cannot be what it should be.
pub(super) fn add_gateways(
    gateways: &mut Table,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(), ConfigError> {
    for known in KNOWN {
        let configured = known.any_of.iter().any(|name| variable(name).is_some());
        if !configured || gateways.contains_key(known.name) {
            continue;
        }
        let mut gateway = Table::new();
        gateway.insert("type".into(), known.name.into());
        for (setting, name, kind) in known.settings {
            let Some(text) = variable(name) else { continue };
            let value = match kind {
                Kind::Text => Value::String(text),
                Kind::Integer => Value::Integer(text.trim().parse().map_err(|_| {
                    ConfigError::new(
                        format!("gateways.{}.{setting}", known.name),
                        format!("the environment variable {name} must be a whole number"),
                    )
                })?),
            };
            gateway.insert((*setting).into(), value);
        }
        gateways.insert(known.name.into(), gateway.into());
    }
    Ok(())
}
