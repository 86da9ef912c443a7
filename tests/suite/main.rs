//! The test suite: one binary, one module per behaviour, all against a real server.
//!
//! The server is the binary that SAKILA_SYNC_MYSQLD names, else mysqld or mariadbd on the PATH. Expected values come
//! from plain SQL on the source or from published figures, never from the code under test. The program seeds the
//! source, except for the tests in `official`, which need the official dump and say so if it is missing.
//!
//! Long tests run in a short form by default. `SAKILA_SYNC_SEQUENCES` sets the number of random sequences,
//! `SAKILA_SYNC_SOAK_SCALE` and `SAKILA_SYNC_SOAK_SECONDS` the size and duration of the soak test under concurrent
//! writers.

mod harness;

mod advice;
mod assignment;
mod bad_input;
mod bulk;
mod busy;
mod changes;
mod connecting;
mod copies;
mod deep;
mod digest;
mod errors;
mod explain;
mod few_threads;
mod identity;
mod json;
mod kills;
mod lake;
mod loads;
mod memory;
mod notifications;
mod odd_schemas;
mod official;
mod page;
mod page_check;
mod partitions;
mod preflight;
mod properties;
mod quarantine;
mod readers;
mod readme;
mod replaced_tables;
mod running;
mod schema;
mod schema_document;
mod security;
mod seed;
mod sequences;
mod server_defaults;
mod settings;
mod signals;
mod silent;
mod source_lost;
mod target_held;
mod target_resists;
mod tour;
mod two_runs;
mod validation;
mod verdicts;
mod views;
mod watching;
mod watermarks;
mod writers;
