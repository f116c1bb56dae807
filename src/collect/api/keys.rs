//! What KMS tells of keys, as far as it may be kept.

use std::collections::BTreeMap;

use crate::time::UtcMillis;

/// DescribeKey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedKey {
    pub arn: String,
    pub manager: Option<String>,
    pub state: Option<String>,
    pub usage: Option<String>,
    pub spec: Option<String>,
    pub origin: Option<String>,
    pub multi_region: Option<bool>,
    pub created_at: Option<UtcMillis>,
    pub deletion_at: Option<UtcMillis>,
    pub material_expires_at: Option<UtcMillis>,
}

/// One entry of ListGrants, only the fields that may be kept: a grant's name and its token stay
/// behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListedGrant {
    pub id: String,
    /// `GranteePrincipal`, else `GranteeServicePrincipal`.
    pub grantee: Option<String>,
    /// `RetiringPrincipal`, else `RetiringServicePrincipal`.
    pub retiring_principal: Option<String>,
    pub issuing_account: Option<String>,
    pub operations: Vec<String>,
    pub constraints: GrantConstraints,
    pub created_at: Option<UtcMillis>,
}

/// `GrantConstraints`, as AWS gives them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GrantConstraints {
    pub encryption_context_equals: Option<BTreeMap<String, String>>,
    pub encryption_context_subset: Option<BTreeMap<String, String>>,
    pub source_arn: Option<String>,
}

/// One entry of ListAliases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedAlias {
    /// With `alias/`.
    pub name: String,
    /// Id of the key; a name that AWS predefined has none until somebody needs its key.
    pub target: Option<String>,
    pub updated_at: Option<UtcMillis>,
}

/// GetKeyRotationStatus.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyRotation {
    pub enabled: bool,
    pub period_days: Option<i64>,
}
