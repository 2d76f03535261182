//! Lists the files of `sql/`, in the order in which `migrate` applies them, so that the binary carries them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Helpers first, since views and defaults name them; before all the roles, and the grants last.
const FOLDERS: [&str; 9] = [
    "internal", "api", "events", "worker", "webhook", "admin", "maintain", "stats", "http",
];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    println!("cargo::rerun-if-changed=sql");
    println!("cargo::rerun-if-changed=migrations");
    let mut files = vec![root.join("sql/roles.sql")];
    for folder in FOLDERS {
        let folder = root.join("sql").join(folder);
        if folder.exists() {
            let mut found = sql_files(&folder)?;
            found.sort();
            files.extend(found);
        }
    }
    files.push(root.join("sql/grants.sql"));
    let mut list = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&root).unwrap_or(&file).display();
        let _ = writeln!(
            list,
            "    ({:?}, include_str!({:?})),",
            name.to_string(),
            file.display().to_string()
        );
    }
    list.push(']');
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("sql_files.rs"), list)
}

fn sql_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            files.push(path);
        }
    }
    Ok(files)
}
