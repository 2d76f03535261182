//! A real browser without a screen: Chromium, driven by WebDriver (<https://www.w3.org/TR/webdriver2/>) through chromedriver.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::scratch::Scratch;
use super::wait::until;

/// One that asks nobody for updates, and shares nothing with other ones.
const ARGUMENTS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--force-device-scale-factor=1",
    "--lang=en",
];

/// What WebDriver says of an element that is not there, not any more, or not yet to be seen.
const NOT_YET: [&str; 4] = [
    "no such element",
    "stale element reference",
    "element not interactable",
    "element click intercepted",
];

/// The browser; ended when dropped.
pub(crate) struct Browser {
    driver: Child,
    client: reqwest::Client,
    /// Of the session.
    url: String,
    _profile: Scratch,
}

fn program(names: &[&str]) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let mut candidates = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    candidates.find(|file| file.is_file()).with_context(|| {
        format!(
            "{} is missing; ./scripts/test installs it (Debian: chromium, chromium-driver)",
            names[0]
        )
    })
}

impl Browser {
    /// Starts one, its window so large.
    pub(crate) async fn start(width: u32, height: u32) -> anyhow::Result<Self> {
        let profile = Scratch::new()?;
        let mut driver = Command::new(program(&["chromedriver"])?)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let output = BufReader::new(driver.stdout.take().context("its output")?);
        let (sender, port) = channel();
        thread::spawn(move || {
            // Read to its end, lest it block.
            for line in output.lines().map_while(Result::ok) {
                if let Some((_, port)) = line.split_once("started successfully on port ") {
                    let _ = sender.send(port.trim_end_matches('.').to_owned());
                }
            }
        });
        let port = port.recv_timeout(Duration::from_secs(60));
        let mut browser = Self {
            driver,
            client: postroad::gateway::http::client().map_err(anyhow::Error::msg)?,
            url: format!(
                "http://127.0.0.1:{}/session",
                port.context("chromedriver did not start")?
            ),
            _profile: profile,
        };
        let mut arguments: Vec<String> = ARGUMENTS.map(Into::into).to_vec();
        arguments.push(format!(
            "--user-data-dir={}",
            browser._profile.path().display()
        ));
        arguments.push(format!("--window-size={width},{height}"));
        let options = json!({
            "binary": program(&["chromium", "chromium-browser", "google-chrome"])?,
            "args": arguments,
        });
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "timeouts": {"script": 60_000},
        }}});
        let session = browser.command("", Some(wanted)).await?;
        let id = session["sessionId"].as_str().context("a session")?;
        browser.url = format!("{}/{id}", browser.url);
        Ok(browser)
    }

    /// A command of WebDriver: a GET without a body.
    async fn command(&self, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.url);
        let request = match body {
            Some(body) => self.client.post(url).body(body.to_string()),
            None => self.client.get(url),
        };
        let answer = request.send().await?.bytes().await?;
        let mut answer: Value = serde_json::from_slice(&answer)?;
        let value = answer["value"].take();
        anyhow::ensure!(
            value["error"].is_null(),
            "{path}: {} {}",
            value["error"],
            value["message"]
        );
        Ok(value)
    }

    /// Opens a page, and waits until it is loaded.
    pub(crate) async fn open(&self, url: &str) -> anyhow::Result<()> {
        self.command("/url", Some(json!({"url": url}))).await?;
        Ok(())
    }

    /// The value of an expression of JavaScript.
    pub(crate) async fn value(&self, expression: &str) -> anyhow::Result<Value> {
        let script = json!({"script": format!("return ({expression})"), "args": []});
        self.command("/execute/sync", Some(script)).await
    }

    /// What a promise resolves to.
    pub(crate) async fn promised(&self, expression: &str) -> anyhow::Result<Value> {
        let script = format!(
            "const done = arguments[0]; Promise.resolve({expression}).then(done, (error) => done({{failed: String(error)}}))"
        );
        let value = self
            .command(
                "/execute/async",
                Some(json!({"script": script, "args": []})),
            )
            .await?;
        anyhow::ensure!(
            value["failed"].is_null(),
            "{expression:.80}: {}",
            value["failed"]
        );
        Ok(value)
    }

    /// Runs statements.
    pub(crate) async fn run(&self, statements: &str) -> anyhow::Result<()> {
        self.command(
            "/execute/sync",
            Some(json!({"script": statements, "args": []})),
        )
        .await?;
        Ok(())
    }

    /// The text of what a selector finds, its lines joined; empty when there is none or it is hidden.
    pub(crate) async fn text(&self, selector: &str) -> anyhow::Result<String> {
        let text = format!("document.querySelector({selector:?})?.innerText ?? ''");
        Ok(self
            .value(&text)
            .await?
            .as_str()
            .unwrap_or_default()
            .replace('\n', " "))
    }

    /// Waits until the text of what a selector finds contains these words.
    pub(crate) async fn until_text(&self, selector: &str, words: &str) -> anyhow::Result<()> {
        until(&format!("{selector} shows {words:?}"), async || {
            Ok(self.text(selector).await?.contains(words))
        })
        .await?;
        Ok(())
    }

    /// The text of the document in a frame.
    pub(crate) async fn frame_text(&self, selector: &str) -> anyhow::Result<String> {
        let find = json!({"using": "css selector", "value": selector});
        let frame = self.command("/element", Some(find)).await?;
        self.command("/frame", Some(json!({"id": frame}))).await?;
        let text = self.text("body").await;
        self.command("/frame", Some(json!({"id": null}))).await?;
        text
    }

    /// Waits until an expression is true; how long that took.
    pub(crate) async fn until(&self, expression: &str) -> anyhow::Result<Duration> {
        let began = Instant::now();
        until(expression, async || {
            Ok(self.value(&format!("Boolean({expression})")).await? == true)
        })
        .await?;
        Ok(began.elapsed())
    }

    /// Clicks with the mouse in the middle of what a selector finds; again when the page drew it anew in between.
    pub(crate) async fn click(&self, selector: &str) -> anyhow::Result<()> {
        until(
            &format!("{selector} is there to be clicked"),
            async || match self.click_once(selector).await {
                Ok(()) => Ok(true),
                Err(error)
                    if NOT_YET
                        .iter()
                        .any(|known| error.to_string().contains(known)) =>
                {
                    Ok(false)
                }
                Err(error) => Err(error),
            },
        )
        .await?;
        Ok(())
    }

    async fn click_once(&self, selector: &str) -> anyhow::Result<()> {
        let find = json!({"using": "css selector", "value": selector});
        let found = self.command("/element", Some(find)).await?;
        let mut ids = found
            .as_object()
            .into_iter()
            .flat_map(|found| found.values());
        let id = ids.next().and_then(Value::as_str).context("an element")?;
        self.command(&format!("/element/{id}/click"), Some(json!({})))
            .await?;
        Ok(())
    }

    /// Types on the keyboard, into whatever has the focus. Keys without a character are in the private use area of WebDriver.
    pub(crate) async fn types(&self, text: &str) -> anyhow::Result<()> {
        let strokes = text.chars().flat_map(|key| {
            ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()}))
        });
        let actions = json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes.collect::<Vec<_>>()}]});
        self.command("/actions", Some(actions)).await?;
        Ok(())
    }

    /// Makes the page so wide and high, and light or dark; nothing moves.
    pub(crate) async fn look(&self, width: u32, height: u32, scheme: &str) -> anyhow::Result<()> {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)
            .await?;
        let features = json!({"features": [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]});
        self.devtools("Emulation.setEmulatedMedia", features)
            .await?;
        Ok(())
    }

    /// A command of Chromium's own protocol.
    async fn devtools(&self, name: &str, parameters: Value) -> anyhow::Result<Value> {
        self.command(
            "/goog/cdp/execute",
            Some(json!({"cmd": name, "params": parameters})),
        )
        .await
    }

    /// A picture of the whole page, as PNG.
    pub(crate) async fn picture(&self) -> anyhow::Result<Vec<u8>> {
        let size = self
            .value("[innerWidth, document.documentElement.scrollHeight]")
            .await?;
        let clip = json!({"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1});
        let shot = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let picture = self.devtools("Page.captureScreenshot", shot).await?;
        Ok(STANDARD.decode(picture["data"].as_str().context("a picture")?)?)
    }

    async fn log(&self, kind: &str) -> anyhow::Result<Vec<Value>> {
        let log = self.command("/se/log", Some(json!({"type": kind}))).await?;
        Ok(log.as_array().cloned().unwrap_or_default())
    }

    /// Errors and warnings on the console since it was last asked, violations of the page's policy among them.
    pub(crate) async fn complaints(&self) -> anyhow::Result<Vec<String>> {
        let entries = self.log("browser").await?.into_iter();
        let bad = entries.filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        Ok(bad.map(|entry| entry["message"].to_string()).collect())
    }

    /// The URLs that were asked for since this was last asked; not the browser's own.
    pub(crate) async fn requests(&self) -> anyhow::Result<BTreeSet<String>> {
        let entries = self.log("performance").await?.into_iter();
        let messages = entries.filter_map(|entry| {
            let mut message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            Some(message["message"].take())
        });
        let sent = messages.filter(|message| message["method"] == "Network.requestWillBeSent");
        let urls = sent.filter_map(|message| {
            message["params"]["request"]["url"]
                .as_str()
                .map(str::to_owned)
        });
        Ok(urls.filter(|url| !url.starts_with("chrome://")).collect())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // chromedriver ends its browser when it is asked to end; what it forgets is of its group.
        super::process::signal(&self.driver.id().to_string(), "-TERM");
        let _ = self.driver.wait();
        super::process::signal(&format!("-{}", self.driver.id()), "-KILL");
    }
}
