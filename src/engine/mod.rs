//! What rollups and queries share of the SQL engine.
//!
//! - [`apart`], [`apart_async`]: where it works; [`holds_more_than`]: a look at what the process holds.
//! - [`bounded`]: the memory and the disk that it may use.

mod apart;
pub mod bounded;

pub use apart::{apart, apart_async, holds_more_than};
