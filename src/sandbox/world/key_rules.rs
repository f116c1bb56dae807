//! What an audit should find of who can use a log key, put together from what the story, the account
//! and the log archive state.

use super::access::{Access, KeyFault};
use super::organization::Account;
use super::scenario::{Delivery, Finding, Outcome, Scenario, Verdict};

/// The rules whose truth is stated here.
pub const RULES: [&str; 5] = ["EL-04", "EL-09", "EL-10", "EL-11", "EL-14"];

/// What decides beside the story.
pub(super) struct Setting<'a> {
    /// Account of the cluster.
    pub account: &'a Account,
    /// The log archive's account, which owns the central key and bucket.
    pub archive: &'a Account,
}

/// [`RULES`] for one cluster. `of_key` is what the rules say that ask any customer key, where there is
/// none to ask.
pub(super) fn findings(
    scenario: Scenario,
    of_key: Finding,
    has_log_uri: bool,
    at: &Setting<'_>,
) -> [Finding; 5] {
    use Outcome::{Fail, NotApplicable, Pass, Unknown};
    let said = |outcome, reason| Finding { outcome, reason };
    let reachable = if has_log_uri {
        reachable(scenario, at)
    } else {
        said(NotApplicable, "no_log_uri")
    };
    let no_key = of_key.outcome == NotApplicable
        || matches!(of_key.reason, "key_not_described" | "key_not_found");
    if no_key {
        return [of_key, reachable, of_key, of_key, of_key];
    }
    let shown = at.account.shows_identities();
    let access = scenario.access();
    let may_write = match access {
        _ if !shown => said(Unknown, "identities_not_read"),
        Access::NotAllowed | Access::BeyondBoundary | Access::DeletedRole => {
            said(Fail, "writer_not_allowed")
        }
        Access::ExplicitDeny => said(Fail, "writer_denied"),
        Access::DependsOn(_) => said(Unknown, "depends_on_context"),
        Access::PolicyNotRead => said(Unknown, "key_policy_not_read"),
        _ => said(Pass, "writer_can_use_key"),
    };
    let hidden = access == Access::PolicyNotRead;
    let fault = scenario.key_fault();
    let public = match fault {
        _ if hidden => said(Unknown, "key_policy_not_read"),
        Some(KeyFault::OpenToEveryone) => said(Fail, "open_to_everyone"),
        _ => said(Pass, "closed"),
    };
    let owner_shown = owner_shown(scenario, at);
    let kill_switch = match scenario {
        Scenario::KeyPendingDeletion | Scenario::KeyPendingReplicaDeletion => {
            said(Fail, "pending_deletion")
        }
        _ if fault == Some(KeyFault::KillSwitchOfEveryone) => said(Fail, "everyone_rules_key"),
        _ if hidden => said(Unknown, "key_policy_not_read"),
        _ if !owner_shown => said(Unknown, "identities_not_read"),
        _ => said(Pass, "rulers_known"),
    };
    let segregated = match scenario {
        Scenario::BucketOutsideOrganization => said(Unknown, "bucket_owner_unknown"),
        _ if hidden => said(Unknown, "key_policy_not_read"),
        _ => segregated(scenario, at),
    };
    [may_write, reachable, public, segregated, kill_switch]
}

/// Whether the identities of the account are shown that owns key and bucket.
fn owner_shown(scenario: Scenario, at: &Setting<'_>) -> bool {
    if scenario == Scenario::CentralKeyAndBucket {
        at.archive.shows_identities()
    } else {
        at.account.shows_identities()
    }
}

/// EL-09.
fn reachable(scenario: Scenario, at: &Setting<'_>) -> Finding {
    use Outcome::{NotApplicable, Pass, Unknown};
    let said = |outcome, reason| Finding { outcome, reason };
    let shown = at.account.shows_identities();
    match scenario {
        Scenario::BucketOutsideOrganization => said(Unknown, "bucket_owner_unknown"),
        Scenario::ForeignKeyDenied => said(Unknown, "key_not_described"),
        Scenario::CentralKeyAndBucket if at.account.id == at.archive.id => {
            said(NotApplicable, "same_account")
        }
        Scenario::ForeignKeyDescribed | Scenario::CentralKeyAndBucket if !shown => {
            said(Unknown, "identities_not_read")
        }
        Scenario::ForeignKeyDescribed => said(Unknown, "key_access_unknown"),
        Scenario::CentralKeyAndBucket => said(Pass, "reachable"),
        _ => said(NotApplicable, "same_account"),
    }
}

/// EL-11: the analyst of another unit, of whom every account has one.
fn segregated(scenario: Scenario, at: &Setting<'_>) -> Finding {
    use Outcome::{Fail, Pass, Unknown};
    let said = |outcome, reason| Finding { outcome, reason };
    let central = scenario == Scenario::CentralKeyAndBucket;
    let open = central || scenario.key_fault() == Some(KeyFault::OpenToEveryone);
    let named = scenario.key_fault() == Some(KeyFault::OpenToAnotherUnit);
    let own = unit(at.account);
    // In the account of the log key, which no policy but the key's need let the analyst use.
    let shown = owner_shown(scenario, at);
    let other_reads = own.is_some() && (open || named) && shown;
    // Their policies and grants name the writer alone, of whom nobody tells which unit it is of.
    let writer_alone = matches!(
        scenario.access(),
        Access::ByKeyPolicy | Access::ByGrant | Access::DependsOn(_)
    );
    if other_reads {
        said(Fail, "other_unit_can_read")
    } else if scenario.access() == Access::DeletedRole {
        // Nobody is behind that id, and the policy lets nobody else decrypt.
        said(Pass, "segregated")
    } else if writer_alone && !shown {
        said(Unknown, "unit_not_known")
    } else if (open && !central) || !shown {
        // Everyone who is let in cannot be counted; the members of the organization can, since the
        // central bucket lets no other account read.
        said(Unknown, "readers_not_known")
    } else if named || central {
        said(Unknown, "unit_not_known")
    } else {
        said(Pass, "segregated")
    }
}

fn unit(account: &Account) -> Option<&str> {
    let mut tags = account.tags.iter();
    tags.find(|(key, _)| key == "business-unit")
        .map(|(_, unit)| unit.as_str())
}

/// The verdict and the delivery with what is found here.
pub(super) fn conclude(
    verdict: Verdict,
    delivery: Delivery,
    findings: &[Finding; 5],
) -> (Verdict, Delivery) {
    let [may_write, reachable, ..] = findings;
    let has = |outcome| may_write.outcome == outcome || reachable.outcome == outcome;
    if has(Outcome::Fail) {
        (Verdict::NonCompliant, Delivery::Broken)
    } else if has(Outcome::Unknown) && delivery != Delivery::Broken {
        (verdict, Delivery::Unknown)
    } else {
        (verdict, delivery)
    }
}
