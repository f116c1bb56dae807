//! One target for all integration tests: each linked binary carries the SQL engine.

mod edges;
mod policy;
mod reader_role;
