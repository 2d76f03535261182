//! CSV (RFC 4180), record by record, each with the number of its line: people look for that in an editor.

use std::io::{self, BufRead, Read as _};

/// The longest record, in bytes. A quote that is never closed would be the rest of the file.
const RECORD_MAX: usize = 64 * 1024;

/// Records of a file. Empty lines are passed over.
pub(super) struct Records<R> {
    input: R,
    /// Lines read so far.
    line: u64,
    buffer: Vec<u8>,
}

/// One of them.
pub(super) struct Record {
    /// Its first line, from 1.
    pub(super) line: u64,
    /// Its fields; or why they cannot be told.
    pub(super) fields: Result<Vec<String>, &'static str>,
}

impl<R: BufRead> Records<R> {
    pub(super) const fn new(input: R) -> Self {
        Self {
            input,
            line: 0,
            buffer: Vec::new(),
        }
    }

    /// The next one; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            let first = self.line + 1;
            self.buffer.clear();
            let fields = loop {
                let is_end = self.read_line()?;
                if self.buffer.len() > RECORD_MAX {
                    break Err("too long, or a quote is not closed");
                }
                let Ok(text) = std::str::from_utf8(&self.buffer) else {
                    break Err("not UTF-8");
                };
                let text = text.strip_suffix('\n').unwrap_or(text);
                let text = text.strip_suffix('\r').unwrap_or(text);
                match (fields(text), is_end) {
                    (Some(fields), _) => break Ok(fields),
                    (None, true) => break Err("a quote is not closed"),
                    (None, false) => {}
                }
            };
            if self.buffer.is_empty() {
                return Ok(None);
            }
            if !matches!(self.buffer.as_slice(), b"\n" | b"\r\n") {
                return Ok(Some(Record {
                    line: first,
                    fields,
                }));
            }
        }
    }

    /// Adds a line to the buffer, and whether there was none. What is beyond the longest record is read and dropped.
    fn read_line(&mut self) -> io::Result<bool> {
        let room = (RECORD_MAX + 1).saturating_sub(self.buffer.len()) as u64;
        let read = self
            .input
            .by_ref()
            .take(room)
            .read_until(b'\n', &mut self.buffer)?;
        if read == 0 {
            return Ok(true);
        }
        if self.buffer.len() > RECORD_MAX && self.buffer.last() != Some(&b'\n') {
            self.input.skip_until(b'\n')?;
        }
        self.line += 1;
        Ok(false)
    }
}

/// The fields of a record, or `None` when a quote is still open. What stands between a closing quote and the next comma
/// belongs to the field.
fn fields(record: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = record;
    loop {
        let mut field = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted;
            loop {
                let (text, after) = rest.split_once('"')?;
                field.push_str(text);
                match after.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        rest = more;
                    }
                    None => {
                        rest = after;
                        break;
                    }
                }
            }
        }
        let (text, more) = match rest.split_once(',') {
            Some((text, more)) => (text, Some(more)),
            None => (rest, None),
        };
        field.push_str(text);
        fields.push(field);
        match more {
            Some(more) => rest = more,
            None => return Some(fields),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `line: fields` of each record, the fields with bars between.
    fn read(text: &[u8]) -> Vec<String> {
        let mut records = Records::new(text);
        let mut seen = Vec::new();
        while let Some(record) = records.next().expect("a slice can be read") {
            let fields = match record.fields {
                Ok(fields) => fields.join("|"),
                Err(problem) => format!("!{problem}"),
            };
            seen.push(format!("{}: {fields}", record.line));
        }
        seen
    }

    /// Whoever is told of line 7 opens the file at line 7.
    #[test]
    fn records_have_their_fields_and_the_number_of_their_line() {
        for end in ["\n", "\r\n"] {
            let text =
                "a,b\n\n\"x, \"\"y\"\"\",\n\"one\ntwo\",z\n\"q\"r,s t\nlast".replace('\n', end);
            let two = format!("4: one{end}two|z");
            let wanted = ["1: a|b", "3: x, \"y\"|", &two, "6: qr|s t", "7: last"];
            assert_eq!(read(text.as_bytes()), wanted);
        }
        assert_eq!(read(b""), Vec::<String>::new());
        assert_eq!(read(b"\r\n\n"), Vec::<String>::new());
    }

    /// A bad record is one, and what follows it is read.
    #[test]
    fn what_is_no_record_is_told_and_passed_over() {
        let long = "x".repeat(RECORD_MAX + 10);
        let text = format!("a\n{long}\nb\n");
        let wanted = ["1: a", "2: !too long, or a quote is not closed", "3: b"];
        assert_eq!(read(text.as_bytes()), wanted);
        assert_eq!(read(b"a\n\xff\xfe\nb\n"), ["1: a", "2: !not UTF-8", "3: b"]);
        assert_eq!(read(b"a\n\"b\nc"), ["1: a", "2: !a quote is not closed"]);
        let open = format!("a\n\"{}b\n", "x\n".repeat(RECORD_MAX));
        assert_eq!(
            read(open.as_bytes())[1],
            "2: !too long, or a quote is not closed"
        );
    }

    proptest! {
        /// A file is whatever somebody has renamed to .csv.
        #[test]
        fn any_bytes_are_read_to_their_end(bytes in proptest::collection::vec(prop_oneof![Just(b'"'), Just(b','), Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200)) {
            let lines = bytes.split(|byte| *byte == b'\n').count();
            prop_assert!(read(&bytes).len() <= lines);
        }

        /// What Postgres writes is what is read.
        #[test]
        fn quoted_fields_come_back(fields in proptest::collection::vec("[^\0]{0,20}", 1..5)) {
            let quoted: Vec<_> = fields.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
            prop_assert_eq!(super::fields(&quoted.join(",")), Some(fields));
        }
    }
}
