//! What the policies around a cluster's log key say, stated story by story.
//!
//! Whether a key works at all (its state, its Region) is another matter: this is about who may.

use serde::Serialize;

use super::organization::Account;
use super::scenario::Scenario;

/// The action without which nobody knows what an account's roles are allowed.
pub const IDENTITIES: &str = "iam:GetAccountAuthorizationDetails";

/// Whether the cluster's instance role may write logs with the log key, and its service role may
/// describe it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// No log key that a policy could be about: none, AWS's own, or logs go nowhere.
    NotApplicable,
    /// The key policy delegates to the account, and the identity policies allow it.
    ByIdentityPolicy,
    /// Key policy of another account of the organization, and identity policies of this one.
    AcrossAccounts,
    /// The key policy names the role; no identity policy is needed.
    ByKeyPolicy,
    /// A grant names the role.
    ByGrant,
    /// Nothing allows it.
    NotAllowed,
    /// An identity policy denies it.
    ExplicitDeny,
    /// The permissions boundary does not include it.
    BeyondBoundary,
    /// The key policy names a role that was deleted; its namesake is another.
    DeletedRole,
    /// It depends on this condition key, which no audit knows.
    DependsOn(&'static str),
    /// The key's policy cannot be read: it was refused, or its owner is outside the organization.
    PolicyNotRead,
    /// The identity policies of the cluster's account cannot be read.
    IdentitiesNotRead,
    /// There is no such key.
    NoSuchKey,
}

/// Findings of a key that its policy alone decides, whoever launched the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyFault {
    /// Anybody in any account may decrypt with it.
    OpenToEveryone,
    /// A role that the business unit `treasury` owns may decrypt, and may read every bucket.
    OpenToAnotherUnit,
    /// Every principal of the organization may disable the key or schedule its deletion.
    KillSwitchOfEveryone,
}

impl Scenario {
    /// What the policies around the log key state, with readable identities.
    pub fn access(self) -> Access {
        use Access::{
            AcrossAccounts, BeyondBoundary, ByGrant, ByIdentityPolicy, ByKeyPolicy, DeletedRole,
            DependsOn, ExplicitDeny, NoSuchKey, NotAllowed, NotApplicable, PolicyNotRead,
        };
        match self {
            Self::NoLogKey
            | Self::NoLogUri
            | Self::EmptyLogUri
            | Self::KeyWithoutLogUri
            | Self::BlankLogKey
            | Self::NoLogKeyOnOldRelease
            | Self::BucketDefaultCustomerKey
            | Self::BucketDefaultAwsKey
            | Self::AwsManagedKeyAlias
            | Self::AwsManagedKeyAliasArn
            | Self::StepWithoutKey
            | Self::StepWithAwsKey
            | Self::AwsManagedKeyArn => NotApplicable,
            Self::WriterInKeyPolicy => ByKeyPolicy,
            Self::WriterByGrant => ByGrant,
            Self::WriterWithoutPermission => NotAllowed,
            Self::WriterDenied => ExplicitDeny,
            Self::WriterBeyondBoundary => BeyondBoundary,
            Self::WriterOnCondition => DependsOn("aws:SourceVpce"),
            Self::DeletedRoleInPolicy => DeletedRole,
            // Nobody reads a policy of the partner's, and this administrator shows his to nobody.
            Self::KeyPolicyNotRead
            | Self::KeyNotDescribed
            | Self::ForeignKeyDescribed
            | Self::ForeignKeyDenied => PolicyNotRead,
            Self::KeyNotFound => NoSuchKey,
            Self::CentralKeyAndBucket => AcrossAccounts,
            _ => ByIdentityPolicy,
        }
    }

    /// What is wrong with the key's policy, if anything is.
    pub fn key_fault(self) -> Option<KeyFault> {
        match self {
            Self::OverbroadKeyPolicy => Some(KeyFault::OpenToEveryone),
            Self::OtherUnitReads => Some(KeyFault::OpenToAnotherUnit),
            Self::KillSwitchOpen => Some(KeyFault::KillSwitchOfEveryone),
            _ => None,
        }
    }
}

impl Account {
    /// Whether an audit may read who is allowed what here.
    pub fn shows_identities(&self) -> bool {
        !self.lacks(IDENTITIES)
    }

    /// [`Scenario::access`] of a cluster here, as far as an audit can know it: a boundary or a deny
    /// that nobody reads may take back what a key policy or a grant gives.
    pub fn known_access(&self, scenario: Scenario) -> Access {
        match scenario.access() {
            access @ (Access::NotApplicable
            | Access::PolicyNotRead
            | Access::NoSuchKey
            | Access::DeletedRole) => access,
            _ if !self.shows_identities() => Access::IdentitiesNotRead,
            access => access,
        }
    }
}
