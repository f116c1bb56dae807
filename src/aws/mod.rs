//! AWS: the only module that imports AWS SDKs, and the only one that opens connections.
//!
//! | part | job |
//! |---|---|
//! | [`session`] | the default credential chain, timeouts, endpoint and clock that every client shares |
//! | [`http`] | one connection pool for all clients; reads the `Date` of answers |
//! | [`cloud`], [`member`] | the traits of `collect::api`, one attempt per call |
//! | `account`, `cloudtrail`, `emr`, `emr_channels`, `kms`, `logs`, `organizations`, `s3_reads`, `sts` | one file per service: answer in, api struct out |
//! | [`error`] | from an SDK error to a class, by error code |
//! | [`s3_store`], [`s3_url`] | the archive on S3, and what its bucket says of itself |
//! | [`kms_signer`] | signatures by a KMS key |
//!
//! A client costs 12 µs and 14 KB with the shared connection pool. The last few hundred are kept
//! ([`clients`]), against 2.4 GB for one per account, Region and service of a large organization. Only the
//! fields of `collect::api` leave this module; credentials never do.

#![expect(
    clippy::result_large_err,
    reason = "ApiError is 128 bytes; an answer it travels beside costs 36 KB"
)]

mod account;
mod bucket_settings;
mod clients;
pub mod cloud;
mod cloudtrail;
mod emr;
mod emr_channels;
pub mod error;
pub mod http;
mod iam;
mod kms;
pub mod kms_signer;
mod logs;
pub mod member;
mod object_reads;
mod organizations;
mod reports;
mod s3_control;
mod s3_reads;
pub mod s3_store;
pub mod s3_url;
pub mod session;
mod sts;

#[cfg(test)]
mod canned;
#[cfg(test)]
pub(crate) mod tests;

pub use kms_signer::{KmsSigner, SigningMode};
pub use s3_store::{LockMode, S3Options, S3Store};
pub use s3_url::{S3Url, S3UrlError};
pub use session::{AwsOptions, AwsShell, ConnectError};
