//! Durations as the configuration writes them.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

/// A duration written as a number and a unit: `250ms`, `30s`, `5m`, `2h`, `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text(pub Duration);

/// Reads `250ms`, `30s`, `5m`, `2h` or `30d`.
///
/// # Errors
///
/// Says what is accepted.
pub fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let refused = || {
        format!("expected a number and a unit (ms, s, m, h, d), such as \"30s\", got \"{text}\"")
    };
    let number: u64 = number.parse().map_err(|_| refused())?;
    let unit_ms = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(refused()),
    };
    let ms = number.checked_mul(unit_ms).ok_or_else(refused)?;
    Ok(Duration::from_millis(ms))
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bare number is refused: seconds to one reader are milliseconds to the next.
    #[test]
    fn a_unit_is_required() {
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("2h"), Ok(Duration::from_secs(7200)));
        assert!(parse("30").is_err());
        assert!(parse("s").is_err());
        assert!(parse("99999999999999999d").is_err());
    }
}
