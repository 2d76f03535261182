use std::time::Duration;

use super::*;
use crate::gateway::registry::Registry;
use crate::model::backoff::Backoff;
use crate::model::message::Priority;

/// What `file` and `environment` make.
fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let variable = |name: &str| {
        let found = environment.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    // Gateways that pool connections want a runtime around them.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _guard = runtime.enter();
    Config::from_parts(Some(("test.toml", file)), &variable).map_err(|error| error.to_string())
}

/// Asserts that `file` is accepted when it says `good`, and refused, in one line that begins with `setting`,
/// when it says `bad` instead.
fn both_sides(setting: &str, good: &str, bad: &str) {
    if let Err(error) = load(good, &[]) {
        panic!("{good} was refused: {error}");
    }
    let error = load(bad, &[]).expect_err(bad);
    assert!(error.starts_with(&format!("{setting}: ")), "{bad}: {error}");
    assert!(!error.contains('\n'), "{error}");
}

/// The first start has neither a file nor an environment; these numbers are what operators are told.
#[test]
fn the_defaults_stand_without_any_file_or_environment() {
    let config = load("", &[]).unwrap();
    assert_eq!(config.database.url, None);
    assert_eq!(
        config.server.listen.to_string(),
        server::settings::DEFAULT_LISTEN
    );
    assert!(config.channels.is_empty() && config.gateways.is_empty());
    assert_eq!(config.worker.send_timeout.0, Duration::from_secs(30));
    assert_eq!(config.worker.shutdown_timeout.0, Duration::from_secs(25));
    assert_eq!(config.worker.p1_gate, 10_000);
    assert_eq!(
        config.maintain.retention.0,
        Duration::from_secs(30 * 86_400)
    );
    assert_eq!(config.maintain.partitions_ahead, 3);
    let expected = [
        (Priority::P0, [10, 10], 5, 2, 50),
        (Priority::P1, [5, 30], 3, 60, 100),
        (Priority::P2, [3, 20], 3, 60, 500),
        (Priority::P3, [5, 25], 3, 60, 500),
        (Priority::P4, [2, 10], 5, 60, 100),
    ];
    for (priority, concurrency, attempts, base_s, poll_ms) in expected {
        let pool = &config.worker.pools[&priority];
        assert_eq!(pool.concurrency, concurrency, "{priority}");
        assert_eq!(pool.max_attempts, attempts, "{priority}");
        assert_eq!(pool.poll.0, Duration::from_millis(poll_ms), "{priority}");
        let backoff = Backoff::Exponential {
            base: Duration::from_secs(base_s),
            factor: 2.0,
            max: Duration::from_secs(3600),
        };
        assert_eq!(pool.backoff.build().unwrap(), backoff, "{priority}");
    }
}

/// A file says only what differs.
#[test]
fn a_file_is_laid_over_the_defaults_key_by_key() {
    let file = "[worker.pools.P1]\nconcurrency = [1, 2]\nbackoff = ['1s', '2s']\n[worker.pools.P2.backoff]\nbase = '5s'";
    let config = load(file, &[]).unwrap();
    let p1 = &config.worker.pools[&Priority::P1];
    assert_eq!((p1.concurrency, p1.max_attempts), ([1, 2], 3));
    let second = Duration::from_secs(1);
    assert_eq!(
        p1.backoff.build().unwrap(),
        Backoff::List(vec![second, 2 * second])
    );
    let p2 = config.worker.pools[&Priority::P2].backoff.build().unwrap();
    assert_eq!((p2.ceiling(1), p2.ceiling(2)), (5 * second, 10 * second));
}

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

/// A typo that is ignored is a setting that is not in force.
#[test]
fn each_rule_accepts_its_good_side_and_names_the_setting_on_the_other() {
    let pool = |line: &str| format!("[worker.pools.P1]\n{line}");
    let p1 = |setting: &str, good: &str, bad: &str| {
        both_sides(
            &format!("worker.pools.P1.{setting}"),
            &pool(good),
            &pool(bad),
        );
    };
    p1(
        "concurrency",
        "concurrency = [1, 1]",
        "concurrency = [0, 1]",
    );
    p1(
        "concurrency",
        "concurrency = [2, 3]",
        "concurrency = [3, 2]",
    );
    p1("max_attempts", "max_attempts = 1", "max_attempts = 0");
    p1("poll", "poll = '1ms'", "poll = '0s'");
    p1("poll", "poll = '1ms'", "poll = '1'");
    p1("backoff", "backoff = ['1s']", "backoff = []");
    p1(
        "backoff",
        "backoff = { factor = 1.0 }",
        "backoff = { factor = 0.5 }",
    );
    p1("backoff", "backoff = ['1s']", "backoff = 'often'");
    p1("atempts", "max_attempts = 2", "atempts = 2");
    both_sides(
        "worker.send_timeout",
        "worker.send_timeout = '1s'",
        "worker.send_timeout = '0s'",
    );
    both_sides("worker.p1_gate", "worker.p1_gate = 1", "worker.p1_gate = 0");
    both_sides(
        "worker.p1_gate",
        "worker.p1_gate = 1",
        "worker.p1_gate = 'many'",
    );
    both_sides(
        "maintain.retention",
        "maintain.retention = '1d'",
        "maintain.retention = '36h'",
    );
    both_sides(
        "maintain.retention",
        "maintain.retention = '48h'",
        "maintain.retention = '0d'",
    );
    both_sides(
        "maintain.partitions_ahead",
        "maintain.partitions_ahead = 1",
        "maintain.partitions_ahead = 0",
    );
    both_sides(
        "outbound.concurrency",
        "outbound.concurrency = 64",
        "outbound.concurrency = 65",
    );
    both_sides(
        "outbound.timeout",
        "outbound.timeout = '1s'",
        "outbound.timeout = '0s'",
    );
    both_sides(
        "outbound.disable_after",
        "outbound.disable_after = '1d'",
        "outbound.disable_after = '0d'",
    );
    both_sides(
        "server.listen",
        "server.listen = '[::1]:80'",
        "server.listen = 'localhost'",
    );
    both_sides(
        "server.public_url",
        "server.public_url = 'https://x.org'",
        "server.public_url = 'x.org'",
    );
    let tracking = |public_url: &str, secret: &str| {
        format!("server.public_url = '{public_url}'\ntracking.secret = '{secret}'")
    };
    let (url, secret) = ("https://x.org", "0123456789abcdef0123456789abcdef");
    both_sides("tracking", &tracking(url, secret), &tracking(url, "short"));
    both_sides(
        "tracking",
        &tracking(url, secret),
        &format!("tracking.secret = '{secret}'"),
    );
    both_sides(
        "tracking.message_types",
        "tracking.message_types = []",
        "tracking.message_types = ['letter']",
    );
    both_sides("redis.url", "redis.url = 'redis://x'", "redis.url = 'x'");
    both_sides(
        "database.url",
        "database.url = 'postgres://x/y'",
        "database.url = 'postgres//x'",
    );
    both_sides("wroker", "worker.p1_gate = 1", "wroker.p1_gate = 1");
    both_sides("channels", "channels.email = []", "channels.mail = []");
    for (setting, good, bad) in [
        ("max_connections", "1", "0"),
        ("head_timeout", "'1s'", "'0s'"),
        ("body_timeout", "'1s'", "'0s'"),
        ("trusted_proxies", "['10.0.0.0/8', '::1']", "['10.0.0.1/8']"),
        ("forwarded_header", "'forwarded'", "'x-real-ip'"),
    ] {
        both_sides(
            &format!("server.{setting}"),
            &format!("server.{setting} = {good}"),
            &format!("server.{setting} = {bad}"),
        );
    }
    both_sides("server.tls_key", "", "server.tls_certificate = 'a.pem'");
    both_sides("server.tls_certificate", "", "server.tls_key = 'a.pem'");
    both_sides(
        "maintain.webhook_retention",
        "maintain.webhook_retention = '36h'",
        "maintain.webhook_retention = '23h'",
    );
    both_sides("test.toml line 2", "", "[server]\nlisten = = 3");
}

const STUB: &str = "[gateways.a]\ntype = 'stub'\n";
const SMTP: &str = "[gateways.a]\ntype = 'smtp'\nhost = 'mail.x'\nfrom = 'a@x.org'\n";

/// A gateway that is wrong stops the start: found later, it would be messages that do not go out.
#[test]
fn a_wrong_gateway_is_refused_with_its_setting() {
    let with = |start: &str, line: &str| format!("{start}{line}");
    both_sides("gateways.a.type", STUB, "[gateways.a]\ntype = 'stubb'");
    both_sides("gateways.a.type", STUB, "[gateways.a]");
    both_sides("gateways.a.hots", SMTP, &with(SMTP, "hots = 'x'"));
    both_sides(
        "gateways.a.port",
        &with(SMTP, "port = 25"),
        &with(SMTP, "port = 'x'"),
    );
    both_sides(
        "gateways.a",
        SMTP,
        "[gateways.a]\ntype = 'smtp'\nfrom = 'a@x.org'",
    );
    both_sides(
        "channels.sms",
        &with(STUB, "[channels]\nsms = ['a']"),
        &with(STUB, "[channels]\nsms = ['b']"),
    );
    both_sides(
        "gateways.a",
        &with(SMTP, "[channels]\nemail = ['a']"),
        &with(SMTP, "[channels]\nsms = ['a']"),
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

/// The same gateway as first choice and as failover is one gateway.
#[test]
fn a_gateway_named_twice_for_a_channel_counts_once() {
    let config = load(
        "[gateways.a]\ntype='stub'\n[channels]\nemail = ['a', 'a']",
        &[],
    )
    .unwrap();
    assert_eq!(config.channels[&Channel::Email], ["a"]);
}

/// Errors and logs are pasted into tickets.
#[test]
fn neither_errors_nor_debug_output_show_a_secret() {
    let secret = "hunter2";
    for bad in [
        "database.url = 'postgres://ada:hunter2@db.x:port/post'",
        "database.url = ['hunter2']",
        "redis.url = 'hunter2'",
        "[gateways.a]\ntype = 'smtp'\nhost = 'x'\npassword = ['hunter2']",
        "[server]\nlisten = 'hunter2' 'x'",
    ] {
        let error = load(bad, &[]).expect_err(bad);
        assert!(!error.contains(secret), "{error}");
    }
    let misplaced = "server.listen = '${SMTP_PASSWORD}'";
    let error = load(misplaced, &[("SMTP_PASSWORD", secret)]).unwrap_err();
    assert!(!error.contains(secret), "{error}");
    let config = load("", &[("DATABASE_URL", "postgres://ada:hunter2@db.x/post")]).unwrap();
    assert!(!format!("{config:?}").contains(secret));
}

/// A channel that lists none waits; one that is silent takes what serves it.
#[test]
fn an_empty_order_means_none_and_no_order_means_all() {
    let names = |file: &str| {
        let config = load(file, &[]).unwrap();
        let registry = Registry::build(&config.gateways, &config.channels).unwrap();
        registry.for_channel(Channel::Email).len()
    };
    assert_eq!(names("[gateways.a]\ntype = 'stub'"), 1);
    assert_eq!(
        names("[gateways.a]\ntype = 'stub'\n[channels]\nemail = []"),
        0
    );
}

/// A rule that names nobody, or nothing, would be found out by the first message.
#[test]
fn rules_of_routing_are_checked() {
    let load = |rules: &str| load(&format!("{rules}\n[gateways.a]\ntype = 'stub'"), &[]);
    for (rules, setting) in [
        (
            "[routes.newsletter]\nemail = ['b']",
            "routes.newsletter.email",
        ),
        ("[routes.leaflet]\nemail = ['a']", "routes"),
        ("[ip_pools]\nnewsletter = ''", "ip_pools.newsletter"),
        ("[sms_prices.b]\n'+49' = 1", "sms_prices"),
        ("[sms_prices.a]\n'49a' = 1", "sms_prices"),
        ("[sms_prices.a]\n'+49' = -1", "sms_prices"),
    ] {
        let error = load(rules).unwrap_err();
        assert!(error.starts_with(setting), "{error}");
    }
    let rules = "[routes.newsletter]\nemail = ['a', 'a']\n[ip_pools]\nnewsletter = 'n'\n[sms_prices.a]\n'+49' = 1";
    let config = load(rules).unwrap();
    let email = &config.routes[&MessageType::Newsletter][&Channel::Email];
    assert_eq!(email, &["a"]);
    assert_eq!(config.sms_prices.of("a", "+4915"), Some(1.0));
}

/// Settings from the time before FCM's own name work as they are.
#[test]
fn firebase_in_an_order_means_fcm_unless_a_gateway_is_called_so() {
    let order = |gateways: &str| {
        let file = format!("[channels]\npush = ['firebase']\n{gateways}");
        load(&file, &[]).map(|config| config.channels[&Channel::Push].clone())
    };
    assert_eq!(order("[gateways.fcm]\ntype = 'stub'").unwrap(), ["fcm"]);
    let both = "[gateways.fcm]\ntype = 'stub'\n[gateways.firebase]\ntype = 'stub'";
    assert_eq!(order(both).unwrap(), ["firebase"]);
    assert!(order("[gateways.apns]\ntype = 'stub'").is_err());
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
