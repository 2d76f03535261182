//! What must not be shown.

use std::fmt;

use serde::Deserialize;

/// A password, a key, or a URL that holds one: `Debug` does not show it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Whether it is empty, or white space alone: a secret that everybody knows.
    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// Whether it has white space at an end, as a file's last line has: it is not what the other side has.
    pub fn is_padded(&self) -> bool {
        self.0.trim().len() != self.0.len()
    }

    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self::new(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// `url` as it may be shown: without its password, or `***` when it is no URL.
pub fn masked_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "***".into();
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let authority_end = rest.find('/').unwrap_or(rest.len());
    match rest[..authority_end].rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{host}{}", &rest[authority_end..])
        }
        // A password with an unescaped slash ends up behind the authority.
        None if rest.contains('@') => format!("{scheme}://***"),
        None => format!("{scheme}://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings are logged and shown by `check-config`; what they hold must not be.
    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
        assert_eq!(Secret::new("hunter2").expose(), "hunter2");
    }

    /// Which host and database is worth showing; the password is not, wherever it stands.
    #[test]
    fn a_masked_url_keeps_its_host_and_loses_its_password() {
        let masked = |url| masked_url(url);
        assert_eq!(masked("postgres://db.x/post"), "postgres://db.x/post");
        assert_eq!(
            masked("postgres://ada:pw@db.x/post"),
            "postgres://ada@db.x/post"
        );
        assert_eq!(
            masked("postgres://ada:p@w@db.x/post"),
            "postgres://ada@db.x/post"
        );
        assert_eq!(
            masked("postgres://db.x/post?password=pw"),
            "postgres://db.x/post"
        );
        for odd in [
            "postgres://ada:p/w@db.x/post",
            "host=db.x password=pw",
            "pw",
        ] {
            assert!(
                !masked(odd).contains("pw") && !masked(odd).contains("p/w"),
                "{odd}"
            );
        }
    }
}
