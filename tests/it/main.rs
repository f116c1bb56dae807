//! One target for all integration tests: each linked binary carries the SQL engine.

mod cli;
mod cli_support;
mod edges;
mod flips;
mod reader_role;
mod s3_archive;
mod secrets;
mod support;
mod truth;
