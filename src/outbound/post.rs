//! One delivery → one request → what it means.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use crate::db::events::Delivery;
use crate::gateway::http::{self, Answer};
use crate::gateway::webhook::sign::{self, Key};
use crate::gateway::webhook::{classify, config, send};
use crate::model::outcome::{Fault, SendError};

/// After each failed attempt, the next one: the schedule that the standard gives as an example, of three days in all.
const SCHEDULE: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(14 * 3600),
    Duration::from_secs(20 * 3600),
    Duration::from_secs(24 * 3600),
];

/// The longest that a receiver's `Retry-After` is heeded.
const HEEDED: Duration = Duration::from_secs(24 * 3600);

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Of the answer, if there was one.
    pub(super) status: Option<i32>,
    /// Why it failed; absent when it succeeded.
    pub(super) error: Option<&'static str>,
    /// When it is tried again; absent for never.
    pub(super) retry_after: Option<Duration>,
}

/// Posts a delivery, and judges the answer.
pub(super) async fn post(
    client: &Client,
    delivery: &Delivery,
    allow_private: bool,
    deadline: Instant,
) -> Verdict {
    let answer = request(client, delivery, allow_private, deadline).await;
    verdict(answer, delivery.attempts, fastrand::f64())
}

async fn request(
    client: &Client,
    delivery: &Delivery,
    allow_private: bool,
    deadline: Instant,
) -> Result<Answer, SendError> {
    let url = send::url(&delivery.url, allow_private)?;
    let headers = headers(delivery, SystemTime::now())?;
    let request = client.post(url).headers(headers);
    http::call(request.body(delivery.payload.clone()), deadline)
        .await
        .map_err(classify::judge_failure)
}

/// The header fields of the standard. `webhook-timestamp` is that of this attempt.
fn headers(delivery: &Delivery, now: SystemTime) -> Result<HeaderMap, SendError> {
    // A secret that is none was put into the table by hand: it may be mended.
    let unusable = || SendError::new(Fault::Transient { retry_after: None }, "secret_unusable");
    let keys: Result<Vec<Key>, _> = delivery
        .secrets
        .iter()
        .map(|secret| config::key("secret", secret))
        .collect();
    let keys = keys.map_err(|_| unusable())?;
    if keys.is_empty() {
        return Err(unusable());
    }
    let timestamp = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (id, body) = (&delivery.webhook_id, delivery.payload.as_bytes());
    let signature = sign::signatures(&keys, id, timestamp, body);
    let written = |text: &str| HeaderValue::try_from(text).map_err(|_| unusable());
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("webhook-id", written(id)?);
    headers.insert("webhook-timestamp", timestamp.into());
    headers.insert("webhook-signature", written(&signature)?);
    Ok(headers)
}

/// Judges: 2xx is a success, 410 the end; everything else is tried again by the schedule, or later if the receiver asks
/// for it, with up to a fifth more by `chance` (0 to 1), so that what failed together does not come back together.
fn verdict(answer: Result<Answer, SendError>, attempts: i16, chance: f64) -> Verdict {
    let status = answer.as_ref().ok().map(|a| i32::from(a.status.as_u16()));
    let judged = answer.and_then(|answer| classify::judge(&answer));
    let Err(error) = judged else {
        return Verdict {
            status,
            error: None,
            retry_after: None,
        };
    };
    let asked = match error.fault {
        Fault::Transient { retry_after } => retry_after.unwrap_or_default().min(HEEDED),
        _ => Duration::ZERO,
    };
    let nth = usize::try_from(attempts).unwrap_or(SCHEDULE.len());
    let next = SCHEDULE.get(nth).filter(|_| status != Some(410));
    Verdict {
        status,
        error: Some(error.reason),
        retry_after: next.map(|delay| delay.max(&asked).mul_f64(1.0 + chance / 5.0)),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::StatusCode;
    use reqwest::header::RETRY_AFTER;

    use super::*;

    fn answered(status: u16, retry_after: Option<&str>) -> Result<Answer, SendError> {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.parse().expect("a header"));
        }
        Ok(Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            headers,
            body: Bytes::new(),
        })
    }

    /// A receiver that is down over a weekend loses nothing; one that is gone is not asked again.
    #[test]
    fn what_fails_is_tried_again_for_three_days_unless_it_is_gone() {
        let mut total = Duration::ZERO;
        for attempts in 0..9 {
            let judged = verdict(answered(500, None), attempts, 0.0);
            assert_eq!(judged.error, Some("receiver_unavailable"));
            total += judged.retry_after.expect("another attempt");
        }
        assert_eq!(total.as_secs(), 75 * 3600 + 35 * 60 + 5);
        assert_eq!(verdict(answered(500, None), 9, 0.0).retry_after, None);
        let gone = verdict(answered(410, None), 0, 0.0);
        assert_eq!((gone.status, gone.retry_after), (Some(410), None));
    }

    /// Only 2xx is a success; a redirect is none.
    #[test]
    fn only_2xx_is_a_success() {
        for status in [200, 202, 204, 299] {
            assert_eq!(verdict(answered(status, None), 0, 0.5).error, None);
        }
        for status in [301, 307, 400, 401, 404, 429, 500, 504] {
            let judged = verdict(answered(status, None), 0, 0.0);
            assert!(judged.error.is_some(), "{status}");
            assert_eq!(judged.retry_after, Some(SCHEDULE[0]), "{status}");
        }
        let refused = verdict(Err(classify::address_not_allowed()), 0, 0.0);
        assert_eq!(refused.error, Some("address_not_allowed"));
        assert_eq!(refused.retry_after, Some(SCHEDULE[0]), "names may change");
    }

    /// A receiver may ask for more time, not for less, and not for ever; what failed together comes back apart.
    #[test]
    fn retry_after_is_heeded_within_bounds_and_chance_adds_a_fifth_at_most() {
        let delay = |retry_after, chance| {
            let judged = verdict(answered(503, retry_after), 1, chance);
            judged.retry_after.expect("another attempt").as_secs()
        };
        assert_eq!(delay(Some("3600"), 0.0), 3600);
        assert_eq!(delay(Some("1"), 0.0), 300);
        assert_eq!(delay(Some("99999999"), 0.0), 24 * 3600);
        assert_eq!(delay(None, 1.0), 360);
    }

    /// Whoever rotates a secret may take a day for it: both sign.
    #[test]
    fn each_secret_signs_and_a_broken_one_sends_nothing() {
        let delivery = |secrets: &[&str]| Delivery {
            delivery_id: 1,
            endpoint_id: 1,
            url: "https://app.example.org/".into(),
            secrets: secrets.iter().map(|s| (*s).into()).collect(),
            webhook_id: "msg_p5jXN8AQM9LWM0D4loKWxJek".into(),
            payload: r#"{"test": 2432232314}"#.into(),
            attempts: 0,
            reached: SystemTime::UNIX_EPOCH,
        };
        let at = UNIX_EPOCH + Duration::from_secs(1_614_265_330);
        let old = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"; // the vector of the standard's own libraries
        let new = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let sent = headers(&delivery(&[new, old]), at).expect("headers");
        let signature = sent["webhook-signature"].to_str().expect("text");
        let (first, second) = signature.split_once(' ').expect("two");
        assert_eq!(second, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(first.starts_with("v1,") && first != second);
        assert_eq!(sent["webhook-timestamp"], "1614265330");
        for broken in [&[][..], &["whsec_short"], &[new, "nothing"]] {
            let error = headers(&delivery(broken), at).expect_err("broken");
            assert_eq!(error.reason, "secret_unusable");
        }
    }
}
