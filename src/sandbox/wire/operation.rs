//! What is called: the operation's name, read the way each protocol carries it.

use super::dialect::Refusal;
use super::encoding::parse_pairs;
use super::request::find;
use crate::sandbox::services::{s3, s3_control};

/// S3 Control, whose requests are signed as S3's are.
pub(super) const S3_CONTROL: &str = "s3-control";

/// The service that is meant: for S3's signature, its path tells.
pub(super) fn service<'a>(signed_for: &'a str, path: &str) -> &'a str {
    if signed_for == "s3" && path.starts_with(s3_control::PATH) {
        S3_CONTROL
    } else {
        signed_for
    }
}

/// The parts of a request that can carry the operation's name.
pub(super) struct Parts<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: &'a [(String, String)],
    pub headers: &'a [(String, String)],
    pub body: &'a [u8],
}

/// Name of the operation that a request to `service` calls.
pub(super) fn name(service: &str, parts: &Parts<'_>) -> Result<String, Refusal> {
    match service {
        "organizations" => target(parts, "AWSOrganizationsV20161128."),
        "elasticmapreduce" => target(parts, "ElasticMapReduce."),
        "kms" => target(parts, "TrentService."),
        "logs" => target(parts, "Logs_20140328."),
        "cloudtrail" => cloudtrail(parts),
        "iam" | "sts" => action(parts),
        "account" => rest_json(parts),
        "s3" => Ok(s3::operation_name(
            parts.method,
            parts.path,
            parts.query,
            parts.headers,
        )),
        S3_CONTROL => s3_control::operation_name(parts.method, parts.path)
            .map(str::to_owned)
            .ok_or_else(|| Refusal::UnknownOperation(format!("{} {}", parts.method, parts.path))),
        other => Err(Refusal::UnknownOperation(format!(
            "of service {other}, which the sandbox does not have"
        ))),
    }
}

/// awsJson: `X-Amz-Target: Service.Operation`.
fn target(parts: &Parts<'_>, prefix: &str) -> Result<String, Refusal> {
    let target = find(parts.headers, "x-amz-target").unwrap_or_default();
    match target.strip_prefix(prefix) {
        Some(operation) if !operation.is_empty() => Ok(operation.to_owned()),
        _ => Err(Refusal::UnknownOperation(target.to_owned())),
    }
}

/// CloudTrail's target has the name of a Java package before it in some clients, and not in others.
fn cloudtrail(parts: &Parts<'_>) -> Result<String, Refusal> {
    target(
        parts,
        "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.",
    )
    .or_else(|_| target(parts, "CloudTrail_20131101."))
}

/// awsQuery: `Action=` in the form, or in the query of a GET.
fn action(parts: &Parts<'_>) -> Result<String, Refusal> {
    let form = std::str::from_utf8(parts.body).ok().and_then(parse_pairs);
    let form = form.ok_or(Refusal::BadRequest("the body is not a form"))?;
    let action = find(&form, "Action").or_else(|| find(parts.query, "Action"));
    match action {
        Some(action) if !action.is_empty() => Ok(action.to_owned()),
        _ => Err(Refusal::UnknownOperation(String::new())),
    }
}

/// The account service has one path for each operation: `POST /listRegions` is ListRegions.
fn rest_json(parts: &Parts<'_>) -> Result<String, Refusal> {
    let path = parts.path.trim_start_matches('/');
    let mut letters = path.chars();
    match letters.next() {
        Some(first)
            if parts.method == "POST" && path.bytes().all(|b| b.is_ascii_alphanumeric()) =>
        {
            Ok(first.to_ascii_uppercase().to_string() + letters.as_str())
        }
        _ => Err(Refusal::UnknownOperation(format!(
            "{} {}",
            parts.method, parts.path
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_carries_its_name_elsewhere() {
        let headers = vec![("x-amz-target".to_owned(), "TrentService.Sign".to_owned())];
        let parts = |path, body| Parts {
            method: "POST",
            path,
            query: &[],
            headers: &headers,
            body,
        };
        assert_eq!(name("kms", &parts("/", b"{}")).unwrap(), "Sign");
        assert_eq!(
            name("sts", &parts("/", b"Action=AssumeRole&Version=2011-06-15")).unwrap(),
            "AssumeRole"
        );
        assert_eq!(
            name("account", &parts("/listRegions", b"{}")).unwrap(),
            "ListRegions"
        );
        assert!(
            name("organizations", &parts("/", b"{}")).is_err(),
            "a target of another service"
        );
        assert!(name("ec2", &parts("/", b"{}")).is_err());
        assert!(name("sts", &parts("/", b"\xff")).is_err());
        assert!(name("account", &parts("/", b"")).is_err());
    }
}
