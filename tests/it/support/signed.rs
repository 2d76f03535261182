//! A sender of webhooks, by Standard Webhooks 1.0.0.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// What sender and receiver share here.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The three headers that sign `body`, at a time `apart` seconds from now.
pub(crate) fn headers(id: &str, body: &str, apart: i64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time");
    let at = i64::try_from(now.as_secs()).expect("a time") + apart;
    let key = STANDARD.decode(&SECRET["whsec_".len()..]).expect("base64");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signature = hmac::sign(&key, format!("{id}.{at}.{body}").as_bytes());
    let signature = STANDARD.encode(signature);
    format!("webhook-id: {id}\r\nwebhook-timestamp: {at}\r\nwebhook-signature: v1,{signature}\r\n")
}

/// A keep-alive connection.
pub(crate) struct Sender {
    stream: BufReader<TcpStream>,
}

impl Sender {
    pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Posts a body, and returns the status and the answer's body.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        headers: &str,
        body: &str,
    ) -> anyhow::Result<(u16, String)> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: post.example.org\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        let (mut status, mut length) = (None, 0);
        loop {
            let mut line = String::new();
            anyhow::ensure!(
                self.stream.read_line(&mut line).await? > 0,
                "the connection ended"
            );
            let line = line.trim_end();
            if status.is_none() {
                status = line.split(' ').nth(1).map(str::parse).transpose()?;
            } else if line.is_empty() {
                break;
            } else if let Some(text) = line.strip_prefix("content-length: ") {
                length = text.parse()?;
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await?;
        Ok((status.context("a status")?, String::from_utf8(answer)?))
    }

    /// Posts a body that is signed now.
    pub(crate) async fn post_signed(
        &mut self,
        path: &str,
        id: &str,
        body: &str,
    ) -> anyhow::Result<u16> {
        let (status, _) = self.post(path, &headers(id, body, 0), body).await?;
        Ok(status)
    }
}
