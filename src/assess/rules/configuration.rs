//! What rules about security configurations share: whether what was described is what the cluster
//! runs with.

use std::fmt;

use serde_json::Value;

use super::{Fact, Judged, missing, refused};
use crate::assess::case::Case;
use crate::model::datasets::EmrSecurityConfiguration;
use crate::model::words::Outcome;

/// The conclusions of [`described`] and [`at_rest`] that are the same for every rule.
pub(super) const NO_CONFIGURATION: (Outcome, &str) = (Outcome::Fail, "no_security_configuration");
pub(super) const AT_REST_OFF: (Outcome, &str) = (Outcome::Fail, "at_rest_off");
pub(super) const NOT_READ: (Outcome, &str) = (Outcome::Unknown, "not_read");
pub(super) const UNREADABLE: (Outcome, &str) = (Outcome::Unknown, "unreadable");
pub(super) const MADE_LATER: (Outcome, &str) = (Outcome::Unknown, "created_after_launch");
pub(super) const TIME_NOT_KNOWN: (Outcome, &str) = (Outcome::Unknown, "creation_time_not_known");

/// The part of the document about data at rest, with the row that it comes from; else what any rule
/// about it concludes.
///
/// A cluster that names no configuration fails: leaving the configuration out must not be the way
/// around a rule about what it should say.
#[expect(
    clippy::result_large_err,
    reason = "the other answer is a finding, moved on as it is"
)]
pub(super) fn at_rest<'c>(
    case: &'c Case<'_>,
    advice: impl fmt::Display,
) -> Result<(&'c EmrSecurityConfiguration, &'c Value), Judged> {
    let Some(name) = case.configuration_name() else {
        return Err(Judged::fail(
            NO_CONFIGURATION.1,
            format!("relaunch with a security configuration that {advice}"),
        ));
    };
    let (row, document) = described(case, name).map_err(|judged| about(judged, case))?;
    let part = |name| document.get("EncryptionConfiguration")?.get(name);
    let switch = part("EnableAtRestEncryption");
    if row.at_rest != Some(true) {
        let judged = if switch.is_none() && row.unknown_keys > 0 {
            unreadable(name)
        } else {
            Judged::fail(
                AT_REST_OFF.1,
                format!(
                    "relaunch with a security configuration that {advice}: '{name}' does not set \
                     EnableAtRestEncryption"
                ),
            )
        };
        return Err(about(judged, case));
    }
    let at_rest = part("AtRestEncryptionConfiguration");
    Ok((row, at_rest.unwrap_or(&Value::Null)))
}

/// Adds the fact and what identifies the configuration.
pub(super) fn about(judged: Judged, case: &Case<'_>) -> Judged {
    let row = case.security_configuration.as_ref();
    judged
        .read(Fact::SecurityConfiguration)
        .with("security_configuration", case.configuration_name())
        .with(
            "created_at",
            row.and_then(|s| s.created_at).map(|at| at.to_string()),
        )
}

/// UNKNOWN for a document of which a part that decides was not understood.
pub(super) fn unreadable(name: &str) -> Judged {
    Judged::unknown(
        UNREADABLE.1,
        format!(
            "look at security configuration '{name}' yourself: what it says of encryption at rest was \
             not understood"
        ),
    )
}

#[expect(
    clippy::result_large_err,
    reason = "the other answer is a finding, moved on as it is"
)]
fn described<'c>(
    case: &'c Case<'_>,
    name: &str,
) -> Result<(&'c EmrSecurityConfiguration, &'c Value), Judged> {
    let (account, region) = (&case.cluster.account_id, &case.cluster.region);
    // A deleted configuration looks the same as one that could not be listed.
    let Some(row) = &case.security_configuration else {
        let advice = match refused(case) {
            Some(action) => format!(
                "allow {action} to the reader role in account {account}, {region}: what security \
                 configuration '{name}' says was not read"
            ),
            None => format!(
                "allow elasticmapreduce:ListSecurityConfigurations and \
                 elasticmapreduce:DescribeSecurityConfiguration to the reader role in account {account}, \
                 {region}; if '{name}' was deleted since the launch, relaunch with one that exists"
            ),
        };
        return Err(missing(Judged::unknown(NOT_READ.1, advice), case));
    };
    match case.configuration_made_later() {
        Some(false) => {}
        Some(true) => {
            return Err(Judged::unknown(
                MADE_LATER.1,
                format!(
                    "relaunch: '{name}' was made again after this cluster's launch, and what it said \
                     before can no longer be read"
                ),
            ));
        }
        None => {
            return Err(Judged::unknown(
                TIME_NOT_KNOWN.1,
                format!(
                    "run again: it is not known whether '{name}' was made before this cluster's launch"
                ),
            ));
        }
    }
    let document = case
        .encryption
        .as_ref()
        .as_ref()
        .ok_or_else(|| unreadable(name))?;
    Ok((row, document))
}
