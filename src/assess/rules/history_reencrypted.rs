//! EL-16: no older log objects remain outside a customer key.
//!
//! Counts every version, current and older ones: a copy leaves what it copied under the old key. Not
//! applicable where no run of this kind summarized the prefix.

use std::sync::Arc;

use super::{Fact, Judge, Judged, Rule};
use crate::assess::case::{Case, LogPlace};
use crate::model::datasets::LogObjectSummary;
use crate::model::key_reference::KeyArn;
use crate::model::table::Dataset;
use crate::model::words::{Outcome, RuleKind, Severity};

pub(super) const RULE: Rule = Rule {
    id: "EL-16",
    name: "history-reencrypted",
    version: 3,
    kind: RuleKind::Advises,
    severity: Severity::Medium,
    conclusions: &[
        (Outcome::Pass, "history_under_customer_key"),
        (Outcome::Fail, "history_outside_customer_key"),
        (Outcome::Unknown, "history_key_unknown"),
        (Outcome::Unknown, "older_versions_not_listed"),
        (Outcome::Unknown, "listing_cut_off"),
        (Outcome::NotApplicable, "history_not_read"),
        (Outcome::NotApplicable, "no_log_uri"),
    ],
    supports: &[
        "PCI DSS 4.0.1 3.5.1",
        "45 CFR 164.312(a)(2)(iv)",
        "NIST SP 800-53 r5 SC-28(1)",
    ],
    judge: Judge::Cluster(judge),
};

/// Where the versions of one row lie.
#[derive(Clone, Copy, PartialEq)]
enum Lies {
    Inside,
    Outside,
    CannotTell,
}

#[derive(Default)]
struct Counted {
    versions: i64,
    bytes: i64,
    older: i64,
}

fn judge(case: &Case<'_>) -> Judged {
    let location = match &case.place {
        LogPlace::Nowhere => return Judged::not_applicable("no_log_uri"),
        LogPlace::S3(location) if !case.history.is_empty() => location,
        // Without a readable place nobody can have summarized it.
        LogPlace::S3(_) | LogPlace::Unparseable => {
            return Judged::not_applicable("history_not_read");
        }
    };
    let outside = count(case, Lies::Outside);
    let unknown = count(case, Lies::CannotTell);
    let place = format!("s3://{}/{}", location.bucket, location.prefix);
    let (judged, counted) = if outside.versions > 0 {
        let judged = Judged::fail(
            "history_outside_customer_key",
            format!(
                "re-encrypt the {} versions below {place} that lie outside a customer key, older \
                 versions too, or let a lifecycle rule expire them",
                outside.versions
            ),
        );
        (judged, outside)
    } else if unknown.versions > 0 {
        let judged = Judged::unknown(
            "history_key_unknown",
            format!(
                "read the keys of the {} versions below {place} from a metadata table or by HEAD: an \
                 inventory says KMS and never which key, and a listing says nothing of encryption",
                unknown.versions
            ),
        );
        (judged, unknown)
    } else if case.history.iter().any(is_cut_off) {
        let judged = Judged::unknown(
            "listing_cut_off",
            format!(
                "let an inventory of bucket {} tell what lies below {place}, or raise list_objects and \
                 list_pages: the listing ended before it",
                location.bucket
            ),
        );
        (judged, count(case, Lies::Inside))
    } else if case.history.iter().any(|row| is_uncounted(row)) {
        let judged = Judged::unknown(
            "older_versions_not_listed",
            format!(
                "let the inventory of bucket {} list all versions: below {place} it lists current ones \
                 alone",
                location.bucket
            ),
        );
        (judged, count(case, Lies::Inside))
    } else {
        let judged = Judged::pass("history_under_customer_key");
        (judged, count(case, Lies::Inside))
    };
    let mut judged = judged
        .about_bucket()
        .with("prefix", Some(location.prefix.as_str()))
        .with("versions", Some(counted.versions))
        .with("bytes", Some(counted.bytes))
        .with("older_versions", Some(counted.older));
    for row in &case.history {
        judged = judged.read(Fact::Row(id(row)));
    }
    judged
}

/// A listing ended before it came so far.
fn is_cut_off(row: &Arc<LogObjectSummary>) -> bool {
    row.source == "listing" && row.complete == Some(false)
}

/// There may be versions that nobody counted.
fn is_uncounted(row: &LogObjectSummary) -> bool {
    row.versions == 0 && row.encryption == "unknown"
}

fn count(case: &Case<'_>, where_: Lies) -> Counted {
    let mut counted = Counted::default();
    for row in case.history.iter().filter(|row| lies(case, row) == where_) {
        // Numbers of a report, not of our own counting: they must not overflow.
        counted.versions = counted.versions.saturating_add(row.versions.max(0));
        counted.bytes = counted.bytes.saturating_add(row.bytes.unwrap_or(0).max(0));
        if !row.is_latest {
            counted.older = counted.older.saturating_add(row.versions.max(0));
        }
    }
    counted
}

fn lies(case: &Case<'_>, row: &LogObjectSummary) -> Lies {
    match row.encryption.as_str() {
        "customer_key" => {
            let owner = row.key_arn.as_deref().and_then(KeyArn::parse);
            match owner.map(|arn| case.owner_is_ours(&arn.account_id)) {
                Some(Some(true)) => Lies::Inside,
                Some(Some(false)) => Lies::Outside,
                Some(None) | None => Lies::CannotTell,
            }
        }
        "aws_managed_key" | "sse_s3" | "sse_c" | "none" => Lies::Outside,
        _ => Lies::CannotTell,
    }
}

/// A prefix may hold blanks, which part one fact from the next.
fn id(row: &LogObjectSummary) -> String {
    let prefix = row
        .prefix
        .replace('%', "%25")
        .replace(char::is_whitespace, "%20");
    format!(
        "{}/{}/{}/{}/{prefix}/{}/{}/{}",
        LogObjectSummary::NAME,
        row.account_id,
        row.region,
        row.bucket,
        row.encryption,
        row.key_arn.as_deref().unwrap_or_default(),
        row.is_latest
    )
}
