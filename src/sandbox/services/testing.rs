//! Requests for the unit tests of services.

use serde_json::Value;

use crate::sandbox::wire::{Caller, Request, Response};

/// A request of an account's reader session.
pub(super) fn request(account: &str, region: &str, operation: &str, body: &Value) -> Request {
    Request {
        caller: Caller {
            account: account.to_owned(),
            role: Some("keyproof-reader".to_owned()),
            session: Some("unit-test".to_owned()),
            expires_ms: None,
        },
        region: region.to_owned(),
        service: String::new(),
        operation: operation.to_owned(),
        method: "POST".to_owned(),
        path: "/".to_owned(),
        query: Vec::new(),
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
        request_id: "0".to_owned(),
    }
}

/// The JSON body of an answer.
pub(super) fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap()
}
