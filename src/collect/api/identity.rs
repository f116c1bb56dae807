//! What GetAccountAuthorizationDetails tells of one account, as far as it may be kept.

use super::Tag;

/// Which entries of GetAccountAuthorizationDetails are asked for. Policies and groups are asked
/// first, so that every role and user can be understood as soon as it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityKinds {
    /// Groups, and managed policies of the account and of AWS.
    Policies,
    /// Users and roles.
    Principals,
}

/// One entry of GetAccountAuthorizationDetails. Policy documents are plain JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    Group(ListedGroup),
    Policy(ListedPolicy),
    Principal(ListedPrincipal),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    pub name: String,
    pub inline: Vec<String>,
    /// ARNs of managed policies.
    pub attached: Vec<String>,
}

/// A managed policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPolicy {
    pub arn: String,
    /// Its default version.
    pub document: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrincipalKind {
    Role,
    User,
}

/// A role or a user. The trust policy is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPrincipal {
    pub kind: PrincipalKind,
    pub arn: String,
    pub name: String,
    pub unique_id: Option<String>,
    /// Names of the instance profiles that hold the role.
    pub instance_profiles: Vec<String>,
    /// Names of the user's groups.
    pub groups: Vec<String>,
    pub inline: Vec<String>,
    /// ARNs of managed policies.
    pub attached: Vec<String>,
    /// ARN of the permissions boundary; empty where AWS did not name it.
    pub boundary: Option<String>,
    pub tags: Vec<Tag>,
}
