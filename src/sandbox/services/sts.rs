//! AWS STS (query protocol): AssumeRole with trust and ExternalId, GetCallerIdentity.

use chrono::{DateTime, SecondsFormat};

use super::gate::caller_arn;
use super::session::{self, SessionClaims};
use crate::sandbox::World;
use crate::sandbox::wire::{AwsError, Request, Response};
use crate::sandbox::world::organization::{
    READER_ROLE, ReaderRole, SAMPLER_ROLE, SOURCE_READER_ROLE,
};
use crate::sandbox::world::regions;

const DEFAULT_SECONDS: i64 = 3_600;
/// What a session may get from another role session.
const CHAINED_SECONDS: i64 = 3_600;
/// `MaxSessionDuration` of every role here.
const ROLE_SECONDS: i64 = 43_200;

/// Answers a request to STS.
pub fn handle(world: &World, now_ms: i64, request: &Request) -> Result<Response, AwsError> {
    match request.operation.as_str() {
        "AssumeRole" => assume_role(world, now_ms, request),
        "GetCallerIdentity" => Ok(caller_identity(request)),
        other => {
            let message = format!("Could not find operation {other} for version 2011-06-15");
            Err(AwsError::new(400, "InvalidAction", message))
        }
    }
}

fn caller_identity(request: &Request) -> Response {
    let caller = &request.caller;
    let user = match (&caller.role, &caller.session) {
        (Some(_), session) => {
            format!(
                "AROA{}SBOX:{}",
                caller.account,
                session.as_deref().unwrap_or("session")
            )
        }
        (None, _) => format!("AIDA{}SBOX", caller.account),
    };
    reply(
        request,
        &format!(
            "<Arn>{}</Arn><UserId>{}</UserId><Account>{}</Account>",
            escape(&caller_arn(caller)),
            escape(&user),
            escape(&caller.account)
        ),
    )
}

fn assume_role(world: &World, now_ms: i64, request: &Request) -> Result<Response, AwsError> {
    let form = form(&request.body);
    let field = |name: &str| {
        form.iter()
            .find(|(key, _)| key == name)
            .map(|(_, v)| v.as_str())
    };
    let arn = field("RoleArn").unwrap_or_default();
    let session = field("RoleSessionName").unwrap_or_default();
    if !is_session_name(session) {
        return Err(validation(&format!(
            "1 validation error detected: Value '{session}' at 'roleSessionName' failed to satisfy \
             constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*"
        )));
    }
    let Some((account, role)) = role_of(arn) else {
        return Err(validation(&format!("{arn} is invalid")));
    };
    let duration = duration(request, field("DurationSeconds"))?;

    let denied = || {
        let message = format!(
            "User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}",
            caller_arn(&request.caller)
        );
        AwsError::new(403, "AccessDenied", message)
    };
    let owner = world
        .account(account)
        .filter(|owner| owner.state.is_usable() && owner.is_member_at(now_ms))
        .ok_or_else(denied)?;
    // The role's account decides whether STS works in an opt-in Region.
    if regions::is_opt_in(&request.region) && !owner.opt_status(&request.region).is_usable() {
        return Err(AwsError::new(
            403,
            "RegionDisabledException",
            format!("STS is not activated in this region for account:{account}"),
        ));
    }
    let caller_is_central = world.organization.may_read(&request.caller.account);
    let trusted = [READER_ROLE, SAMPLER_ROLE, SOURCE_READER_ROLE].contains(&role)
        && caller_is_central
        && !owner.is_locked_at(now_ms)
        && match &owner.reader {
            ReaderRole::Trusted => true,
            ReaderRole::NeedsExternalId(wanted) => field("ExternalId") == Some(wanted),
            ReaderRole::Missing | ReaderRole::NotTrusting => false,
        };
    if !trusted {
        return Err(denied());
    }
    Ok(issue(
        request,
        now_ms + duration * 1_000,
        account,
        role,
        session,
    ))
}

fn issue(request: &Request, expires_ms: i64, account: &str, role: &str, session: &str) -> Response {
    let claims = SessionClaims {
        account: account.to_owned(),
        role: role.to_owned(),
        session: session.to_owned(),
        expires_ms,
    };
    let expires = DateTime::from_timestamp_millis(expires_ms).unwrap_or_default();
    let user = format!("arn:aws:sts::{account}:assumed-role/{role}/{session}");
    reply(
        request,
        &format!(
            "<Credentials><AccessKeyId>ASIA{account}SBOX</AccessKeyId>\
             <SecretAccessKey>sandbox/{account}/not+a+secret</SecretAccessKey>\
             <SessionToken>{}</SessionToken><Expiration>{}</Expiration></Credentials>\
             <AssumedRoleUser><AssumedRoleId>AROA{account}SBOX:{session}</AssumedRoleId>\
             <Arn>{}</Arn></AssumedRoleUser><PackedPolicySize>0</PackedPolicySize>",
            escape(&session::encode(&claims)),
            expires.to_rfc3339_opts(SecondsFormat::Secs, true),
            escape(&user)
        ),
    )
}

fn duration(request: &Request, asked: Option<&str>) -> Result<i64, AwsError> {
    let Some(asked) = asked else {
        return Ok(DEFAULT_SECONDS);
    };
    let seconds = asked
        .parse()
        .ok()
        .filter(|seconds| (900..=ROLE_SECONDS).contains(seconds));
    let Some(seconds) = seconds else {
        return Err(validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    };
    if request.caller.role.is_some() && seconds > CHAINED_SECONDS {
        return Err(validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by \
             role chaining",
        ));
    }
    Ok(seconds)
}

/// Account and role name of `arn:aws:iam::<account>:role/<path/name>`.
fn role_of(arn: &str) -> Option<(&str, &str)> {
    let (account, path) = arn.strip_prefix("arn:aws:iam::")?.split_once(":role/")?;
    let name = path.rsplit('/').next()?;
    let digits = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    (digits && !name.is_empty()).then_some((account, name))
}

fn is_session_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    (2..=64).contains(&name.len()) && name.bytes().all(allowed)
}

fn validation(message: &str) -> AwsError {
    AwsError::new(400, "ValidationError", message)
}

fn reply(request: &Request, result: &str) -> Response {
    let operation = &request.operation;
    let body = format!(
        "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <{operation}Result>{result}</{operation}Result>\
         <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{operation}Response>",
        escape(&request.request_id)
    );
    Response {
        status: 200,
        headers: vec![("content-type".to_owned(), "text/xml".to_owned())],
        body: body.into_bytes(),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// The pairs of a form body.
fn form(body: &[u8]) -> Vec<(String, String)> {
    let pairs = body
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let cut = pair
                .iter()
                .position(|byte| *byte == b'=')
                .unwrap_or(pair.len());
            (
                unescape(&pair[..cut]),
                unescape(pair.get(cut + 1..).unwrap_or_default()),
            )
        })
        .collect()
}

fn unescape(text: &[u8]) -> String {
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut plain = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match (text[at], hex(text.get(at + 1)), hex(text.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                plain.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) => plain.push(b' '),
            (byte, ..) => plain.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::testing;
    use super::*;
    use crate::sandbox::Options;

    fn assume(world: &World, target: &str, chained: bool, more: &str) -> Result<String, AwsError> {
        let central = world.organization.management_account.as_str();
        let mut request = testing::request(central, "us-east-1", "AssumeRole", &Value::Null);
        if !chained {
            request.caller.role = None;
        }
        let form = format!(
            "Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A{target}%3Arole%2Fkeyproof-reader{more}"
        );
        request.body = form.into_bytes();
        handle(world, 0, &request).map(|answer| String::from_utf8(answer.body).unwrap())
    }

    #[test]
    fn sessions_are_given_exactly_where_the_truth_says_reachable() {
        let world = World::generate(&Options {
            accounts: 20,
            ..Options::default()
        });
        for account in world.truth(0, None).accounts {
            let answer = assume(&world, &account.account_id, true, "&RoleSessionName=run+1");
            assert_eq!(
                answer.unwrap_err().code,
                "ValidationError",
                "a space is no session name"
            );
            let answer = assume(&world, &account.account_id, true, "&RoleSessionName=run-1");
            match answer {
                Ok(xml) => {
                    assert!(account.reachable);
                    let token = xml.split("SessionToken>").nth(1).unwrap();
                    let claims = session::decode(token.trim_end_matches("</")).unwrap();
                    assert_eq!(claims.account, account.account_id);
                    assert_eq!(claims.session, "run-1");
                    assert_eq!(claims.expires_ms, 3_600_000);
                }
                Err(error) => {
                    assert!(!account.reachable);
                    assert_eq!((error.status, error.code.as_str()), (403, "AccessDenied"));
                }
            }
        }
        let external = world
            .accounts
            .iter()
            .find_map(|account| match &account.reader {
                ReaderRole::NeedsExternalId(id) => Some((account.id.as_str(), id)),
                _ => None,
            });
        let (account, id) = external.unwrap();
        let more = format!("&RoleSessionName=run-1&ExternalId={id}");
        assert!(assume(&world, account, true, &more).is_ok());
    }

    #[test]
    fn chained_sessions_last_an_hour_at_most() {
        let world = World::generate(&Options::default());
        let target = world.accounts[1].id.as_str();
        let more = "&RoleSessionName=run-1&DurationSeconds=7200";
        assert!(assume(&world, target, false, more).is_ok());
        assert_eq!(
            assume(&world, target, true, more).unwrap_err().code,
            "ValidationError"
        );
    }
}
