//! Reads `postmaster.pid`: is a server running on this data, and where does it listen?

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `postmaster.pid` says; it may be stale.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Postmaster {
    pub(super) pid: u32,
    pub(super) port: u16,
    /// The first folder with a socket; none until the server listens.
    pub(super) sockets: Option<PathBuf>,
}

impl Postmaster {
    pub(super) fn read(data: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(Self::file(data)).ok()?)
    }

    pub(super) fn file(data: &Path) -> PathBuf {
        data.join("postmaster.pid")
    }

    /// Lines: process, data, start time, port, socket folder, address, shared memory, status.
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        let line = |index: usize| lines.get(index).filter(|line| !line.is_empty());
        Some(Self {
            pid: line(0)?.parse().ok()?,
            port: line(3)
                .and_then(|port| port.parse().ok())
                .unwrap_or_default(),
            sockets: line(4).map(PathBuf::from),
        })
    }

    /// Whether the process is a server on `data`, not one that got the number of a dead one, nor a zombie.
    pub(super) fn is_alive(&self, data: &Path) -> bool {
        let proc = PathBuf::from(format!("/proc/{}", self.pid));
        if Path::new("/proc/self").exists() {
            // A server works in its data; a zombie nowhere.
            return fs::read_link(proc.join("cwd")).is_ok_and(|folder| folder == data);
        }
        let listed = Command::new("ps")
            .args(["-o", "comm=", "-p", &self.pid.to_string()])
            .output();
        listed.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("postgres"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file is written in steps; a server that does not listen yet has no socket in it.
    #[test]
    fn a_file_is_read_at_every_stage_of_a_start() {
        let whole = "42\n/x/pgdata\n1700000000\n5432\n/x/run\n\n 5432001  7\nready   \n";
        let expected = Postmaster {
            pid: 42,
            port: 5432,
            sockets: Some("/x/run".into()),
        };
        assert_eq!(Postmaster::parse(whole), Some(expected));
        let early = Postmaster::parse("42\n/x/pgdata\n").unwrap();
        assert_eq!((early.pid, early.sockets), (42, None));
        assert_eq!(Postmaster::parse(""), None);
    }
}
