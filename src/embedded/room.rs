//! A full disk: Postgres ends when it cannot write its log of changes, and cannot recover until there is room again.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use std::{fs, io};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::EmbeddedError;
use super::launch::command_as;
use super::place::Place;

/// What Postgres needs to start, at least: one segment of its log of changes.
const LEAST_MIB: u32 = 16;

/// Between two looks for room; each look doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A probe that takes longer says nothing.
const PROBE: Duration = Duration::from_secs(30);

/// Its name, in the data. Removed at once.
const PROBE_FILE: &str = "postroad-room-probe";

/// How the system calls a full disk and a used-up quota.
const FULL: [&str; 2] = ["No space left on device", "Disk quota exceeded"];

/// Whether a program said that the disk is full.
pub(super) fn says_full(text: &str) -> bool {
    FULL.iter().any(|words| text.contains(words))
}

/// Waits for room after an end that a full disk caused, longer from one such end to the next.
#[derive(Default)]
pub(super) struct Room {
    ends: u32,
}

impl Room {
    /// Postgres ran, or ended for another reason.
    pub(super) fn reset(&mut self) {
        self.ends = 0;
    }

    /// Waits until a segment can be written, in any case for a while.
    pub(super) async fn wait(
        &mut self,
        place: &Place,
        shutdown: &CancellationToken,
    ) -> Result<(), EmbeddedError> {
        let disk = disk_of(&place.data);
        loop {
            let pause = pause_after(self.ends);
            self.ends = self.ends.saturating_add(1);
            warn!(
                disk = %disk.display(),
                "the disk at {} is full, and postgres cannot write; nothing that was committed is lost. It goes on by \
                 itself once there is room: looking again in {} s",
                disk.display(),
                pause.as_secs()
            );
            if timeout(pause, shutdown.cancelled()).await.is_ok() {
                return Err(EmbeddedError::Interrupted);
            }
            if !is_full(place).await {
                info!("there is room on {} again", disk.display());
                return Ok(());
            }
        }
    }
}

fn pause_after(ends: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(ends))
        .min(LONGEST_PAUSE)
}

/// Whether the server's user cannot write a segment beside the data. It is asked as that user: root may write to the blocks
/// that are reserved for it. What cannot be found out is no.
pub(super) async fn is_full(place: &Place) -> bool {
    let file = place.data.join(PROBE_FILE);
    let mut command = command_as(place, Path::new("dd"));
    command
        .env("LC_ALL", "C")
        .arg("if=/dev/zero")
        .arg(format!("of={}", file.display()))
        .args(["bs=1048576", &format!("count={LEAST_MIB}")])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let probed = timeout(PROBE, command.output()).await;
    let _ = fs::remove_file(&file);
    match probed {
        Ok(Ok(output)) => {
            !output.status.success() && says_full(&String::from_utf8_lossy(&output.stderr))
        }
        Ok(Err(_)) | Err(_) => false,
    }
}

/// Where the file system is mounted that holds `path`.
pub(super) fn disk_of(path: &Path) -> PathBuf {
    let device = |path: &Path| -> io::Result<u64> { Ok(fs::metadata(path)?.dev()) };
    let Ok(own) = device(path) else {
        return path.to_owned();
    };
    let same = path
        .ancestors()
        .take_while(|folder| device(folder).is_ok_and(|device| device == own));
    same.last().unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk may be full for a weekend: neither a busy loop nor an hour of waiting after there is room.
    #[test]
    fn the_looks_for_room_become_rarer_up_to_a_bound() {
        let pauses: Vec<_> = (0..7).map(|ends| pause_after(ends).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(pause_after(u32::MAX), LONGEST_PAUSE);
    }

    /// Only these ends are waited out; any other that comes again and again ends `up`.
    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        assert!(says_full(
            "FATAL:  could not write to file \"pg_wal/xlogtemp.71\": No space left on device"
        ));
        assert!(says_full(
            "PANIC:  could not fsync file: Disk quota exceeded"
        ));
        assert!(!says_full("FATAL:  could not create shared memory segment"));
        assert_eq!(disk_of(Path::new("/")), Path::new("/"));
    }
}
