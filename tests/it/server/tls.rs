//! TLS of the server's own.

use std::sync::Arc;

use postroad::server::{Server, Settings, route::Router};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::limits::Running;
use crate::support::node::Node;
use crate::support::process::Directory;
use crate::support::scratch::Scratch;
use crate::support::wait::until;

/// With a certificate and its key https is spoken, and nothing else; browsers are told to stay with it.
#[tokio::test]
async fn with_a_certificate_it_speaks_tls_only() -> anyhow::Result<()> {
    let folder = Scratch::new()?;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let (certificate, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&certificate, made.cert.pem())?;
    std::fs::write(&key, made.signing_key.serialize_pem())?;
    let settings = Settings {
        tls_certificate: Some(certificate.clone()),
        tls_key: Some(key),
        ..Settings::default()
    };
    let server = Running::start(settings.clone()).await?;

    let client = postroad::tls::client(true, Some(&certificate)).map_err(anyhow::Error::msg)?;
    let stream = TcpStream::connect(server.address).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(&client));
    let mut stream = connector.connect("localhost".try_into()?, stream).await?;
    stream
        .write_all(b"GET /echo/x HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("strict-transport-security: max-age="),
        "{answer}"
    );

    let mut plain = TcpStream::connect(server.address).await?;
    plain
        .write_all(b"GET /echo/x HTTP/1.1\r\nhost: t\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "it answered in plain");

    let half = Settings {
        tls_key: None,
        ..settings
    };
    assert!(Server::new(half, Router::default()).is_err());
    Ok(())
}

/// A certificate is renewed every few weeks, by a program that knows how to send SIGHUP and must not take the sending down;
/// and one that it spoilt must not take the server down.
#[tokio::test]
async fn a_renewed_certificate_is_taken_at_sighup_and_a_spoilt_one_is_not() -> anyhow::Result<()> {
    let directory = Directory::new()?;
    let made = || rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let (old, new) = (made()?, made()?);
    for (name, made) in [("old", &old), ("new", &new)] {
        directory.write(&format!("{name}.pem"), &made.cert.pem())?;
    }
    directory.write("cert.pem", &old.cert.pem())?;
    directory.write("key.pem", &old.signing_key.serialize_pem())?;
    let config = "[server]\ntls_certificate = 'cert.pem'\ntls_key = 'key.pem'\n";
    let node = Node::start(&directory, super::NO_DATABASE, "tls", &["serve"], config)?;
    let mut address = String::new();
    until("it listens", async || {
        let log = node.log();
        address = log
            .split_once("listening on https://")
            .and_then(|(_, rest)| rest.split(['"', '\n', ' ']).next())
            .unwrap_or_default()
            .to_owned();
        Ok(!address.is_empty())
    })
    .await?;
    let is_shown = async |name: &str| {
        let trusted = directory.path.join(format!("{name}.pem"));
        let client = postroad::tls::client(true, Some(&trusted)).map_err(anyhow::Error::msg)?;
        let stream = TcpStream::connect(&address).await?;
        let connector = tokio_rustls::TlsConnector::from(client);
        anyhow::Ok(
            connector
                .connect("localhost".try_into()?, stream)
                .await
                .is_ok(),
        )
    };
    assert!(is_shown("old").await? && !is_shown("new").await?);

    directory.write("cert.pem", &new.cert.pem())?;
    directory.write("key.pem", &new.signing_key.serialize_pem())?;
    node.signal("-HUP");
    until("the new one is shown", async || is_shown("new").await).await?;
    assert!(!is_shown("old").await?);

    directory.write("key.pem", "nothing of the kind")?;
    node.signal("-HUP");
    until("the log names the file", async || {
        let log = node.log();
        Ok(log
            .lines()
            .any(|line| line.contains("key.pem cannot be used") && line.contains("stays in use")))
    })
    .await?;
    assert!(is_shown("new").await?);
    Ok(())
}
