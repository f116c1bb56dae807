//! The trails of each account.

use super::World;

/// One trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    pub arn: String,
    pub name: &'static str,
    pub account_id: String,
    pub home: &'static str,
    pub organization: bool,
    pub started_ms: i64,
    /// When recording was stopped.
    pub stopped_ms: Option<i64>,
    pub bucket: String,
}

/// The trails that an account shows: that of the organization, and its own. The log archive's own was
/// stopped before the simulation began.
pub fn trails(world: &World, account: &str) -> Vec<Trail> {
    let home = world.regions[0];
    let started_ms = world.options.at(-400, 0);
    let trail = |name: &'static str, owner: &str| Trail {
        arn: format!("arn:aws:cloudtrail:{home}:{owner}:trail/{name}"),
        name,
        account_id: owner.to_owned(),
        home,
        organization: false,
        started_ms,
        stopped_ms: None,
        bucket: world.trail_bucket().to_owned(),
    };
    let mut trails = Vec::new();
    if world.account(account).is_some() {
        let mut whole = trail("organization", world.management_account());
        whole.organization = true;
        trails.push(whole);
    }
    if account == world.log_archive_account() {
        let mut own = trail("legacy", account);
        own.stopped_ms = Some(world.options.at(-10, 0));
        trails.push(own);
    }
    trails
}
