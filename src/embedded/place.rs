//! Where the private Postgres keeps its data and its socket, and as whom it runs.

use std::fs::{self, DirBuilder, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, process};

use super::{EmbeddedError, failed};

/// The port that names the socket's file; nothing listens on the network.
pub(super) const PORT: u16 = 5432;

/// The longest path of a socket that both Linux (107) and macOS (103) take.
const SOCKET_PATH_MAX: usize = 103;

/// Where the data goes when the server's user cannot reach the project.
const ELSEWHERE: &str = "/var/lib/postroad";

/// Who runs the server when we are root, as whom it refuses to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServerUser {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// The paths of one private Postgres; all absolute.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The folder of the data; the server's user can reach it.
    pub(super) home: PathBuf,
    pub(super) data: PathBuf,
    /// Readable by its owner only: it stands for a password.
    pub(super) sockets: PathBuf,
    pub(super) log: PathBuf,
    pub(super) user: Option<ServerUser>,
}

impl Place {
    /// Decides, and makes the folders. `root` is `.postroad`, which exists.
    pub(super) fn prepare(root: &Path) -> Result<Self, EmbeddedError> {
        let root = root.canonicalize().map_err(failed("find", root))?;
        let link = root.join("pgdata");
        // What is there already stays where it is, and its owner's.
        let existing = link.canonicalize().ok();
        let user = match (is_root()?, &existing) {
            (false, _) => None,
            (true, Some(data)) => Some(owner(data)?).filter(|user| user.uid != 0),
            (true, None) => None,
        };
        let user = match user {
            None if is_root()? => Some(unprivileged_user()?),
            user => user,
        };
        let home = match (&existing, user) {
            (Some(data), _) => data.parent().unwrap_or(&root).to_owned(),
            (None, Some(user)) if !reachable(&root, user) => elsewhere(&link)?,
            (None, _) => root.clone(),
        };
        let sockets = sockets(&home, user)?;
        Ok(Self {
            data: home.join("pgdata"),
            home,
            sockets,
            log: root.join("postgres.log"),
            user,
        })
    }

    /// An empty folder that belongs to the server's user.
    pub(super) fn make_private(&self, folder: &Path) -> Result<(), EmbeddedError> {
        make_private(folder, self.user).map_err(failed("make", folder))
    }
}

fn make_private(folder: &Path, user: Option<ServerUser>) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    if let Some(user) = user {
        chown(folder, Some(user.uid), Some(user.gid))?;
    }
    fs::set_permissions(folder, Permissions::from_mode(0o700))
}

/// The folder of the socket: beside the data, or, where that path is too long for one, in the temporary folder.
fn sockets(home: &Path, user: Option<ServerUser>) -> Result<PathBuf, EmbeddedError> {
    let beside = home.join("run");
    let length = beside.join(format!(".s.PGSQL.{PORT}")).as_os_str().len();
    if length <= SOCKET_PATH_MAX {
        make_private(&beside, user).map_err(failed("make", &beside))?;
        return Ok(beside);
    }
    let mut hasher = DefaultHasher::new();
    home.hash(&mut hasher);
    let short = env::temp_dir().join(format!("postroad-{:016x}", hasher.finish()));
    // Others may write to the temporary folder: what is there under our name must be ours, and no link.
    match DirBuilder::new().mode(0o700).create(&short) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(&short).map_err(failed("read", &short))?;
            let owner = match user {
                Some(user) => user.uid,
                None => own_uid()?,
            };
            if !found.is_dir() || found.uid() != owner {
                return Err(EmbeddedError::NotOurs { path: short });
            }
        }
        result => result.map_err(failed("make", &short))?,
    }
    make_private(&short, user).map_err(failed("make", &short))?;
    Ok(short)
}

/// A new folder that everyone can reach, with `link` pointing to its `pgdata`. Deleting `.postroad` forgets it.
fn elsewhere(link: &Path) -> Result<PathBuf, EmbeddedError> {
    let home = Path::new(ELSEWHERE).join(uuid::Uuid::now_v7().to_string());
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o755)
        .create(&home)
        .map_err(failed("make", &home))?;
    let target = home.join("pgdata");
    // A link that a start cut short left behind leads to nothing: the data was never there.
    if fs::symlink_metadata(link).is_ok() {
        fs::remove_file(link).map_err(failed("remove", link))?;
    }
    symlink(&target, link).map_err(failed("link", link))?;
    Ok(home)
}

/// Whether `user` can enter `folder`, and so every folder above it.
fn reachable(folder: &Path, user: ServerUser) -> bool {
    folder.ancestors().all(|folder| {
        fs::metadata(folder).is_ok_and(|found| {
            let bits = match () {
                () if found.uid() == user.uid => found.mode() >> 6,
                () if found.gid() == user.gid => found.mode() >> 3,
                () => found.mode(),
            };
            bits & 1 == 1
        })
    })
}

fn owner(path: &Path) -> Result<ServerUser, EmbeddedError> {
    let found = fs::metadata(path).map_err(failed("read", path))?;
    Ok(ServerUser {
        uid: found.uid(),
        gid: found.gid(),
    })
}

/// `postgres`, which packages of Postgres make, or `nobody`.
fn unprivileged_user() -> Result<ServerUser, EmbeddedError> {
    let passwd = Path::new("/etc/passwd");
    let users = fs::read_to_string(passwd).map_err(failed("read", passwd))?;
    let find = |name| users.lines().find_map(|line| parse_user(line, name));
    find("postgres")
        .or_else(|| find("nobody"))
        .ok_or(EmbeddedError::NoUser)
}

/// Reads a line of `/etc/passwd`.
fn parse_user(line: &str, name: &str) -> Option<ServerUser> {
    let mut fields = line.split(':');
    if fields.next()? != name {
        return None;
    }
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(ServerUser { uid, gid })
}

/// Whether we are root, as whom Postgres refuses to run.
pub(super) fn is_root() -> Result<bool, EmbeddedError> {
    Ok(own_uid()? == 0)
}

/// The effective user. The standard library does not say, short of unsafe code.
fn own_uid() -> Result<u32, EmbeddedError> {
    let proc = PathBuf::from(format!("/proc/{}", process::id()));
    if let Ok(found) = fs::metadata(&proc) {
        return Ok(found.uid());
    }
    let output = Command::new("id")
        .arg("-u")
        .output()
        .map_err(failed("run", Path::new("id")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| EmbeddedError::NoUser)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As root the server needs a user; a wrong field would make it root's or a stranger's.
    #[test]
    fn a_user_is_read_by_its_whole_name() {
        let line = "postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash";
        assert_eq!(
            parse_user(line, "postgres"),
            Some(ServerUser { uid: 101, gid: 104 })
        );
        assert_eq!(parse_user(line, "post"), None);
        assert_eq!(parse_user("postgres:x", "postgres"), None);
    }
}
