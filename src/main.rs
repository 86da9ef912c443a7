//! The program `sakila-sync`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sakila_sync::program().run()
}
