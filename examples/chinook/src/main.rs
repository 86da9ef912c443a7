//! The program `chinook-sync`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chinook_sync::program().run()
}
