//! Settings of which there may be several: keys during a rotation, topics.

use serde::{Deserialize, Deserializer};

/// A list in the file, or one text with commas between, as the environment has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    One(String),
    Several(Vec<String>),
}

impl<'de, T: for<'a> From<&'a str>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = match Written::deserialize(deserializer)? {
            Written::One(text) => text.split(',').map(str::to_owned).collect(),
            Written::Several(texts) => texts,
        };
        let texts = texts.iter().map(|text| text.trim());
        Ok(Self(
            texts.filter(|text| !text.is_empty()).map(T::from).collect(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The environment has no lists, and a rotation needs two keys.
    #[test]
    fn a_list_is_written_in_two_ways() {
        #[derive(Deserialize)]
        struct Settings {
            keys: List<String>,
        }
        for text in ["keys = 'a, b'", "keys = ['a', ' b ', '']"] {
            let settings: Settings = toml::from_str(text).expect(text);
            assert_eq!(settings.keys.0, ["a", "b"], "{text}");
        }
    }
}
