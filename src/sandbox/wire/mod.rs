//! HTTP in, HTTP out: what every sandbox service shares.
//!
//! A request's SigV4 credential scope (`AKID/date/region/service/aws4_request`) decides which
//! account is calling, in which Region and for which service, exactly as AWS's own front ends do.

mod faults;
mod request;
mod server;
mod token_bucket;

pub use faults::{FaultKind, FaultRule, Faults};
pub use request::{Caller, Request};
pub use server::{Running, ServeOptions, start};

/// An answer on its way to the client.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// An AWS error as a service states it; the protocol layer gives it its shape on the wire
/// (awsJson, query XML or S3 XML).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsError {
    pub status: u16,
    pub code: String,
    pub message: String,
}

impl AwsError {
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }
}
