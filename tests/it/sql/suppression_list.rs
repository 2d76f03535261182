//! The list as a whole: in by CSV or COPY, out again, and no dearer to ask when it is long.

use std::process::{Output, Stdio};

use tokio_postgres::Client;

use crate::support::db::TestDb;
use crate::support::process::{Directory, stderr};
use crate::support::sql::Sql as _;

/// Every column that an import sets.
const LISTED: &str = "select address, channel, tenant_id, reason, expires_at, source from postroad.suppression_list order by address, channel, tenant_id";

/// Runs `postroad suppressions` on the test's database.
fn postroad(db: &TestDb, directory: &Directory, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command = directory.postroad(&["suppressions"]);
    Ok(command
        .args(arguments)
        .env("DATABASE_URL", &db.url)
        .output()?)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What another provider knew must come along, with all it says, and come twice without harm.
#[tokio::test]
async fn a_list_is_imported_from_csv() -> anyhow::Result<()> {
    let (db, directory) = (TestDb::new().await?, Directory::new()?);
    db.client
        .batch_execute(
            "select postroad.suppress('email', 'eve@x.org', 'legal', source => 'lawyer')",
        )
        .await?;
    directory.write(
        "list.csv",
        "address,channel,tenant_id,reason,expires_at,source\r\n\
         Ada@X.org,email,5,complaint,2099-12-31,\"their, list\"\r\n\
         \"+1 (415) 555-0123\",,,,,\n\
         eve@x.org,email,,,,\n\
         https://x.org/Hook,webhook,,,2099-12-31T23:59:59+02:00,\n",
    )?;
    let wanted = [
        "+14155550123|null|null|manual|null|list.csv",
        "ada@x.org|email|5|complaint|2099-12-31 00:00:00+00|their, list",
        "eve@x.org|email|null|legal|null|lawyer",
        "https://x.org/Hook|webhook|null|manual|2099-12-31 21:59:59+00|list.csv",
    ];
    db.client.batch_execute("set timezone = 'UTC'").await?;
    for summary in [
        "4 lines: 3 new or longer, 1 on the list already.",
        "4 lines: 0 new or longer, 4 on the list already.",
    ] {
        let output = postroad(&db, &directory, &["import", "list.csv"])?;
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(said(&output), summary);
        assert_eq!(db.client.rows(LISTED).await?, wanted);
    }
    let mut command = directory.postroad(&[
        "suppressions",
        "import",
        "-",
        "--channel",
        "sms",
        "--tenant",
        "7",
        "--reason",
        "stop",
        "--source",
        "old system",
    ]);
    let mut child = command
        .env("DATABASE_URL", &db.url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    std::io::Write::write_all(
        &mut child.stdin.take().expect("a pipe"),
        b"+14155550999\n\n0044 20 7946 0000\n",
    )?;
    assert_eq!(
        said(&child.wait_with_output()?),
        "2 lines: 2 new or longer, 0 on the list already."
    );
    let new = db
        .client
        .rows(&LISTED.replace("order by", "where tenant_id = 7 order by"))
        .await?;
    assert_eq!(
        new,
        [
            "+14155550999|sms|7|stop|null|old system",
            "+442079460000|sms|7|stop|null|old system"
        ]
    );
    Ok(())
}

/// A thousandth of any list is garbage: the operator must learn which lines, and no log whose address.
#[tokio::test]
async fn bad_lines_are_left_out_and_named_by_their_number() -> anyhow::Result<()> {
    let (db, directory) = (TestDb::new().await?, Directory::new()?);
    let lines = [
        "address,channel,tenant_id,expires_at",
        "secret-good@x.org,,,",
        "secret nobody,,,",
        "secret@x.org,fax,,",
        "secret@x.org,sms,,",
        "secret@x.org,,five,",
        "secret@x.org,,99999999999999999999,",
        "secret@x.org,,,2099-02-30",
        "secret@x.org,,,tomorrow",
        "secret@x.org,,",
        ",,,",
        "secret-best@x.org,,,",
    ];
    directory.write("list.csv", &lines.join("\n"))?;
    for arguments in [
        ["import", "--dry-run", "list.csv"].as_slice(),
        &["import", "list.csv"],
    ] {
        let output = postroad(&db, &directory, arguments)?;
        assert_eq!(output.status.code(), Some(1));
        let error = stderr(&output);
        assert!(
            !error.contains("secret") && !said(&output).contains("secret"),
            "{error}"
        );
        let named: Vec<_> = error
            .lines()
            .filter_map(|line| line.strip_prefix("line "))
            .filter_map(|line| line.split(':').next())
            .collect();
        assert_eq!(
            named,
            ["10", "3", "4", "5", "6", "7", "8", "9", "11"],
            "{error}"
        );
        assert!(
            error
                .trim_end()
                .ends_with("postroad: 9 lines were left out"),
            "{error}"
        );
        if arguments.contains(&"--dry-run") {
            assert_eq!(
                said(&output),
                "11 lines: 2 are good, 9 left out. Nothing was changed."
            );
            assert_eq!(
                db.client
                    .row("select count(*) from postroad.suppression_list")
                    .await?,
                "0"
            );
        }
    }
    assert_eq!(
        db.client
            .rows("select address from postroad.suppression_list order by 1")
            .await?,
        ["secret-best@x.org", "secret-good@x.org"]
    );
    for (text, words) in [
        ("address,until\na@x.org,2030-01-01\n", "unknown column"),
        ("a@x.org,2030-01-01\n", "must name the columns"),
    ] {
        directory.write("other.csv", text)?;
        let output = postroad(&db, &directory, &["import", "other.csv"])?;
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    let output = postroad(&db, &directory, &["import", "none.csv"])?;
    assert!(
        stderr(&output).contains("cannot read none.csv"),
        "{}",
        stderr(&output)
    );
    Ok(())
}

/// A list that cannot be taken along belongs to somebody else.
#[tokio::test]
async fn an_export_is_an_import_again() -> anyhow::Result<()> {
    let (db, other, directory) = (
        TestDb::new().await?,
        TestDb::new().await?,
        Directory::new()?,
    );
    for db in [&db, &other] {
        let german = "do $$ begin execute format('alter database %I set datestyle = German', current_database()); end $$";
        db.client.batch_execute(german).await?;
    }
    for entry in [
        "'email', 'ada@x.org', 'complaint', tenant_id => 5, expires_at => '2099-12-31 12:00+00', source => 'a, \"b\"'",
        "null, '+14155550123'",
        "'push', '{\"endpoint\": \"https://push.x.org/1\", \"keys\": {}}'",
        "'email', 'gone@x.org', expires_at => now() - interval '1 day'",
    ] {
        db.client
            .row(&format!("select postroad.suppress({entry})"))
            .await?;
    }
    let output = postroad(&db, &directory, &["export"])?;
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        said(&output)
            .starts_with("address,channel,tenant_id,reason,expires_at,source\n+14155550123,"),
        "{}",
        said(&output)
    );
    let output = postroad(&db, &directory, &["export", "list.csv"])?;
    assert!(output.status.success(), "{}", stderr(&output));
    let output = postroad(&other, &directory, &["import", "list.csv"])?;
    assert_eq!(
        said(&output),
        "3 lines: 3 new or longer, 0 on the list already.",
        "{}",
        stderr(&output)
    );
    let mut wanted = db.client.rows(LISTED).await?;
    wanted.retain(|entry| !entry.starts_with("gone@"));
    assert_eq!(other.client.rows(LISTED).await?, wanted);
    let output = postroad(&db, &directory, &["export", "list.csv"])?;
    assert!(
        !output.status.success() && stderr(&output).contains("cannot create list.csv"),
        "what is there is not overwritten"
    );
    Ok(())
}

/// Whoever lives in psql needs no other tool.
#[tokio::test]
async fn a_table_of_the_operators_own_is_imported_whole() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let admin = db.connect_as("postroad_admin").await?;
    admin
        .batch_execute(
            "create temporary table entries (reason text, address text, tenant_id bigint);
             insert into entries select 'legal', case n % 10000 when 7 then 'nobody' else 'u' || n || '@x.org' end, n % 2 from generate_series(1, 25000) as n",
        )
        .await?;
    let import = "select changed, unchanged, invalid, left(array_to_string(problems, ';'), 10) from postroad.import_suppressions_from('entries'";
    assert_eq!(
        admin.row(&format!("{import}, dry_run => true)")).await?,
        "0|24997|3|row 7: nei"
    );
    assert_eq!(
        admin.row(&format!("{import})")).await?,
        "24997|0|3|row 7: nei"
    );
    assert_eq!(
        admin.row(&format!("{import})")).await?,
        "0|24997|3|row 7: nei"
    );
    let counted = "select count(*), count(*) filter (where tenant_id = 1), min(reason) from postroad.suppression_list";
    assert_eq!(db.client.row(counted).await?, "24997|12497|legal");
    assert_eq!(
        admin
            .row("select count(*) from postroad.export_suppressions()")
            .await?,
        "24997"
    );
    for table in [
        "create temporary table other (address text, until date)",
        "create temporary table other (reason text)",
    ] {
        admin.batch_execute(table).await?;
        assert_eq!(
            admin
                .raised("select * from postroad.import_suppressions_from('other')")
                .await?
                .code,
            "PR001",
            "{table}"
        );
        admin.batch_execute("drop table other").await?;
    }
    db.client
        .batch_execute("create table public.private as select 'a@x.org' as address")
        .await?;
    assert_eq!(
        admin
            .raised("select * from postroad.import_suppressions_from('public.private')")
            .await?
            .code,
        "42501"
    );
    Ok(())
}

/// Buffers of the list and its index that the session touched so far.
async fn visited(client: &Client) -> anyhow::Result<f64> {
    client
        .rows("select pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
        .await?;
    let query = "select t.heap_blks_hit + t.heap_blks_read + t.idx_blks_hit + t.idx_blks_read from pg_statio_user_tables as t where t.relname = 'suppression_list'";
    Ok(client.row(query).await?.parse()?)
}

/// A list of millions must cost a send no more than one of a hundred.
#[tokio::test]
async fn the_length_of_the_list_does_not_make_checks_visit_more() -> anyhow::Result<()> {
    const CHECKS: u32 = 100;
    let mut costs = Vec::new();
    for size in [10_000, 300_000] {
        let db = TestDb::new().await?;
        db.register(1).await?;
        db.client
            .batch_execute(&format!(
                "insert into postroad.suppression_list (address, channel, reason) select 'u' || n || '@x.org', 'email', 'complaint' from generate_series(1, {size}) as n;
                 analyze postroad.suppression_list                 -- autovacuum does so"
            ))
            .await?;
        let client = db.connect().await?;
        // Half of them are on it.
        let recipients = format!(
            "'u' || n * 30 || case n % 2 when 0 then '' else 'x' end || '@x.org' from generate_series(1, {CHECKS}) as n"
        );
        let mut cost = Vec::new();
        for query in [
            format!(
                "select count(*) filter (where postroad.is_suppressed('email', x.address)) from (select {recipients}) as x (address)"
            ),
            format!(
                "select count(*) filter (where e.status = 'suppressed') from (select {recipients}) as x (address), postroad.enqueue('email', x.address, body => 'x') as e"
            ),
            format!(
                "select suppressed from postroad.enqueue_bulk('email', (select jsonb_agg(x.address) from (select {recipients}) as x (address)), body => 'x')"
            ),
        ] {
            let before = visited(&client).await?;
            assert_eq!(client.row(&query).await?, "50", "{query}");
            cost.push(visited(&client).await? - before);
        }
        let before = visited(&client).await?;
        let claimed = client
            .rows(&crate::support::sql::claim_query(
                &uuid::Uuid::now_v7().to_string(),
                1,
                4,
                100,
            ))
            .await?;
        assert_eq!(claimed.len(), 50);
        cost.push(visited(&client).await? - before);
        costs.push(cost);
    }
    for (nth, (short, long)) in costs[0].iter().zip(&costs[1]).enumerate() {
        assert!(*short >= f64::from(CHECKS / 2), "counted: {costs:?}");
        let most = match nth {
            2 => f64::from(4 * CHECKS), // many at a time go down the B-tree, three pages each, and read the row
            _ => short * 1.2,
        };
        assert!(
            *long <= most,
            "an address lies in its bucket, whatever the length (and now and then in the next page): {costs:?}"
        );
    }
    Ok(())
}

/// Nobody on the list gets a mail, as a copy neither; the others do.
#[tokio::test]
async fn copies_to_suppressed_addresses_are_left_out_at_the_claim() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let options = r#"{"cc": ["Boss <Boss@x.org>", "team@x.org"], "bcc": ["boss@x.org"]}"#;
    db.enqueue_to("a@x.org", &format!("options => '{options}'"))
        .await?;
    let bulk = format!(
        "select queued from postroad.enqueue_bulk('email', '[\"a@x.org\"]', body => 'x', priority => 'P4', options => '{options}')"
    );
    db.client.row(&bulk).await?;
    db.client
        .batch_execute("select postroad.suppress('email', 'boss@x.org')")
        .await?;
    db.register(1).await?;
    let lease = uuid::Uuid::now_v7();
    let claimed = format!(
        "select coalesce(c.options, f.options) from postroad.claim(4::smallint, '{lease}', 1, 9) as c left join postroad.fetch_contents(array[c.content_id]) as f on true"
    );
    let wanted = r#"{"cc": ["team@x.org"], "bcc": []}"#;
    assert_eq!(db.client.rows(&claimed).await?, [wanted, wanted]);
    Ok(())
}
