//! Whose cluster it is: the nearest tag wins, and where it came from is kept.

use super::case::Case;
use crate::model::datasets::{Account, Launch};
use crate::model::text::Text;
use crate::model::words::OwnerSource;

/// A value and where it came from; both absent when nobody said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Owned {
    pub value: Option<Text>,
    pub source: Option<OwnerSource>,
}

/// The owner columns of findings and verdicts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Owners {
    pub owner: Owned,
    pub cost_center: Owned,
    pub business_unit: Owned,
    pub data_classification: Owned,
    /// OU path of the cluster's account.
    pub ou_path: Option<Text>,
}

impl Owners {
    /// Cluster tag, then tag of its log key, then account tag; a business unit without any of them
    /// is the account's organizational unit.
    pub fn of(case: &Case<'_>) -> Self {
        let cluster = case.cluster;
        let key = case.log_key().and_then(|key| key.row.as_deref());
        let account = case.ctx.scope.accounts.get(&cluster.account_id);
        let ou_path = account.and_then(|a| a.ou_path.as_ref());
        Self {
            owner: nearest([
                (&cluster.owner, OwnerSource::ClusterTag),
                (from(key, |k| &k.owner), OwnerSource::KeyTag),
                (from(account, |a| &a.owner), OwnerSource::AccountTag),
            ]),
            cost_center: nearest([
                (&cluster.cost_center, OwnerSource::ClusterTag),
                (from(key, |k| &k.cost_center), OwnerSource::KeyTag),
                (from(account, |a| &a.cost_center), OwnerSource::AccountTag),
            ]),
            business_unit: nearest([
                (&cluster.business_unit, OwnerSource::ClusterTag),
                (from(key, |k| &k.business_unit), OwnerSource::KeyTag),
                (from(account, |a| &a.business_unit), OwnerSource::AccountTag),
                (
                    &ou_path.and_then(|p| last_ou(p)),
                    OwnerSource::OrganizationalUnit,
                ),
            ]),
            data_classification: nearest([
                (&cluster.data_classification, OwnerSource::ClusterTag),
                (from(key, |k| &k.data_classification), OwnerSource::KeyTag),
            ]),
            ou_path: ou_path.map(Text::from),
        }
    }
}

fn from<T>(row: Option<&T>, column: impl FnOnce(&T) -> &Option<String>) -> &Option<String> {
    row.map_or(&None, column)
}

/// Owner, cost centre and business unit of an attempt to launch, by the same order: its own tag, then
/// the account's.
pub(super) fn of_launch(launch: &Launch, account: Option<&Account>) -> [Owned; 3] {
    use OwnerSource::{AccountTag, ClusterTag, OrganizationalUnit};
    let ou = account.and_then(|a| last_ou(a.ou_path.as_deref()?));
    [
        nearest([
            (&launch.tag_owner, ClusterTag),
            (from(account, |a| &a.owner), AccountTag),
        ]),
        nearest([
            (&launch.tag_cost_center, ClusterTag),
            (from(account, |a| &a.cost_center), AccountTag),
        ]),
        nearest([
            (&launch.tag_business_unit, ClusterTag),
            (from(account, |a| &a.business_unit), AccountTag),
            (&ou, OrganizationalUnit),
        ]),
    ]
}

/// The first that says something; a tag of blanks says nothing.
fn nearest<const N: usize>(candidates: [(&Option<String>, OwnerSource); N]) -> Owned {
    candidates
        .into_iter()
        .find_map(|(value, source)| {
            let said = value.as_ref().filter(|v| !v.trim().is_empty())?;
            Some(Owned {
                value: Some(said.into()),
                source: Some(source),
            })
        })
        .unwrap_or_default()
}

/// The innermost organizational unit of a path; `None` for an account below the root.
fn last_ou(path: &str) -> Option<String> {
    path.split('/')
        .rev()
        .find(|id| id.starts_with("ou-"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assess::fixtures::{World, key_row};

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn owned(value: &str, source: OwnerSource) -> Owned {
        Owned {
            value: some(value).map(Text::from),
            source: Some(source),
        }
    }

    #[test]
    fn the_nearest_tag_wins_and_says_so() {
        let mut w = World::compliant();
        w.own_account().owner = some("account-team");
        w.own_account().cost_center = some("cc-1");
        w.own_account().business_unit = some("retail");
        let mut key = key_row();
        key.cost_center = some("cc-2");
        key.data_classification = some("pii");
        w.keys = vec![key];
        w.cluster.owner = some("team-ana");
        let o = w.with_case(Owners::of);
        assert_eq!(o.owner, owned("team-ana", OwnerSource::ClusterTag));
        assert_eq!(o.cost_center, owned("cc-2", OwnerSource::KeyTag));
        assert_eq!(o.business_unit, owned("retail", OwnerSource::AccountTag));
        assert_eq!(o.data_classification, owned("pii", OwnerSource::KeyTag));
    }

    #[test]
    fn without_tags_only_the_business_unit_is_known_by_its_ou() {
        let w = World::compliant();
        let o = w.with_case(Owners::of);
        assert_eq!(
            o.business_unit,
            owned("ou-abcd-22222222", OwnerSource::OrganizationalUnit)
        );
        assert_eq!(o.owner, Owned::default());
        assert_eq!(o.data_classification, Owned::default());
    }

    #[test]
    fn blank_tags_and_odd_paths_say_nothing() {
        let mut w = World::compliant();
        w.cluster.owner = some("  ");
        w.own_account().ou_path = some("o-1234567890/r-abcd/");
        let o = w.with_case(Owners::of);
        assert_eq!(o.owner, Owned::default());
        assert_eq!(o.business_unit, Owned::default());
        for path in ["", "/", "///", "ou", "r-ou-1/"] {
            assert_eq!(last_ou(path), None, "{path}");
        }
    }
}
