//! What rollups and queries share of the SQL engine.
//!
//! - [`apart`], [`apart_async`]: where it works; [`holds_more_than`],
//!   [`half_of_memory`]: a look at what the process holds, and may hold.
//! - [`bounded`]: the memory and the disk that it may use.

mod apart;
pub mod bounded;

pub use apart::{apart, apart_async, half_of_memory, holds_more_than};
