//! `postroad psql`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::{env, io};

use anyhow::Context as _;

use crate::embedded::Binaries;

/// Becomes psql. A password goes by the environment: arguments are there for everyone on the machine to read.
pub(super) fn psql(url: &str, arguments: &[String]) -> anyhow::Result<()> {
    let (url, password) = without_password(url);
    let mut options = env::var("PGOPTIONS").unwrap_or_default();
    options.push_str(" -c search_path=postroad,public");
    let become_psql = |program: PathBuf| {
        let mut command = Command::new(program);
        command
            .arg("--dbname")
            .arg(&url)
            .args(arguments)
            .env("PGOPTIONS", options.trim_start());
        if let Some(password) = &password {
            command.env("PGPASSWORD", OsStr::from_bytes(password));
        }
        command.exec()
    };
    let mut error = become_psql(PathBuf::from("psql"));
    if error.kind() == io::ErrorKind::NotFound
        && let Ok(binaries) = Binaries::find(None)
    {
        error = become_psql(binaries.program("psql"));
    }
    Err(error).context("cannot run psql; install PostgreSQL's client (Debian, Ubuntu: apt install postgresql-client)")
}

/// Splits the password off a URL. Another form of connection string is left as it is.
fn without_password(url: &str) -> (String, Option<Vec<u8>>) {
    let kept = || (url.to_owned(), None);
    let Some((scheme, rest)) = url.split_once("://") else {
        return kept();
    };
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let Some((user, host)) = rest[..authority_end].rsplit_once('@') else {
        return kept();
    };
    let Some((user, _)) = user.split_once(':') else {
        return kept();
    };
    let password = url.parse::<tokio_postgres::Config>().ok();
    match password.as_ref().and_then(|config| config.get_password()) {
        Some(password) => {
            let url = format!("{scheme}://{user}@{host}{}", &rest[authority_end..]);
            (url, Some(password.to_vec()))
        }
        None => kept(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ps` shows arguments to every user of the machine.
    #[test]
    fn the_password_leaves_the_url_and_the_rest_stays() {
        let split = without_password("postgres://ada:p%40w@db.x:5433/post?sslmode=require");
        let url = "postgres://ada@db.x:5433/post?sslmode=require";
        assert_eq!(split, (url.to_owned(), Some(b"p@w".to_vec())));
        for plain in [
            "postgres://ada@db.x/post",
            "postgresql:///post?host=/run",
            "host=db.x",
        ] {
            assert_eq!(without_password(plain), (plain.to_owned(), None));
        }
    }
}
