//! Collecting and judging together, against a sandbox in this process.

mod schedules;
