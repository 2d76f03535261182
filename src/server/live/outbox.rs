//! The outbox of development: mails as they would look, and what would go over other channels.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue, X_FRAME_OPTIONS};
use mail_parser::{Address, Message, MessageParser, MimeHeaders as _};
use serde_json::{Value, json};
use uuid::Uuid;

use super::access::Gate;
use crate::server::Request;
use crate::server::respond::{Refusal, Response, json as answer, whole};
use crate::server::route::Handler;

/// Messages in the list, the newest ones.
const LISTED: usize = 50;
/// What is read of a file: a mail of 50 MiB in base64 has less.
const FILE_BYTES: u64 = 80 * 1024 * 1024;

/// What a mail's html may do in its frame: nothing but look. It loads nothing; pictures it brings along are put into it.
const MAIL_POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; \
    frame-ancestors 'self'; base-uri 'none'; form-action 'none'";

/// The folder.
pub(super) struct Outbox(Option<PathBuf>);

impl Outbox {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self(folder)
    }

    pub(super) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    fn folder(&self) -> Result<PathBuf, Refusal> {
        self.0.clone().ok_or_else(Refusal::not_found)
    }
}

/// Reads files on a thread that may wait for the disk.
async fn read<T: Send + 'static>(
    reads: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(reads).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Err(Refusal::not_found()),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the outbox cannot be read");
            Err(Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the outbox cannot be read",
            ))
        }
        Err(_) => Err(Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "this message cannot be read",
        )),
    }
}

/// The newest messages.
pub(super) struct List {
    gate: Arc<Gate>,
    outbox: Arc<Outbox>,
}

impl List {
    pub(super) fn new(gate: &Arc<Gate>, outbox: &Arc<Outbox>) -> Self {
        let (gate, outbox) = (Arc::clone(gate), Arc::clone(outbox));
        Self { gate, outbox }
    }
}

#[async_trait]
impl Handler for List {
    async fn handle(&self, request: Request) -> Result<Response, Refusal> {
        self.gate.caller(&request).await?;
        let folder = self.outbox.folder()?;
        let messages = read(move || list(&folder)).await?;
        Ok(answer(StatusCode::OK, &json!({"messages": messages})))
    }
}

fn list(folder: &Path) -> io::Result<Vec<Value>> {
    let mut ids: Vec<Uuid> = match fs::read_dir(folder) {
        Ok(entries) => entries
            .filter_map(|entry| id_of(&entry.ok()?.path()))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    // Ids are in the order of time.
    ids.sort_unstable_by(|a, b| b.cmp(a));
    ids.truncate(LISTED);
    // One may be replaced by a resend meanwhile, or removed by hand.
    let shown = ids.into_iter().filter_map(|id| {
        let file = File::read(folder, id).ok()?;
        let mut shown = file.describe(id);
        let entry = shown.as_object_mut()?;
        entry.retain(|key, _| {
            matches!(
                key.as_str(),
                "message_id" | "channel" | "to" | "subject" | "preview"
            )
        });
        Some(shown)
    });
    Ok(shown.collect())
}

fn id_of(path: &Path) -> Option<Uuid> {
    let extension = path.extension()?.to_str()?;
    let stem = path.file_stem()?.to_str()?;
    matches!(extension, "eml" | "json").then(|| stem.parse().ok())?
}

/// One message.
pub(super) struct Show {
    gate: Arc<Gate>,
    outbox: Arc<Outbox>,
}

impl Show {
    pub(super) fn new(gate: &Arc<Gate>, outbox: &Arc<Outbox>) -> Self {
        let (gate, outbox) = (Arc::clone(gate), Arc::clone(outbox));
        Self { gate, outbox }
    }
}

#[async_trait]
impl Handler for Show {
    async fn handle(&self, request: Request) -> Result<Response, Refusal> {
        self.gate.caller(&request).await?;
        let (folder, id) = (self.outbox.folder()?, wanted(&request)?);
        let message = read(move || Ok(File::read(&folder, id)?.describe(id))).await?;
        Ok(answer(StatusCode::OK, &message))
    }
}

fn wanted(request: &Request) -> Result<Uuid, Refusal> {
    let id = request.parameters.first().and_then(|id| id.parse().ok());
    id.ok_or_else(Refusal::not_found)
}

/// The html of a mail, for a frame.
pub(super) struct Html {
    gate: Arc<Gate>,
    outbox: Arc<Outbox>,
}

impl Html {
    pub(super) fn new(gate: &Arc<Gate>, outbox: &Arc<Outbox>) -> Self {
        let (gate, outbox) = (Arc::clone(gate), Arc::clone(outbox));
        Self { gate, outbox }
    }
}

#[async_trait]
impl Handler for Html {
    async fn handle(&self, request: Request) -> Result<Response, Refusal> {
        self.gate.caller(&request).await?;
        let (folder, id) = (self.outbox.folder()?, wanted(&request)?);
        let html = read(move || Ok(File::read(&folder, id)?.html())).await?;
        let html = html.ok_or_else(Refusal::not_found)?;
        let mut response = whole(StatusCode::OK, "text/html; charset=utf-8", html);
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(MAIL_POLICY),
        );
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
        Ok(response)
    }
}

/// A file of the outbox.
enum File {
    Mail(Vec<u8>),
    Other(Value),
}

impl File {
    fn read(folder: &Path, id: Uuid) -> io::Result<Self> {
        let bounded = |name: String| {
            let path = folder.join(name);
            match fs::metadata(&path)?.len() <= FILE_BYTES {
                true => fs::read(path),
                false => Err(io::Error::other("a message is too large to be shown")),
            }
        };
        match bounded(format!("{id}.eml")) {
            Ok(bytes) => Ok(Self::Mail(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let bytes = bounded(format!("{id}.json"))?;
                Ok(Self::Other(serde_json::from_slice(&bytes)?))
            }
            Err(error) => Err(error),
        }
    }

    /// What the page shows of it.
    fn describe(&self, id: Uuid) -> Value {
        match self {
            Self::Mail(bytes) => {
                let mail = MessageParser::default().parse(bytes).unwrap_or_default();
                let text = mail.body_text(0).map(|text| text.into_owned());
                let has_html = mail.html_part(0).is_some_and(|part| part.is_text_html());
                let parts: Vec<_> = mail
                    .attachments()
                    .map(|part| {
                        let name = part.attachment_name().unwrap_or("(no name)");
                        json!({"name": name, "size_bytes": part.len()})
                    })
                    .collect();
                json!({
                    "message_id": id,
                    "channel": "email",
                    "from": addresses(mail.from()),
                    "to": addresses(mail.to()),
                    "cc": addresses(mail.cc()),
                    "subject": mail.subject(),
                    "preview": text.as_deref().map(preview),
                    "text": text,
                    "has_html": has_html,
                    "attachments": parts,
                    "headers": headers(&mail),
                })
            }
            Self::Other(message) => {
                let text = message["body"].as_str();
                json!({
                    "message_id": id,
                    "channel": message["channel"],
                    "to": message["recipient"],
                    "subject": message["subject"],
                    "preview": text.map(preview),
                    "text": text,
                    "data": message["data"],
                    "has_html": false,
                })
            }
        }
    }

    /// The html of a mail with the pictures that it brings along put into it.
    fn html(&self) -> Option<String> {
        let Self::Mail(bytes) = self else { return None };
        let mail = MessageParser::default().parse(bytes)?;
        let mut html = mail
            .html_part(0)
            .filter(|part| part.is_text_html())?
            .text_contents()?
            .to_owned();
        for part in mail.attachments() {
            let (Some(id), Some(kind)) = (part.content_id(), part.content_type()) else {
                continue;
            };
            let subtype = kind.subtype().unwrap_or_default();
            let is_picture = kind.ctype().eq_ignore_ascii_case("image");
            let is_plain = subtype
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
            if is_picture && is_plain {
                let data = STANDARD.encode(part.contents());
                html = html.replace(
                    &format!("cid:{id}"),
                    &format!("data:image/{subtype};base64,{data}"),
                );
            }
        }
        Some(html)
    }
}

fn addresses(address: Option<&Address<'_>>) -> String {
    let all = address.into_iter().flat_map(Address::iter);
    let written = all.map(|one| match (one.name(), one.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (_, address) => address.unwrap_or_default().to_owned(),
    });
    written.collect::<Vec<_>>().join(", ")
}

/// The header fields as they stand in the file, folded ones on one line.
fn headers(mail: &Message<'_>) -> Vec<(String, String)> {
    let raw = mail.headers_raw();
    raw.map(|(name, value)| {
        let words: Vec<_> = value.split_whitespace().collect();
        (name.to_owned(), words.join(" "))
    })
    .collect()
}

/// The first words of a text.
fn preview(text: &str) -> String {
    let mut preview: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = preview.char_indices().nth(140) {
        preview.truncate(end);
        preview.push('…');
    }
    preview
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "From: Ada <ada@example.org>\r\nTo: bob@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
        MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=x\r\n\r\n--x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
        <p>Hi <img src=\"cid:logo\"></p>\r\n--x\r\nContent-Type: image/png; name=logo.png\r\nContent-ID: <logo>\r\n\
        Content-Transfer-Encoding: base64\r\nContent-Disposition: inline; filename=logo.png\r\n\r\niVBORw0=\r\n--x--\r\n";

    /// A picture that a mail brings along is shown without a request: the frame may make none.
    #[test]
    fn a_mail_is_shown_as_it_would_look() {
        let file = File::Mail(MAIL.into());
        let html = file.html().expect("html");
        assert!(
            html.contains("<img src=\"data:image/png;base64,iVBORw0=\">"),
            "{html}"
        );
        let shown = file.describe(Uuid::nil());
        assert_eq!(shown["subject"], "Grüße");
        assert_eq!(shown["from"], "Ada <ada@example.org>");
        assert_eq!(
            shown["attachments"],
            json!([{"name": "logo.png", "size_bytes": 5}])
        );
        assert_eq!(shown["has_html"], true);
        let plain = MAIL.replace("text/html", "text/plain");
        assert_eq!(File::Mail(plain.into()).html(), None);
    }

    /// The folder may hold anything; what is written right now begins with a dot.
    #[test]
    fn only_files_named_by_an_id_are_messages() {
        let id = Uuid::now_v7();
        assert_eq!(id_of(Path::new(&format!("/x/{id}.eml"))), Some(id));
        assert_eq!(id_of(Path::new(&format!("/x/{id}.json"))), Some(id));
        for other in [
            format!(".{id}.eml.0123"),
            format!("{id}.txt"),
            "notes.eml".into(),
            ".eml".into(),
        ] {
            assert_eq!(id_of(Path::new(&other)), None, "{other}");
        }
    }

    /// The list is one line a message.
    #[test]
    fn a_preview_is_short_and_on_one_line() {
        assert_eq!(preview("a\r\n  b\tc "), "a b c");
        let long = preview(&"é".repeat(200));
        assert_eq!(long.chars().count(), 141);
    }
}
