//! One file per AWS service. A handler is a plain function of the request, the world, the mutable
//! state and the instant; it never waits and never touches the network.

pub mod account;
pub mod cloudtrail;
pub mod emr;
pub mod iam;
pub mod kms;
pub mod logs;
pub mod organizations;
pub mod s3;
pub mod s3_control;
pub mod session;
pub mod sts;

mod gate;
mod json;
#[cfg(test)]
mod testing;
