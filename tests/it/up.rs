//! `postroad up`: a private Postgres that survives what happens to processes.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, chown};
use std::process::Command;

use crate::support::process::{Directory, Up, signal, stderr, wait_until};

/// The first five minutes with Postroad: one command, a line for psql, Ctrl-C, and nothing left behind.
#[test]
fn up_comes_up_and_an_interrupt_stops_all_of_it() -> anyhow::Result<()> {
    let directory = Directory::new()?;
    let up = Up::start(&directory)?;

    assert_eq!(
        directory.psql("select current_setting('search_path')")?,
        "postroad,public"
    );
    let printed = Command::new("sh")
        .args(["-c", &format!("{} -XAtc 'select 6 * 7'", up.psql_line)])
        .envs([("PGPORT", "1"), ("PGDATABASE", "elsewhere")])
        .output()?;
    assert_eq!(
        String::from_utf8(printed.stdout)?.trim(),
        "42",
        "{}",
        up.psql_line
    );
    assert!(get(&up.address, "/health/ready")?.starts_with("HTTP/1.1 200"));
    let stats = directory.postroad(&["stats"]).output()?;
    assert!(stats.status.success(), "{}", stderr(&stats));
    assert!(String::from_utf8(stats.stdout)?.contains("Queue\npriority  waiting"));

    let postgres = directory.postgres_pid().expect("postgres runs");
    // A terminal's Ctrl-C goes to a process group; the server must outlast the workers.
    if let Ok(stat) = fs::read_to_string(format!("/proc/{postgres}/stat")) {
        let fields = stat.rsplit(')').next().unwrap_or_default();
        assert_eq!(fields.split_whitespace().nth(2), Some(postgres.as_str()));
    }
    assert_eq!(up.end("-INT")?, Some(0));
    let log = directory.read("up.log");
    assert!(!log.contains("in time"), "something was given up on: {log}");
    assert_eq!(
        directory.postgres_pid(),
        None,
        "postgres was not stopped cleanly"
    );
    assert!(!signal(&postgres, "-0"), "postgres outlived postroad");
    Ok(())
}

/// A message that was committed before the crash must be there after it.
#[test]
fn up_again_after_a_kill_has_the_same_data() -> anyhow::Result<()> {
    let directory = Directory::new()?;
    let up = Up::start(&directory)?;
    directory.psql("create table public.kept as select 1 as value")?;
    assert_eq!(up.end("-KILL")?, None);

    // The server outlived it, and is taken over.
    let orphan = directory.postgres_pid();
    let up = Up::start(&directory)?;
    assert_eq!(directory.postgres_pid(), orphan);
    assert_eq!(directory.psql("select value from public.kept")?, "1");

    // Both are killed at once, and what the server left is stale.
    let postgres = directory.postgres_pid().expect("postgres runs");
    assert_eq!(up.end("-KILL")?, None);
    signal(&postgres, "-KILL");
    let up = Up::start(&directory)?;
    assert_eq!(directory.psql("select value from public.kept")?, "1");
    assert_eq!(up.end("-TERM")?, Some(0));
    assert_eq!(directory.postgres_pid(), None);
    Ok(())
}

/// A server that the kernel's memory killer took must come back while messages wait.
#[test]
fn a_killed_postgres_is_started_again() -> anyhow::Result<()> {
    let directory = Directory::new()?;
    let up = Up::start(&directory)?;
    let before = directory.postgres_pid().expect("postgres runs");
    signal(&before, "-KILL");
    wait_until("postgres answers again", || {
        directory.postgres_pid().is_some_and(|pid| pid != before)
            && directory.psql("select 1").is_ok()
    });
    assert_eq!(up.end("-INT")?, Some(0));
    Ok(())
}

/// Power went while initdb ran; then another program got the number of the dead server.
#[test]
fn what_an_earlier_start_left_half_done_is_no_obstacle() -> anyhow::Result<()> {
    let directory = Directory::new()?;
    directory.write(".postroad/pgdata.new-1/PG_VERSION", "15\n")?;
    let up = Up::start(&directory)?;
    assert!(!directory.path.join(".postroad/pgdata.new-1").exists());
    assert_eq!(up.end("-INT")?, Some(0));

    let data = directory.path.join(".postroad/pgdata");
    let stale = data.join("postmaster.pid");
    let text = format!(
        "{}\n{}\n1700000000\n5432\n/nowhere\n\n",
        std::process::id(),
        data.display()
    );
    fs::write(&stale, text)?;
    let owner = fs::metadata(&data)?;
    chown(&stale, Some(owner.uid()), Some(owner.gid()))?;
    let up = Up::start(&directory)?;
    assert_eq!(up.end("-INT")?, Some(0));
    Ok(())
}

/// Two on the same data would be two servers, or one that is stopped under the other.
#[test]
fn a_second_up_in_the_same_directory_is_refused() -> anyhow::Result<()> {
    let directory = Directory::new()?;
    let up = Up::start(&directory)?;
    let second = directory.postroad(&["up"]).output()?;
    assert_eq!(second.status.code(), Some(1));
    let expected = format!(
        "postroad: postroad up is already running in this directory (process {})",
        up.pid()
    );
    assert!(
        stderr(&second).starts_with(&expected),
        "{}",
        stderr(&second)
    );
    assert_eq!(directory.psql("select 1")?, "1");
    assert_eq!(up.end("-INT")?, Some(0));
    Ok(())
}

/// The whole answer to a GET.
fn get(address: &str, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
