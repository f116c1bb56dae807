//! The shell against canned answers over real sockets.

mod reads;

use crate::aws::canned::Reply;
use crate::model::ids::AccountId;

fn account() -> AccountId {
    "111122223333".parse().expect("account")
}

fn json_error(code: &str, message: &str) -> Reply {
    Reply::new(
        400,
        format!(r#"{{"__type":"{code}","message":"{message}"}}"#),
    )
    .with("content-type", "application/x-amz-json-1.1")
    .with("x-amzn-requestid", "req-1")
}

fn xml_error(status: u16, code: &str) -> Reply {
    Reply::new(
        status,
        format!(
            "<Error><Code>{code}</Code><Message>m</Message><RequestId>req-1</RequestId></Error>"
        ),
    )
    .with("x-amz-request-id", "req-1")
}
