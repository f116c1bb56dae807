//! Decisions of the organization about scope and gaps: which apply, and to what.

use crate::model::datasets::{Account, Coverage};
use crate::model::ids::{AccountId, Region};
use crate::model::words::{CellOutcome, ExceptionKind, Source};
use crate::time::Date;

/// One `[[exception]]` of the configuration. A list that is empty does not limit; lists that are
/// given all have to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExceptionRule {
    /// Unique in the configuration.
    pub id: String,
    pub kind: ExceptionKind,
    pub accounts: Vec<AccountId>,
    /// OU or root ids, matched anywhere in an account's path.
    pub ous: Vec<String>,
    pub regions: Vec<Region>,
    pub sources: Vec<Source>,
    pub outcomes: Vec<CellOutcome>,
    /// Rule ids (waivers).
    pub rules: Vec<String>,
    /// Resource ARNs (waivers).
    pub resources: Vec<String>,
    pub reason: String,
    pub approver: String,
    /// Last date on which it holds.
    pub expires: Date,
}

impl ExceptionRule {
    /// Whether it had expired on the date the run speaks for; it then has no effect.
    pub fn is_expired(&self, scheduled_for: Date) -> bool {
        scheduled_for > self.expires
    }

    fn matches_account(&self, account: &AccountId, ou_path: Option<&str>) -> bool {
        let by_account = self.accounts.is_empty() || self.accounts.contains(account);
        let by_ou = self.ous.is_empty() || self.ous.iter().any(|ou| in_path(ou_path, ou));
        by_account && by_ou
    }
}

/// Whether `unit` stands anywhere in an OU path.
pub fn in_path(path: Option<&str>, unit: &str) -> bool {
    path.is_some_and(|p| p.split('/').any(|part| !part.is_empty() && part == unit))
}

/// The exceptions that have no effect any more, in the order of the configuration. Whoever relies on
/// one is to be told: what it covered shows again.
pub fn expired(rules: &[ExceptionRule], scheduled_for: Date) -> Vec<&ExceptionRule> {
    let expired = rules.iter().filter(|r| r.is_expired(scheduled_for));
    expired.collect()
}

/// The first exception in force that takes the account out of the scope. One that names neither
/// accounts nor OUs takes out none: a forgotten line must not empty the scope.
pub fn excluded_by<'a>(
    rules: &'a [ExceptionRule],
    account: &AccountId,
    ou_path: Option<&str>,
    scheduled_for: Date,
) -> Option<&'a ExceptionRule> {
    rules.iter().find(|r| {
        r.kind == ExceptionKind::Exclude
            && !r.is_expired(scheduled_for)
            && !(r.accounts.is_empty() && r.ous.is_empty())
            && r.matches_account(account, ou_path)
    })
}

/// The first exception in force that accepts how the cell ended; `None` for an answered cell.
pub fn accepted_by<'a>(
    rules: &'a [ExceptionRule],
    account: &Account,
    cell: &Coverage,
) -> Option<&'a ExceptionRule> {
    if cell.outcome.is_answer() {
        return None;
    }
    rules.iter().find(|r| {
        r.kind == ExceptionKind::Gap
            && !r.is_expired(cell.scheduled_for)
            && r.matches_account(&account.account_id, account.ou_path.as_deref())
            && (r.regions.is_empty() || r.regions.contains(&cell.region))
            && (r.sources.is_empty() || r.sources.contains(&cell.source))
            && (r.outcomes.is_empty() || r.outcomes.contains(&cell.outcome))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn rule(id: &str, kind: ExceptionKind) -> ExceptionRule {
        ExceptionRule {
            id: id.to_owned(),
            kind,
            accounts: vec![],
            ous: vec![],
            regions: vec![],
            sources: vec![],
            outcomes: vec![],
            rules: vec![],
            resources: vec![],
            reason: "test".to_owned(),
            approver: "test".to_owned(),
            expires: date("2026-12-31"),
        }
    }

    fn date(text: &str) -> Date {
        text.parse().expect("date")
    }

    #[test]
    fn an_exclusion_holds_through_its_last_day() {
        let account: AccountId = "111122223333".parse().expect("account");
        let mut excluded = rule("x", ExceptionKind::Exclude);
        excluded.accounts = vec![account.clone()];
        let rules = [excluded];
        let by = |d| excluded_by(&rules, &account, None, date(d)).is_some();
        assert!(by("2026-12-31"));
        assert!(!by("2027-01-01"));
    }

    #[test]
    fn expired_ones_are_named_from_the_day_after_their_last() {
        let mut short = rule("short", ExceptionKind::Waiver);
        short.expires = date("2026-10-06");
        let rules = [rule("long", ExceptionKind::Gap), short];
        let ids = |d| {
            let expired = expired(&rules, date(d));
            expired.iter().map(|r| r.id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(ids("2026-10-06"), [""; 0]);
        assert_eq!(ids("2026-10-07"), ["short"]);
        assert_eq!(ids("2027-01-01"), ["long", "short"]);
    }

    #[test]
    fn an_exclusion_without_a_target_takes_out_nobody() {
        let account: AccountId = "111122223333".parse().expect("account");
        let rules = [rule("x", ExceptionKind::Exclude)];
        assert!(excluded_by(&rules, &account, Some("o-1/r-1/"), date("2026-01-01")).is_none());
    }

    #[test]
    fn units_match_whole_ids_anywhere_in_the_path() {
        let path = Some("o-1/r-ab12/ou-ab12-11111111/ou-ab12-22222222/");
        assert!(in_path(path, "ou-ab12-11111111"));
        assert!(in_path(path, "r-ab12"));
        assert!(!in_path(path, "ou-ab12-1111"));
        assert!(!in_path(path, ""));
        assert!(!in_path(None, "r-ab12"));
    }
}
