//! The organization: root, units, accounts, and what each account lets an audit do.

use super::access;
use super::identities;
use super::regions::{self, OptStatus};
use super::rng::Rng;
use super::secrets::{Planter, marker};
use super::security_audit;
use super::{DAY_MS, Options};

/// Name of the role that an audit assumes in every account.
pub const READER_ROLE: &str = "keyproof-reader";

/// The action without which nobody knows what steps do with their logs.
pub const STEPS: &str = "elasticmapreduce:ListSteps";
/// The action without which nobody knows where sessions log to.
pub const SESSIONS: &str = "elasticmapreduce:ListSessions";
/// The action without which nobody knows the key of a log group.
pub const LOG_GROUPS: &str = "logs:DescribeLogGroups";
/// The action without which nobody knows which Regions an account turned on.
pub const LIST_REGIONS: &str = "account:ListRegions";
/// The action without which nobody knows what security configurations say.
pub const CONFIGURATIONS: &str = "elasticmapreduce:ListSecurityConfigurations";
/// The action without which nobody knows what re-encrypts log buckets.
pub const LIST_JOBS: &str = "s3:ListJobs";
/// The action without which nobody knows what was attempted.
pub const EVENTS: &str = "cloudtrail:LookupEvents";
/// Name of the role that lists and HEADs log objects, beside the reader role wherever that is.
pub const SAMPLER_ROLE: &str = "keyproof-sampler";
/// Name of the role that reads reports about log objects, there too.
pub const SOURCE_READER_ROLE: &str = "keyproof-source-reader";

/// `DescribeOrganization` and the tree above the accounts.
#[derive(Debug, Clone)]
pub struct Organization {
    /// `o-…`
    pub id: String,
    /// What is random in the id; names of organization-wide resources carry it.
    pub suffix: String,
    pub management_account: String,
    /// `r-…`
    pub root_id: String,
    pub units: Vec<Unit>,
    /// Accounts that may read the organization besides the management account.
    pub delegated_administrators: Vec<String>,
    /// Policy that fences Regions, as error messages name it.
    pub fence_policy_arn: String,
    /// Policy that denies launches which do not come through the launch broker.
    pub guardrail_arn: String,
}

/// An organizational unit.
#[derive(Debug, Clone)]
pub struct Unit {
    /// `ou-…`
    pub id: String,
    pub name: &'static str,
    /// The root or another unit.
    pub parent: String,
}

/// `Account.State`, in force since 2025-09; the older `Status` follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    Active,
    Suspended,
    PendingClosure,
    Closed,
    PendingActivation,
}

impl AccountState {
    /// The value on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::PendingClosure => "PENDING_CLOSURE",
            Self::Closed => "CLOSED",
            Self::PendingActivation => "PENDING_ACTIVATION",
        }
    }

    /// The retired `Status`: it showed a closed account as suspended and had no word for one that
    /// was not active yet.
    pub fn status(self) -> Option<&'static str> {
        match self {
            Self::Active => Some("ACTIVE"),
            Self::Suspended | Self::Closed => Some("SUSPENDED"),
            Self::PendingClosure => Some("PENDING_CLOSURE"),
            Self::PendingActivation => None,
        }
    }

    /// Whether API calls in the account work.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Active | Self::PendingClosure)
    }
}

/// How the reader role of an account answers `sts:AssumeRole`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReaderRole {
    Trusted,
    Missing,
    /// The role exists and trusts someone else. STS answers as if it were missing.
    NotTrusting,
    NeedsExternalId(String),
}

/// A permission that callers in an account lack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// A service control policy denies all of EMR in a Region, to every principal.
    FencedRegion(&'static str),
    /// The reader role's policy does not list this action.
    MissingAction(&'static str),
    /// The reader role has AWS's managed policy `SecurityAudit` and no other.
    SecurityAuditOnly,
}

/// One account.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: String,
    pub name: String,
    pub email: String,
    pub state: AccountState,
    /// The root or the unit that holds it.
    pub parent: String,
    /// `Account.Paths` form: `o-…/r-…/ou-…/`, without the account.
    pub path: String,
    pub joined_ms: i64,
    pub tags: Vec<(String, String)>,
    /// Opt status of the hosting Regions, in the order of [`World::regions`](super::World::regions).
    pub opt_statuses: Vec<(&'static str, OptStatus)>,
    pub reader: ReaderRole,
    pub denials: Vec<Denial>,
    /// When its roles trust nobody for a while, half open.
    pub locked_out_ms: Option<(i64, i64)>,
    /// When it leaves the organization.
    pub left_ms: Option<i64>,
    /// First planted marker of the account's identities.
    pub(crate) secret: u32,
}

impl Account {
    /// Whether it belongs to the organization at an instant.
    pub fn is_member_at(&self, now_ms: i64) -> bool {
        self.left_ms.is_none_or(|left| now_ms < left)
    }

    /// Whether its roles trust nobody at an instant.
    pub fn is_locked_at(&self, now_ms: i64) -> bool {
        self.locked_out_ms
            .is_some_and(|(from, to)| (from..to).contains(&now_ms))
    }

    /// Opt status of any commercial Region: a Region that hosts nothing is off.
    pub fn opt_status(&self, region: &str) -> OptStatus {
        let known = self.opt_statuses.iter().find(|(name, _)| *name == region);
        known.map_or(OptStatus::Disabled, |(_, status)| *status)
    }

    /// Whether no policy of the reader role allows this action.
    pub fn lacks(&self, action: &str) -> bool {
        self.denials.iter().any(|denial| match denial {
            Denial::FencedRegion(_) => false,
            Denial::MissingAction(missing) => *missing == action,
            Denial::SecurityAuditOnly => !security_audit::allows(action),
        })
    }

    /// Whether an audit hears nothing of a usable Region's clusters: it is fenced, or it is one to opt
    /// in to and nobody may say that the account did.
    pub fn hides_region(&self, region: &str) -> bool {
        let fenced = |denial: &Denial| matches!(denial, Denial::FencedRegion(r) if *r == region);
        self.denials.iter().any(fenced) || regions::is_opt_in(region) && self.lacks(LIST_REGIONS)
    }
}

/// What an account's place in the organization makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    Management,
    LogArchive,
    /// Delegated administrator of the organization.
    Audit,
    Workload,
    Suspended,
    Closed,
    PendingActivation,
    PendingClosure,
    RoleMissing,
    NotTrusting,
    NeedsExternalId,
    Fenced,
    MissingAction,
    /// The reader role may not list steps.
    StepsDenied,
    /// The reader role may not look at log groups.
    LogGroupsDenied,
    /// The administrator gave the reader role what his auditors have.
    SecurityAuditOnly,
    /// The reader role may not read who is allowed what.
    IdentitiesDenied,
    /// The reader role may not look up events.
    EventsDenied,
    OptedOut,
}

/// Small organizations have workloads only; from 12 accounts on every story is told, and again in
/// every further fifty accounts the ones that make an audit incomplete.
fn story(ordinal: usize, accounts: usize) -> Story {
    match ordinal {
        0 => Story::Management,
        1 => Story::LogArchive,
        2 => Story::Audit,
        4 if accounts >= 6 => Story::RoleMissing,
        5 if (6..12).contains(&accounts) => Story::Fenced,
        3 if accounts >= 12 => Story::Suspended,
        5 if accounts >= 12 => Story::NotTrusting,
        6 if accounts >= 12 => Story::Closed,
        7 if accounts >= 12 => Story::PendingActivation,
        8 if accounts >= 12 => Story::PendingClosure,
        9 if accounts >= 12 => Story::Fenced,
        10 if accounts >= 12 => Story::MissingAction,
        11 if accounts >= 12 => Story::OptedOut,
        _ => match ordinal % 50 {
            13 => Story::EventsDenied,
            16 => Story::NeedsExternalId,
            19 => Story::IdentitiesDenied,
            23 => Story::RoleMissing,
            27 => Story::StepsDenied,
            31 => Story::Suspended,
            33 => Story::SecurityAuditOnly,
            37 => Story::NotTrusting,
            41 => Story::LogGroupsDenied,
            44 => Story::OptedOut,
            _ => Story::Workload,
        },
    }
}

/// The organization and its accounts, in the order in which Organizations lists them.
pub(super) fn generate(
    options: &Options,
    hosting: &[&'static str],
    planter: &mut Planter,
) -> (Organization, Vec<Account>) {
    let mut rng = Rng::stream(options.seed, "organization");
    let suffix = rng.text(b"abcdefghijklmnopqrstuvwxyz0123456789", 10);
    let id = format!("o-{suffix}");
    let root = rng.text(b"abcdefghijklmnopqrstuvwxyz0123456789", 4);
    let root_id = format!("r-{root}");
    let mut unit = |name: &'static str, parent: &str| Unit {
        id: format!(
            "ou-{root}-{}",
            rng.text(b"abcdefghijklmnopqrstuvwxyz0123456789", 8)
        ),
        name,
        parent: parent.to_owned(),
    };
    let security = unit("security", &root_id);
    let workloads = unit("workloads", &root_id);
    let production = unit("production", &workloads.id);
    let sandbox = unit("sandbox", &workloads.id);
    let units = vec![security, workloads, production, sandbox];

    let ids = account_ids(options);
    let policy = Rng::stream(options.seed, "fence").hex(10);
    let guardrail = Rng::stream(options.seed, "guardrail").hex(10);
    let organization = Organization {
        fence_policy_arn: format!(
            "arn:aws:organizations::{}:policy/{id}/service_control_policy/p-{policy}",
            ids[0]
        ),
        guardrail_arn: format!(
            "arn:aws:organizations::{}:policy/{id}/service_control_policy/p-{guardrail}",
            ids[0]
        ),
        id,
        suffix,
        management_account: ids[0].clone(),
        root_id,
        units,
        delegated_administrators: ids.get(2).into_iter().cloned().collect(),
    };
    let accounts = ids
        .into_iter()
        .enumerate()
        .map(|(ordinal, id)| account(options, &organization, hosting, planter, ordinal, id))
        .collect();
    (organization, accounts)
}

fn account(
    options: &Options,
    organization: &Organization,
    hosting: &[&'static str],
    planter: &mut Planter,
    ordinal: usize,
    id: String,
) -> Account {
    let story = story(ordinal, options.accounts);
    let mut rng = Rng::stream(options.seed, &format!("account/{id}"));
    let parent = match story {
        Story::Management => organization.root_id.clone(),
        Story::LogArchive | Story::Audit => organization.units[0].id.clone(),
        _ => organization.units[1 + ordinal % 3].id.clone(),
    };
    let state = match story {
        Story::Suspended => AccountState::Suspended,
        Story::Closed => AccountState::Closed,
        Story::PendingActivation => AccountState::PendingActivation,
        Story::PendingClosure => AccountState::PendingClosure,
        _ => AccountState::Active,
    };
    // Nobody sees the identities of an account that does not answer.
    let identities = if state.is_usable() {
        identities::SECRETS
    } else {
        0
    };
    let secret = planter.reserve(2 + identities);
    Account {
        name: account_name(story, ordinal),
        email: format!("{}@example.com", marker(secret)),
        state,
        path: organization.path_below(&parent),
        parent,
        joined_ms: options.start_ms - rng.between(100, 2_000) * DAY_MS,
        tags: account_tags(ordinal, marker(secret + 1)),
        opt_statuses: hosting
            .iter()
            .map(|region| (*region, opt_status(story, region)))
            .collect(),
        reader: match story {
            Story::RoleMissing => ReaderRole::Missing,
            Story::NotTrusting => ReaderRole::NotTrusting,
            Story::NeedsExternalId => {
                ReaderRole::NeedsExternalId(crate::sandbox::EXTERNAL_ID.to_owned())
            }
            _ => ReaderRole::Trusted,
        },
        denials: match story {
            Story::Fenced => vec![Denial::FencedRegion(hosting[hosting.len().min(2) - 1])],
            Story::MissingAction => vec![Denial::MissingAction(CONFIGURATIONS)],
            Story::StepsDenied => vec![Denial::MissingAction(STEPS)],
            Story::LogGroupsDenied => vec![Denial::MissingAction(LOG_GROUPS)],
            Story::SecurityAuditOnly => vec![Denial::SecurityAuditOnly],
            Story::IdentitiesDenied => vec![Denial::MissingAction(access::IDENTITIES)],
            Story::EventsDenied => vec![Denial::MissingAction(EVENTS)],
            _ => Vec::new(),
        },
        locked_out_ms: None,
        left_ms: None,
        secret: secret + 2,
        id,
    }
}

fn opt_status(story: Story, region: &str) -> OptStatus {
    match (regions::is_opt_in(region), story) {
        (false, _) => OptStatus::EnabledByDefault,
        (true, Story::OptedOut) => OptStatus::Disabled,
        (true, Story::PendingClosure) => OptStatus::Disabling,
        (true, _) => OptStatus::Enabled,
    }
}

fn account_name(story: Story, ordinal: usize) -> String {
    const TEAMS: [&str; 7] = [
        "data-mktg",
        "fin-risk",
        "claims",
        "ml-platform",
        "web-analytics",
        "logistics",
        "genomics",
    ];
    match story {
        Story::Management => "management".to_owned(),
        Story::LogArchive => "log-archive".to_owned(),
        Story::Audit => "audit".to_owned(),
        _ => format!("{}-{ordinal}", TEAMS[ordinal % TEAMS.len()]),
    }
}

/// Every fourth account has no ownership tags; all carry one that nobody allow-listed.
fn account_tags(ordinal: usize, secret: String) -> Vec<(String, String)> {
    const OWNERS: [&str; 4] = ["ana", "bo", "chris", "dee"];
    let tag = |key: &str, value: String| (key.to_owned(), value);
    let mut tags = Vec::new();
    if ordinal % 4 != 3 {
        tags.push(tag(
            "business-unit",
            ["retail", "finance", "research"][ordinal % 3].to_owned(),
        ));
        tags.push(tag(
            "owner",
            format!("team-{}", OWNERS[ordinal % OWNERS.len()]),
        ));
        tags.push(tag("cost-center", format!("cc-{}", 1_000 + ordinal % 40)));
    }
    tags.push(tag("emergency-contact", secret));
    tags
}

/// Distinct 12-digit ids that do not start with zero.
fn account_ids(options: &Options) -> Vec<String> {
    let mut rng = Rng::stream(options.seed, "account-ids");
    let mut seen = std::collections::HashSet::new();
    let mut ids = Vec::with_capacity(options.accounts.max(1));
    while ids.len() < options.accounts.max(1) {
        let id = rng.between(100_000_000_000, 899_999_999_999).to_string();
        if seen.insert(id.clone()) {
            ids.push(id);
        }
    }
    ids
}

impl Organization {
    /// The root or unit with its path from the organization: `o-…/r-…/ou-…/`.
    fn path_below(&self, parent: &str) -> String {
        let mut steps = vec![parent.to_owned()];
        let mut at = parent;
        while let Some(unit) = self.units.iter().find(|unit| unit.id == at) {
            steps.push(unit.parent.clone());
            at = &unit.parent;
        }
        steps.push(self.id.clone());
        steps.reverse();
        steps.join("/") + "/"
    }

    /// Whether an account may read the organization's accounts.
    pub fn may_read(&self, account: &str) -> bool {
        account == self.management_account
            || self.delegated_administrators.iter().any(|id| id == account)
    }
}
