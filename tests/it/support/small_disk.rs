//! `postroad up` with one of its folders on a small disk, a tmpfs, that a test can fill.

use std::fs::File;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use super::process::{Directory, wait_until};

/// Where the disk is mounted, in the test's directory, as well as on the folder that it is for.
const DISK: &str = "small";

/// Mounts the disk with what the folder has, starts `up`, and does what it is told. With it all of it ends, for it is the
/// first process of a namespace of its own, and its input ends with the test.
const SCRIPT: &str = r#"
set -e
mkdir -p small "$FOLDER"
mount -t tmpfs -o "size=${MIB}m,mode=0700" tmpfs small
chown --reference="$FOLDER" small
cp -a "$FOLDER/." small/
mount --bind small "$FOLDER"
set +e
"$POSTROAD" up --config up.toml >up.out 2>up.log &
up=$!
while read -r line; do eval "$line"; echo "$line" >>done.log; done
"#;

/// An `up` in a mount namespace of its own.
pub(crate) struct SmallDisk {
    shell: Child,
    told: usize,
}

impl SmallDisk {
    /// Starts `up --config up.toml` with `folder` on a disk of so many MiB; nothing, with a word on why, where this
    /// machine does not allow the mount. The folder is there if `up` ran here before.
    pub(crate) fn up(
        directory: &Directory,
        folder: &str,
        mib: u32,
        config: &str,
    ) -> anyhow::Result<Option<Self>> {
        let namespace = ["--mount", "--pid", "--fork", "--mount-proc"];
        let mut probe = Command::new("unshare");
        probe
            .args(namespace)
            .args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
        if !probe.output().is_ok_and(|output| output.status.success()) {
            eprintln!(
                "SKIPPED: a disk cannot be filled here: `unshare --mount` and a mount of tmpfs need root and util-linux"
            );
            return Ok(None);
        }
        directory.write("up.toml", config)?;
        let shell = Command::new("unshare")
            .args(namespace)
            .args(["sh", "-c", SCRIPT])
            .current_dir(&directory.path)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("POSTROAD", env!("CARGO_BIN_EXE_postroad"))
            .env("POSTROAD_LISTEN", "127.0.0.1:0")
            .env("FOLDER", folder)
            .env("MIB", mib.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(directory.path.join("shell.log"))?)
            .spawn()?;
        Ok(Some(Self { shell, told: 0 }))
    }

    /// Runs a line of shell beside `up`, which is the process `$up`, and waits for its end.
    pub(crate) fn run(&mut self, directory: &Directory, line: &str) -> anyhow::Result<()> {
        let input = self.shell.stdin.as_mut().expect("piped");
        writeln!(input, "{line}")?;
        self.told += 1;
        wait_until(line, || {
            directory.read("done.log").lines().count() == self.told
        });
        Ok(())
    }

    /// Leaves no room at all.
    pub(crate) fn fill(&mut self, directory: &Directory) -> anyhow::Result<()> {
        self.run(directory, &format!("cat /dev/zero >{DISK}/filler"))
    }

    /// Makes room.
    pub(crate) fn empty(&mut self, directory: &Directory) -> anyhow::Result<()> {
        self.run(directory, &format!("rm {DISK}/filler"))
    }

    /// Stops `up` as Ctrl-C does, and returns its exit code.
    pub(crate) fn stop(&mut self, directory: &Directory) -> anyhow::Result<String> {
        self.run(directory, "kill -INT $up; wait $up; echo $? >up.code")?;
        Ok(directory.read("up.code").trim().to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
