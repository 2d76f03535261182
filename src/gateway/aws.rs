//! What the gateways of AWS share: Signature Version 4, endpoints, and the errors that every service may answer; and what
//! SNS posts.

mod certificate;
pub(super) mod envelope;

use std::time::SystemTime;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use ring::{digest, hmac};

use super::http;
use crate::model::outcome::Fault;
use crate::model::secret::Secret;

/// Who signs.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub(super) access_key_id: Secret,
    pub(super) secret_access_key: Secret,
    /// With temporary credentials.
    pub(super) session_token: Option<Secret>,
}

impl Credentials {
    /// What must not be shown. (The key's id is none; AWS names it in its answers.)
    pub(super) fn secrets(&self) -> Vec<&Secret> {
        let token = self.session_token.iter();
        [&self.secret_access_key].into_iter().chain(token).collect()
    }
}

/// Signs requests to one service of one region (Signature Version 4).
#[derive(Clone, Debug)]
pub(super) struct Signer {
    credentials: Credentials,
    session_token: Option<HeaderValue>,
    region: String,
    service: &'static str,
}

/// Encoded in a path or a query, which is all but RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// As `ENCODED`, but a slash divides segments.
const ENCODED_IN_PATH: &AsciiSet = &ENCODED.remove(b'/');

impl Signer {
    /// Checks that the credentials can be sent.
    ///
    /// # Errors
    ///
    /// What is wrong, without a secret in it.
    pub(super) fn new(
        credentials: Credentials,
        region: &str,
        service: &'static str,
    ) -> Result<Self, String> {
        http::credential(credentials.access_key_id.expose())?;
        let token = credentials.session_token.as_ref();
        Ok(Self {
            session_token: token.map(|t| http::credential(t.expose())).transpose()?,
            credentials,
            region: region.to_owned(),
            service,
        })
    }

    /// See [`Credentials::secrets`].
    pub(super) fn secrets(&self) -> Vec<&Secret> {
        self.credentials.secrets()
    }

    /// Adds to `headers`, which are all signed, those that authorise a request of `method` to `url` with `body`
    /// for 5 minutes around `at`.
    pub(super) fn sign(
        &self,
        method: &str,
        url: &Url,
        headers: &mut HeaderMap,
        body: &[u8],
        at: SystemTime,
    ) {
        let time = timestamp(at);
        if let Ok(value) = HeaderValue::from_str(&time) {
            headers.insert("x-amz-date", value);
        }
        if let Some(token) = &self.session_token {
            headers.insert("x-amz-security-token", token.clone());
        }
        let (canonical_headers, names) = canonical_headers(url, headers);
        let request = format!(
            "{method}\n{}\n{}\n{canonical_headers}\n{names}\n{}",
            utf8_percent_encode(url.path(), ENCODED_IN_PATH),
            canonical_query(url),
            hex(digest::digest(&digest::SHA256, body).as_ref()),
        );
        let date = &time[..8];
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let hashed = hex(digest::digest(&digest::SHA256, request.as_bytes()).as_ref());
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashed}");
        let secret = format!("AWS4{}", self.credentials.secret_access_key.expose());
        let parts = [date, &self.region, self.service, "aws4_request", &to_sign];
        let signature = parts
            .iter()
            .fold(secret.into_bytes(), |key, part| mac(&key, part));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
            self.credentials.access_key_id.expose(),
            hex(&signature),
        );
        if let Ok(value) = http::credential(&authorization) {
            headers.insert(AUTHORIZATION, value);
        }
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Parameters sorted by name, then by value.
fn canonical_query(url: &Url) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    let mut pairs: Vec<_> = url
        .query_pairs()
        .map(|(name, value)| (encoded(&name), encoded(&value)))
        .collect();
    pairs.sort();
    let pairs: Vec<_> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
    pairs.join("&")
}

/// Each header in a line, by name, and the names. `Host`, which the client adds later, is among them.
fn canonical_headers(url: &Url, headers: &HeaderMap) -> (String, String) {
    let mut lines: Vec<(&str, String)> = Vec::with_capacity(headers.len() + 1);
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    lines.push(("host", format!("{host}{port}")));
    for name in headers.keys() {
        let values = headers.get_all(name).iter().map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            let words: Vec<_> = text.split(' ').filter(|word| !word.is_empty()).collect();
            words.join(" ")
        });
        lines.push((name.as_str(), values.collect::<Vec<_>>().join(",")));
    }
    lines.sort();
    let names: Vec<_> = lines.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines = lines.iter().map(|(n, v)| format!("{n}:{v}\n")).collect();
    (lines, names)
}

/// `20150830T123600Z`.
fn timestamp(at: SystemTime) -> String {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let date = httpdate::fmt_http_date(at); // Sun, 30 Aug 2015 12:36:00 GMT
    let month = MONTHS.find(&date[8..11]).unwrap_or_default() / 3 + 1;
    let (day, year, time) = (&date[5..7], &date[12..16], date[17..25].replace(':', ""));
    format!("{year}{month:02}{day}T{time}Z")
}

/// Where a service of a region is, by the host's first part.
///
/// # Errors
///
/// When `region` is no region's name.
pub(super) fn endpoint(prefix: &str, region: &str) -> Result<String, String> {
    let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if region.is_empty() || !region.bytes().all(is_name) {
        return Err("region must be the name of one, such as \"eu-central-1\"".into());
    }
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    Ok(format!("https://{prefix}.{region}.amazonaws.com{china}"))
}

/// The judgement of errors that any service may answer ("Common Errors" of each API reference): throttling, and what
/// is wrong with credentials or clock.
pub(super) fn common_fault(code: &str, message: &str) -> Option<(Fault, &'static str)> {
    let reason = match code.strip_suffix("Exception").unwrap_or(code) {
        "RequestTimeTooSkewed" | "RequestExpired" => "clock_skewed",
        "InvalidSignature" | "SignatureDoesNotMatch"
            if message.contains("Signature expired") || message.contains("not yet current") =>
        {
            "clock_skewed"
        }
        "AccessDenied"
        | "AuthFailure"
        | "AuthorizationError"
        | "ExpiredToken"
        | "IncompleteSignature"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidSecurity"
        | "InvalidSignature"
        | "MissingAuthenticationToken"
        | "NotAuthorized"
        | "OptInRequired"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClient" => "unauthorized",
        "LimitExceeded" | "RequestLimitExceeded" | "TooManyRequests" => "throttled",
        code if code.starts_with("Thrott") => "throttled",
        _ => return None,
    };
    Some((Fault::Gateway { retry_after: None }, reason))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::header::HeaderName;
    use serde::Deserialize;

    use super::*;

    /// 2015-08-30T12:36:00Z, when the test suite was signed.
    const SUITE_TIME: u64 = 1_440_938_160;

    /// Whose fields are those of a request before it is signed, and what signs it.
    #[derive(Deserialize)]
    struct Case {
        name: String,
        method: String,
        target: String,
        headers: Vec<(String, String)>,
        body: String,
        session_token: Option<Secret>,
        authorization: String,
    }

    #[derive(Deserialize)]
    struct Suite {
        cases: Vec<Case>,
    }

    fn signer(session_token: Option<Secret>) -> Signer {
        let credentials = Credentials {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token,
        };
        Signer::new(credentials, "us-east-1", "service").expect("credentials")
    }

    /// AWS's own test suite: the cases that a request of ours can be, with a path of unreserved characters and
    /// headers of one line.
    #[test]
    fn requests_of_the_published_suite_are_signed_as_published() {
        let suite = include_str!("../../tests/fixtures/aws_sigv4_suite.json");
        let suite: Suite = serde_json::from_str(suite).expect("cases");
        for case in suite.cases {
            let url = format!("https://example.amazonaws.com{}", case.target);
            let url = url.parse().expect("a URL");
            let mut headers = HeaderMap::new();
            for (name, value) in &case.headers {
                let name: HeaderName = name.parse().expect("a name");
                headers.append(name, value.parse().expect("a value"));
            }
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(SUITE_TIME);
            let body = case.body.as_bytes();
            signer(case.session_token).sign(&case.method, &url, &mut headers, body, at);
            assert_eq!(headers[AUTHORIZATION], case.authorization, "{}", case.name);
        }
    }

    /// A signer is part of what a gateway might be logged as.
    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", signer(Some("AQoDYXdz".into())));
        assert!(
            !shown.contains("wJalr") && !shown.contains("AQoD"),
            "{shown}"
        );
    }

    /// The region becomes part of a host's name.
    #[test]
    fn an_endpoint_is_of_a_region_and_of_nothing_else() {
        let frankfurt = endpoint("email", "eu-central-1");
        assert_eq!(
            frankfurt.as_deref(),
            Ok("https://email.eu-central-1.amazonaws.com")
        );
        let china = endpoint("sns", "cn-north-1");
        assert_eq!(
            china.as_deref(),
            Ok("https://sns.cn-north-1.amazonaws.com.cn")
        );
        for wrong in ["", "evil.example/", "us-east-1.evil", "EU"] {
            assert!(endpoint("email", wrong).is_err(), "{wrong}");
        }
    }
}
