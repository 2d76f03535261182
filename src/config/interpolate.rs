//! `${NAME}` and `${NAME:-default}` in strings.

use toml::{Table, Value};

use super::ConfigError;

/// Replaces the variables in every string of `table`. What comes out empty is removed, as if it had not been
/// written, and so is a list that loses its last value this way.
///
/// # Errors
///
/// Names the setting, and the variable that is not set.
pub(super) fn interpolate(
    table: &mut Table,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(), ConfigError> {
    interpolate_table(table, "", variable)
}

fn interpolate_table(
    table: &mut Table,
    path: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(), ConfigError> {
    let mut kept = Table::new();
    for (key, mut value) in std::mem::take(table) {
        let path = match path {
            "" => key.clone(),
            _ => format!("{path}.{key}"),
        };
        if interpolate_value(&mut value, &path, variable)? {
            kept.insert(key, value);
        }
    }
    *table = kept;
    Ok(())
}

/// Whether the value is to be kept.
fn interpolate_value(
    value: &mut Value,
    path: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<bool, ConfigError> {
    match value {
        Value::String(text) if text.contains("${") => {
            *text = expand(text, variable).map_err(|problem| ConfigError::new(path, problem))?;
            Ok(!text.is_empty())
        }
        Value::Array(items) => {
            let before = items.len();
            let mut kept = Vec::with_capacity(before);
            for mut item in std::mem::take(items) {
                if interpolate_value(&mut item, path, variable)? {
                    kept.push(item);
                }
            }
            *items = kept;
            Ok(before == 0 || !items.is_empty())
        }
        Value::Table(table) => interpolate_table(table, path, variable).map(|()| true),
        _ => Ok(true),
    }
}

fn expand(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, reference) = (&rest[..start], &rest[start + 2..]);
        if let Some(escaped) = before.strip_suffix('$') {
            expanded.push_str(escaped);
            expanded.push_str("${");
            rest = reference;
            continue;
        }
        expanded.push_str(before);
        let (reference, after) = reference
            .split_once('}')
            .ok_or("has a ${ without its }; write $${ for a plain ${")?;
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err("has a ${…} that is no variable; write ${NAME} or ${NAME:-default}".into());
        }
        match (variable(name).filter(|value| !value.is_empty()), default) {
            (Some(value), _) => expanded.push_str(&value),
            (None, Some(default)) => expanded.push_str(default),
            (None, None) => {
                return Err(format!(
                    "the environment variable {name} is not set; set it, or write ${{{name}:-default}}"
                ));
            }
        }
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("mail.x".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    /// The forms that default.toml promises, and each one's refusal.
    #[test]
    fn variables_expand_default_or_are_refused() {
        let expand = |text| expand(text, &variable);
        assert_eq!(expand("a ${HOST} b"), Ok("a mail.x b".into()));
        assert_eq!(expand("${NONE:-x:-y}/${HOST}"), Ok("x:-y/mail.x".into()));
        assert_eq!(expand("${EMPTY:-x}"), Ok("x".into()));
        assert_eq!(expand("$${HOST} $5"), Ok("${HOST} $5".into()));
        assert!(expand("${NONE}").is_err_and(|problem| problem.contains("NONE is not set")));
        assert!(expand("${EMPTY}").is_err());
        assert!(expand("${HOST").is_err());
        assert!(expand("${A B}").is_err());
    }

    /// An operator must not have to guess which of fifty settings the variable stood in.
    #[test]
    fn a_missing_variable_is_reported_with_its_setting() {
        let mut table: Table = toml::from_str("a.b = ['x', '${NONE}']").unwrap();
        let error = interpolate(&mut table, &variable).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("a.b: the environment variable NONE")
        );
    }

    /// `url = "${DATABASE_URL:-}"` must read as "no url"; an empty list that was written must stay.
    #[test]
    fn what_comes_out_empty_is_removed_and_what_was_written_empty_stays() {
        let mut table: Table =
            toml::from_str("a = '${NONE:-}'\nb = ['${NONE:-}']\nc = []\nd = ''").unwrap();
        interpolate(&mut table, &variable).unwrap();
        assert_eq!(table.keys().collect::<Vec<_>>(), ["c", "d"]);
    }
}
