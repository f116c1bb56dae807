//! STS: whoever calls, and sessions in member accounts.

use std::time::SystemTime;

use aws_sdk_sts::config::Credentials;
use aws_sdk_sts::types;

use crate::aws::error::Asked;
use crate::collect::api::{ApiError, AssumeRole, CallerIdentity};
use crate::model::ids::Region;
use crate::time::UtcMillis;

/// The role's ARN in the partition of `region`.
pub(super) fn role_arn(region: &Region, role: &AssumeRole) -> String {
    format!(
        "arn:{}:iam::{}:role/{}",
        region.partition(),
        role.account_id,
        role.role_name.trim_start_matches('/')
    )
}

pub(super) fn identity(
    asked: Asked<'_>,
    account: Option<&str>,
    arn: Option<&str>,
) -> Result<CallerIdentity, ApiError> {
    let account_id = account
        .and_then(|a| a.parse().ok())
        .ok_or_else(|| asked.unreadable("no account id in the answer"))?;
    let arn = arn.ok_or_else(|| asked.unreadable("no ARN in the answer"))?;
    Ok(CallerIdentity {
        account_id,
        arn: arn.to_owned(),
    })
}

/// The session's credentials and their end.
pub(super) fn credentials(
    asked: Asked<'_>,
    given: Option<types::Credentials>,
) -> Result<(Credentials, UtcMillis), ApiError> {
    let given = given
        .filter(|c| !c.access_key_id.is_empty() && !c.secret_access_key.is_empty())
        .ok_or_else(|| asked.unreadable("no credentials in the answer"))?;
    let unreadable = || asked.unreadable("no usable expiration in the answer");
    let expires_at = given.expiration.to_millis().map_err(|_| unreadable())?;
    let expiry = SystemTime::try_from(given.expiration).map_err(|_| unreadable())?;
    let credentials = Credentials::new(
        given.access_key_id,
        given.secret_access_key,
        Some(given.session_token),
        Some(expiry),
        "AssumeRole",
    );
    Ok((credentials, UtcMillis(expires_at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::operation::Operation;

    #[test]
    fn role_arns_follow_the_partition() {
        let role = AssumeRole {
            account_id: "111122223333".parse().expect("account"),
            role_name: "/audit/keyproof-reader".into(),
            session_name: "s".into(),
            external_id: None,
            duration_seconds: 900,
        };
        for (region, arn) in [
            (
                "eu-west-1",
                "arn:aws:iam::111122223333:role/audit/keyproof-reader",
            ),
            (
                "cn-north-1",
                "arn:aws-cn:iam::111122223333:role/audit/keyproof-reader",
            ),
        ] {
            assert_eq!(role_arn(&region.parse().expect("Region"), &role), arn);
        }
    }

    #[test]
    fn an_empty_answer_is_an_error() {
        let asked = Asked {
            operation: Operation::AssumeRole,
            account: "111122223333",
            region: "eu-west-1",
        };
        let error = credentials(asked, None).expect_err("no credentials");
        assert_eq!(error.code, "Unreadable");
        assert!(identity(asked, Some("12"), Some("arn")).is_err());
        assert!(identity(asked, Some("111122223333"), None).is_err());
    }
}
