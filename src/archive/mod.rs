//! The archive: where evidence stands, how a run is committed, and how anyone checks it.
//!
//! | module | is |
//! |---|---|
//! | [`layout`] | every name |
//! | [`store`], [`signer`] | what storage and the signing key must do |
//! | [`file_store`], [`local_signer`] | the two that need no AWS account |
//! | [`settle`] | create-only writes carried to a certain end |
//! | [`slot`], [`keyring`], [`chain`] | what one slot holds; which keys may sign it; the signed entries and the head |
//! | [`genesis`], [`starts`], [`commit`] | beginning an archive, a run, and sealing it |
//! | [`key_change`], [`note`] | entries that seal no files: the next signing key, a remark |
//! | [`shards`] | what several processes of one run tell each other |
//! | [`chain_copy`] | the chain once more, in a place that others keep |
//! | [`verify`] | whether all of it is as it was sealed |
//! | [`records`] | which runs speak for which dates, and with which files |
//! | [`protection`] | how well a bucket protects the archive that it keeps |
//! | [`remembered`], [`state_file`] | archives that this machine has seen; how that is written |

pub mod chain;
pub mod chain_copy;
pub mod commit;
pub mod file_store;
mod gather;
pub mod genesis;
pub mod key_change;
pub mod keyring;
pub mod layout;
pub mod local_signer;
pub mod note;
pub mod protection;
pub mod records;
pub mod remembered;
pub mod settle;
pub mod shards;
pub mod signer;
pub mod slot;
pub mod starts;
pub mod state_file;
pub mod store;
pub mod verify;
