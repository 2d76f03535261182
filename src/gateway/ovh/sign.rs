//! OVH's signatures, and the clock that they need.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::{Client, Url};
use ring::digest;

use super::config::Keys;
use crate::gateway::http;
use crate::model::outcome::{Fault, SendError};

/// `X-Ovh-Signature` of a request: `$1$` and the SHA-1, in hex, of what identifies it, joined by `+`. `url` and `body`
/// as they are sent, `timestamp` in Unix seconds by OVH's clock.
pub(super) fn signature(
    keys: &Keys,
    method: &str,
    url: &Url,
    body: &str,
    timestamp: i64,
) -> String {
    let text = format!(
        "{}+{}+{method}+{url}+{body}+{timestamp}",
        keys.application_secret.expose(),
        keys.consumer_key.expose()
    );
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    hash.as_ref()
        .iter()
        .fold("$1$".to_owned(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}"); // to a String it cannot fail
            hex
        })
}

/// For asking OVH what time it is.
const TIME_TIMEOUT: Duration = Duration::from_secs(10);

/// OVH's clock as seen from here: OVH refuses a timestamp that is off by more than some seconds, so that the
/// difference is asked for once, and again when a request was refused for it.
#[derive(Default)]
pub(super) struct Clock {
    /// Seconds to add to ours.
    ahead: Mutex<Option<i64>>,
}

impl Clock {
    /// OVH's time in Unix seconds.
    ///
    /// # Errors
    ///
    /// Never `Unknown`: the message has not gone out yet. `Transient` (`deadline_passed`) when time is over, else
    /// the gateway's.
    pub(super) async fn now(
        &self,
        client: &Client,
        time_url: &Url,
        deadline: Instant,
    ) -> Result<i64, SendError> {
        let known = *self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = match known {
            Some(ahead) => ahead,
            None => {
                let theirs = ask(client, time_url, deadline).await?;
                let ahead = theirs - ours();
                *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
                ahead
            }
        };
        Ok(ours() + ahead)
    }

    /// Has the next request ask again.
    pub(super) fn forget(&self) {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn ours() -> i64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    elapsed.as_secs().cast_signed()
}

/// `GET /auth/time`: a plain number.
async fn ask(client: &Client, time_url: &Url, deadline: Instant) -> Result<i64, SendError> {
    let limit = deadline.min(Instant::now() + TIME_TIMEOUT);
    let unavailable =
        |retry_after| SendError::new(Fault::Gateway { retry_after }, "time_unavailable");
    let answer = http::call(client.get(time_url.clone()), limit)
        .await
        .map_err(|error| match error.fault {
            Fault::Unknown if Instant::now() >= deadline => {
                SendError::new(Fault::Transient { retry_after: None }, "deadline_passed")
            }
            Fault::Unknown => unavailable(None),
            _ => error,
        })?;
    let time = std::str::from_utf8(&answer.body)
        .ok()
        .filter(|_| answer.status.is_success())
        .and_then(|text| text.trim().parse::<i64>().ok())
        .filter(|time| (0..=32_503_680_000).contains(time)); // up to the year 3000
    time.ok_or_else(|| {
        unavailable(answer.retry_after())
            .with_code(answer.status.as_str())
            .with_text(&answer.text())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of OVH's own client (github.com/ovh/python-ovh @082e5e8, `tests/test_client.py`,
    /// `test_call_signature`).
    #[test]
    fn signatures_are_those_of_ovhs_own_client() {
        let keys = Keys {
            application_key: "fake application key".into(),
            application_secret: "fake application secret".into(),
            consumer_key: "fake consumer key".into(),
        };
        let url = "https://eu.api.ovh.com/1.0/unit/test"
            .parse()
            .expect("a URL");
        for (body, expected) in [
            ("", "$1$16ae5ba8c63841b1951575be905867991d5f49dc"),
            (
                r#"{"some": "random", "data": 42}"#,
                "$1$9acb1ac0120006d16261a635aed788e83ab172d2",
            ),
        ] {
            let signature = signature(&keys, "METHOD", &url, body, 1_404_395_931);
            assert_eq!(signature, expected);
        }
    }
}
