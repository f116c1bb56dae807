//! From an SDK error to an [`ApiError`].
//!
//! The class comes from AWS's error *code*, never from the SDK's variant: the EMR model declares two
//! errors and KMS declares no AccessDenied or throttling, so most of what matters arrives as
//! "unhandled" (<https://docs.aws.amazon.com/emr/latest/APIReference/API_DescribeCluster.html>).
//! Where AWS gives no code (HEAD answers, proxies), the HTTP status decides.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::RequestId as _;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use http_body_util::LengthLimitError;

use crate::aws::http::LONGEST_ANSWER;
use crate::collect::api::{ApiError, ErrorClass};
use crate::collect::operation::Operation;

/// Longest message that is kept, in characters.
const MESSAGE_LENGTH: usize = 300;

/// Who was asked what; fills the errors of one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub operation: Operation,
    pub account: &'a str,
    pub region: &'a str,
}

impl Asked<'_> {
    /// For `map_err` on a call's result.
    pub(super) fn failed<E>(self, error: SdkError<E, HttpResponse>) -> ApiError
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let Answer {
            class,
            code,
            message,
        } = read(self.operation, &error);
        ApiError {
            class,
            operation: self.operation,
            account: self.account.to_owned(),
            region: self.region.to_owned(),
            code,
            message,
            request_id: request_id(&error),
        }
    }

    /// An answer that arrived and lacks what it must have.
    pub(super) fn unreadable(self, what: &str) -> ApiError {
        self.local(ErrorClass::Transport, "Unreadable", what)
    }

    /// A request that was not sent since its answer is known.
    pub(super) fn local(self, class: ErrorClass, code: &str, message: &str) -> ApiError {
        ApiError {
            class,
            operation: self.operation,
            account: self.account.to_owned(),
            region: self.region.to_owned(),
            code: code.to_owned(),
            message: shorten(message),
            request_id: None,
        }
    }
}

/// The request id AWS answered with, for a support case.
pub(super) fn request_id<E>(error: &SdkError<E, HttpResponse>) -> Option<String> {
    let given = error.request_id()?;
    Some(
        given
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .take(80)
            .collect(),
    )
}

/// Code, message and request id in one line.
pub(super) fn sentence<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let Answer { code, message, .. } = read(Operation::GetCallerIdentity, error);
    let separator = if message.is_empty() { "" } else { ": " };
    match request_id(error) {
        Some(id) => format!("{code}{separator}{message} (request id {id})"),
        None => format!("{code}{separator}{message}"),
    }
}

/// The class where no operation of collecting is concerned.
pub(super) fn class_of<E>(error: &SdkError<E, HttpResponse>) -> ErrorClass
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    read(Operation::GetCallerIdentity, error).class
}

struct Answer {
    class: ErrorClass,
    code: String,
    message: String,
}

fn read<E>(operation: Operation, error: &SdkError<E, HttpResponse>) -> Answer
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let local = |class, code: &str| Answer {
        class,
        code: code.to_owned(),
        message: shorten(&causes(error)),
    };
    if has_source::<LengthLimitError>(error) {
        return Answer {
            class: ErrorClass::TooLarge,
            code: "ResponseTooLarge".to_owned(),
            message: format!("the answer is longer than {LONGEST_ANSWER} bytes"),
        };
    }
    let status = error.raw_response().map(|r| r.status().as_u16());
    if let Some(code) = error.code() {
        let message = error.message().unwrap_or_default();
        return Answer {
            class: classify(operation, code, message, status),
            code: shorten(code),
            message: shorten(message),
        };
    }
    match error {
        SdkError::TimeoutError(_) => local(ErrorClass::TimedOut, "Timeout"),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            local(ErrorClass::TimedOut, "Timeout")
        }
        // The caller's own credentials did not load: an SSO session that ended, a metadata service
        // that is away.
        _ if has_source::<CredentialsError>(error) => local(ErrorClass::Expired, "Credentials"),
        // Nothing was sent: the SDK could make no request of the arguments, e.g. no host name of the
        // bucket's name.
        SdkError::ConstructionFailure(_) => local(ErrorClass::Refused, "InvalidRequest"),
        SdkError::DispatchFailure(failure) if failure.is_user() => {
            local(ErrorClass::Refused, "InvalidRequest")
        }
        SdkError::DispatchFailure(_) => local(ErrorClass::Transport, "Connection"),
        _ => match status.and_then(by_status) {
            Some(class) => local(class, &format!("Http{}", status.unwrap_or_default())),
            None if status.is_some_and(|s| s >= 300) => local(
                ErrorClass::Transport,
                &format!("Http{}", status.unwrap_or_default()),
            ),
            None => local(ErrorClass::Transport, "Unreadable"),
        },
    }
}

/// An error and what caused it, each said once.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text
}

fn has_source<T: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<T>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// The class of an error by its code, and by HTTP status where the code says nothing.
pub(super) fn classify(
    operation: Operation,
    code: &str,
    message: &str,
    status: Option<u16>,
) -> ErrorClass {
    if is_denied(code) {
        return denied(operation, message);
    }
    match code {
        "TooManyRequestsException"
        | "TooManyRequests"
        | "SlowDown"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "ThrottledException"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete" => ErrorClass::Throttled,
        c if c.starts_with("Throttling") => ErrorClass::Throttled,
        _ if status == Some(429) => ErrorClass::Throttled,

        "RequestExpired" | "TokenRefreshRequired" => ErrorClass::Expired,
        c if c.starts_with("Expired") => ErrorClass::Expired,

        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "AuthFailure"
        | "OptInRequired"
        | "NotSignedUp"
        | "RegionDisabledException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidSignatureException"
        | "RequestTimeTooSkewed"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => ErrorClass::TokenRefused,

        "RequestTimeout" | "RequestTimeoutException" => ErrorClass::TimedOut,
        "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "ServiceException"
        | "DependencyTimeoutException"
        | "KMSInternalException"
        | "IDPCommunicationError" => ErrorClass::Server,
        c if c.starts_with("Internal") => ErrorClass::Server,

        c if c.starts_with("NoSuch")
            || c.ends_with("NotFound")
            || c.ends_with("NotFoundException")
            || c.ends_with("NotFoundError") =>
        {
            ErrorClass::NotFound
        }

        // A wrong Region is a fact about the bucket; asking again there changes nothing.
        _ => match status {
            Some(s) if s >= 500 => ErrorClass::Server,
            Some(s) if code.is_empty() => by_status(s).unwrap_or(ErrorClass::Transport),
            _ => ErrorClass::Refused,
        },
    }
}

/// An answer without an error code is hardly AWS's own: a proxy's page must not become "that key does
/// not exist" or another fact.
fn by_status(status: u16) -> Option<ErrorClass> {
    match status {
        401 | 403 => Some(ErrorClass::DeniedIam),
        408 => Some(ErrorClass::TimedOut),
        429 => Some(ErrorClass::Throttled),
        s if s >= 500 => Some(ErrorClass::Server),
        _ => None,
    }
}

fn is_denied(code: &str) -> bool {
    code.starts_with("AccessDenied")
        || matches!(
            code,
            "UnauthorizedOperation"
                | "NotAuthorized"
                | "NotAuthorizedException"
                | "Forbidden"
                | "AllAccessDisabled"
        )
}

/// What kind of policy forbids the call, from AWS's whole message: "because no … policy allows" or
/// "with an explicit deny in a … policy"
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>).
///
/// A resource control policy counts with the service control policies: it speaks through resources,
/// but the organization sets it and neither the account nor the resource's owner can lift it, so it
/// is no lock of the item's own. An identity-based policy, a permissions boundary, a session policy,
/// a VPC endpoint policy and a message that names none are ours to mend.
fn denied(operation: Operation, message: &str) -> ErrorClass {
    let message = message.to_ascii_lowercase();
    let names = |policy: &str| message.contains(policy);
    if names("service control polic") || names("resource control polic") {
        ErrorClass::DeniedScp
    } else if operation == Operation::AssumeRole {
        ErrorClass::DeniedTrust
    } else if names("resource-based polic") {
        ErrorClass::DeniedByResource
    } else {
        ErrorClass::DeniedIam
    }
}

/// A message fit for a terminal: access key ids and anything as long as a secret key masked, control
/// characters gone, at most 300 characters.
pub(super) fn shorten(message: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in message.chars() {
        if c.is_ascii_alphanumeric() || "/+=_".contains(c) {
            word.push(c);
            continue;
        }
        push_word(&mut out, &word);
        word.clear();
        out.push(if c.is_control() { ' ' } else { c });
        if out.len() > 4 * MESSAGE_LENGTH {
            break;
        }
    }
    push_word(&mut out, &word);
    match out.char_indices().nth(MESSAGE_LENGTH) {
        Some((end, _)) => format!("{}…", &out[..end]),
        None => out,
    }
}

/// Secret access keys have 40 characters of base64 (a session token many more), access key ids 20.
/// Digests and most paths are as long but lack capitals.
fn push_word(out: &mut String, word: &str) {
    let is_key_id =
        |part: &str| part.len() >= 16 && (part.starts_with("AKIA") || part.starts_with("ASIA"));
    let is_secret = word.len() >= 40
        && word.bytes().any(|b| b.is_ascii_uppercase())
        && word.bytes().any(|b| b.is_ascii_lowercase());
    if is_secret || word.split(['/', '+', '=', '_']).any(is_key_id) {
        out.push_str("****");
    } else {
        out.push_str(word);
    }
}

#[cfg(test)]
mod tests;
