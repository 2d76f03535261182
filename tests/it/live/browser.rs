//! The page in Chromium, on a `postroad up` of its own.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::access::{Served, key};
use crate::support::browser::Browser;
use crate::support::db::TestDb;
use crate::support::process::{Directory, Up};
use crate::support::wait::until;

const AXE: &str = include_str!("../../browser/axe.min.js");

/// Wide, then narrow.
const SIZES: [(&str, u32, u32); 2] = [("wide", 1440, 900), ("narrow", 390, 844)];

/// Keys of WebDriver.
const ENTER: &str = "\u{e007}";
const TAB: &str = "\u{e004}";

fn enqueue(directory: &Directory, arguments: &str) -> anyhow::Result<String> {
    directory.psql(&format!(
        "select message_id from postroad.enqueue({arguments})"
    ))
}

/// A picture of the page, for people: `target/live-page/NAME.png`.
async fn keep_picture(browser: &Browser, name: &str) -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../live-page");
    fs::create_dir_all(&folder)?;
    let picture = browser.picture().await?;
    assert!(picture.starts_with(b"\x89PNG"), "no picture");
    fs::write(folder.join(format!("{name}.png")), picture)?;
    Ok(())
}

/// Rules of WCAG 2.2 and good practice that the page as it is shown breaks.
async fn violations(browser: &Browser) -> anyhow::Result<Vec<String>> {
    browser.run(AXE).await?;
    let found = browser
        .promised("window.axe.run(document, {resultTypes: ['violations']}).then((result) => result.violations)")
        .await?;
    let found = found.as_array().cloned().unwrap_or_default();
    Ok(found
        .iter()
        .map(|rule| {
            let nodes = rule["nodes"].as_array().into_iter().flatten();
            let targets: Vec<_> = nodes
                .map(|node| format!("{}: {}", node["target"], node["failureSummary"]))
                .collect();
            format!("{}: {}", rule["id"], targets.join("; "))
        })
        .collect())
}

/// What fills the page: every channel, failures, a pause, what is scheduled.
fn fill(directory: &Directory) -> anyhow::Result<()> {
    directory.psql(
        "select count(e.message_id) from generate_series(1, 40) as n, lateral postroad.enqueue('email', 'ada' || n || '@example.org',
           subject => 'Your order ' || n, body => 'It is on its way.', message_type => case n % 3 when 0 then 'campaign' when 1 then 'alert' else 'transactional' end) as e",
    )?;
    enqueue(
        directory,
        "'sms', '+4915112345678', body => 'Your code is 482913.'",
    )?;
    enqueue(
        directory,
        "'push', 'device-token-0123456789', subject => 'New message', body => 'Bob wrote to you.', data => '{\"thread\": 7}'",
    )?;
    enqueue(
        directory,
        "'email', 'later@example.org', body => 'x', scheduled_for => now() + interval '1 day'",
    )?;
    // What only the gateway finds.
    enqueue(
        directory,
        "'email', 'bad@example.org', body => 'x', options => jsonb_build_object('reply_to', repeat('a', 65) || '@y.org')",
    )?;
    directory.psql("select postroad.pause('domain', 'slow.example', 'they asked us to wait')")?;
    Ok(())
}

/// The whole of it, as an operator meets it.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_live_complete_and_accessible_and_asks_nobody_else() -> anyhow::Result<()> {
    let directory = Directory::new()?;
    let up = Up::start(&directory)?;
    let site = format!("http://{}/", up.address);
    let browser = Browser::start(1440, 900).await?;
    browser.look(1440, 900, "light").await?;
    browser.open(&site).await?;
    browser
        .until("document.getElementById('state').textContent === 'live'")
        .await?;

    // A message is there with the second frame that ends after its commit at the latest: the first may have been asked for before.
    browser
        .run("window.frames_seen = 0; new EventSource('/ui/feed').addEventListener('frame', () => { window.frames_seen += 1; })")
        .await?;
    for nth in 0..5 {
        let id = enqueue(
            &directory,
            &format!("'email', 'ada{nth}@example.org', subject => 'Hello', body => 'It works.'"),
        )?;
        let shown = format!("document.querySelector('#events a[title=\"{id}\"]')");
        let committed = browser.value("window.frames_seen").await?;
        // Read in one look: whether it is shown, and how many frames there have been.
        let third = format!("{shown} || window.frames_seen > {committed} + 2");
        browser.until(&third).await?;
        assert_eq!(
            browser.value(&format!("Boolean({shown})")).await?,
            json!(true),
            "two frames without {id}"
        );
    }

    // The way of a message, found by its id and by its address, with the keyboard alone.
    let html = "<h1 style=\"color: teal\">Hello <b>Ada</b></h1><script>document.title = \"caught\"</script><img src=\"http://192.0.2.1/track.png\">";
    let id = enqueue(
        &directory,
        &format!(
            "'email', 'Grace@example.org', subject => 'Grüße', body => 'plain words', html => '{html}'"
        ),
    )?;
    browser
        .until(&format!(
            "document.querySelector('#events a[title=\"{id}\"]')"
        ))
        .await?;
    browser
        .run("document.body.focus(); document.getElementById('search-for').focus()")
        .await?;
    browser.types(&format!("grace@example.org{ENTER}")).await?;
    browser
        .until("document.querySelector('#message')?.innerText.includes('The latest 1.')")
        .await?;
    browser
        .run("document.querySelector('#message table a').focus()")
        .await?;
    browser.types(ENTER).await?;
    for words in [
        "Grace@example.org",
        "Why it is where it is",
        "transactional over email",
        "What happened",
        "outbox",
    ] {
        browser.until_text("#message", words).await?;
    }
    browser
        .until("document.querySelector('#message .tag').innerText === 'sent'")
        .await?;

    // The mail as it looks: nothing of it runs, nothing is loaded.
    let entry = format!("#outbox-list [data-key=\"{id}\"] button");
    browser.click(&entry).await?;
    browser
        .until(&format!(
            "document.querySelector('#outbox-message iframe[src*=\"{id}\"]')"
        ))
        .await?;
    browser
        .until("document.querySelector('#outbox-message h3').innerText === 'Grüße'")
        .await?;
    let sandbox = "document.querySelector('#outbox-message iframe').sandbox.length";
    assert_eq!(browser.value(sandbox).await?, json!(0));
    browser
        .run("document.querySelector('#outbox-panel').scrollIntoView()")
        .await?;
    until("the mail is loaded", async || {
        Ok(browser.frame_text("#outbox-message iframe").await? == "Hello Ada")
    })
    .await?;
    keep_picture(&browser, "outbox").await?;
    let mut asked = browser.requests().await?;
    browser.complaints().await?; // what the frame was kept from doing is told on the console

    fill(&directory)?;
    browser
        .until("document.querySelectorAll('#outbox-list li').length >= 40")
        .await?;
    browser
        .until("document.querySelector('#failures').innerText.includes('failed')")
        .await?;

    // Pause and resume, with the mouse.
    browser
        .click("#queue [aria-label='Pause priority P3']")
        .await?;
    browser.types("a test").await?;
    browser.click("#ask-yes").await?;
    browser
        .until("document.querySelector('#queue [aria-label=\"Resume priority P3\"]')")
        .await?;
    until("it is paused", async || {
        Ok(directory.psql("select count(*) from postroad.pauses where scope = 'priority' and key = 'P3' and reason = 'a test'")? == "1")
    })
    .await?;
    browser
        .until_text("#attention", "priority P3 is paused: a test.")
        .await?;
    // A campaign mail waits now, and can be withdrawn.
    let waiting = enqueue(
        &directory,
        "'email', 'wait@example.org', body => 'x', message_type => 'campaign'",
    )?;
    browser
        .run(&format!("location.hash = '#message={waiting}'"))
        .await?;
    browser.until("document.querySelector('#message .gates')?.innerText.includes('priority P3 is paused')").await?;
    keep_picture(&browser, "message-waits").await?;
    browser.click("#message [data-action='cancel']").await?;
    browser.click("#ask-yes").await?;
    browser
        .until("document.querySelector('#message .tag').innerText === 'cancelled'")
        .await?;
    browser.click("#message [data-action='retry']").await?;
    browser.click("#ask-yes").await?;
    browser
        .until("document.querySelector('#message .tag').innerText === 'queued'")
        .await?;
    browser
        .click("#queue [aria-label='Resume priority P3']")
        .await?;
    browser
        .until("document.querySelector('#message .tag').innerText === 'sent'")
        .await?;
    assert_eq!(
        directory.psql("select count(*) from postroad.pauses where scope = 'priority'")?,
        "0"
    );

    // In light and dark, wide and narrow.
    browser.run("document.activeElement.blur()").await?;
    browser
        .until("document.getElementById('notice').hidden")
        .await?;
    for scheme in ["light", "dark"] {
        for (size, width, height) in SIZES {
            browser.look(width, height, scheme).await?;
            browser.until(&format!("innerWidth === {width}")).await?;
            browser
                .until("document.getElementById('state').textContent === 'live'")
                .await?;
            browser
                .until("document.documentElement.scrollWidth <= innerWidth")
                .await?;
            let found = violations(&browser).await?;
            assert!(found.is_empty(), "{scheme}, {size}: {found:#?}");
            keep_picture(&browser, &format!("{scheme}-{size}")).await?;
        }
    }

    // The first stop of the keyboard leads past the header, to the queue.
    browser.open(&site).await?;
    browser
        .until("document.getElementById('state').textContent === 'live'")
        .await?;
    browser.types(&format!("{TAB}{ENTER}")).await?;
    browser
        .until("document.activeElement.id === 'main'")
        .await?;

    let complaints = browser.complaints().await?;
    let ours: Vec<_> = complaints
        .iter()
        .filter(|text| !text.contains("/html"))
        .collect();
    assert!(ours.is_empty(), "{ours:#?}");
    asked.extend(browser.requests().await?);
    assert!(
        asked.iter().any(|url| url.ends_with("/ui/feed")),
        "{asked:?}"
    );
    let elsewhere: Vec<_> = asked
        .iter()
        .filter(|url| !url.starts_with(&site) && !url.starts_with("data:"))
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    Ok(())
}

/// With keys: a reader looks and cannot act, and after logging out nobody does.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_logs_in_looks_and_logs_out() -> anyhow::Result<()> {
    let db = TestDb::new().await?;
    let served = Served::start(&db, false).await?;
    let reader = key(&db, "roles => '{reader}'").await?;
    db.enqueue(3, "message_type => 'alert'").await?;
    let browser = Browser::start(1000, 700).await?;
    browser.look(1000, 700, "light").await?;
    browser.open(&format!("http://{}/", served.address)).await?;
    browser
        .until("!document.getElementById('login').hidden")
        .await?;
    let found = violations(&browser).await?;
    assert!(found.is_empty(), "{found:#?}");
    keep_picture(&browser, "login").await?;

    browser
        .until("document.activeElement.id === 'login-key'")
        .await?;
    browser.types(&format!("pr_live_wrong{ENTER}")).await?;
    browser
        .until("document.getElementById('login-problem').textContent.startsWith('no such key')")
        .await?;
    browser.run("document.getElementById('login-key').value = ''; document.getElementById('login-key').focus()").await?;
    browser.types(&format!("{reader}{ENTER}")).await?;
    browser
        .until("document.getElementById('state').textContent === 'live'")
        .await?;
    browser
        .until("document.querySelector('#queue').innerText.includes('alerts')")
        .await?;
    assert_eq!(
        browser.value("document.cookie").await?,
        json!(""),
        "a script can read the key"
    );
    browser
        .until("document.querySelector('#queue [data-key=P1]').cells[1].textContent === '3'")
        .await?;
    browser
        .until("document.querySelector('#attention').innerText.includes('No worker runs')")
        .await?;
    let buttons = "document.querySelectorAll('main button[aria-label^=Pause], #pause-form:not([hidden])').length";
    assert_eq!(
        browser.value(buttons).await?,
        json!(0),
        "a reader is offered what it may not do"
    );
    keep_picture(&browser, "reader").await?;

    browser.click("#logout").await?;
    browser.until("!document.getElementById('login').hidden && document.getElementById('dashboard').hidden").await?;
    let seen = browser
        .promised("fetch('/ui/session').then((answer) => answer.status)")
        .await?;
    assert_eq!(seen, json!(401));
    Ok(())
}
