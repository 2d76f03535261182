//! `postroad suppressions`.

mod records;

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write, stderr, stdin, stdout};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

use super::progress::{Progress, grouped};
use crate::db::Database;
use crate::db::suppressions::{self, COLUMNS, Entries};
use crate::model::message::Channel;
use records::{Record, Records};

/// Entries that one call takes. What a webhook says of one of them meanwhile waits for it: a part of a second.
const CHUNK: usize = 10_000;

/// Lines that are named; of the others there is the number.
const SHOWN_PROBLEMS: usize = 20;

/// Bytes that are read from the file at a time.
const READ_AHEAD: usize = 1 << 20;

const ADDRESS: usize = 0;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Puts the addresses of a CSV file on the suppression list
    ///
    /// Its first line names its columns: address, and any of channel, tenant_id, reason, expires_at and source. Or it
    /// has one address a line, and no such line. Without channel or tenant_id an address is suppressed for all of
    /// them, without expires_at (2030-12-31, or 2030-12-31T23:59:59Z) for good. What is on the list is never
    /// shortened, so an import may be repeated. Lines that are not right are left out and named, and the exit code is 1.
    #[command(
        after_help = "Examples:\n  postroad suppressions import bounces.csv --reason hard_bounce\n  zcat list.gz | postroad suppressions import - --channel sms --dry-run"
    )]
    Import(Import),
    /// Writes the suppression list as CSV, as import reads it
    Export {
        /// Where to; - is standard output
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// Where from; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The channel of lines that have none; all channels by default
    #[arg(long)]
    channel: Option<Channel>,
    /// The tenant of lines that have none; all tenants by default
    #[arg(long, value_name = "ID", allow_negative_numbers = true)]
    tenant: Option<i64>,
    /// The reason of lines that have none; manual by default
    #[arg(long)]
    reason: Option<String>,
    /// Who says so, for lines that do not say; the file by default
    #[arg(long)]
    source: Option<String>,
    /// Only checks the lines
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(url: &str, command: Command) -> anyhow::Result<()> {
    let database = Database::new(url, "postroad suppressions")?;
    match command {
        Command::Import(options) => import(&database, &options).await,
        Command::Export { file } => export(&database, &file).await,
    }
}

async fn export(database: &Database, file: &Path) -> anyhow::Result<()> {
    let mut to: Box<dyn Write + Send> = match is_standard(file) {
        true => Box::new(BufWriter::new(stdout())),
        false => {
            let created = File::create_new(file);
            Box::new(BufWriter::new(
                created.with_context(|| format!("cannot create {}", file.display()))?,
            ))
        }
    };
    let client = database.connect().await?;
    let mut progress = Progress::new("bytes");
    let mut told = |bytes| progress.show(bytes, None);
    let exported = suppressions::export(&client, &mut to, &mut told).await;
    drop(progress);
    match exported {
        Err(suppressions::ExportError::Write(error))
            if error.kind() == io::ErrorKind::BrokenPipe =>
        {
            Ok(()) // whoever reads has enough
        }
        result => result.map(|_| ()).context("cannot export"),
    }
}

async fn import(database: &Database, options: &Import) -> anyhow::Result<()> {
    let read = Arc::new(AtomicU64::new(0));
    let mut size = None;
    let input: Box<dyn BufRead + Send> = match is_standard(&options.file) {
        true => Box::new(BufReader::with_capacity(READ_AHEAD, stdin())),
        false => {
            let file = File::open(&options.file)
                .with_context(|| format!("cannot read {}", options.file.display()))?;
            let found = file.metadata().ok().filter(std::fs::Metadata::is_file);
            size = found.map(|found| found.len());
            let counted = Counted(file, Arc::clone(&read));
            Box::new(BufReader::with_capacity(READ_AHEAD, counted))
        }
    };
    let mut list = List::open(input, options.defaults())?;
    let client = database.connect().await?;
    let mut progress = Progress::new("lines");
    let mut done = Totals::default();
    loop {
        let chunk = list.next_chunk(CHUNK)?;
        if !chunk.problems.is_empty() {
            progress.hide();
        }
        for (line, problem) in &chunk.problems {
            done.left_out(*line, problem);
        }
        if !chunk.entries.is_empty() {
            let imported = suppressions::import(&client, &chunk.entries, options.dry_run)
                .await
                .with_context(|| format!("stopped after {} lines", done.lines()))?;
            done.changed += imported.changed;
            done.unchanged += imported.unchanged;
            if !imported.problems.is_empty() {
                progress.hide();
            }
            for (index, problem) in &imported.problems {
                done.left_out(chunk.lines[*index], problem);
            }
        }
        let part = size.map(|size| (read.load(Ordering::Relaxed), size));
        progress.show(done.lines() as u64, part);
        if chunk.is_last {
            break;
        }
    }
    drop(progress);
    let left_out = match done.left_out {
        0 => String::new(),
        count => format!(", {} left out", grouped(count as u64)),
    };
    let lines = grouped(done.lines() as u64);
    match options.dry_run {
        true => super::say(&format!(
            "{lines} lines: {} are good{left_out}. Nothing was changed.",
            grouped(done.unchanged as u64),
        )),
        false => super::say(&format!(
            "{lines} lines: {} new or longer, {} on the list already{left_out}.",
            grouped(done.changed as u64),
            grouped(done.unchanged as u64),
        )),
    }
    if done.left_out > 0 {
        bail!("{} lines were left out", grouped(done.left_out as u64));
    }
    Ok(())
}

impl Import {
    /// What fills empty fields, in the order of [`COLUMNS`].
    fn defaults(&self) -> [Option<String>; COLUMNS.len()] {
        let file = match is_standard(&self.file) {
            true => "standard input".into(),
            false => self
                .file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
        };
        [
            None,
            self.channel.map(|channel| channel.to_string()),
            self.tenant.map(|tenant| tenant.to_string()),
            self.reason.clone(),
            None,
            Some(self.source.clone().unwrap_or(file)),
        ]
    }
}

#[derive(Default)]
struct Totals {
    changed: usize,
    unchanged: usize,
    left_out: usize,
}

impl Totals {
    fn lines(&self) -> usize {
        self.changed + self.unchanged + self.left_out
    }

    /// Names the line, never what is in it.
    fn left_out(&mut self, line: u64, problem: &str) {
        self.left_out += 1;
        if self.left_out <= SHOWN_PROBLEMS {
            let _ = writeln!(stderr(), "line {line}: {problem}");
        } else if self.left_out == SHOWN_PROBLEMS + 1 {
            let _ = writeln!(stderr(), "…");
        }
    }
}

/// A list under way.
struct List {
    records: Records<Box<dyn BufRead + Send>>,
    defaults: [Option<String>; COLUMNS.len()],
    /// What each field of a line is, as an index into [`COLUMNS`].
    columns: Vec<usize>,
    /// The first line, when it is an entry.
    first: Option<Record>,
}

/// Some lines of it.
struct Chunk {
    entries: Entries,
    /// Of each entry.
    lines: Vec<u64>,
    /// Lines that cannot even be asked about.
    problems: Vec<(u64, &'static str)>,
    is_last: bool,
}

impl List {
    fn open(
        input: Box<dyn BufRead + Send>,
        defaults: [Option<String>; COLUMNS.len()],
    ) -> anyhow::Result<Self> {
        let mut records = Records::new(input);
        let first = records.next()?;
        let names: Vec<String> = match &first {
            Some(Record {
                fields: Ok(fields), ..
            }) => fields
                .iter()
                .map(|name| trimmed(name).to_ascii_lowercase())
                .collect(),
            _ => Vec::new(),
        };
        let has_header = names.iter().any(|name| name == COLUMNS[ADDRESS]);
        if !has_header && names.len() > 1 {
            bail!(
                "the first line must name the columns: address, and any of {}",
                COLUMNS[1..].join(", ")
            );
        }
        let mut columns = vec![ADDRESS];
        if has_header {
            columns.clear();
            for name in &names {
                match COLUMNS.iter().position(|column| column == name) {
                    Some(column) if columns.contains(&column) => {
                        bail!("the column {name} is there twice")
                    }
                    Some(column) => columns.push(column),
                    None => bail!("unknown column {name:?}; known: {}", COLUMNS.join(", ")),
                }
            }
        }
        Ok(Self {
            records,
            defaults,
            columns,
            first: first.filter(|_| !has_header),
        })
    }

    fn next_chunk(&mut self, size: usize) -> anyhow::Result<Chunk> {
        let mut chunk = Chunk {
            entries: Entries::default(),
            lines: Vec::new(),
            problems: Vec::new(),
            is_last: false,
        };
        while chunk.lines.len() < size && chunk.problems.len() < size {
            let next = match self.first.take() {
                Some(first) => Some(first),
                None => self.records.next()?,
            };
            let Some(Record { line, fields }) = next else {
                chunk.is_last = true;
                break;
            };
            match fields.and_then(|fields| self.values(&fields)) {
                Ok(values) => {
                    chunk.entries.push(values);
                    chunk.lines.push(line);
                }
                Err(problem) => chunk.problems.push((line, problem)),
            }
        }
        Ok(chunk)
    }

    fn values(&self, fields: &[String]) -> Result<[Option<String>; COLUMNS.len()], &'static str> {
        if fields.len() != self.columns.len() {
            return Err("not as many fields as columns");
        }
        let mut values = self.defaults.clone();
        for (field, &column) in fields.iter().zip(&self.columns) {
            let text = trimmed(field);
            if text.contains('\0') {
                return Err("not text"); // Postgres would refuse the whole chunk for it
            }
            if !text.is_empty() {
                values[column] = Some(text.to_owned());
            }
        }
        Ok(values)
    }
}

/// Without space around it, and without the mark that spreadsheets put before the first field.
fn trimmed(field: &str) -> &str {
    field.trim_start_matches('\u{feff}').trim()
}

fn is_standard(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// A file, and how much of it was read, in bytes.
struct Counted(File, Arc<AtomicU64>);

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str) -> anyhow::Result<List> {
        let mut defaults: [Option<String>; COLUMNS.len()] = Default::default();
        defaults[3] = Some("legal".into());
        List::open(Box::new(io::Cursor::new(text.to_owned())), defaults)
    }

    /// `line address channel reason` of each entry, and `line problem` of the rest.
    fn read(text: &str, size: usize) -> anyhow::Result<Vec<String>> {
        let mut list = open(text)?;
        let mut seen = Vec::new();
        loop {
            let chunk = list.next_chunk(size)?;
            let columns = &chunk.entries.columns;
            for (index, line) in chunk.lines.iter().enumerate() {
                let value = |column: usize| columns[column][index].as_deref().unwrap_or("-");
                seen.push(format!("{line} {} {} {}", value(0), value(1), value(3)));
            }
            seen.extend(
                chunk
                    .problems
                    .iter()
                    .map(|(line, problem)| format!("{line} {problem}")),
            );
            if chunk.is_last {
                return Ok(seen);
            }
        }
    }

    /// Spreadsheets write marks, quotes and carriage returns.
    #[test]
    fn a_list_with_and_without_a_header_is_read() -> anyhow::Result<()> {
        let bare = "\u{feff}a@x.org\r\n\r\n b@x.org \r\n";
        let with_header =
            "\u{feff}Reason,Address,channel\n,a@x.org,\n\"say \"\"no\"\"\",b@x.org,sms\n";
        for size in [1, 10] {
            assert_eq!(
                read(bare, size)?,
                ["1 a@x.org - legal", "3 b@x.org - legal"]
            );
            assert_eq!(
                read(with_header, size)?,
                ["2 a@x.org - legal", "3 b@x.org sms say \"no\""]
            );
        }
        assert_eq!(read("", 10)?, Vec::<String>::new());
        assert_eq!(read("address\n", 10)?, Vec::<String>::new());
        Ok(())
    }

    /// A column that is silently passed over may be the one that says until when.
    #[test]
    fn unknown_columns_and_lists_without_names_are_refused() {
        for (text, words) in [
            (
                "address,until\na@x.org,2030-01-01\n",
                "unknown column \"until\"",
            ),
            ("a@x.org,b\n", "must name the columns"),
            ("address,address\n", "twice"),
        ] {
            let error = open(text).err().map(|error| error.to_string());
            assert!(
                error.as_ref().is_some_and(|e| e.contains(words)),
                "{error:?}"
            );
        }
    }

    /// One bad line must not end an import of a million; nor may Postgres refuse a whole chunk for it.
    #[test]
    fn bad_lines_are_told_by_number() -> anyhow::Result<()> {
        let text = "address,channel\na@x.org\nb@x.org,email\nc\0@x.org,\nd@x.org,sms\n\"e@x.org,\n";
        assert_eq!(
            read(text, 10)?,
            [
                "3 b@x.org email legal",
                "5 d@x.org sms legal",
                "2 not as many fields as columns",
                "4 not text",
                "6 a quote is not closed",
            ]
        );
        Ok(())
    }
}
