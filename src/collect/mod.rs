//! From a work list to facts and coverage.

pub mod api;
pub mod operation;
