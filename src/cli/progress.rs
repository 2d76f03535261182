//! How far a long command is: a line on standard error that is written over and over, where that is a terminal.

use std::io::{IsTerminal as _, Write, stderr};
use std::time::{Duration, Instant};

/// How often the line is written. A terminal on a slow link must not slow the work down.
const PACE: Duration = Duration::from_millis(100);

/// The cells of the bar.
const CELLS: u64 = 24;

/// Back to the beginning of the line, and clear it (ECMA-48: CR, EL).
const CLEAR: &str = "\r\x1b[K";

/// A line that tells how far it is, and is gone in the end.
pub(super) struct Progress {
    /// Absent where nobody looks.
    to: Option<Box<dyn Write + Send>>,
    unit: &'static str,
    started: Instant,
    shown_at: Option<Instant>,
}

impl Progress {
    /// One on standard error, if that is a terminal; `unit` is what is counted, in the plural.
    pub(super) fn new(unit: &'static str) -> Self {
        let to: Option<Box<dyn Write + Send>> = match stderr().is_terminal() {
            true => Some(Box::new(stderr())),
            false => None,
        };
        Self::on(to, unit)
    }

    fn on(to: Option<Box<dyn Write + Send>>, unit: &'static str) -> Self {
        Self {
            to,
            unit,
            started: Instant::now(),
            shown_at: None,
        }
    }

    /// Says how many are done; `part` is how much of the whole that is, where that is known.
    pub(super) fn show(&mut self, done: u64, part: Option<(u64, u64)>) {
        let Some(to) = &mut self.to else { return };
        if self.shown_at.is_some_and(|shown| shown.elapsed() < PACE) {
            return;
        }
        let line = line(done, self.unit, part, self.started.elapsed());
        let _ = write!(to, "{CLEAR}{line}").and_then(|()| to.flush());
        self.shown_at = Some(Instant::now());
    }

    /// Takes the line away, before another one is written; the next [`Self::show`] writes it again.
    pub(super) fn hide(&mut self) {
        if let (Some(to), Some(_)) = (&mut self.to, self.shown_at.take()) {
            let _ = write!(to, "{CLEAR}").and_then(|()| to.flush());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.hide();
    }
}

/// Such as `[############............] 50 %  1,000,000 lines, 12 s left`.
fn line(done: u64, unit: &str, part: Option<(u64, u64)>, taken: Duration) -> String {
    let count = format!("{} {unit}", grouped(done));
    let Some((part, whole)) = part.filter(|(_, whole)| *whole > 0) else {
        return count;
    };
    let part = part.min(whole);
    let full = usize::try_from(CELLS * part / whole).unwrap_or_default();
    let bar = "#".repeat(full) + &".".repeat(CELLS as usize - full);
    let percent = 100 * part / whole;
    let left = match part {
        0 => String::new(),
        part => {
            let left = taken.as_secs_f64() * (whole - part) as f64 / part as f64;
            format!(", {left:.0} s left")
        }
    };
    format!("[{bar}] {percent} %  {count}{left}")
}

/// A count as people read it: 1,000,000.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// What was written, seen from outside.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        fn text(&self) -> String {
            String::from_utf8_lossy(&self.0.lock().expect("no panic")).into_owned()
        }
    }

    /// Whoever waits wants to know for how long.
    #[test]
    fn a_line_tells_the_part_and_the_time_that_is_left() {
        let taken = Duration::from_secs(10);
        for (part, wanted) in [
            (None, "1,234 lines"),
            (Some((0, 0)), "1,234 lines"),
            (Some((0, 8)), "[........................] 0 %  1,234 lines"),
            (
                Some((2, 8)),
                "[######..................] 25 %  1,234 lines, 30 s left",
            ),
            (
                Some((9, 8)),
                "[########################] 100 %  1,234 lines, 0 s left",
            ),
        ] {
            assert_eq!(line(1234, "lines", part, taken), wanted);
        }
    }

    /// It is written over itself, not more often than eyes see, and leaves nothing behind.
    #[test]
    fn the_line_is_written_over_and_is_gone_in_the_end() {
        let written = Written::default();
        let mut progress = Progress::on(Some(Box::new(written.clone())), "lines");
        progress.show(1, None);
        progress.show(2, None);
        assert_eq!(written.text(), format!("{CLEAR}1 lines"));
        progress.hide();
        progress.show(3, None);
        drop(progress);
        let wanted = format!("{CLEAR}1 lines{CLEAR}{CLEAR}3 lines{CLEAR}");
        assert_eq!(written.text(), wanted);
    }

    /// A log must not be full of them.
    #[test]
    fn where_nobody_looks_nothing_is_written() {
        let mut progress = Progress::on(None, "lines");
        progress.show(1, Some((1, 2)));
        progress.hide();
        assert!(progress.shown_at.is_none());
    }

    /// A million is hard to tell from ten.
    #[test]
    fn counts_are_grouped() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1234567, "1,234,567"),
        ] {
            assert_eq!(grouped(count), text);
        }
    }
}
