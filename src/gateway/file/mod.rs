//! Writes each message to a file of its own, for development: nothing leaves the machine.
//!
//! A mail becomes `<message id>.eml`, what would go over any other channel `<message id>.json`. A resend
//! replaces the file. There is no fsync: an outbox that survives a power cut is not what this is for.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::timeout_at;
use uuid::Uuid;

use super::{Gateway, mime};
use crate::model::message::{Channel, MessageType, Priority, Rendered};
use crate::model::outcome::{Accepted, Fault, SendError};

/// Its settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The folder, made with mode 0700 when it is not there. Files have mode 0600.
    pub path: PathBuf,
    /// Sender of mails that name none: an address, or `Name <address>`.
    pub from: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            path: ".postroad/outbox".into(),
            from: "postroad@localhost".into(),
        }
    }
}

/// Writes messages to files.
pub struct File {
    name: String,
    path: PathBuf,
    from: mime::Mailbox,
}

impl File {
    /// Builds it. The folder is made by the first message.
    ///
    /// # Errors
    ///
    /// What is wrong in the settings.
    pub fn new(name: &str, settings: &Settings) -> Result<Self, String> {
        let from = mime::mailbox(&settings.from)
            .map_err(|mime::Invalid| "from must be an address, or \"Name <address>\"")?;
        Ok(Self {
            name: name.into(),
            path: settings.path.clone(),
            from,
        })
    }
}

#[async_trait]
impl Gateway for File {
    fn name(&self) -> &str {
        &self.name
    }

    fn channels(&self) -> &[Channel] {
        Channel::ALL
    }

    /// Answers with the name of the file as external id.
    ///
    /// Beside what makes a mail impossible, its only reason to fail is `outbox_write_failed`, the gateway's
    /// fault, with the system's error as text; and the deadline: `deadline_passed` before the file was begun,
    /// `no_reply` after.
    async fn send(&self, message: &Rendered, deadline: Instant) -> Result<Accepted, SendError> {
        if Instant::now() >= deadline {
            let fault = Fault::Transient { retry_after: None };
            return Err(SendError::new(fault, "deadline_passed"));
        }
        let failed = |error: io::Error| {
            let fault = Fault::Gateway { retry_after: None };
            SendError::new(fault, "outbox_write_failed").with_text(&error.to_string())
        };
        let (extension, bytes) = match message.channel {
            Channel::Email => ("eml", mime::build(message, Some(&self.from))?.bytes),
            _ => ("json", json(message).map_err(|e| failed(e.into()))?),
        };
        let file = format!("{}.{extension}", message.message_id);
        let (folder, name) = (self.path.clone(), file.clone());
        let written = tokio::task::spawn_blocking(move || write(&folder, &name, &bytes));
        match timeout_at(deadline.into(), written).await {
            Ok(Ok(written)) => written.map_err(failed)?,
            Ok(Err(panicked)) => return Err(failed(panicked.into())),
            Err(_) => return Err(SendError::new(Fault::Unknown, "no_reply")),
        }
        Ok(Accepted {
            external_id: Some(file),
            provider_text: None,
        })
    }
}

/// What a reader of the outbox sees of a message that is not a mail.
#[derive(Serialize)]
struct Json<'a> {
    message_id: Uuid,
    channel: Channel,
    message_type: MessageType,
    priority: Priority,
    attempt: i16,
    tenant_id: Option<i64>,
    recipient: &'a str,
    subject: Option<&'a str>,
    body: Option<&'a str>,
    data: Option<&'a RawValue>,
    tags: &'a [String],
}

fn json(message: &Rendered) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec_pretty(&Json {
        message_id: message.message_id,
        channel: message.channel,
        message_type: message.message_type,
        priority: message.priority,
        attempt: message.attempt,
        tenant_id: message.tenant_id,
        recipient: &message.recipient,
        subject: message.subject.as_deref(),
        body: message.body.as_deref(),
        data: message.data.as_deref(),
        tags: &message.options.tags,
    })
}

/// Writes under a name that readers skip, then renames: whoever lists the folder sees whole files only.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let unfinished = folder.join(format!(".{name}.{:016x}", fastrand::u64(..)));
    let result = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&unfinished, folder.join(name)));
    if result.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    result
}
