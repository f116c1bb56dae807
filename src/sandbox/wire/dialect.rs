//! How each service words the failures that every AWS front end shares.
//!
//! The codes differ by protocol family and, for throttling and server errors, by service; clients
//! classify by code, so the sandbox must use the real ones (AWS "Common Errors" pages of each API
//! reference, S3 "Error responses", and the services' error lists).

use super::AwsError;

/// The protocol that a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// awsJson1.1: Organizations, EMR, KMS, CloudWatch Logs.
    Json,
    /// restJson1: account.
    RestJson,
    /// awsQuery: IAM, STS. The errors of S3 Control have this shape too.
    Query,
    /// restXml without an error wrapper: S3.
    S3,
}

impl Protocol {
    /// Protocol of a service of the SigV4 scope. Services that the sandbox does not have are
    /// answered in JSON.
    pub fn of(service: &str) -> Self {
        match service {
            "iam" | "sts" | "s3-control" => Self::Query,
            "s3" => Self::S3,
            "account" => Self::RestJson,
            _ => Self::Json,
        }
    }
}

/// A failure that happens before, or instead of, the service's own work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No credentials at all.
    MissingToken,
    /// Credentials whose form cannot be read.
    MalformedSignature(&'static str),
    /// An access key id or a session token that this organization never issued.
    UnknownClient,
    /// A session token past its expiry.
    ExpiredToken,
    /// The request's clock is more than 15 minutes off. Carries AWS's explanation.
    Skewed(String),
    Throttled,
    Denied {
        account: String,
        action: String,
    },
    ServerError,
    /// An error that a test words itself.
    Other {
        status: u16,
    },
    /// An operation that the service, or the sandbox, does not have.
    UnknownOperation(String),
    /// Bytes that are not a request of the protocol.
    BadRequest(&'static str),
    TooLarge,
}

impl Refusal {
    /// The error as `service` words it.
    pub fn error(&self, service: &str) -> AwsError {
        use Protocol::{Json, Query, RestJson, S3};
        let protocol = Protocol::of(service);
        match (self, protocol) {
            (Self::MissingToken, S3) => AwsError::new(403, "AccessDenied", "Access Denied"),
            (Self::MissingToken, Query) => AwsError::new(
                403,
                "MissingAuthenticationToken",
                "Request is missing Authentication Token",
            ),
            (Self::MissingToken, Json | RestJson) => AwsError::new(
                status(protocol),
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            ),
            (Self::MalformedSignature(why), S3) => {
                AwsError::new(400, "AuthorizationHeaderMalformed", *why)
            }
            (Self::MalformedSignature(why), Query) => {
                AwsError::new(400, "IncompleteSignature", *why)
            }
            (Self::MalformedSignature(why), Json | RestJson) => {
                AwsError::new(status(protocol), "IncompleteSignatureException", *why)
            }
            (Self::UnknownClient, S3) => AwsError::new(
                403,
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.",
            ),
            (Self::UnknownClient, Query) => AwsError::new(
                403,
                "InvalidClientTokenId",
                "The security token included in the request is invalid",
            ),
            (Self::UnknownClient, Json | RestJson) => AwsError::new(
                status(protocol),
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            ),
            (Self::ExpiredToken, S3) => {
                AwsError::new(400, "ExpiredToken", "The provided token has expired.")
            }
            (Self::ExpiredToken, Query) => AwsError::new(
                403,
                "ExpiredToken",
                "The security token included in the request is expired",
            ),
            (Self::ExpiredToken, Json | RestJson) => AwsError::new(
                status(protocol),
                "ExpiredTokenException",
                "The security token included in the request is expired",
            ),
            (Self::Skewed(_), S3) => AwsError::new(
                403,
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
            ),
            (Self::Skewed(why), Query) => AwsError::new(403, "SignatureDoesNotMatch", why),
            (Self::Skewed(why), Json | RestJson) => {
                AwsError::new(status(protocol), "InvalidSignatureException", why)
            }
            (Self::Throttled, _) => throttled(service),
            (Self::Denied { account, action }, S3 | Query) => AwsError::new(
                403,
                "AccessDenied",
                if protocol == S3 {
                    "Access Denied".to_owned()
                } else {
                    not_authorized(account, service, action)
                },
            ),
            (Self::Denied { account, action }, Json | RestJson) => AwsError::new(
                status(protocol),
                "AccessDeniedException",
                not_authorized(account, service, action),
            ),
            (Self::ServerError, _) => server_error(service),
            (Self::Other { status }, _) => AwsError::new(*status, "Refused", "Refused"),
            (Self::UnknownOperation(operation), S3) => AwsError::new(
                501,
                "NotImplemented",
                format!(
                    "A header you provided implies functionality that is not implemented: {operation}"
                ),
            ),
            (Self::UnknownOperation(operation), Query) => AwsError::new(
                400,
                "InvalidAction",
                format!("Could not find operation {operation} for version 2011-06-15"),
            ),
            (Self::UnknownOperation(operation), Json | RestJson) => AwsError::new(
                if protocol == Json { 400 } else { 404 },
                "UnknownOperationException",
                format!("unknown operation {operation}"),
            ),
            (Self::BadRequest(why), S3) => AwsError::new(400, "InvalidURI", *why),
            (Self::BadRequest(why), Query) => AwsError::new(400, "MalformedQueryString", *why),
            (Self::BadRequest(why), Json | RestJson) => {
                AwsError::new(400, "SerializationException", *why)
            }
            (Self::TooLarge, S3) => AwsError::new(
                400,
                "EntityTooLarge",
                "Your proposed upload exceeds the maximum allowed size",
            ),
            (Self::TooLarge, _) => {
                AwsError::new(413, "RequestEntityTooLarge", "Request body too large")
            }
        }
    }
}

/// Client errors of the front end are 400 in awsJson and 403 in restJson.
fn status(protocol: Protocol) -> u16 {
    if protocol == Protocol::Json { 400 } else { 403 }
}

fn throttled(service: &str) -> AwsError {
    match service {
        "s3" => AwsError::new(503, "SlowDown", "Please reduce your request rate."),
        "iam" | "sts" => AwsError::new(400, "Throttling", "Rate exceeded"),
        "organizations" => AwsError::new(
            400,
            "TooManyRequestsException",
            "You have sent too many requests in too short a period of time. Wait a short time and try again.",
        ),
        "account" => AwsError::new(429, "TooManyRequestsException", "Too Many Requests"),
        "kms" => AwsError::new(
            400,
            "ThrottlingException",
            "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
        ),
        _ => AwsError::new(400, "ThrottlingException", "Rate exceeded"),
    }
}

fn server_error(service: &str) -> AwsError {
    match service {
        "s3" => AwsError::new(
            500,
            "InternalError",
            "We encountered an internal error. Please try again.",
        ),
        "sts" => AwsError::new(500, "InternalFailure", "An internal failure occurred"),
        "iam" => AwsError::new(500, "ServiceFailure", "An internal failure occurred"),
        "organizations" => AwsError::new(
            500,
            "ServiceException",
            "Organizations can't complete your request because of an internal service error. Try again later.",
        ),
        "kms" => AwsError::new(500, "KMSInternalException", "An internal error occurred"),
        _ => AwsError::new(500, "InternalServerException", "Internal server error"),
    }
}

/// AWS's wording, as far as the caller is known: clients read the policy type out of it.
fn not_authorized(caller: &str, service: &str, action: &str) -> String {
    format!(
        "User: {caller} is not authorized to perform: {service}:{action} because no identity-based policy allows the {service}:{action} action"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_words_its_throttle() {
        let code = |service| {
            let error = Refusal::Throttled.error(service);
            (error.status, error.code)
        };
        assert_eq!(
            code("elasticmapreduce"),
            (400, "ThrottlingException".into())
        );
        assert_eq!(
            code("organizations"),
            (400, "TooManyRequestsException".into())
        );
        assert_eq!(code("account"), (429, "TooManyRequestsException".into()));
        assert_eq!(code("sts"), (400, "Throttling".into()));
        assert_eq!(code("s3"), (503, "SlowDown".into()));
    }

    #[test]
    fn expiry_has_the_code_of_its_protocol() {
        let code = |service| {
            let error = Refusal::ExpiredToken.error(service);
            (error.status, error.code)
        };
        assert_eq!(code("kms"), (400, "ExpiredTokenException".into()));
        assert_eq!(code("sts"), (403, "ExpiredToken".into()));
        assert_eq!(code("s3"), (400, "ExpiredToken".into()));
    }
}
