//! What the environment alone configures.

use super::*;

/// Whoever has a provider's secret in the environment gets its endpoint; without a secret there is none.
#[test]
fn the_environment_configures_where_providers_post() {
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    // Of a key pair that was made for this test and thrown away.
    const SENDGRID: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEr0dha4yavKAAsKg45wTnO+8TKppV2pjTa7GZ/C2NIt9jTkb6z8uo4n5K52B0W/P/OPm8wBt+lqYvA/VZX3weZw==";
    let names = |environment: &[(&str, &str)]| {
        let config = load("", environment).unwrap();
        config.webhooks.into_keys().collect::<Vec<_>>()
    };
    assert!(names(&[]).is_empty());
    assert_eq!(
        names(&[
            ("BANDWIDTH_CALLBACK_USERNAME", "postroad"),
            ("BANDWIDTH_CALLBACK_PASSWORD", "hunter2"),
            ("OVH_CALLBACK_SECRET", "0123456789abcdef"),
            (
                "POSTAL_JWKS_URL",
                "https://postal.example.org/.well-known/jwks.json"
            ),
            ("SENDGRID_WEBHOOK_PUBLIC_KEY", SENDGRID),
            ("MAILGUN_WEBHOOK_SIGNING_KEY", "hunter2hunter2hunter2"),
            (
                "SNS_TOPIC_ARNS",
                "arn:aws:sns:eu-central-1:123456789012:mail"
            ),
            ("SMTP_WEBHOOK_TOKEN", "hunter2hunter2hunter2"),
            ("FCM_WEBHOOK_TOKEN", "hunter2hunter2hunter2"),
            ("APNS_WEBHOOK_TOKEN", "hunter2hunter2hunter2"),
            ("WEBPUSH_WEBHOOK_TOKEN", "hunter2hunter2hunter2"),
            ("POSTROAD_WEBHOOK_SECRET", SECRET),
        ]),
        [
            "apns",
            "bandwidth",
            "fcm",
            "generic",
            "mailgun",
            "ovh",
            "postal",
            "sendgrid",
            "ses",
            "smtp",
            "sns",
            "webpush"
        ]
    );
    let config = load("", &TWILIO).unwrap();
    assert!(config.webhooks.contains_key("twilio"));
    assert!(!config.shown_webhooks["twilio"].contains("hunter2"));

    let error = load("", &[("POSTROAD_WEBHOOK_SECRET", "hunter2")]).unwrap_err();
    assert!(
        error.starts_with("webhooks.generic: secret must be") && !error.contains("hunter2"),
        "{error}"
    );
    let error = load("", &[("BANDWIDTH_CALLBACK_USERNAME", "postroad")]).unwrap_err();
    assert!(
        error.starts_with("webhooks.bandwidth: needs password"),
        "{error}"
    );
    let generic =
        |more: &str| format!("[webhooks.own]\ntype = 'generic'\nsecret = '{SECRET}'\n{more}");
    both_sides(
        "webhooks.own.allow_from",
        &generic("allow_from = ['10.0.0.0/8']"),
        &generic("allow_from = ['10.0.0.1/8']"),
    );
    both_sides(
        "webhooks.own",
        &generic("max_body_bytes = 1"),
        &generic("max_body_bytes = 0"),
    );
    both_sides(
        "webhooks.own.colour",
        &generic(""),
        &generic("colour = 'red'"),
    );
    both_sides(
        "webhooks.own.freshness",
        &generic("freshness = '1m'"),
        &generic("freshness = '1'"),
    );
}

/// What becomes of a text message is told to us, unless an operator has it told elsewhere.
#[test]
fn twilio_reports_to_our_own_webhook() {
    let callback = |file: &str| {
        let gateway = "account_sid = 'AC1'\nauth_token = 't'\nfrom = '+1'";
        let file = format!(
            "server.public_url = 'https://x.org/'\n[gateways.calls]\ntype = 'twilio'\n{gateway}\n{file}"
        );
        let config = load(&file, &[]).unwrap();
        match &config.gateways["calls"] {
            GatewaySettings::Twilio(settings) => settings.status_callback.clone(),
            other => panic!("{other:?}"),
        }
    };
    let ours = "https://x.org/webhooks/calls";
    assert_eq!(callback("").as_deref(), Some(ours));
    let theirs = "https://y.org/";
    assert_eq!(
        callback(&format!("status_callback = '{theirs}'")).as_deref(),
        Some(theirs)
    );
}

/// With no file at all the environment is enough.
#[test]
fn the_environment_configures_mail_and_the_order_of_gateways() {
    let config = load(
        STUB,
        &[
            ("DATABASE_URL", "postgres://ada:pw@db.x/post"),
            ("SMTP_HOST", "mail.x"),
            ("SMTP_PORT", "2525"),
            ("MAIL_FROM", "post@x.org"),
            ("EMAIL_DEFAULT_GATEWAY", "smtp"),
            ("EMAIL_FAILOVER_GATEWAY", "a"),
            ("POSTROAD_LISTEN", "0.0.0.0:80"),
        ],
    )
    .unwrap();
    assert_eq!(
        config.database.url.unwrap().expose(),
        "postgres://ada:pw@db.x/post"
    );
    assert_eq!(config.server.listen.to_string(), "0.0.0.0:80");
    assert!(matches!(config.gateways["smtp"], GatewaySettings::Smtp(_)));
    assert_eq!(config.channels[&Channel::Email], ["smtp", "a"]);
    assert!(!config.channels.contains_key(&Channel::Sms));

    assert!(load("", &[]).unwrap().gateways.is_empty());
    let error = load("", &[("SMTP_HOST", "mail.x"), ("SMTP_PORT", "smtp")]).unwrap_err();
    assert!(
        error.starts_with("gateways.smtp.port: ") && error.contains("SMTP_PORT"),
        "{error}"
    );
    let error = load("", &[("SMS_DEFAULT_GATEWAY", "twilio")]).unwrap_err();
    assert!(
        error.starts_with("channels.sms: gateway \"twilio\""),
        "{error}"
    );
}

const TWILIO: [(&str, &str); 4] = [
    ("TWILIO_ACCOUNT_SID", "AC0123"),
    ("TWILIO_AUTH_TOKEN", "hunter2"),
    ("TWILIO_FROM_NUMBER", "+15005550006"),
    ("SMS_DEFAULT_GATEWAY", "twilio"),
];

/// Users of these providers have these names set already.
#[test]
fn the_environment_configures_text_messages_calls_and_webhooks() {
    let config = load("", &TWILIO).unwrap();
    let registry = Registry::build(&config.gateways, &config.channels).unwrap();
    assert_eq!(registry.for_channel(Channel::Sms).len(), 1);
    assert_eq!(registry.for_channel(Channel::Voice).len(), 1);
    assert!(!config.shown_gateways["twilio"].contains("hunter2"));

    let names = |environment: &[(&str, &str)]| {
        let config = load("", environment).unwrap();
        config.gateways.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(
        names(&[
            ("BANDWIDTH_ACCOUNT_ID", "123"),
            ("BANDWIDTH_API_TOKEN", "t"),
            ("BANDWIDTH_API_SECRET", "s"),
            ("BANDWIDTH_APPLICATION_ID", "a"),
            ("BANDWIDTH_FROM_NUMBER", "+15005550006"),
            ("OVH_APPLICATION_KEY", "k"),
            ("OVH_APPLICATION_SECRET", "s"),
            ("OVH_CONSUMER_KEY", "c"),
            ("OVH_SMS_SERVICE", "sms-ab12345-1"),
            ("OVH_SMS_SENDER", "Postroad"),
            ("OVH_API_URL", "https://ca.api.ovh.com/1.0"),
            (
                "WEBHOOK_SIGNING_SECRET",
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
            ),
        ]),
        ["bandwidth", "ovh", "webhook"]
    );
    // A host that has OVH's keys for its DNS sends no text messages by that.
    assert!(names(&[("OVH_APPLICATION_KEY", "k"), ("OVH_CONSUMER_KEY", "c")]).is_empty());

    let error = load("", &[("TWILIO_ACCOUNT_SID", "AC0123")]).unwrap_err();
    assert!(
        error.starts_with("gateways.twilio: needs auth_token"),
        "{error}"
    );
    let error = load("", &[("WEBHOOK_SIGNING_SECRET", "hunter2")]).unwrap_err();
    assert!(
        error.starts_with("gateways.webhook: secret") && !error.contains("hunter2"),
        "{error}"
    );
}

/// A staging environment has all of production's variables, and one that keeps it from texting people.
#[test]
fn sms_enabled_false_leaves_out_the_environments_text_messages_only() {
    let with = |file: &str, switch: &'static str| {
        load(
            file,
            &[TWILIO.as_slice(), &[("SMS_ENABLED", switch)]].concat(),
        )
    };
    for on in ["true", "1", "Yes", ""] {
        assert!(with("", on).unwrap().gateways.contains_key("twilio"));
    }
    for off in ["false", "0", "OFF"] {
        let config = with("", off).unwrap();
        assert!(config.gateways.is_empty() && config.channels.is_empty());
    }
    // What a file says stands.
    let file = "[gateways.a]\ntype = 'stub'\n[channels]\nsms = ['a']";
    let config = with(file, "false").unwrap();
    assert_eq!(config.channels[&Channel::Sms], ["a"]);
    let file = "[gateways.a]\ntype = 'twilio'\naccount_sid = '${TWILIO_ACCOUNT_SID}'\nauth_token = '${TWILIO_AUTH_TOKEN}'\nfrom = '+15005550006'";
    assert!(with(file, "false").unwrap().gateways.contains_key("a"));

    let error = with("", "maybe").unwrap_err();
    assert!(error.starts_with("SMS_ENABLED: "), "{error}");
}

/// The names that users of the push gateways know, and the one that used to be enough.
#[test]
fn the_environment_configures_push_unless_it_is_switched_off() {
    let keys = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/rfc7515_a3_key.p8"
    );
    let push = [
        ("APNS_KEY_FILE", keys),
        ("APNS_KEY_ID", "ABC123DEFG"),
        ("APNS_TEAM_ID", "DEF123GHIJ"),
        ("APNS_TOPIC", "org.example.app"),
        ("APNS_ENVIRONMENT", "sandbox"),
        (
            "WEBPUSH_VAPID_PRIVATE_KEY",
            "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
        ),
        ("WEBPUSH_VAPID_SUBJECT", "mailto:push@example.org"),
    ];
    let with = |name, value| load("", &[&push[..], &[(name, value)]].concat());
    let config = with("PUSH_ENABLED", "true").unwrap();
    assert!(config.gateways.keys().eq(["apns", "webpush"]));
    assert!(!format!("{config:?}").contains("jpsQnnGQ"));
    assert!(with("PUSH_ENABLED", "False").unwrap().gateways.is_empty());
    let error = with("PUSH_ENABLED", "maybe").unwrap_err();
    assert!(error.starts_with("PUSH_ENABLED: "), "{error}");

    let error = with("FCM_SERVER_KEY", "AAAAhunter2").unwrap_err();
    assert!(
        error.starts_with("gateways.fcm: ") && error.contains("legacy"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
    let error = with("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json").unwrap_err();
    assert!(
        error.starts_with("gateways.fcm: ") && error.contains("cannot be read"),
        "{error}"
    );
}

/// Each provider's users know these names; where there are two, the newer one wins.
#[test]
fn the_environment_configures_the_providers_of_mail_and_sms() {
    let aws = [
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_REGION", "eu-central-1"),
    ];
    let others = [
        ("MAIL_FROM", "post@road.example"),
        ("POSTAL_SERVER_KEY", "old"),
        ("POSTAL_API_KEY", "new"),
        ("POSTAL_API_URL", "https://postal.example"),
        ("POSTAL_FROM_ADDRESS", "postal@road.example"),
        ("SES_FROM_ADDRESS", "ses@road.example"),
        ("SENDGRID_API_KEY", "k"),
        ("MAILGUN_API_KEY", "k"),
        ("MAILGUN_DOMAIN", "mg.road.example"),
        ("MAILGUN_REGION", "eu"),
        ("SNS_ENABLED", "true"),
    ];
    let config = load("", &[&aws[..], &others].concat()).unwrap();
    let names: Vec<_> = config.gateways.keys().map(String::as_str).collect();
    assert_eq!(names, ["mailgun", "postal", "sendgrid", "ses", "sns"]);
    let GatewaySettings::Postal(postal) = &config.gateways["postal"] else {
        panic!("{config:?}");
    };
    assert_eq!(postal.api_key.expose(), "new");
    assert_eq!(postal.from.as_deref(), Some("postal@road.example"));
    let GatewaySettings::Ses(ses) = &config.gateways["ses"] else {
        panic!("{config:?}");
    };
    assert_eq!(ses.region, "eu-central-1");
    let shown = format!("{config:?}{:?}", config.shown_gateways);
    assert!(!shown.contains("hunter2"), "{shown}");
}

/// Credentials of AWS are on many machines for other ends.
#[test]
fn credentials_of_aws_alone_configure_nothing() {
    let aws = [
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ("AWS_REGION", "eu-central-1"),
    ];
    assert!(load("", &aws).unwrap().gateways.is_empty());
    let off = [&aws[..], &[("SNS_ENABLED", "false")]].concat();
    assert!(load("", &off).unwrap().gateways.is_empty());
    let odd = [&aws[..], &[("SNS_ENABLED", "perhaps")]].concat();
    assert_eq!(
        load("", &odd).unwrap_err(),
        "SNS_ENABLED: must be true or false"
    );
    let half = load("", &[("SES_FROM_ADDRESS", "ses@road.example")]).unwrap_err();
    assert!(half.starts_with("gateways.ses."), "{half}");
}

/// A file's gateway is not mixed with the environment's.
#[test]
fn a_gateway_of_the_file_stands_before_the_environments() {
    let file = "[gateways.smtp]\ntype = 'stub'";
    let config = load(file, &[("SMTP_URL", "smtp://mail.x")]).unwrap();
    assert!(matches!(config.gateways["smtp"], GatewaySettings::Stub(_)));
}

/// Other programs read the same variables; a listener for monitors is off unless it is asked for.
#[test]
fn monitors_and_traces_are_configured_by_the_environment() {
    let plain = load("", &[]).unwrap();
    assert_eq!(plain.metrics.listen, None);
    assert!(plain.telemetry.read().unwrap().is_none());
    let variables = [
        ("POSTROAD_METRICS_LISTEN", "0.0.0.0:9187"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=hunter2"),
        ("OTEL_SERVICE_NAME", "mail"),
    ];
    let config = load("", &variables).unwrap();
    assert_eq!(config.metrics.listen, "0.0.0.0:9187".parse().ok());
    let (url, headers) = config.telemetry.read().unwrap().expect("a collector");
    assert_eq!(url.as_str(), "http://collector:4318/v1/traces");
    assert_eq!(headers["x-key"], "hunter2");
    assert_eq!(config.telemetry.service_name, "mail");
    assert!(!format!("{config:?}").contains("hunter2"));
    for (name, setting) in [
        ("POSTROAD_METRICS_LISTEN", "metrics.listen"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_endpoint"),
    ] {
        let error = load("", &[(name, "collector")]).unwrap_err();
        assert!(error.starts_with(setting), "{error}");
    }
}
