//! The `postroad` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    postroad::cli::main()
}
