//! The text and the JSON after `run --dry-run`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::WIDTH;
use super::text::{counted, duration, number, percent, wrap};
use crate::model::ids::{AccountId, Region, RunId};
use crate::time::Date;

/// Everything that is said of a run before it begins.
#[derive(Debug, Clone)]
pub struct CallPlan {
    pub date: Date,
    pub url: String,
    /// The run whose facts the plan stands on; `None` where there is none.
    pub basis: Option<Basis>,
    pub accounts: i64,
    /// Of these, those that the basis knows nothing of.
    pub new_accounts: i64,
    /// Calls by service and operation, sorted.
    pub calls: Vec<(String, i64)>,
    pub busiest: Option<Busiest>,
    /// Share of AWS's refill rates that is used, in thousandths.
    pub share_permille: i64,
    pub concurrency: i64,
    pub latency_ms: i64,
    pub price_nano_usd: i64,
    /// Requests to the archive, where it is on S3.
    pub archive: Option<ArchiveRequests>,
}

/// What earlier runs know.
#[derive(Debug, Clone)]
pub struct Basis {
    pub run_id: RunId,
    pub date: Date,
    pub active: i64,
    /// DescribeCluster calls of known clusters: owed, or due for another look.
    pub described: i64,
}

/// The bucket that takes longest.
#[derive(Debug, Clone)]
pub struct Busiest {
    /// `None` for the account of the collector.
    pub account: Option<AccountId>,
    pub region: Region,
    pub operation: String,
    pub calls: i64,
    pub takes_ms: i64,
}

/// Requests to an archive on S3, at most.
#[derive(Debug, Clone, Copy)]
pub struct ArchiveRequests {
    pub puts: i64,
    pub gets: i64,
    pub kms: i64,
}

impl CallPlan {
    fn total(&self) -> i64 {
        self.calls.iter().map(|(_, calls)| calls).sum()
    }

    /// Calls × latency ÷ concurrency.
    fn connections_ms(&self) -> i64 {
        self.total().saturating_mul(self.latency_ms) / self.concurrency.max(1)
    }

    /// The longer of buckets and connections.
    fn takes_ms(&self) -> i64 {
        let bucket = self.busiest.as_ref().map_or(0, |b| b.takes_ms);
        self.connections_ms().max(bucket)
    }

    fn assumptions(&self) -> Vec<String> {
        let mut all = Vec::new();
        match &self.basis {
            Some(_) => {
                all.push(
                    "clusters launched since then are not counted: DescribeCluster and ListSteps once \
                     each, and what they refer to"
                        .to_owned(),
                );
                all.push("keys, buckets and identities are read as often as then".to_owned());
            }
            None => all.push(
                "no sealed run before this date: clusters are not known, so DescribeCluster, ListSteps \
                 and all that clusters refer to come on top"
                    .to_owned(),
            ),
        }
        if self.new_accounts > 0 && self.basis.is_some() {
            all.push("a new account counts as the mean of the known ones".to_owned());
        }
        all.push(format!(
            "{} ms for each answer, no retries",
            self.latency_ms
        ));
        all
    }

    /// One object for a machine.
    pub fn json(&self) -> Value {
        let calls: serde_json::Map<String, Value> = self
            .calls
            .iter()
            .map(|(operation, calls)| (operation.clone(), json!(calls)))
            .collect();
        json!({
            "scheduled_for": self.date.to_string(),
            "archive": self.url,
            "basis": self.basis.as_ref().map(|basis| json!({
                "run_id": basis.run_id.as_str(),
                "scheduled_for": basis.date.to_string(),
                "clusters_active": basis.active,
                "clusters_described_again": basis.described,
            })),
            "accounts": self.accounts,
            "accounts_new": self.new_accounts,
            "calls": calls,
            "calls_total": self.total(),
            "duration_ms": self.takes_ms(),
            "connections_ms": self.connections_ms(),
            "latency_ms": self.latency_ms,
            "concurrency": self.concurrency,
            "quota_share_permille": self.share_permille,
            "busiest": self.busiest.as_ref().map(|busiest| json!({
                "account_id": busiest.account.as_ref().map(AccountId::as_str),
                "region": busiest.region.as_str(),
                "operation": busiest.operation,
                "calls": busiest.calls,
                "takes_ms": busiest.takes_ms,
            })),
            "price_nano_usd": self.price_nano_usd,
            "archive_requests": self.archive.map(|requests| json!({
                "puts": requests.puts,
                "gets": requests.gets,
                "kms": requests.kms,
            })),
            "assumptions": self.assumptions(),
        })
    }

    /// Text of at most [`WIDTH`] columns.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{:<48}{:>32}\n",
            format!("Call plan of a run for {}", self.date),
            "no account was entered"
        );
        let accounts = counted(self.accounts, "account", "accounts");
        let news = match (&self.basis, self.new_accounts) {
            (Some(_), 1..) => format!(", {} of them new", number(self.new_accounts)),
            _ => String::new(),
        };
        labelled(&mut out, "Scope", &format!("{accounts}{news}"));
        let basis = match &self.basis {
            None => "none: no sealed run of record before this date".to_owned(),
            Some(basis) => format!(
                "run {} for {}: {} active, {} to describe again",
                basis.run_id,
                basis.date,
                counted(basis.active, "cluster", "clusters"),
                number(basis.described)
            ),
        };
        labelled(&mut out, "Basis", &basis);
        let _ = writeln!(out, "\n{:<58}{:>12}", "Calls", number(self.total()));
        for (operation, calls) in &self.calls {
            let _ = writeln!(out, "  {operation:<56}{:>12}", number(*calls));
        }
        out.push('\n');
        let least = if self.basis.is_some() {
            "about"
        } else {
            "at least"
        };
        labelled(
            &mut out,
            "Takes",
            &format!("{least} {}", duration(self.takes_ms())),
        );
        if let Some(busiest) = &self.busiest {
            let place = match &busiest.account {
                Some(account) => format!("{account} {}", busiest.region),
                None => "the account of the collector".to_owned(),
            };
            let text = format!(
                "{} for {} of {} in {place}, at {} of AWS's rate",
                duration(busiest.takes_ms),
                number(busiest.calls),
                busiest.operation,
                percent(self.share_permille, 1_000),
            );
            labelled(&mut out, "", &text);
        }
        let text = format!(
            "{} for {} x {} ms / {} in flight",
            duration(self.connections_ms()),
            counted(self.total(), "call", "calls"),
            self.latency_ms,
            self.concurrency
        );
        labelled(&mut out, "", &text);
        let cents = (self.price_nano_usd + 5_000_000) / 10_000_000;
        let dollars = match cents {
            0 => "less than $0.01".to_owned(),
            cents => format!("about ${}.{:02}", cents / 100, cents % 100),
        };
        let price = format!(
            "{dollars} for requests to KMS and S3, by the list prices of keyproof rollup; reads of EMR, \
             IAM, STS, Organizations, CloudTrail and log groups are not charged"
        );
        labelled(&mut out, "Price", &price);
        if let Some(requests) = &self.archive {
            let text = format!(
                "archive at most {}, {}, {}",
                counted(requests.puts, "PUT", "PUTs"),
                counted(requests.gets, "GET", "GETs"),
                counted(requests.kms, "KMS request", "KMS requests")
            );
            labelled(&mut out, "", &text);
        }
        for (i, assumption) in self.assumptions().iter().enumerate() {
            labelled(&mut out, if i == 0 { "Assumed" } else { "" }, assumption);
        }
        out
    }
}

fn labelled(out: &mut String, label: &str, text: &str) {
    let _ = writeln!(out, "{label:<10} {}", wrap(text, WIDTH, 11));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> CallPlan {
        CallPlan {
            date: "2026-11-24".parse().expect("date"),
            url: "s3://org-emr-evidence/keyproof".to_owned(),
            basis: Some(Basis {
                run_id: "20261123T020003Z-7f3a0000".parse().expect("run id"),
                date: "2026-11-23".parse().expect("date"),
                active: 1_507,
                described: 215,
            }),
            accounts: 10_000,
            new_accounts: 3,
            calls: vec![
                ("elasticmapreduce DescribeCluster".to_owned(), 215),
                (
                    "elasticmapreduce DescribeSecurityConfiguration".to_owned(),
                    1_285,
                ),
                ("sts AssumeRole".to_owned(), 12_000),
            ],
            busiest: Some(Busiest {
                account: Some("111122223333".parse().expect("account")),
                region: "ap-southeast-1".parse().expect("Region"),
                operation: "DescribeSecurityConfiguration".to_owned(),
                calls: 215,
                takes_ms: 410_000,
            }),
            share_permille: 500,
            concurrency: 64,
            latency_ms: 100,
            price_nano_usd: 1_234_000_000,
            archive: Some(ArchiveRequests {
                puts: 30,
                gets: 120,
                kms: 152,
            }),
        }
    }

    #[test]
    fn a_person_reads_counts_time_price_and_what_is_assumed() {
        let text = plan().text();
        // Wherever lines are broken.
        let words: Vec<&str> = text.split_whitespace().collect();
        let words = words.join(" ");
        for part in [
            "Call plan of a run for 2026-11-24",
            "Scope 10,000 accounts, 3 of them new",
            "1,507 clusters active, 215 to describe again",
            "elasticmapreduce DescribeCluster 215",
            "Calls 13,500",
            "Takes about 6 min",
            "215 of DescribeSecurityConfiguration in 111122223333 ap-southeast-1",
            "50.0 % of AWS's rate",
            "21 s for 13,500 calls x 100 ms / 64 in flight",
            "about $1.23",
            "archive at most 30 PUTs, 120 GETs, 152 KMS requests",
            "a new account counts as the mean",
        ] {
            assert!(words.contains(part), "{part}\n{text}");
        }
        assert!(text.lines().all(|l| l.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn a_first_run_says_that_clusters_are_not_known() {
        let mut plan = plan();
        (plan.basis, plan.new_accounts) = (None, 10_000);
        (plan.busiest, plan.archive) = (None, None);
        let text = plan.text();
        assert!(text.contains("Basis      none"), "{text}");
        assert!(text.contains("at least 21 s"), "{text}");
        assert!(text.contains("clusters are not known"), "{text}");
        assert!(!text.contains("new"), "{text}");
        let json = plan.json();
        assert_eq!(json["basis"], Value::Null);
        assert_eq!(json["calls_total"], 13_500);
        assert_eq!(json["calls"]["sts AssumeRole"], 12_000);
        assert_eq!(json["duration_ms"], 21_093);
    }
}
