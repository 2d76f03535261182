//! Settings as they may be shown.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use toml::{Table, Value};
use url::Url;

use super::problem::is_secret;
use crate::model::secret::{Secret, masked_url};

/// The settings of each table below `name` on one line, `type = smtp, host = mail.x, password = ***`.
pub(super) fn tables(settings: &Table, name: &str) -> BTreeMap<String, String> {
    let tables = settings.get(name).and_then(Value::as_table);
    let shown = tables.into_iter().flatten().filter_map(|(name, table)| {
        let table = table.as_table()?;
        // The type first, whatever the alphabet says.
        let mut keys: Vec<_> = table.keys().collect();
        keys.sort_by_key(|key| (*key != "type", *key));
        let pairs: Vec<_> = keys
            .into_iter()
            .map(|key| format!("{key} = {}", value(key, &table[key])))
            .collect();
        Some((name.clone(), pairs.join(", ")))
    });
    shown.collect()
}

/// The values of each gateway's settings that must not be shown: keys and passwords, also those in a URL. What only
/// leads to a secret, such as a file's name, or names an account is none.
pub(super) fn secrets(settings: &Table) -> BTreeMap<String, Vec<Secret>> {
    let gateways = settings.get("gateways").and_then(Value::as_table);
    let secrets = gateways.into_iter().flatten().map(|(name, gateway)| {
        let settings = gateway.as_table().into_iter().flatten();
        let texts = settings.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)));
        let secrets = texts.filter_map(|(key, text)| match Url::parse(text) {
            Ok(url) if text.contains("://") => url.password().map(|password| {
                let decoded = percent_decode_str(password).decode_utf8_lossy();
                vec![Secret::new(password), Secret::new(decoded)]
            }),
            _ => is_key(key).then(|| vec![Secret::new(text)]),
        });
        (name.clone(), secrets.flatten().collect())
    });
    secrets.collect()
}

fn is_key(name: &str) -> bool {
    let words = ["password", "secret", "token", "key"];
    let leads_to_it = ["_file", "_sid"].iter().any(|end| name.ends_with(end));
    words.iter().any(|word| name.contains(word)) && !leads_to_it && name != "key_id"
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
        let shown = tables(&settings.parse().unwrap(), "gateways");
        let expected = "type = smtp, host = mail.x, password = ***, port = 25, url = smtp://u@x";
        assert_eq!(shown["a"], expected);
    }

    /// What is masked too much cannot be read; what is masked too little can.
    #[test]
    fn the_secrets_of_a_gateway_are_its_keys_and_the_password_of_its_url() {
        let settings = "[gateways.a]\ntype='smtp'\nurl='smtp://u:hunter%202@x'\n[gateways.b]\napi_key='k1'\n\
            api_url='https://x'\nkey_file='/etc/k'\naccount_sid='AC1'\nauth_token='t1'\nfrom='a@x.org'";
        let secrets = secrets(&settings.parse().unwrap());
        let of = |name: &str| -> Vec<&str> { secrets[name].iter().map(Secret::expose).collect() };
        assert_eq!(of("a"), ["hunter%202", "hunter 2"]);
        assert_eq!(of("b"), ["k1", "t1"]);
    }
}
