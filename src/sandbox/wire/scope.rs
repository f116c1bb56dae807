//! Who calls: the SigV4 credential scope, resolved against the organization.
//!
//! The signature itself is not checked. The sandbox issues no secrets, any secret key is accepted,
//! and the signing of the SDKs is not what the sandbox is there to test; what a client *claims*
//! (account, Region, service, time) is read exactly as AWS reads it.

use super::clock::{amz_date, parse_amz_date};
use super::dialect::Refusal;
use super::request::{Caller, find};
use crate::sandbox::World;
use crate::sandbox::services::session;

/// How far a request's clock may be from AWS's: 15 minutes.
const MAX_SKEW_MS: i64 = 15 * 60 * 1000;

/// `AKID/date/region/service/aws4_request`, with the time and the session token that go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    pub access_key_id: String,
    pub region: String,
    pub service: String,
    /// `X-Amz-Date` as sent.
    pub amz_date: Option<String>,
    pub session_token: Option<String>,
}

impl Scope {
    /// Reads the scope from the `Authorization` header, or from a presigned query.
    pub fn parse(
        headers: &[(String, String)],
        query: &[(String, String)],
    ) -> Result<Self, Refusal> {
        let (credential, amz_date, token) = match find(headers, "authorization") {
            Some(header) => {
                let parameters =
                    header
                        .strip_prefix("AWS4-HMAC-SHA256")
                        .ok_or(Refusal::MalformedSignature(
                            "Authorization header requires the AWS4-HMAC-SHA256 algorithm",
                        ))?;
                let credential = parameters
                    .split(',')
                    .find_map(|part| part.trim().strip_prefix("Credential="))
                    .ok_or(Refusal::MalformedSignature(
                        "Authorization header requires 'Credential' parameter.",
                    ))?;
                (
                    credential,
                    find(headers, "x-amz-date"),
                    find(headers, "x-amz-security-token"),
                )
            }
            None => {
                let credential = find(query, "X-Amz-Credential").ok_or(Refusal::MissingToken)?;
                (
                    credential,
                    find(query, "X-Amz-Date"),
                    find(query, "X-Amz-Security-Token"),
                )
            }
        };
        let parts: Vec<&str> = credential.split('/').collect();
        let &[access_key_id, _date, region, service, "aws4_request"] = parts.as_slice() else {
            return Err(Refusal::MalformedSignature(
                "Credential should be scoped to a valid date, Region and service.",
            ));
        };
        Ok(Self {
            access_key_id: access_key_id.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            amz_date: amz_date.map(str::to_owned),
            session_token: token.map(str::to_owned),
        })
    }

    /// Refuses a request whose clock is too far from the sandbox's.
    pub fn check_skew(&self, now_ms: i64) -> Result<(), Refusal> {
        let Some(text) = &self.amz_date else {
            return Err(Refusal::MalformedSignature(
                "Authorization requires the existence of an 'X-Amz-Date' or a 'Date' header.",
            ));
        };
        let sent_ms = parse_amz_date(text).ok_or(Refusal::MalformedSignature(
            "Date must be in ISO-8601 'basic format', e.g. 20110909T233600Z.",
        ))?;
        if (sent_ms - now_ms).abs() <= MAX_SKEW_MS {
            return Ok(());
        }
        let now = amz_date(now_ms);
        Err(Refusal::Skewed(if sent_ms < now_ms {
            let bound = amz_date(now_ms - MAX_SKEW_MS);
            format!("Signature expired: {text} is now earlier than {bound} ({now} - 15 min.)")
        } else {
            let bound = amz_date(now_ms + MAX_SKEW_MS);
            format!(
                "Signature not yet current: {text} is still later than {bound} ({now} + 15 min.)"
            )
        }))
    }

    /// The account and role behind the access key id.
    pub fn caller(&self, world: &World, now_ms: i64) -> Result<Caller, Refusal> {
        let (kind, account) =
            split_access_key_id(&self.access_key_id).ok_or(Refusal::UnknownClient)?;
        if world.account(account).is_none() && account != world.foreign_account {
            return Err(Refusal::UnknownClient);
        }
        if kind == "AKIA" {
            return Ok(Caller {
                account: account.to_owned(),
                role: None,
                session: None,
                expires_ms: None,
            });
        }
        let claims = self
            .session_token
            .as_deref()
            .and_then(session::decode)
            .filter(|claims| claims.account == account)
            .ok_or(Refusal::UnknownClient)?;
        if claims.expires_ms <= now_ms {
            return Err(Refusal::ExpiredToken);
        }
        Ok(Caller {
            account: claims.account,
            role: Some(claims.role),
            session: Some(claims.session),
            expires_ms: Some(claims.expires_ms),
        })
    }
}

/// Splits `AKIA123456789012abcd` into its kind and its account; see [`Caller`] for the form.
fn split_access_key_id(id: &str) -> Option<(&str, &str)> {
    if id.len() != 20 || !id.is_ascii() {
        return None;
    }
    let (kind, account) = (&id[..4], &id[4..16]);
    (matches!(kind, "AKIA" | "ASIA") && account.bytes().all(|b| b.is_ascii_digit()))
        .then_some((kind, account))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(authorization: &str) -> Vec<(String, String)> {
        vec![
            ("authorization".into(), authorization.into()),
            ("x-amz-date".into(), "19941106T084937Z".into()),
        ]
    }

    #[test]
    fn reads_account_region_and_service() {
        let header = "AWS4-HMAC-SHA256 Credential=AKIA111122223333WXYZ/19941106/eu-west-1/kms/aws4_request, \
                      SignedHeaders=host;x-amz-date, Signature=00";
        let scope = Scope::parse(&headers(header), &[]).unwrap();
        assert_eq!(
            (scope.region.as_str(), scope.service.as_str()),
            ("eu-west-1", "kms")
        );
        assert_eq!(
            split_access_key_id(&scope.access_key_id),
            Some(("AKIA", "111122223333"))
        );
    }

    #[test]
    fn refuses_what_is_not_a_scope() {
        assert_eq!(Scope::parse(&[], &[]), Err(Refusal::MissingToken));
        for header in [
            "Basic abc",
            "AWS4-HMAC-SHA256 SignedHeaders=host",
            "AWS4-HMAC-SHA256 Credential=a/b/c/d/e",
            "",
        ] {
            assert!(
                matches!(
                    Scope::parse(&headers(header), &[]),
                    Err(Refusal::MalformedSignature(_))
                ),
                "{header}"
            );
        }
        for id in [
            "",
            "AKIA",
            "AKIAIOSFODNN7EXAMPLE",
            "AIDA111122223333WXYZ",
            "AKIA1111222233334äö",
        ] {
            assert_eq!(split_access_key_id(id), None, "{id}");
        }
    }

    #[test]
    fn a_clock_may_be_15_minutes_off() {
        let header =
            "AWS4-HMAC-SHA256 Credential=AKIA111122223333WXYZ/19941106/eu-west-1/kms/aws4_request";
        let scope = Scope::parse(&headers(header), &[]).unwrap();
        let sent = 784_111_777_000;
        assert_eq!(scope.check_skew(sent + MAX_SKEW_MS), Ok(()));
        assert_eq!(scope.check_skew(sent - MAX_SKEW_MS), Ok(()));
        let Err(Refusal::Skewed(why)) = scope.check_skew(sent + MAX_SKEW_MS + 1000) else {
            panic!("accepted")
        };
        assert!(
            why.starts_with("Signature expired: 19941106T084937Z"),
            "{why}"
        );
        assert!(matches!(
            scope.check_skew(sent - MAX_SKEW_MS - 1000),
            Err(Refusal::Skewed(_))
        ));
    }
}
