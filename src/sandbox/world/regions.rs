//! The commercial Regions, as `account:ListRegions` lists them.

use serde::Serialize;

/// Regions that every account has without asking.
const BY_DEFAULT: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// Regions that an account must opt in to.
const OPT_IN: [&str; 17] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
];

/// The first Regions to host clusters. The third is one to opt in to, so that already a small
/// organization has accounts that did not.
const FIRST: [&str; 8] = [
    "us-east-1",
    "eu-west-1",
    "eu-south-1",
    "us-west-2",
    "eu-central-1",
    "ap-southeast-2",
    "us-east-2",
    "ap-south-2",
];

/// Opt status of a Region in an account (`RegionOptStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OptStatus {
    Enabled,
    Enabling,
    Disabling,
    Disabled,
    EnabledByDefault,
}

impl OptStatus {
    /// The value on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::Enabling => "ENABLING",
            Self::Disabling => "DISABLING",
            Self::Disabled => "DISABLED",
            Self::EnabledByDefault => "ENABLED_BY_DEFAULT",
        }
    }

    /// Whether the Region's endpoints accept the account's credentials.
    pub fn is_usable(self) -> bool {
        matches!(
            self,
            Self::Enabled | Self::EnabledByDefault | Self::Disabling
        )
    }
}

/// All commercial Regions, sorted by name.
pub fn all() -> Vec<&'static str> {
    let mut regions: Vec<_> = BY_DEFAULT.iter().chain(&OPT_IN).copied().collect();
    regions.sort_unstable();
    regions
}

/// Whether every account has this Region, and cannot turn it off.
pub fn is_by_default(region: &str) -> bool {
    BY_DEFAULT.contains(&region)
}

/// Whether an account must opt in to this Region.
pub fn is_opt_in(region: &str) -> bool {
    OPT_IN.contains(&region)
}

/// The Regions that host clusters in an organization of `count` Regions.
pub fn hosting(count: usize) -> Vec<&'static str> {
    let rest = all().into_iter().filter(|region| !FIRST.contains(region));
    FIRST.into_iter().chain(rest).take(count.max(1)).collect()
}
