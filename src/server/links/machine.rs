//! Who opens a mail that nobody reads: proxies that fetch its pictures beforehand, and filters that try its links.

use hyper::HeaderMap;
use hyper::header::{HeaderName, USER_AGENT};

const PURPOSES: [HeaderName; 3] = [
    HeaderName::from_static("purpose"),
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("x-purpose"),
];

/// Words of those who say who they are.
const ROBOTS: [&str; 10] = [
    "bot",
    "crawler",
    "spider",
    "preview",
    "scanner",
    "curl/",
    "wget/",
    "python-",
    "go-http-client",
    "headless",
];

/// Which machine it is, if it says so, or is known by how it says nothing. Apple's Mail Privacy Protection has no more of
/// a name than `Mozilla/5.0`; Google's and Yahoo's proxies fetch when somebody looks, mostly, but not for that person's
/// client alone.
pub(super) fn machine(headers: &HeaderMap) -> Option<&'static str> {
    let is_prefetch = PURPOSES.iter().any(|name| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| {
            let value = value.to_ascii_lowercase();
            value.contains("prefetch") || value.contains("preview")
        })
    });
    if is_prefetch {
        return Some("prefetch");
    }
    let agent = headers
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    match agent.map(str::trim) {
        None | Some("") => Some("nameless"),
        Some("Mozilla/5.0") => Some("apple_privacy"),
        Some(agent) if agent.contains("GoogleImageProxy") => Some("google_proxy"),
        Some(agent) if agent.contains("YahooMailProxy") => Some("yahoo_proxy"),
        Some(agent) => {
            let agent = agent.to_ascii_lowercase();
            ROBOTS
                .iter()
                .any(|word| agent.contains(word))
                .then_some("robot")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An open that nobody made is the reason why open rates lie.
    #[test]
    fn proxies_and_robots_are_told_from_people() {
        let machine = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().expect("a header"));
            machine(&headers)
        };
        for (agent, expected) in [
            ("Mozilla/5.0", Some("apple_privacy")),
            (
                "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
                Some("google_proxy"),
            ),
            (
                "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
                Some("yahoo_proxy"),
            ),
            ("Mozilla/5.0 (compatible; SomeBot/1.0)", Some("robot")),
            ("curl/8.5.0", Some("robot")),
            ("", Some("nameless")),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
                None,
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.5.0",
                None,
            ),
        ] {
            assert_eq!(machine("user-agent", agent), expected, "{agent}");
        }
        assert_eq!(
            machine("sec-purpose", "prefetch;prerender"),
            Some("prefetch")
        );
        assert_eq!(super::machine(&HeaderMap::new()), Some("nameless"));
    }
}
