//! The shell against canned answers over real sockets.

mod archive;
mod buckets;
mod channels;
mod events;
mod identities;
pub(crate) mod in_process;
mod objects;
mod reads;
mod reports;
mod signing;

use crate::aws::canned::Reply;
use crate::model::ids::AccountId;

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

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

fn base64_sha256(bytes: &[u8]) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(bytes))
}
