//! What the facts of one cluster conclude: channels, findings, verdict. Pure: the same facts and the
//! same [`RuleConfig`] give the same rows, today and in four years.
//!
//! ```text
//! cluster row + looked-up rows -> Case -> one Judged per rule and subject -> findings -> verdict
//!                                      -> channels
//! ```
//!
//! Three rules of thumb run through all of it. "Could not look" is UNKNOWN, never PASS. A security
//! configuration or a bucket default proves nothing about logs archived to `LogUri`. A waiver marks
//! a finding and changes neither its outcome nor the verdict.

mod access;
mod alike;
mod case;
mod channels;
mod findings;
mod inputs;
mod key_use;
mod launches;
mod owners;
mod places;
mod release;
mod retained;
mod rules;
mod verdict;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

pub use access::Answers;
pub use alike::Conclusions;
pub use inputs::{AssessContext, KeyTags, LookupError, Lookups, RuleConfig, ScopeFacts, Waiver};
pub use launches::{LaunchFacts, assess_launches, launch_seen};
pub use release::Release;
pub use rules::{RULES, RULES_VERSION, Rule, rules_digest};

use crate::model::datasets::{Channel, EmrCluster, Finding, Verdict};
use case::{Case, OwnRows};
use owners::Owners;

/// The rows that one cluster gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessed {
    /// C1 only where `LogUri` is set; what AWS keeps for itself (C3, C4) always; the others as settings
    /// name them.
    pub channels: Vec<Channel>,
    /// One per rule and subject, in the order of [`RULES`].
    pub findings: Vec<Finding>,
    pub verdict: Verdict,
}

/// Judges one cluster.
///
/// # Errors
/// When `lookups` cannot read a fact that it holds. A fact that it does not hold is no error: what
/// depends on it is UNKNOWN.
pub fn assess_cluster(
    cluster: &EmrCluster,
    ctx: &AssessContext<'_>,
    lookups: &dyn Lookups,
) -> Result<Assessed, LookupError> {
    let own = OwnRows::of(cluster, lookups)?;
    let case = Case::gather(cluster, own, ctx, lookups)?;
    let (mut channels, mut findings) = (Vec::new(), Vec::new());
    channels::write(&case, &mut channels);
    Ok(Assessed {
        verdict: conclude(&case, &mut findings),
        channels,
        findings,
    })
}

/// Asks every rule, appends what they find to `findings` and returns what that comes to.
fn conclude(case: &Case<'_>, findings: &mut Vec<Finding>) -> Verdict {
    let owners = Owners::of(case);
    let from = findings.len();
    for rule in RULES {
        rule.conclude(case, |concluded| {
            let finding = findings::write(rule, concluded, case, &owners, &findings[from..]);
            findings.push(finding);
        });
    }
    verdict::conclude(case, &findings[from..], owners)
}
