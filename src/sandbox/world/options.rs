//! What decides a generated organization.

use super::scenario::Scenario;

/// Size and time span of a [`World`](super::World). Equal options give equal worlds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Accounts of the organization, whatever their state. At least 1: the management account.
    pub accounts: usize,
    /// Regions that host clusters, 1 to 34.
    pub regions: usize,
    /// Clusters alive on an average day in one account-region.
    pub clusters: usize,
    /// Simulated days; an audit is expected at about 02:00 UTC of each.
    pub days: u32,
    pub seed: u64,
    /// Midnight UTC of simulated day 0, milliseconds since the epoch.
    pub start_ms: i64,
    /// The only stories that clusters tell, in equal shares; `None`: all of them, in the usual ones.
    pub stories: Option<Vec<Scenario>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            accounts: 12,
            regions: 3,
            clusters: 4,
            days: 5,
            seed: 7,
            start_ms: 1_791_158_400_000, // 2026-10-05T00:00:00Z
            stories: None,
        }
    }
}

impl Options {
    /// The instant `minutes` after midnight UTC of simulated day `day`, which may be negative.
    pub(crate) fn at(&self, day: i64, minutes: i64) -> i64 {
        self.start_ms + day * super::DAY_MS + minutes * super::MINUTE_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_start_is_midnight_of_the_documented_day() {
        let start = chrono::DateTime::from_timestamp_millis(Options::default().start_ms).unwrap();
        assert_eq!(start.to_rfc3339(), "2026-10-05T00:00:00+00:00");
    }
}
