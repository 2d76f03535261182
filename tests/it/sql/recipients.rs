//! Recipients: which are good, how they are spelled, and that a bad one harms nobody.

use crate::support::db::TestDb;
use crate::support::sql::Sql as _;

/// What `normalize_recipient` makes of each SQL literal; none: no recipient.
async fn check(channel: &str, table: &[(&str, Option<&str>)]) -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let mut wrong = Vec::new();
    for (given, wanted) in table {
        let query = format!("select postroad.normalize_recipient('{channel}', {given})");
        let made = db.client.row(&query).await?;
        if made != wanted.unwrap_or("null") {
            wrong.push(format!("{channel} {given}: {made}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

/// An address that no server could take must not cost a delivery attempt; one that any could must go out.
#[tokio::test]
async fn email_addresses_are_checked_and_their_domain_is_lowered() -> anyhow::Result<()> {
    let label = "d".repeat(63);
    let local = "l".repeat(64);
    let long_local = format!("'{local}@x.org'");
    let too_long_local = format!("'l{local}@x.org'");
    let long_label = format!("'a@{label}.org'");
    let too_long_label = format!("'a@d{label}.org'");
    let full = format!("{local}@{label}.{label}.{}.org", "d".repeat(57));
    let (full_sql, too_full) = (format!("'{full}'"), format!("'{full}g'"));
    let wide_local = format!("'{}@x.org'", "é".repeat(33));
    check(
        "email",
        &[
            ("'ada@example.org'", Some("ada@example.org")),
            (
                "'Ada.Lovelace+news@EXAMPLE.Org'",
                Some("Ada.Lovelace+news@example.org"),
            ),
            (r"E' ada@example.org\n'", Some("ada@example.org")),
            (
                "'o''neil!#$%&*/=?^_{|}~-@x-y.co'",
                Some("o'neil!#$%&*/=?^_{|}~-@x-y.co"),
            ),
            ("'root@localhost'", Some("root@localhost")),
            ("'root@LOCALHOST'", Some("root@localhost")),
            ("'a@1.2.3.org'", Some("a@1.2.3.org")),
            ("'jörg@bücher.example'", Some("jörg@bücher.example")),
            ("'用户@例え.jp'", Some("用户@例え.jp")),
            ("'a@xn--bcher-kva.example'", Some("a@bücher.example")),
            (&long_local, Some(&long_local.replace('\'', ""))),
            (&long_label, Some(&long_label.replace('\'', ""))),
            (&full_sql, Some(&full)),
            (&too_full, None),
            (&too_long_local, None),
            (&too_long_label, None),
            (&wide_local, None),
            ("''", None),
            ("null", None),
            ("'@'", None),
            ("'ada'", None),
            ("'@example.org'", None),
            ("'ada@'", None),
            ("'ada@example'", None),
            ("'ada@@example.org'", None),
            ("'ada@example@example.org'", None),
            ("'a@b@localhost'", None),
            ("'.ada@example.org'", None),
            ("'ada.@example.org'", None),
            ("'a..da@example.org'", None),
            ("'ada@.example.org'", None),
            ("'ada@example.org.'", None),
            ("'ada@example..org'", None),
            ("'ada@-example.org'", None),
            ("'ada@example-.org'", None),
            ("'ada@exa_mple.org'", None),
            ("'ada@[127.0.0.1]'", None),
            ("'\"a da\"@example.org'", None),
            ("'Ada <ada@example.org>'", None),
            ("'<ada@example.org>'", None),
            ("'ada@example.org,bob@example.org'", None),
            ("'ada@example.org;bob@example.org'", None),
            ("'a da@example.org'", None),
            ("'ada@exam ple.org'", None),
            (r"E'ada@example.org\r\nBcc: eve@example.org'", None),
            (r"E'ada@example.org\nRCPT TO:<eve@example.org>'", None),
            (r"E'ada\r@example.org'", None),
            (r"E'ada@exam\nple.org'", None),
            (r"E'a\u0001da@example.org'", None),
            (r"E'a\u007fda@example.org'", None),
            (r"E'a\u0085da@example.org'", None),
            (r"E'a\u00a0da@example.org'", None),
            (r"E'a\u2028da@example.org'", None),
            (r"E'a\u200bda@example.org'", None),
            (r"E'ada@exam\u2028ple.org'", None),
            (r"E'ada@exam\u202eple.org'", None),
            (r"E'ada@exam\u3000ple.org'", None),
            (r"E'ada@exam\ufeffple.org'", None),
            ("'ada\\@example.org'", None),
        ],
    )
    .await
}

/// A number without its country would reach a stranger.
#[tokio::test]
async fn numbers_are_e164_after_their_punctuation_is_gone() -> anyhow::Result<()> {
    for channel in ["sms", "voice"] {
        check(
            channel,
            &[
                ("'+14155550123'", Some("+14155550123")),
                ("' +1 (415) 555-01.23 '", Some("+14155550123")),
                ("'0049 30 123456'", Some("+4930123456")),
                ("'+1234567'", Some("+1234567")),
                ("'+123456789012345'", Some("+123456789012345")),
                ("'+123456'", None),
                ("'+1234567890123456'", None),
                ("'+0123456789'", None),
                ("'4155550123'", None),
                ("'030 123456'", None),
                ("'++14155550123'", None),
                ("'+1415555O123'", None),
                ("'+1415555012٣'", None),
                ("'+14155550123;ext=5'", None),
                (r"E'+14155550123\r\n+14155550124'", None),
                ("''", None),
                ("null", None),
            ],
        )
        .await?;
    }
    Ok(())
}

/// Tokens and names are opaque, but they are put into URLs, headers and JSON.
#[tokio::test]
async fn push_in_app_and_webhook_recipients_have_rules_of_their_own() -> anyhow::Result<()> {
    let subscription =
        r#"{"endpoint": "https://push.example.org/x", "keys": {"p256dh": "a", "auth": "b"}}"#;
    let subscription_sql = format!("'{subscription}'");
    check(
        "push",
        &[
            (
                "'fcm-token_1:APA91b.x/y+z=~%'",
                Some("fcm-token_1:APA91b.x/y+z=~%"),
            ),
            ("repeat('a', 4096)", Some(&"a".repeat(4096))),
            ("repeat('a', 4097)", None),
            (&subscription_sql, Some(subscription)),
            (r#"'{"endpoint": "http://push.example.org/x"}'"#, None),
            (r#"'{"keys": {}}'"#, None),
            (r#"'{"endpoint": "https://push.example.org/x"'"#, None),
            (
                r#"'{"nested": {"endpoint": "https://push.example.org/x"}}'"#,
                None,
            ),
            (r#"E'{"endpoint": "https://push.example.org/x"\n}'"#, None),
            ("'a token'", None),
            (r"E'token\nX: y'", None),
            ("'jöken'", None),
            ("''", None),
            ("null", None),
        ],
    )
    .await?;
    check(
        "in_app",
        &[
            ("'user:42'", Some("user:42")),
            ("' Ada Lovelace '", Some("Ada Lovelace")),
            ("repeat('u', 255)", Some(&"u".repeat(255))),
            ("repeat('u', 256)", None),
            (r"E'a\nb'", None),
            ("'   '", None),
            ("null", None),
        ],
    )
    .await?;
    check(
        "webhook",
        &[
            ("'https://example.org'", Some("https://example.org")),
            (
                "' https://example.org:8443/hook?a=1#b '",
                Some("https://example.org:8443/hook?a=1#b"),
            ),
            ("'http://127.0.0.1:9/x'", Some("http://127.0.0.1:9/x")),
            ("'http://[::1]:9/x'", Some("http://[::1]:9/x")),
            ("'https://user:secret@example.org/'", None),
            ("'https://example.org@evil.example/'", None),
            ("'ftp://example.org/'", None),
            ("'javascript:alert(1)'", None),
            ("'https://'", None),
            ("'https:///x'", None),
            ("'https://exa mple.org/'", None),
            (r"E'https://example.org/\r\nHost: evil'", None),
            ("'https://example.org/' || repeat('x', 2029)", None),
            ("null", None),
        ],
    )
    .await
}

/// One bad address in a loop over a thousand members must not undo what the caller did before it.
#[tokio::test]
async fn a_bad_recipient_leaves_the_callers_transaction_whole() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let sender = db.connect_as("postroad_sender").await?;
    sender
        .batch_execute("create temporary table done (n int); begin; insert into done values (1)")
        .await?;
    for (channel, recipient, reason) in [
        ("email", "'not an address'", "invalid_recipient"),
        ("email", r"E'a@x.org\r\nBcc: b@x.org'", "invalid_recipient"),
        ("sms", "'12'", "invalid_recipient"),
        ("email", "''", "recipient_missing"),
        ("email", "null", "recipient_missing"),
    ] {
        let query = format!(
            "select status, reason, message_id from postroad.enqueue('{channel}', {recipient}, body => 'x')"
        );
        assert_eq!(
            sender.row(&query).await?,
            format!("invalid|{reason}|null"),
            "{recipient}"
        );
    }
    let good = "select status from postroad.enqueue('email', 'ada@example.org', body => 'x')";
    assert_eq!(sender.row(good).await?, "queued");
    sender.batch_execute("commit").await?;
    assert_eq!(sender.row("select count(*) from done").await?, "1");
    let written = "select (select count(*) from postroad.messages), (select count(*) from postroad.message_queue)";
    assert_eq!(
        db.client.row(written).await?,
        "1|1",
        "only the good one left rows"
    );
    Ok(())
}

/// The locale of the database must not decide who can be written to.
#[tokio::test]
async fn addresses_of_any_script_are_good_in_a_database_of_the_c_locale() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for address in ["jörg@bücher.example", "用户@例え.jp"] {
        let query = format!("select postroad.normalize_email('{address}' collate \"C\")");
        assert_eq!(db.client.row(&query).await?, address);
    }
    Ok(())
}

/// An old application may still have backslashes escape in each string, and its addresses are checked all the same.
#[tokio::test]
async fn backslashes_mean_the_same_whatever_the_callers_setting() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let sender = db.connect_as("postroad_sender").await?;
    sender
        .batch_execute("set standard_conforming_strings = off; set escape_string_warning = off")
        .await?;
    for (channel, recipient, wanted) in [
        ("email", "ada@example.org", "queued"),
        ("email", "ada@exampleXorg", "invalid"),
        ("email", "Ada.L@Example.org", "queued"),
        ("email", "jörg@example.org", "queued"),
        ("email", "jörg@exampleXorg", "invalid"),
        ("sms", "+14155550123", "queued"),
        ("sms", "14155550123", "invalid"),
        ("webhook", "https://example.org/a", "queued"),
        ("webhook", "https://exam ple.org/a", "invalid"),
        (
            "push",
            "{\"endpoint\": \"https://push.example.org/x\"}",
            "queued",
        ),
    ] {
        let query =
            format!("select status from postroad.enqueue('{channel}', '{recipient}', 'x', 'x')");
        assert_eq!(sender.row(&query).await?, wanted, "{channel} {recipient}");
    }
    Ok(())
}

/// A look-up of a domain takes letters for others, and the list of who gets no mail knows one spelling of each.
#[tokio::test]
async fn a_domain_is_written_in_the_letters_that_stand_for_it() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    for (address, wanted) in [
        ("gone@ｅxample.org", "gone@example.org"),
        ("gone@e𝐱ample.ⓞⓡⓖ", "gone@example.org"),
        ("gone@BÜCHER.example", "gone@bücher.example"),
        ("gone@ΑΒΓ.example", "gone@αβγ.example"),
        ("Gone@Пример.РФ", "Gone@пример.рф"),
        ("ＧＯＮＥ@example.org", "ＧＯＮＥ@example.org"),
        ("gone@example＠evil.org", "null"),
        ("gone@a@b.org", "null"),
        ("gone@a℀b.org", "null"),
        ("gone@exa．mple.org", "gone@exa.mple.org"),
        ("gone@．org", "null"),
        ("gone@xn--bcher-kva.example", "gone@bücher.example"),
        ("gone@XN--Bcher-KVA.example", "gone@bücher.example"),
        ("gone@mail.xn--e1afmkfd.xn--p1ai", "gone@mail.пример.рф"),
        ("gone@xn--r8jz45g.xn--zckzah", "gone@例え.テスト"),
        (
            "gone@xn--strae-oqa.xn--vermgensberater-ctb",
            "gone@straße.vermögensberater",
        ),
        // What stands for a capital, or for nothing, is no name that anybody has: it stays.
        ("gone@xn--bcher-2pa.example", "gone@xn--bcher-2pa.example"),
        ("gone@xn--bcher.example", "gone@xn--bcher.example"),
        (
            "gone@xn--99999999999.example",
            "gone@xn--99999999999.example",
        ),
        ("gone@xn--ls8h.example", "gone@xn--ls8h.example"),
        ("xn--bcher-kva@example.org", "xn--bcher-kva@example.org"),
    ] {
        let query = format!("select postroad.normalize_email('{address}')");
        assert_eq!(db.client.row(&query).await?, wanted, "{address}");
    }
    db.client
        .row("select postroad.suppress('email', 'gone@example.org', 'complaint')")
        .await?;
    let query = "select status from postroad.enqueue('email', 'Gone@exaᵐple.org', body => 'x')";
    assert_eq!(db.client.row(query).await?, "suppressed");
    for (suppressed, recipient) in [
        ("one@bücher.example", "one@xn--bcher-kva.example"),
        ("two@xn--bcher-kva.example", "two@bücher.example"),
    ] {
        let suppress = format!("select postroad.suppress('email', '{suppressed}', 'complaint')");
        db.client.row(&suppress).await?;
        let query =
            format!("select status from postroad.enqueue('email', '{recipient}', body => 'x')");
        assert_eq!(db.client.row(&query).await?, "suppressed", "{recipient}");
    }
    let pause = "select postroad.pause('domain', 'xn--bcher-kva.example', 'test')";
    db.client.row(pause).await?;
    let resume = "select postroad.resume('domain', 'Bücher.example')";
    assert_eq!(db.client.row(resume).await?, "t");
    Ok(())
}

/// Two spellings of a domain are one, whichever a version before kept.
#[tokio::test]
async fn a_suppression_that_was_kept_in_a_labels_is_found_after_migrate() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    db.client
        .batch_execute(
            "insert into postroad.suppression_list (address, channel, reason) values
               ('one@xn--bcher-kva.example', 'email', 'complaint'), ('two@xn--bcher-kva.example', 'email', 'complaint'),
               ('two@bücher.example', 'email', 'manual'), ('three@xn--bcher-2pa.example', null, 'manual')",
        )
        .await?;
    postroad::db::migrate::migrate(&db.database).await?;
    let query = "select string_agg(address, ' ' order by address collate \"C\") from postroad.suppression_list";
    assert_eq!(
        db.client.row(query).await?,
        "one@bücher.example three@xn--bcher-2pa.example two@bücher.example two@xn--bcher-kva.example"
    );
    Ok(())
}

/// Whoever decodes the name of a domain to compare it must not send to another: what is encoded again is what was given.
#[tokio::test]
async fn an_a_label_that_is_decoded_stands_for_what_is_encoded_again() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let labels: Vec<String> = ('\u{80}'..='\u{ffff}')
        .flat_map(|c| [format!("a{c}"), format!("{c}b")])
        .filter_map(|label| idna::punycode::encode_str(&label))
        .map(|encoded| format!("xn--{encoded}"))
        .collect();
    let query =
        "select x.label, postroad.normalize_domain(x.label) from unnest($1::text[]) as x (label)";
    let (mut decoded, mut wrong) = (0, Vec::new());
    for row in db.client.query(query, &[&labels]).await? {
        let (label, domain): (String, String) = (row.get(0), row.get(1));
        if label == domain {
            continue;
        }
        decoded += 1;
        let again = idna::domain_to_ascii(&domain);
        if again.as_ref().is_ok_and(|again| *again != label) {
            wrong.push((label, domain, again));
        }
    }
    assert!(decoded > 80_000, "{decoded} were decoded");
    assert!(
        wrong.is_empty(),
        "{} such as {:?}",
        wrong.len(),
        &wrong[..9.min(wrong.len())]
    );
    Ok(())
}
