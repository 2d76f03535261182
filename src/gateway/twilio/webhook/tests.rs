use proptest::prelude::*;

use super::*;
use crate::gateway::testing;

const FORM: &str = "application/x-www-form-urlencoded";
const ID: &str = "01920000-0000-7000-8000-000000000001";

/// The vectors of Twilio's own library (twilio-python @30368b0, `tests/unit/test_request_validator.py`).
const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
const BODY: &str = "CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309";
const SIGNATURE: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
const JSON: &str = r#"{"property": "value", "boolean": true}"#;
const JSON_HASH: &str = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
const JSON_SIGNATURE: &str = "a9nBmqA0ju/hNViExpshrM61xv4=";

fn source(settings: &str) -> Source {
    Source::new("twilio", &toml::from_str(settings).expect("settings")).expect("a source")
}

fn verify(
    source: &Source,
    url: &str,
    headers: &[(&'static str, &str)],
    body: &str,
) -> Result<Verified, Refused> {
    testing::verify(source, url, headers, body.as_bytes())
}

fn posted(source: &Source, url: &str, signature: &str, body: &str) -> Result<Verified, Refused> {
    let headers = [("x-twilio-signature", signature), ("content-type", FORM)];
    verify(source, url, &headers, body)
}

/// What Twilio's library accepts, we accept.
#[test]
fn signatures_of_twilios_own_library_are_accepted() {
    let source = source("auth_token = '12345'");
    let verified = posted(&source, URL, SIGNATURE, BODY).expect("verified");
    assert_eq!(verified.key.as_deref(), Some(SIGNATURE));
    let sent_otherwise = "Caller=%2B14158675309&To=%2b18005551212&From=%2B14158675309&Digits=1234&CallSid=CA1234567890ABCDE";
    assert!(posted(&source, URL, SIGNATURE, sent_otherwise).is_ok());
    assert!(
        posted(
            &source,
            URL,
            "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
            "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234"
        )
        .is_ok(),
        "values of one name"
    );
    for (url, signature) in [
        (URL.replace(".com", ".com:1234"), SIGNATURE),
        (
            URL.replace(".com", ".com:1234").replace("https", "http"),
            "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=",
        ),
        (URL.to_owned(), "kvajT1Ptam85bY51eRf/AJRuM3w="),
        (URL.replace("https", "http"), "0ZXoZLH/DfblKGATFgpif+LLRf4="),
    ] {
        assert!(posted(&source, &url, signature, BODY).is_ok(), "{url}");
    }
    let url = format!("{URL}&bodySHA256={JSON_HASH}");
    let headers = [
        ("x-twilio-signature", JSON_SIGNATURE),
        ("content-type", "application/json"),
    ];
    assert!(verify(&source, &url, &headers, JSON).is_ok());
}

/// A forged STOP silences a person, a forged failure hides a delivery.
#[test]
fn each_single_change_is_refused() {
    let source = source("auth_token = '12345'");
    for (what, url, signature, body) in [
        ("body", URL, SIGNATURE, BODY.replace("1234&", "1235&")),
        ("parameter more", URL, SIGNATURE, format!("{BODY}&X=") + "1"),
        (
            "parameter less",
            URL,
            SIGNATURE,
            BODY.replace("&Digits=1234", ""),
        ),
        ("no body", URL, SIGNATURE, String::new()),
        (
            "query",
            "https://mycompany.com/myapp.php?foo=1&bar=3",
            SIGNATURE,
            BODY.into(),
        ),
        (
            "path",
            "https://mycompany.com/myapp?foo=1&bar=2",
            SIGNATURE,
            BODY.into(),
        ),
        (
            "host",
            "https://my-company.com/myapp.php?foo=1&bar=2",
            SIGNATURE,
            BODY.into(),
        ),
        (
            "scheme",
            "http://mycompany.com/myapp.php?foo=1&bar=2",
            SIGNATURE,
            BODY.into(),
        ),
        (
            "signature",
            URL,
            "RSOYDt4T1cUTdK1PDd93/VVr8B9=",
            BODY.into(),
        ),
        (
            "cut signature",
            URL,
            "RSOYDt4T1cUTdK1PDd93/VVr",
            BODY.into(),
        ),
        ("empty signature", URL, "", BODY.into()),
        ("garbage", URL, "*", BODY.into()),
    ] {
        let refused = posted(&source, url, signature, &body);
        assert!(
            matches!(refused, Err(Refused::Unauthenticated(_))),
            "{what}"
        );
    }
    let missing = verify(&source, URL, &[("content-type", FORM)], BODY);
    assert!(missing.is_err(), "no signature");
    let twice = [
        ("x-twilio-signature", SIGNATURE),
        ("x-twilio-signature", SIGNATURE),
        ("content-type", FORM),
    ];
    assert!(verify(&source, URL, &twice, BODY).is_err(), "two of them");
    let other = self::source("auth_token = '12346'");
    assert!(posted(&other, URL, SIGNATURE, BODY).is_err(), "other token");
    let other_kind = verify(
        &source,
        URL,
        &[
            ("x-twilio-signature", SIGNATURE),
            ("content-type", "text/plain"),
        ],
        BODY,
    );
    assert!(other_kind.is_err(), "a body that is not signed");
}

/// The hash in the URL is what ties a body to its signature.
#[test]
fn a_json_body_is_tied_to_its_url() {
    let source = source("auth_token = '12345'");
    let url = format!("{URL}&bodySHA256={JSON_HASH}");
    let verify = |url: &str, signature, body: &str| {
        let headers = [
            ("x-twilio-signature", signature),
            ("content-type", "application/json"),
        ];
        super::tests::verify(&source, url, &headers, body)
    };
    assert!(verify(&url, JSON_SIGNATURE, JSON).is_ok());
    assert!(verify(&url, JSON_SIGNATURE, &JSON.replace("true", "false")).is_err());
    assert!(verify(&url.replace("0a1f", "0b1f"), JSON_SIGNATURE, JSON).is_err());
    assert!(verify(URL, JSON_SIGNATURE, JSON).is_err(), "no hash");
}

/// While a token replaces another both sign, and a subaccount has its own.
#[test]
fn any_configured_token_may_sign() {
    let source = source("auth_token = 'new'\nother_auth_tokens = ['older', '12345']");
    assert!(posted(&source, URL, SIGNATURE, BODY).is_ok());
}

/// The newer scheme, as the library 9.13.0 checks it: the same text, another key and hash.
#[test]
fn a_shared_key_signs_by_its_own_name_only() {
    let source = source("shared_keys = { SK1 = '12345' }");
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"12345");
    let text = format!("{URL}X1Y2");
    let tag = ring::hmac::sign(&key, text.as_bytes());
    let signature = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, tag);
    let verify = |settings: Option<&'static str>| {
        let mut headers = vec![
            ("x-twilio-signature", signature.as_str()),
            ("content-type", FORM),
        ];
        headers.extend(settings.map(|text| ("x-twilio-webhooks-signature-settings", text)));
        super::tests::verify(&source, URL, &headers, "Y=2&X=1")
    };
    assert!(verify(Some("key=SK1,algorithm=HMAC_SHA256")).is_ok());
    for wrong in [
        None,
        Some(""),
        Some("key=SK2,algorithm=HMAC_SHA256"),
        Some("algorithm=HMAC_SHA256"),
        Some("key=SK1"),
        Some("key=SK1,algorithm=HMAC_SHA1"),
        Some("key=SK1,algorithm=none"),
    ] {
        assert!(verify(wrong).is_err(), "{wrong:?}");
    }
}

/// An empty secret signs for everybody.
#[test]
fn settings_without_a_secret_are_refused() {
    for wrong in [
        "",
        "auth_token = ''",
        "auth_token = 'x'\nother_auth_tokens = ['']",
        "shared_keys = { SK1 = '' }",
        "auth_token = '  '",
        "auth_token = 'x '",
        "shared_keys = { SK1 = \"x\\n\" }",
    ] {
        let settings = toml::from_str(wrong).expect("settings");
        assert!(Source::new("twilio", &settings).is_err(), "{wrong}");
    }
}

fn parse(
    query: Option<&str>,
    content_type: Option<&str>,
    body: &[u8],
) -> Result<Vec<Report>, Unreadable> {
    testing::parse(&source("auth_token = 'x'"), query, content_type, body)
}

#[derive(serde::Deserialize)]
struct Fixture {
    name: String,
    content_type: String,
    query: Option<String>,
    body: String,
}

fn fixture(name: &str) -> Vec<Report> {
    let text = include_str!("../../../../tests/fixtures/webhooks/twilio/sources.json");
    let fixtures: Vec<Fixture> = serde_json::from_str(text).expect("fixtures");
    let fixture = fixtures.into_iter().find(|f| f.name == name).expect(name);
    let kind = Some(fixture.content_type.as_str());
    parse(fixture.query.as_deref(), kind, fixture.body.as_bytes()).expect("reports")
}

/// What Twilio's documentation shows.
#[test]
fn documented_callbacks_are_read() {
    let id = Uuid::try_parse(ID).expect("an id");
    let delivered = fixture("delivered");
    let expected = Report {
        message_id: Some(id),
        external_id: Some("SM2xxxxxx".into()),
        ..Report::new(EventType::Delivered, "delivered", "SM2xxxxxx:delivered")
    };
    assert_eq!(delivered, [expected]);

    let undelivered = fixture("undelivered_30003");
    let expected = Report {
        message_id: Some(id),
        external_id: Some("SM2xxxxxx".into()),
        reason: Some("unreachable"),
        bounce: Some(Bounce {
            kind: BounceKind::Soft,
            class: BounceClass::MailboxUnavailable,
        }),
        code: Some("30003".into()),
        ..Report::new(EventType::Bounced, "undelivered", "SM2xxxxxx:undelivered")
    };
    assert_eq!(undelivered, [expected]);

    let inbound = fixture("inbound");
    let expected = Report {
        external_id: Some("SM3xxxxxx".into()),
        recipient: Some("+14158675309".into()),
        wish: Some(Wish::Stop),
        text: Some("Stop".into()),
        detail: vec![("to", "+15017122661".into())],
        ..Report::new(EventType::Received, "received", "SM3xxxxxx:received")
    };
    assert_eq!(inbound, [expected]);

    let call = fixture("call_completed");
    let expected = Report {
        message_id: Some(id),
        external_id: Some("CA1234567890ABCDE".into()),
        detail: vec![
            ("answered_by", "human".into()),
            ("duration_seconds", "12".into()),
        ],
        ..Report::new(
            EventType::Delivered,
            "completed",
            "CA1234567890ABCDE:completed",
        )
    };
    assert_eq!(call, [expected]);
}

fn form(body: &str) -> Vec<Report> {
    parse(None, Some(FORM), body.as_bytes()).expect("reports")
}

/// Only what is the recipient's may suppress, and a carrier's opt-out is the person's own word.
#[test]
fn error_codes_say_whose_fault_it_was() {
    let one = |status: &str, code: &str| {
        let body = format!("MessageSid=SM1&MessageStatus={status}&ErrorCode={code}");
        let mut reports = form(&body);
        assert_eq!(reports.len(), 1, "{code}");
        let report = reports.remove(0);
        (
            report.event_type,
            report.reason.expect("a reason"),
            report.bounce.map(|bounce| (bounce.kind, bounce.class)),
        )
    };
    use BounceClass::*;
    use BounceKind::*;
    use EventType::*;
    for (status, code, expected) in [
        (
            "undelivered",
            "30005",
            (Bounced, "unknown_number", Some((Hard, InvalidRecipient))),
        ),
        (
            "undelivered",
            "30006",
            (
                Bounced,
                "not_a_mobile_number",
                Some((Hard, InvalidRecipient)),
            ),
        ),
        (
            "undelivered",
            "30008",
            (Bounced, "unreachable", Some((Soft, Undetermined))),
        ),
        (
            "undelivered",
            "30017",
            (Bounced, "unreachable", Some((Soft, Network))),
        ),
        ("undelivered", "30007", (Failed, "content_refused", None)),
        ("failed", "30034", (Failed, "sender_not_registered", None)),
        ("failed", "99999", (Failed, "failed", None)),
        ("failed", "", (Failed, "failed", None)),
        (
            "undelivered",
            "",
            (Bounced, "undelivered", Some((Soft, Undetermined))),
        ),
        ("canceled", "", (Failed, "canceled", None)),
    ] {
        assert_eq!(one(status, code), expected, "{status} {code}");
    }
    let opt_out = form("MessageSid=SM1&MessageStatus=failed&ErrorCode=21610");
    let types: Vec<_> = opt_out.iter().map(|r| (r.event_type, r.wish)).collect();
    assert_eq!(types, [(Failed, None), (Unsubscribed, Some(Wish::Stop))]);
}

/// A call that nobody took may be made again; one that was cancelled was not refused by anybody.
#[test]
fn calls_end_in_one_of_our_words() {
    let one = |status: &str| {
        let reports = form(&format!("CallSid=CA1&CallStatus={status}"));
        reports
            .first()
            .map(|r| (r.event_type, r.reason, r.bounce.map(|b| b.kind)))
    };
    let soft = Some(BounceKind::Soft);
    assert_eq!(one("busy"), Some((EventType::Bounced, Some("busy"), soft)));
    assert_eq!(
        one("no-answer"),
        Some((EventType::Bounced, Some("no_answer"), soft))
    );
    assert_eq!(
        one("failed"),
        Some((EventType::Failed, Some("failed"), None))
    );
    assert_eq!(
        one("canceled"),
        Some((EventType::Failed, Some("canceled"), None))
    );
    for early in ["queued", "initiated", "ringing", "in-progress"] {
        assert_eq!(one(early), None, "{early}");
    }
}

/// Advanced Opt-Out knows words that we do not, and answers HELP itself.
#[test]
fn the_opt_out_type_goes_before_the_words() {
    let wish = |body: &str| {
        form(&format!(
            "MessageSid=SM1&SmsStatus=received&From=%2B1&{body}"
        ))[0]
            .wish
    };
    assert_eq!(wish("Body=basta&OptOutType=STOP"), Some(Wish::Stop));
    assert_eq!(wish("Body=alta&OptOutType=START"), Some(Wish::Start));
    assert_eq!(wish("Body=?&OptOutType=HELP"), Some(Wish::Help));
    assert_eq!(wish("Body=unstop"), Some(Wish::Start));
    assert_eq!(wish("Body=basta"), None);
}

/// What comes before the first answer is no event; what has no id cannot be told from another.
#[test]
fn steps_on_the_way_are_left_out_and_a_missing_id_is_unreadable() {
    for early in [
        "accepted",
        "scheduled",
        "queued",
        "sending",
        "receiving",
        "new word",
    ] {
        let body = format!("MessageSid=SM1&MessageStatus={early}");
        assert_eq!(form(&body), [], "{early}");
    }
    for wrong in ["MessageStatus=sent", "CallStatus=busy", "Digits=1", ""] {
        assert!(
            parse(None, Some(FORM), wrong.as_bytes()).is_err(),
            "{wrong}"
        );
    }
    assert!(parse(None, Some("application/json"), b"[]").is_err());
    let get = parse(Some("MessageSid=SM1&MessageStatus=sent"), None, b"").expect("reports");
    assert_eq!(get[0].event_type, EventType::Sent);
}

proptest! {
    /// Whoever has a token is not thereby trusted to keep to the documentation.
    #[test]
    fn no_body_makes_it_panic_or_grow(query in proptest::option::of(".{0,200}"), form in any::<bool>(), body in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let content_type = form.then_some(FORM);
        for report in parse(query.as_deref(), content_type, &body).unwrap_or_default() {
            prop_assert!(report.text.is_none_or(|text| text.len() <= PROVIDER_TEXT_MAX));
            prop_assert!(report.source_key.len() <= 200);
        }
    }

    /// Nor is anybody who has none.
    #[test]
    fn no_request_makes_the_check_panic(url in ".{0,200}", signature in "[ -~]{0,60}", body in ".{0,200}") {
        let refused = posted(&source("auth_token = 'x'"), &url, &signature, &body);
        prop_assert!(refused.is_err());
    }
}
