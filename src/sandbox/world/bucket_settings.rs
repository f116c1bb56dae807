//! What a bucket is set up to do beside encrypting: expiry, copies, inventories.

use super::buckets::BucketKind;
use super::history::History;
use super::secrets::marker;

/// Settings of one bucket. Names that people gave to rules carry planted secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketSettings {
    /// A lifecycle rule lets objects expire after so many days; beside it stands one that is off.
    pub expires_after_days: Option<u32>,
    /// ARN of the bucket that a replication rule writes to.
    pub replicates_to: Option<String>,
    /// Inventory configurations: whether each is on.
    pub inventories: Vec<bool>,
    pub metadata_table: bool,
    /// What became of the files from before the story.
    pub history: History,
    /// Number of the marker that stands in names of rules.
    pub secret: u32,
}

impl BucketSettings {
    /// Markers in the rules of a bucket of this kind: only where there is a rule for a person to name.
    pub(super) fn secrets(kind: BucketKind) -> u32 {
        u32::from(matches!(
            kind,
            BucketKind::TeamLogs | BucketKind::CentralLogs
        ))
    }

    /// What buckets of a kind have.
    pub(super) fn of(kind: BucketKind, bucket: &str, secret: u32) -> Self {
        let given = Self {
            secret,
            ..Self::default()
        };
        match kind {
            BucketKind::TeamLogs => Self {
                expires_after_days: Some(400),
                inventories: vec![true],
                ..given
            },
            BucketKind::CentralLogs => Self {
                expires_after_days: Some(2557),
                replicates_to: Some(format!("arn:aws:s3:::{bucket}-copies")),
                inventories: vec![true, false],
                metadata_table: true,
                ..given
            },
            _ => given,
        }
    }

    /// The names of all rules that the settings have; none without rules.
    pub fn rule_names(&self) -> Vec<String> {
        self.expires_after_days
            .map(|_| self.rule_name(1))
            .into_iter()
            .collect()
    }

    /// Name of a rule, as a person might have written it.
    pub fn rule_name(&self, number: usize) -> String {
        format!("rule-{number}-{}", marker(self.secret))
    }
}
