//! TLS of the server's own.

use std::sync::Arc;

use postroad::server::{Server, Settings, route::Router};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::limits::Running;
use crate::support::scratch::Scratch;

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
