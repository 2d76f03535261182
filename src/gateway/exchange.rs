//! What goes over the wire while a message is sent by hand: each line that a gateway writes and reads, secrets masked.
//!
//! A recorder belongs to a task. The HTTP layer and the SMTP session tell it what they do; without one, which is how
//! workers run, they tell nobody.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::HeaderMap;
use reqwest::{Request, StatusCode};

use crate::model::secret::Secret;

/// What is shown of a mail or a body, in bytes.
const SHOWN_MAX: usize = 16 * 1024;

/// Headers that authorise a request and are no `Authorization`.
const MASKED_HEADERS: [&str; 6] = [
    "authorization",
    "cookie",
    "x-amz-security-token",
    "x-ovh-consumer",
    "x-ovh-signature",
    "x-server-api-key",
];

tokio::task_local! {
    static RECORDER: Option<Arc<Recorder>>;
}

/// Keeps the lines of one exchange.
#[derive(Debug, Default)]
pub struct Recorder {
    secrets: Vec<Secret>,
    lines: Mutex<Vec<String>>,
}

impl Recorder {
    /// Shows `***` for each of `secrets`, wherever it stands.
    pub fn new(secrets: Vec<Secret>) -> Arc<Self> {
        Arc::new(Self {
            secrets,
            lines: Mutex::default(),
        })
    }

    /// Records what `sending` does in this task.
    pub async fn during<T>(self: &Arc<Self>, sending: impl Future<Output = T>) -> T {
        RECORDER.scope(Some(Arc::clone(self)), sending).await
    }

    /// The lines so far: `> ` what went out, `< ` what came, `* ` what else happened.
    pub fn lines(&self) -> Vec<String> {
        self.kept().clone()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, mark: char, text: &str) {
        let mut shown = text[..text.floor_char_boundary(SHOWN_MAX)].to_owned();
        for secret in self.secrets.iter().map(Secret::expose) {
            if !secret.is_empty() {
                shown = shown.replace(secret, "***");
            }
        }
        let mut kept = self.kept();
        let lines = shown.strip_suffix('\n').unwrap_or(&shown).split('\n');
        kept.extend(lines.map(|line| {
            let line = line.strip_suffix('\r').unwrap_or(line);
            format!("{mark} {}", printable(line)).trim_end().to_owned()
        }));
        if text.len() > SHOWN_MAX {
            kept.push(format!("* ({} bytes more)", text.len() - SHOWN_MAX));
        }
    }
}

/// What a terminal shows as it is; a provider must not move the cursor.
fn printable(line: &str) -> String {
    line.chars().fold(String::new(), |mut shown, c| {
        match c {
            '\t' => shown.push(c),
            c if c.is_control() => {
                let _ = write!(shown, "{}", c.escape_unicode());
            }
            c => shown.push(c),
        }
        shown
    })
}

/// Whether somebody records.
pub(super) fn is_recorded() -> bool {
    RECORDER.try_with(Option::is_some).unwrap_or(false)
}

fn tell(mark: char, text: impl FnOnce() -> String) {
    let recorder = RECORDER.try_with(Clone::clone);
    if let Ok(Some(recorder)) = recorder {
        recorder.add(mark, &text());
    }
}

/// Says what else happened.
pub(super) fn remark(text: &str) {
    tell('*', || text.to_owned());
}

/// Says what goes out.
pub(super) fn out(text: impl FnOnce() -> String) {
    tell('>', text);
}

/// Says what came.
pub(super) fn came(text: impl FnOnce() -> String) {
    tell('<', text);
}

/// Records of `action` only that it is done: what it sends and gets is secret throughout.
pub(super) async fn hidden<T>(what: &str, action: impl Future<Output = T>) -> T {
    remark(what);
    RECORDER.scope(None, action).await
}

/// Says what a request is.
pub(super) fn request(request: &Request) {
    out(|| {
        let mut text = format!("{} {}\n", request.method(), request.url());
        headers(&mut text, request.headers());
        match request.body().map(reqwest::Body::as_bytes) {
            None => {}
            Some(Some(body)) => {
                let _ = write!(text, "\n{}", String::from_utf8_lossy(body));
            }
            Some(None) => text.push_str("\n(a form of several parts)"),
        }
        text
    });
}

/// Says what an answer is.
pub(super) fn answer(status: StatusCode, of: &HeaderMap, body: &[u8]) {
    came(|| {
        let mut text = format!("{status}\n");
        headers(&mut text, of);
        if !body.is_empty() {
            let _ = write!(text, "\n{}", String::from_utf8_lossy(body));
        }
        text
    });
}

fn headers(text: &mut String, headers: &HeaderMap) {
    for (name, value) in headers {
        let is_secret = value.is_sensitive() || MASKED_HEADERS.contains(&name.as_str());
        let value = String::from_utf8_lossy(value.as_bytes());
        let _ = writeln!(text, "{name}: {}", if is_secret { "***" } else { &value });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is printed is pasted into tickets, and read on terminals.
    #[tokio::test]
    async fn secrets_are_masked_and_control_characters_are_shown() {
        let recorder = Recorder::new(vec!["hunter2".into(), "".into()]);
        recorder
            .during(async {
                out(|| "key hunter2\r\nsecond\r\n".into());
                came(|| "ok \u{1b}[2Jgone".into());
                hidden("asks for a token", async { out(|| "hunter3".into()) }).await;
            })
            .await;
        out(|| "after".into());
        let expected = [
            "> key ***",
            "> second",
            "< ok \\u{1b}[2Jgone",
            "* asks for a token",
        ];
        assert_eq!(recorder.lines(), expected);
    }

    /// A body may be megabytes long.
    #[tokio::test]
    async fn a_long_text_is_cut() {
        let recorder = Recorder::new(Vec::new());
        let text = "é".repeat(SHOWN_MAX);
        recorder.during(async { out(|| text) }).await;
        let lines = recorder.lines();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1], format!("* ({SHOWN_MAX} bytes more)"));
    }
}
