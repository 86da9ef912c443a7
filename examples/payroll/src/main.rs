//! The program `payroll-sync`.

use std::process::ExitCode;

fn main() -> ExitCode {
    payroll_sync::program().run()
}
