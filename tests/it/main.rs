//! One target for all integration tests: each linked binary carries the SQL engine.

mod archive_protection;
mod cli;
mod cli_support;
mod deaths;
mod deployed;
mod edges;
mod faults;
mod flips;
mod history;
mod hostile;
mod identities;
mod keys;
mod mutations;
mod one_at_a_time;
mod policy;
mod reader_role;
mod recompute;
mod s3_archive;
mod s3_faults;
mod samples;
mod secrets;
mod shards;
mod stories;
mod story;
mod support;
mod truth;
