//! The shape of answers: errors in each protocol, and the headers that every answer carries.

use super::clock::http_date;
use super::dialect::Protocol;
use super::encoding::xml_escape;
use super::{AwsError, Response};

/// An error in the shape of the service's protocol.
pub(crate) fn error_response(
    error: &AwsError,
    service: &str,
    path: &str,
    request_id: &str,
) -> Response {
    match Protocol::of(service) {
        Protocol::Json => {
            // EMR and Organizations model the member as `Message`, KMS as `message`.
            let member = if service == "kms" {
                "message"
            } else {
                "Message"
            };
            let body = serde_json::json!({ "__type": error.code, member: error.message });
            Response::with_body(error.status, "application/x-amz-json-1.1", body.to_string())
        }
        Protocol::RestJson => {
            let body = serde_json::json!({ "message": error.message });
            Response::with_body(error.status, "application/json", body.to_string())
                .header("x-amzn-errortype", &*header_text(&error.code))
        }
        Protocol::Query => {
            let side = if error.status < 500 {
                "Sender"
            } else {
                "Receiver"
            };
            let version = if service == "iam" {
                "2010-05-08"
            } else {
                "2011-06-15"
            };
            let body = format!(
                "<ErrorResponse xmlns=\"https://{service}.amazonaws.com/doc/{version}/\">\n  <Error>\n    <Type>{side}</Type>\n    \
                 <Code>{}</Code>\n    <Message>{}</Message>\n  </Error>\n  <RequestId>{request_id}</RequestId>\n</ErrorResponse>\n",
                xml_escape(&error.code),
                xml_escape(&error.message),
            );
            Response::with_body(error.status, "text/xml", body)
        }
        Protocol::S3 => {
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message><Resource>{}</Resource>\
                 <RequestId>{request_id}</RequestId><HostId>{}</HostId></Error>",
                xml_escape(&error.code),
                xml_escape(&error.message),
                xml_escape(path),
                host_id(request_id),
            );
            Response::with_body(error.status, "application/xml", body)
        }
    }
}

/// Adds the headers that every answer of the service carries. The date is the sandbox's, so that
/// a client which measures its clock against AWS sees the simulated one.
pub(super) fn finish(
    mut response: Response,
    service: &str,
    request_id: &str,
    now_ms: i64,
) -> Response {
    response.headers.push(("date".into(), http_date(now_ms)));
    if Protocol::of(service) == Protocol::S3 {
        response
            .headers
            .push(("x-amz-request-id".into(), request_id.into()));
        response
            .headers
            .push(("x-amz-id-2".into(), host_id(request_id)));
        response.headers.push(("server".into(), "AmazonS3".into()));
    } else {
        response
            .headers
            .push(("x-amzn-requestid".into(), request_id.into()));
    }
    response
}

/// A request id that differs for each request of a server: a UUID, or S3's 16 characters.
pub(super) fn request_id(counter: u64, service: &str) -> String {
    let (a, b) = (mix(counter), mix(counter ^ 0x5851_f42d_4c95_7f2d));
    if service == "s3" {
        return format!("{a:016X}");
    }
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}

/// SplitMix64: spreads a counter over 64 bits, each value once.
pub(super) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn host_id(request_id: &str) -> String {
    format!("sandbox/{request_id}=")
}

/// A header cannot carry what is not visible ASCII.
fn header_text(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_shape_of_their_protocol() {
        let error = AwsError::new(400, "Some<Code>", "a \"quoted\" & <marked> text");
        let text = |service| {
            String::from_utf8(error_response(&error, service, "/b/<k>", "id-1").body).unwrap()
        };
        let json: serde_json::Value = serde_json::from_str(&text("elasticmapreduce")).unwrap();
        assert_eq!(json["__type"], "Some<Code>");
        assert_eq!(json["Message"], error.message);
        assert!(text("kms").contains("\"message\""));
        assert!(
            text("sts").contains("<Type>Sender</Type>") && text("sts").contains("&lt;marked&gt;")
        );
        assert!(
            text("s3").contains("<Resource>/b/&lt;k&gt;</Resource>")
                && text("s3").contains("<RequestId>id-1</RequestId>")
        );
        let account = error_response(&error, "account", "/", "id");
        assert!(
            account
                .headers
                .contains(&("x-amzn-errortype".into(), "Some<Code>".into()))
        );
    }

    #[test]
    fn request_ids_differ() {
        assert_ne!(request_id(1, "kms"), request_id(2, "kms"));
        assert_eq!(request_id(1, "kms").len(), 36);
        assert_eq!(request_id(1, "s3").len(), 16);
    }
}
