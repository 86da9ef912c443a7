//! The test suite: one binary, one module a behaviour, all against a real server.
//!
//! The server is the binary that SAKILA_SYNC_TEST_MYSQLD names, else mysqld or mariadbd on the PATH. Expected
//! values come from plain SQL on the source or from published figures, never from the code under test.

mod harness;

mod assignment;
mod changes;
mod errors;
mod loads;
mod running;
mod schema;
mod validation;
