//! Bytes of any kind, and fixtures with something changed: no panic, and nothing without bounds comes out.

use proptest::prelude::*;
use serde_json::Map;

use super::*;

/// Each source, with bodies of its own.
fn sources() -> Vec<(Box<dyn WebhookSource>, Vec<Value>)> {
    let each = |text: &str| match fixture(text) {
        Value::Object(fields) => fields.into_iter().map(|(_, value)| value).collect(),
        value => vec![value],
    };
    let events = each(mailgun::EVENTS);
    let mailgun_bodies = events
        .into_iter()
        .map(|event| serde_json::json!({"signature": {"token": "t"}, "event-data": event}));
    vec![
        (Box::new(sendgrid_source()), each(sendgrid::EVENTS)),
        (
            Box::new(mailgun::source(&["key"])),
            mailgun_bodies.collect(),
        ),
        (Box::new(postal::default_source()), each(postal::EVENTS)),
        (Box::new(ses::source()), each(ses::EVENTS)),
        (Box::new(sns_source()), vec![fixture(sns::TWO_WAY_SMS)]),
    ]
}

fn sendgrid_source() -> postroad::gateway::sendgrid::webhook::Source {
    sendgrid::source(&[sendgrid::KEY])
}

fn sns_source() -> postroad::gateway::sns::webhook::Source {
    let settings = sns::settings(&[sns::TOPIC]);
    let made =
        postroad::gateway::sns::webhook::Source::with_fetch("sns", &settings, Published::nothing());
    made.expect("settings that make sense")
}

/// What the inbox and the events table rely on.
fn check(reports: &[Report]) {
    assert!(reports.len() <= 10_000);
    for report in reports {
        let details = report.detail.iter().map(|(_, value)| (Some(value), 2_000));
        let texts = [
            (report.text.as_ref(), 500),
            (report.code.as_ref(), 100),
            (report.external_id.as_ref(), 200),
            (report.recipient.as_ref(), 320),
            (Some(&report.source_key), 200),
            (Some(&report.provider_event), 310),
        ];
        for (text, max) in texts.into_iter().chain(details) {
            let text = text.map_or("", String::as_str);
            assert!(text.len() <= max && !text.contains('\0'), "{report:?}");
        }
        assert_eq!(
            report.bounce.is_some(),
            report.event_type.as_str() == "bounced"
        );
    }
}

fn run(source: &dyn WebhookSource, body: &[u8]) {
    if let Ok(reports) = read(source, body) {
        check(&reports);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let request = Request::new(
        &[
            ("x-postal-signature-256", "AAAA"),
            ("x-twilio-email-event-webhook-signature", "AAAA"),
            ("x-twilio-email-event-webhook-timestamp", "1"),
        ],
        body.to_vec(),
        at(1_700_000_000),
    );
    let verified = runtime.expect("a runtime").block_on(request.verify(source));
    assert!(verified.is_err(), "nothing here is signed");
}

/// Any JSON, with texts that are long and hold what Postgres refuses.
fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["\\PC{0,20}", Just("\0".repeat(3)), Just("é".repeat(5_000))];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec(("[a-z]{1,8}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Puts `with` in the place of the `nth` value within.
fn replace(value: &mut Value, nth: &mut usize, with: &Value) {
    if *nth == 0 {
        *value = with.clone();
    }
    *nth = nth.wrapping_sub(1);
    match value {
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| replace(value, nth, with)),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|value| replace(value, nth, with)),
        _ => {}
    }
}

/// As the source has it: SES's events and inbound SMS come in an envelope.
fn body_of(source: &dyn WebhookSource, value: &Value) -> Vec<u8> {
    match source.name() {
        "ses" | "sns" => ses::envelope(value).into_bytes(),
        _ => value.to_string().into_bytes(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// The inbox holds whatever a provider posted; a bug in it must not take the reader down.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for (source, _) in sources() {
            run(&*source, &bytes);
        }
    }

    /// A provider's change of format must not, either.
    #[test]
    fn a_fixture_with_another_value_in_it_is_read_or_refused(
        which in any::<prop::sample::Index>(),
        at in 0_usize..200,
        with in any_json(),
    ) {
        for (source, bodies) in sources() {
            let mut value = bodies[which.index(bodies.len())].clone();
            replace(&mut value, &mut at.clone(), &with);
            run(&*source, &body_of(&*source, &value));
        }
    }

    /// Nor damage on the way.
    #[test]
    fn a_fixture_with_changed_bytes_is_read_or_refused(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        for (source, bodies) in sources() {
            let mut body = body_of(&*source, &bodies[which.index(bodies.len())]);
            for (at, byte) in &changes {
                let at = at.index(body.len());
                body[at] = *byte;
            }
            run(&*source, &body);
        }
    }
}

/// Depth and length are what parsers fall over.
#[test]
fn deep_and_long_bodies_are_read_or_refused() {
    for (source, _) in sources() {
        for body in [
            "[".repeat(100_000),
            "{\"a\":".repeat(100_000),
            "[0,".repeat(100_000),
        ] {
            run(&*source, body.as_bytes());
        }
        let long = format!(r#"[{{"event": "{}"}}]"#, "x".repeat(1_000_000));
        run(&*source, long.as_bytes());
    }
}
