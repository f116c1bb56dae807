//! What a sealed run says to CloudWatch: one line in the embedded metric format.
//!
//! A task's log driver takes the line to CloudWatch Logs, which makes metrics of it
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>):
//! no call, no permission, no other SDK. `scripts/deploy/job-base.yaml` has the alarms on them.
//!
//! | metric | value |
//! |---|---|
//! | `RunSealed` | 1; 0 for a run that cannot be the run of record of its date (a selection of the scope, or too late), so that it does not hide that the daily one was missed |
//! | `UnseenChanged` | 1 when other cells are unseen than in the previous run of record, else 0; absent where there is none to compare with |
//! | `UnseenCells` | cells that ended neither in an answer nor in an accepted gap |
//! | `NonCompliantActive`, `UnknownActive` | active clusters by verdict |
//!
//! The one dimension, `Archive`, is the archive's address: two jobs of one account do not speak for each
//! other. No account and no cluster is named.

use serde_json::{Map, Value, json};

use crate::model::canonical;
use crate::model::ids::RunId;
use crate::model::words::RunOutcome;
use crate::time::{Date, UtcMillis};

/// CloudWatch namespace of the metrics.
pub const NAMESPACE: &str = "Keyproof";
/// Longest value of a dimension, in characters
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Dimension.html>).
const LONGEST_DIMENSION: usize = 1024;

/// What a sealed run says in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunMetrics {
    /// When the run was sealed.
    pub at: UtcMillis,
    /// The archive's address.
    pub archive: String,
    pub run_id: RunId,
    pub scheduled_for: Date,
    pub outcome: RunOutcome,
    /// Whether the run may be the run of record of its date.
    pub may_be_of_record: bool,
    /// Cells that ended neither in an answer nor in an accepted gap.
    pub unseen_cells: i64,
    /// Whether they are others than in the previous run of record; none where that is not known.
    pub unseen_changed: Option<bool>,
    /// Active clusters that are NON_COMPLIANT.
    pub non_compliant_active: i64,
    /// Active clusters that are UNKNOWN.
    pub unknown_active: i64,
}

impl RunMetrics {
    /// The line, without its end.
    pub fn to_line(&self) -> String {
        let metrics = [
            ("RunSealed", Some(i64::from(self.may_be_of_record))),
            ("UnseenChanged", self.unseen_changed.map(i64::from)),
            ("UnseenCells", Some(self.unseen_cells)),
            ("NonCompliantActive", Some(self.non_compliant_active)),
            ("UnknownActive", Some(self.unknown_active)),
        ];
        let metrics = metrics
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        let defined: Vec<Value> = metrics
            .clone()
            .map(|(name, _)| json!({"Name": name, "Unit": "Count"}))
            .collect();
        let mut root: Map<String, Value> = metrics
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        let told = [
            // What every line of the log has.
            ("level", "INFO".to_owned()),
            ("message", format!("run {} is sealed", self.run_id)),
            ("timestamp", self.at.to_string()),
            ("Archive", dimension(&self.archive)),
            ("RunId", self.run_id.to_string()),
            ("ScheduledFor", self.scheduled_for.to_string()),
            ("Outcome", self.outcome.to_string()),
        ];
        root.extend(told.map(|(name, text)| (name.to_owned(), text.into())));
        root.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": self.at.0,
                "CloudWatchMetrics": [{
                    "Namespace": NAMESPACE,
                    "Dimensions": [["Archive"]],
                    "Metrics": defined,
                }],
            }),
        );
        canonical::to_string(&Value::Object(root))
    }
}

/// A dimension's value holds printable ASCII alone; others would lose the whole line.
fn dimension(text: &str) -> String {
    let printable = |c: char| {
        if c.is_ascii_graphic() || c == ' ' {
            c
        } else {
            '?'
        }
    };
    text.chars()
        .map(printable)
        .take(LONGEST_DIMENSION)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> RunMetrics {
        RunMetrics {
            at: UtcMillis(1_795_000_000_123),
            archive: "s3://org-evidence/keyproof".to_owned(),
            run_id: "20261124T020003Z-7f3a".parse().expect("run id"),
            scheduled_for: "2026-11-24".parse().expect("date"),
            outcome: RunOutcome::Partial,
            may_be_of_record: true,
            unseen_cells: 3,
            unseen_changed: Some(false),
            non_compliant_active: 97,
            unknown_active: 31,
        }
    }

    /// What the format demands of a document, and what it then says: metrics by name.
    fn read(line: &str) -> (Map<String, Value>, Vec<String>) {
        assert!(!line.contains('\n'));
        let root: Map<String, Value> = serde_json::from_str(line).expect("one JSON object");
        assert!(root["_aws"]["Timestamp"].is_i64());
        let [directive] = root["_aws"]["CloudWatchMetrics"]
            .as_array()
            .expect("directives")
            .as_slice()
        else {
            panic!("one directive: {line}");
        };
        for set in directive["Dimensions"].as_array().expect("sets") {
            for name in set.as_array().expect("a set") {
                let value = root[name.as_str().expect("a name")].as_str().expect("text");
                assert!((1..=LONGEST_DIMENSION).contains(&value.len()) && value.is_ascii());
            }
        }
        let defined = directive["Metrics"].as_array().expect("metrics");
        let names: Vec<String> = defined
            .iter()
            .map(|m| m["Name"].as_str().expect("a name").to_owned())
            .collect();
        assert!(names.len() <= 100 && names.iter().all(|n| root[n].is_i64()));
        assert!(defined.iter().all(|m| m["Unit"] == "Count"));
        (root, names)
    }

    #[test]
    fn the_line_is_an_embedded_metric() {
        let (root, names) = read(&metrics().to_line());
        assert_eq!(
            names,
            [
                "RunSealed",
                "UnseenChanged",
                "UnseenCells",
                "NonCompliantActive",
                "UnknownActive"
            ]
        );
        let values: Vec<_> = names.iter().map(|n| root[n].as_i64()).collect();
        assert_eq!(values, [1, 0, 3, 97, 31].map(Some));
        let directive = &root["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], NAMESPACE);
        assert_eq!(directive["Dimensions"], json!([["Archive"]]));
        assert_eq!(root["Archive"], "s3://org-evidence/keyproof");
        assert_eq!(root["RunId"], "20261124T020003Z-7f3a");
        assert_eq!(root["Outcome"], "PARTIAL");
        assert_eq!(root["level"], "INFO");
    }

    #[test]
    fn what_is_not_known_is_no_metric() {
        let first = RunMetrics {
            unseen_changed: None,
            may_be_of_record: false,
            ..metrics()
        };
        let (root, names) = read(&first.to_line());
        assert!(!names.contains(&"UnseenChanged".to_owned()));
        assert!(!root.contains_key("UnseenChanged"));
        assert_eq!(root["RunSealed"], 0);
    }

    #[test]
    fn no_address_spoils_the_line() {
        for archive in [
            "file:///büro/\u{7}\n",
            &format!("s3://b/{}", "x".repeat(2000)),
        ] {
            let hostile = RunMetrics {
                archive: archive.to_owned(),
                ..metrics()
            };
            read(&hostile.to_line());
        }
    }
}
