mod environment;

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
    assert_eq!(config.maintain.partitions_ahead, 7);
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
    let mailgun = |fresh: &str| {
        format!(
            "maintain.webhook_retention = '36h'\n[webhooks.own]\ntype = 'mailgun'\nsigning_keys = 'k'\nfreshness = '{fresh}'"
        )
    };
    both_sides("webhooks.own.freshness", &mailgun("35h"), &mailgun("36h"));
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
