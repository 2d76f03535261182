//! Finds the machine's own Postgres.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use super::EmbeddedError;

/// The oldest major version that Postroad works with.
pub const OLDEST_MAJOR: u32 = 15;

const PROGRAMS: [&str; 3] = ["postgres", "initdb", "pg_ctl"];

/// Where packages put the programs, with one `*` in one component.
const USUAL: [&str; 8] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
];

/// The programs of one installed Postgres.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Binaries {
    /// Major and minor version.
    pub version: (u32, u32),
    /// The folder that they are in.
    pub folder: PathBuf,
}

impl Binaries {
    /// The newest ones, or the newest ones of `major`, which existing data asks for.
    ///
    /// # Errors
    ///
    /// [`EmbeddedError::NoBinaries`] says what to install.
    pub fn find(major: Option<u32>) -> Result<Self, EmbeddedError> {
        let found: BTreeSet<Self> = candidates().into_iter().filter_map(Self::at).collect();
        found
            .into_iter()
            .rfind(|binaries| match major {
                Some(major) => binaries.version.0 == major,
                None => binaries.version.0 >= OLDEST_MAJOR,
            })
            .ok_or(EmbeddedError::NoBinaries {
                wanted: major.map_or(format!("{OLDEST_MAJOR} or newer"), |major| {
                    major.to_string()
                }),
                package: major.map_or("postgresql".into(), |major| format!("postgresql-{major}")),
            })
    }

    fn at(folder: PathBuf) -> Option<Self> {
        if !PROGRAMS
            .iter()
            .all(|program| folder.join(program).is_file())
        {
            return None;
        }
        let printed = printed_by(&folder.join("postgres"), "--version")?;
        let version = parse_version(&printed)?;
        Some(Self { version, folder })
    }

    /// The path of one of the programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn candidates() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    folders.extend(printed_by(Path::new("pg_config"), "--bindir").map(PathBuf::from));
    for pattern in USUAL {
        folders.extend(matching(pattern));
    }
    folders
}

fn matching(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![pattern.into()];
    };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or((".", before));
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| match after.trim_start_matches('/') {
            "" => entry.path(),
            after => entry.path().join(after),
        })
        .collect()
}

fn printed_by(program: &Path, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

/// Reads `postgres (PostgreSQL) 15.4 (Debian 15.4-1)`, and `17beta1` as 17.0.
fn parse_version(printed: &str) -> Option<(u32, u32)> {
    let version = printed.split_once("(PostgreSQL) ")?.1.split(' ').next()?;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    let minor = match version.contains('.') {
        true => numbers
            .next()
            .and_then(|minor| minor.parse().ok())
            .unwrap_or(0),
        false => 0,
    };
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The newest wins by number, not by text; a beta is older than its release.
    #[test]
    fn versions_are_read_as_packagers_write_them() {
        let read = |version| parse_version(&format!("postgres (PostgreSQL) {version}"));
        assert_eq!(read("15.18 (Debian 15.18-0+deb12u1)"), Some((15, 18)));
        assert_eq!(read("17beta1"), Some((17, 0)));
        assert_eq!(read("9.6.24"), Some((9, 6)));
        assert_eq!(parse_version("bash: postgres: not found"), None);
    }
}
