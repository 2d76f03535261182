//! Settings as they may be shown.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::problem::is_secret;
use crate::model::secret::masked_url;

/// Each gateway's settings on one line, `type = smtp, host = mail.x, password = ***`.
pub(super) fn gateways(settings: &Table) -> BTreeMap<String, String> {
    let gateways = settings.get("gateways").and_then(Value::as_table);
    let shown = gateways
        .into_iter()
        .flatten()
        .filter_map(|(name, gateway)| {
            let gateway = gateway.as_table()?;
            // The type first, whatever the alphabet says.
            let mut keys: Vec<_> = gateway.keys().collect();
            keys.sort_by_key(|key| (*key != "type", *key));
            let pairs: Vec<_> = keys
                .into_iter()
                .map(|key| format!("{key} = {}", value(key, &gateway[key])))
                .collect();
            Some((name.clone(), pairs.join(", ")))
        });
    shown.collect()
}

fn value(key: &str, value: &Value) -> String {
    match value {
        Value::String(url) if is_secret(key) && url.contains("://") => masked_url(url),
        _ if is_secret(key) => "***".into(),
        Value::String(text) => text.clone(),
        // Its keys may be secret in turn.
        Value::Table(_) => "{ … }".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `check-config` is what people paste when they ask for help.
    #[test]
    fn secrets_are_masked_and_the_rest_is_readable() {
        let settings = "[gateways.a]\ntype='smtp'\nhost='mail.x'\nport=25\npassword='hunter2'\nurl='smtp://u:hunter2@x'";
        let shown = gateways(&settings.parse().unwrap());
        let expected = "type = smtp, host = mail.x, password = ***, port = 25, url = smtp://u@x";
        assert_eq!(shown["a"], expected);
    }
}
