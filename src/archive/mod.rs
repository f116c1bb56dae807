//! The archive: where evidence stands, how a run is committed, and how anyone checks it.

pub mod file_store;
pub mod layout;
pub mod signer;
pub mod store;
