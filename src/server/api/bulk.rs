//! Bulk sends as a stream of lines (NDJSON): the call first, then a recipient a line, as many as there are.

use bytes::Bytes;
use ring::digest::{Context, SHA256};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::encoding::{Inflater, STEP, Wrong};
use super::problem::Problem;
use super::reading::{has_unstorable_escape, unstorable};
use crate::server::Request;

/// The most that the line of a recipient may have, in bytes.
const LINE_BYTES: usize = 1024 * 1024;

/// So much is gathered before it goes to Postgres, in bytes.
const BATCH_BYTES: usize = 64 * 1024;

/// A body, line by line. It holds a line and a chunk, however long the body is.
pub(super) struct Lines {
    request: Request,
    inflater: Option<Inflater>,
    /// What came and is not yet inflated.
    chunk: Bytes,
    buffer: Vec<u8>,
    /// What of the buffer is used up.
    used: usize,
    is_at_end: bool,
    number: u64,
    first_line_bytes: usize,
    hash: Context,
}

impl Lines {
    /// Reads `request`; its first line may have `first_line_bytes`. `seed` begins the fingerprint.
    pub(super) fn new(
        request: Request,
        is_gzip: bool,
        first_line_bytes: usize,
        seed: &[u8],
    ) -> Self {
        let mut hash = Context::new(&SHA256);
        hash.update(seed);
        Self {
            request,
            inflater: is_gzip.then(Inflater::default),
            chunk: Bytes::new(),
            buffer: Vec::new(),
            used: 0,
            is_at_end: false,
            number: 0,
            first_line_bytes,
            hash,
        }
    }

    /// The next line that is not blank, with its number, from 1.
    ///
    /// # Errors
    ///
    /// The body breaks off, or a line is too long.
    pub(super) async fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>, Problem> {
        loop {
            let rest = &self.buffer[self.used..];
            let end = rest.iter().position(|byte| *byte == b'\n');
            let longest = if self.number == 0 {
                self.first_line_bytes
            } else {
                LINE_BYTES
            };
            if end.unwrap_or(rest.len()) > longest {
                let number = self.number + 1;
                let detail = format!("line {number} is longer than {longest} bytes");
                return Err(Problem::bad_request(detail));
            }
            if end.is_none() && !self.is_at_end {
                self.buffer.drain(..self.used);
                self.used = 0;
                self.read().await?;
                continue;
            }
            let line = rest[..end.unwrap_or(rest.len())].to_vec();
            self.used += end.map_or(rest.len(), |end| end + 1);
            self.number += 1;
            if !is_blank(&line) {
                return Ok(Some((self.number, line)));
            }
            if end.is_none() {
                return Ok(None);
            }
        }
    }

    /// Adds to the buffer: a chunk, or what a step of it inflates to.
    async fn read(&mut self) -> Result<(), Problem> {
        let broken = |_: Wrong| Problem::bad_request("the body is no gzip, or breaks off");
        if self.chunk.is_empty() {
            match self.request.chunk(usize::MAX).await? {
                Some(chunk) => {
                    self.hash.update(&chunk);
                    self.chunk = chunk;
                }
                None => {
                    if let Some(inflater) = self.inflater.take() {
                        inflater.finish(&mut self.buffer).map_err(broken)?;
                    }
                    self.is_at_end = true;
                    return Ok(());
                }
            }
        }
        match &mut self.inflater {
            Some(inflater) => {
                let step = self.chunk.split_to(self.chunk.len().min(STEP));
                inflater.feed(&step, &mut self.buffer).map_err(broken)
            }
            None => {
                self.buffer.extend_from_slice(&self.chunk);
                self.chunk.clear();
                Ok(())
            }
        }
    }

    /// Reads on to the end, for the fingerprint alone.
    pub(super) async fn skip(&mut self) -> Result<(), Problem> {
        while let Some(chunk) = self.request.chunk(usize::MAX).await? {
            self.hash.update(&chunk);
        }
        Ok(())
    }

    /// The SHA-256 of the call, once all of it is read.
    pub(super) fn fingerprint(&self) -> Vec<u8> {
        self.hash.clone().finish().as_ref().to_vec()
    }

    /// Rows for COPY, some 64 KiB of them; `None` when all are read.
    ///
    /// # Errors
    ///
    /// As those of [`next`](Self::next), and when a line is no recipient, or has text that cannot be stored.
    pub(super) async fn rows(&mut self) -> Result<Option<Bytes>, Problem> {
        let mut rows = Vec::with_capacity(BATCH_BYTES + 1024);
        while rows.len() < BATCH_BYTES {
            let Some((number, line)) = self.next().await? else {
                break;
            };
            if has_unstorable_escape(&line) {
                return Err(unstorable(&format!("line {number}")).at("#"));
            }
            if !add_row(&line, &mut rows) {
                let detail = format!(
                    "line {number} is no recipient: an address, or an object with address and, if wanted, id, type, data and locale"
                );
                return Err(Problem::bad_request(detail));
            }
        }
        Ok((!rows.is_empty()).then(|| rows.into()))
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

/// A recipient as an object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipient<'a> {
    #[serde(borrow)]
    address: std::borrow::Cow<'a, str>,
    #[serde(default)]
    id: Option<serde_json::Number>,
    #[serde(default, borrow, rename = "type")]
    kind: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
    #[serde(default, borrow)]
    locale: Option<std::borrow::Cow<'a, str>>,
}

/// Adds the row of a recipient, in the text format of COPY; false when the line is none.
fn add_row(line: &[u8], rows: &mut Vec<u8>) -> bool {
    let recipient = match line.trim_ascii_start().first() {
        Some(b'"') => serde_json::from_slice(line).ok().map(|address| Recipient {
            address,
            id: None,
            kind: None,
            data: None,
            locale: None,
        }),
        Some(b'{') => serde_json::from_slice(line).ok(),
        _ => None, // an array would be read as the fields in their order
    };
    let Some(recipient) = recipient else {
        return false;
    };
    let data = recipient
        .data
        .map(RawValue::get)
        .filter(|data| *data != "null");
    if data.is_some_and(|data| !data.starts_with('{')) {
        return false;
    }
    let id = recipient.id.map(|id| id.to_string());
    let columns = [
        Some(recipient.address.as_ref()),
        id.as_deref(),
        recipient.kind.as_deref(),
        data,
        recipient.locale.as_deref(),
    ];
    for (place, column) in columns.into_iter().enumerate() {
        if place > 0 {
            rows.push(b'\t');
        }
        match column {
            None => rows.extend_from_slice(b"\\N"),
            Some(text) => text.bytes().for_each(|byte| match byte {
                b'\\' => rows.extend_from_slice(b"\\\\"),
                b'\t' => rows.extend_from_slice(b"\\t"),
                b'\n' => rows.extend_from_slice(b"\\n"),
                b'\r' => rows.extend_from_slice(b"\\r"),
                byte => rows.push(byte),
            }),
        }
    }
    rows.push(b'\n');
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: &str) -> Option<String> {
        let mut rows = Vec::new();
        add_row(line.as_bytes(), &mut rows).then(|| String::from_utf8(rows).expect("text"))
    }

    /// A recipient must not be able to add a row, or a column, of its own.
    #[test]
    fn a_line_becomes_one_row_whatever_it_holds() {
        assert_eq!(
            row("\"a@x.org\"").as_deref(),
            Some("a@x.org\t\\N\t\\N\t\\N\t\\N\n")
        );
        let full = row(
            r#" {"address": "a@x.org", "id": 7, "type": "user", "data": {"n": "a\tb\\"}, "locale": "de"}"#,
        );
        assert_eq!(
            full.as_deref(),
            Some("a@x.org\t7\tuser\t{\"n\": \"a\\\\tb\\\\\\\\\"}\tde\n")
        );
        let hostile = row(r#"{"address": "a\tb\nc\r\\.", "data": null}"#);
        assert_eq!(
            hostile.as_deref(),
            Some("a\\tb\\nc\\r\\\\.\t\\N\t\\N\t\\N\t\\N\n")
        );
    }

    /// What is half understood would be sent to nobody, or to somebody else.
    #[test]
    fn a_line_that_is_no_recipient_is_refused() {
        for line in [
            "a@x.org",
            "7",
            "null",
            "[\"a@x.org\"]",
            "{}",
            r#"{"adress": "a@x.org"}"#,
            r#"{"address": "a@x.org", "id": "7"}"#,
            r#"{"address": "a@x.org", "data": [1]}"#,
            r#"{"address": "a@x.org"} {"address": "b@x.org"}"#,
            "\"a@x.org",
        ] {
            assert_eq!(row(line), None, "{line}");
        }
    }
}
