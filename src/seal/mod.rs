//! What is signed and how: manifest, statement, DSSE envelope and public key. Pure: gives the bytes
//! to sign and takes the signature back; nothing here reads a clock, a disk or the network.
//!
//! | type | is |
//! |---|---|
//! | [`Manifest`] | every file of one run with its digest, one line of canonical JSON |
//! | [`Statement`] | the in-toto Statement v1 about a run: subjects, chain link, outcome |
//! | [`Envelope`] | the DSSE envelope around a statement: one entry of the chain |
//! | [`PublicKey`] | the P-256 key that signs, in its one canonical form |
//!
//! Everything has exactly one encoding. Reading encodes again and compares, so a changed bit that
//! would change nothing else is still noticed.

mod dsse;
mod key;
mod manifest;
mod remark;
mod statement;
mod text;

pub use dsse::{Envelope, EnvelopeError, PAYLOAD_TYPE, pae};
pub use key::{KeyError, PublicKey, SignatureError};
pub use manifest::{FileEntry, Manifest, ManifestError, Period, StoredAs, is_safe_name};
pub use remark::{Remark, RemarkError};
pub use statement::{
    ArchiveId, BackfillSeal, ChangedBy, Content, DiedRun, Genesis, KeyChange, Lacking, Note,
    PREDICATE_TYPE, Producer, RollupSeal, RunSeal, STATEMENT_TYPE, Statement, StatementError,
    Subject,
};

#[cfg(test)]
mod tests;
