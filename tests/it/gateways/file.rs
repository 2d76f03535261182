//! The outbox of the file gateway.

use std::os::unix::fs::PermissionsExt as _;

use mail_parser::MessageParser;
use postroad::gateway::Gateway as _;
use postroad::gateway::file::{File, Settings};
use postroad::model::outcome::Fault;

use super::*;
use crate::support::scratch::Scratch;

fn outbox(scratch: &Scratch) -> File {
    let settings = Settings {
        path: scratch.path().join("deep/outbox"),
        ..Settings::default()
    };
    File::new("file", &settings).expect("a gateway")
}

fn names(scratch: &Scratch) -> std::io::Result<Vec<String>> {
    std::fs::read_dir(scratch.path().join("deep/outbox"))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// The web page shows the outbox, and so does any mail program.
#[tokio::test]
async fn a_mail_becomes_a_file_that_mail_programs_read() -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let message = mail();
    let id = outbox(&scratch).send(&message, later()).await?.external_id;
    let name = format!("{}.eml", message.message_id);
    assert_eq!(id.as_deref(), Some(name.as_str()));
    assert_eq!(names(&scratch)?, [name.as_str()]);

    let bytes = std::fs::read(scratch.path().join("deep/outbox").join(name))?;
    let parsed = MessageParser::default().parse(&bytes).expect("a mail");
    assert_eq!(parsed.subject(), Some("Notes"));
    assert_eq!(
        parsed.body_text(0).as_deref().map(str::trim_end),
        Some(BODY)
    );
    let from = parsed
        .from()
        .and_then(|from| from.first())
        .expect("a sender");
    assert_eq!(from.address(), Some("postroad@localhost"));
    Ok(())
}

/// Other channels have no file format of their own.
#[tokio::test]
async fn a_message_of_another_channel_becomes_json() -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let message = message(Channel::Sms);
    outbox(&scratch).send(&message, later()).await?;
    let name = format!("deep/outbox/{}.json", message.message_id);
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(scratch.path().join(name))?)?;
    assert_eq!(json["message_id"], message.message_id.to_string());
    assert_eq!(json["channel"], "sms");
    assert_eq!(json["recipient"], message.recipient);
    assert_eq!(json["body"], BODY);
    assert_eq!(json["attempt"], 1);
    Ok(())
}

/// Mails are private, on a development machine too.
#[tokio::test]
async fn the_outbox_is_for_its_owner_only() -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let message = mail();
    outbox(&scratch).send(&message, later()).await?;
    let folder = scratch.path().join("deep/outbox");
    let mode = |path: &std::path::Path| {
        let metadata = std::fs::metadata(path)?;
        anyhow::Ok(metadata.permissions().mode() & 0o777)
    };
    assert_eq!(mode(&folder)?, 0o700);
    assert_eq!(
        mode(&folder.join(format!("{}.eml", message.message_id)))?,
        0o600
    );
    Ok(())
}

/// A resend is the same message: one file, and nothing unfinished beside it.
#[tokio::test]
async fn a_resend_replaces_the_file() -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let outbox = outbox(&scratch);
    let message = mail();
    outbox.send(&message, later()).await?;
    outbox
        .send(
            &Rendered {
                attempt: 2,
                ..message
            },
            later(),
        )
        .await?;
    assert_eq!(names(&scratch)?.len(), 1);
    Ok(())
}

/// No room is the outbox's fault, and no half file is left.
#[tokio::test]
async fn an_outbox_that_cannot_be_written_is_the_gateways_fault() -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let message = mail();
    // A folder in the place of the file: the rename fails after the write.
    let place = format!("deep/outbox/{}.eml", message.message_id);
    std::fs::create_dir_all(scratch.path().join(&place))?;
    let error = outbox(&scratch)
        .send(&message, later())
        .await
        .expect_err("no place");
    assert_eq!(error.fault, Fault::Gateway { retry_after: None });
    assert_eq!(error.reason, "outbox_write_failed");
    assert_eq!(names(&scratch)?.len(), 1, "an unfinished file was left");
    Ok(())
}
