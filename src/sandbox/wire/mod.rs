//! HTTP in, HTTP out: what every sandbox service shares.
//!
//! A request's SigV4 credential scope (`AKID/date/region/service/aws4_request`) decides which
//! account is calling, in which Region and for which service, exactly as AWS's own front ends do.
//!
//! - [`scope`]: who calls, read from the SigV4 scope.
//! - [`operation`]: what is called, read from the protocol of the service.
//! - [`dialect`]: how each service words the failures that every front end shares.
//! - [`framing`]: the shape of errors and the headers of every answer.
//! - [`faults`], [`token_bucket`]: what goes wrong on purpose.
//! - [`server`]: the loop that joins them; [`running`]: the handle that the owner keeps.
//! - [`in_process`]: the same answers without a socket, for tests that decide what befalls each.

mod clock;
mod counters;
mod dialect;
pub(crate) mod encoding;
mod faults;
pub(crate) mod framing;
mod in_process;
mod operation;
mod outgoing;
mod request;
mod running;
mod scope;
mod server;
mod token_bucket;

pub use clock::{http_date, iso_millis};
pub use counters::CallCount;
pub(crate) use encoding::{parse_pairs, xml_escape};
pub use faults::{FaultKind, FaultRule, Faults};
pub use in_process::InProcess;
pub use request::{Caller, Request};
pub use running::Running;
pub use server::{ServeOptions, start};

/// An answer on its way to the client.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// An answer with a body of the given media type.
    pub fn with_body(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
        .header("content-type", content_type)
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
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
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
        }
    }
}
