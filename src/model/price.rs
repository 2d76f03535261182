//! What a text message costs: by gateway, and by where it goes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Prices of one part of a text message, by gateway and by the digits with which the number begins. In any currency, but
/// the same for all.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "BTreeMap<String, BTreeMap<String, f64>>")]
pub struct Prices(BTreeMap<String, BTreeMap<String, f64>>);

impl TryFrom<BTreeMap<String, BTreeMap<String, f64>>> for Prices {
    type Error = String;

    fn try_from(written: BTreeMap<String, BTreeMap<String, f64>>) -> Result<Self, String> {
        let mut prices = BTreeMap::new();
        for (gateway, of_gateway) in written {
            let mut by_prefix = BTreeMap::new();
            for (prefix, price) in of_gateway {
                let digits = prefix.strip_prefix('+').unwrap_or(&prefix);
                if !digits.bytes().all(|byte| byte.is_ascii_digit()) || digits.len() > 15 {
                    return Err(format!(
                        "{gateway}: expected a prefix such as \"+49\", or \"+\" for all numbers, got \"{prefix}\""
                    ));
                }
                if !price.is_finite() || price < 0.0 {
                    return Err(format!("{gateway}: a price must be 0 or more, got {price}"));
                }
                by_prefix.insert(digits.to_owned(), price);
            }
            prices.insert(gateway, by_prefix);
        }
        Ok(Self(prices))
    }
}

impl Prices {
    /// Whether no price is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The gateways that have prices.
    pub fn gateways(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The price of a part to `number` (E.164) by `gateway`: that of the longest prefix. None when it is not known.
    pub fn of(&self, gateway: &str, number: &str) -> Option<f64> {
        let by_prefix = self.0.get(gateway)?;
        let digits = number.strip_prefix('+').unwrap_or(number);
        let prefixes = (0..=digits.len().min(15)).rev();
        prefixes
            .filter_map(|length| by_prefix.get(digits.get(..length)?))
            .copied()
            .next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices(text: &str) -> Result<Prices, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    /// Mobile networks of a country cost more than its other numbers, and some countries share a code.
    #[test]
    fn the_longest_prefix_says_what_a_number_costs() {
        let prices = prices("[a]\n'+49' = 0.07\n'4915' = 0.08\n'+' = 1\n[b]\n'+1' = 0.01").unwrap();
        for (gateway, number, price) in [
            ("a", "+493012345", Some(0.07)),
            ("a", "+4915112345", Some(0.08)),
            ("a", "+15005550006", Some(1.0)),
            ("b", "+15005550006", Some(0.01)),
            ("b", "+493012345", None),
            ("c", "+493012345", None),
            ("a", "+é", Some(1.0)),
        ] {
            assert_eq!(prices.of(gateway, number), price, "{gateway} {number}");
        }
    }

    /// A price that is none would send everything one way.
    #[test]
    fn what_is_no_price_is_refused() {
        for wrong in [
            "'+49' = -1",
            "'+49' = nan",
            "'49a' = 1",
            "'++49' = 1",
            "'DE' = 1",
        ] {
            assert!(prices(&format!("[a]\n{wrong}")).is_err(), "{wrong}");
        }
        assert!(prices("[a]\n'+49' = 0").is_ok());
    }
}
