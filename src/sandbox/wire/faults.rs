//! What goes wrong on purpose, decided by seed and count so that a test can repeat it.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;

use super::Request;
use super::framing::mix;

/// Rules and the seed of their dice. As JSON:
/// `{"seed": 7, "rules": [{"service": "kms", "kind": "throttle", "share": 0.1}, {"kind": {"slow": 200}}]}`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    #[serde(default)]
    pub rules: Vec<FaultRule>,
    #[serde(default)]
    pub seed: u64,
}

/// One way of failing and the calls it befalls. A matcher that is absent matches every call.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// Service of the SigV4 scope, e.g. `elasticmapreduce`.
    #[serde(default)]
    pub service: Option<String>,
    /// Operation name, e.g. `DescribeCluster`.
    #[serde(default)]
    pub operation: Option<String>,
    /// The caller's account, 12 digits.
    #[serde(default)]
    pub account: Option<String>,
    #[serde(default)]
    pub region: Option<String>,
    /// Text that the decoded path contains: for S3, a part of `/bucket/key`.
    #[serde(default)]
    pub path_contains: Option<String>,
    pub kind: FaultKind,
    /// Probability, 0 to 1, decided anew for each matching call.
    #[serde(default = "always")]
    pub share: f64,
    /// Only so many matching calls, counted from `after_n` on.
    #[serde(default)]
    pub first_n: Option<u64>,
    /// Leaves so many matching calls alone first.
    #[serde(default)]
    pub after_n: Option<u64>,
    /// Error code instead of the service's own, for Throttle, Deny, ServerError and Refuse.
    #[serde(default)]
    pub code: Option<String>,
    /// Error message instead of the usual one, e.g. one that names a service control policy.
    #[serde(default)]
    pub message: Option<String>,
}

impl FaultRule {
    /// A rule that befalls every call; narrow it with struct update syntax.
    pub fn every(kind: FaultKind) -> Self {
        Self {
            service: None,
            operation: None,
            account: None,
            region: None,
            path_contains: None,
            kind,
            share: 1.0,
            first_n: None,
            after_n: None,
            code: None,
            message: None,
        }
    }

    fn matches(&self, request: &Request) -> bool {
        let same = |wanted: &Option<String>, actual: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == actual)
        };
        same(&self.service, &request.service)
            && same(&self.operation, &request.operation)
            && same(&self.account, &request.caller.account)
            && same(&self.region, &request.region)
            && self
                .path_contains
                .as_deref()
                .is_none_or(|part| request.path.contains(part))
    }
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The service's own throttling error.
    Throttle,
    /// The service's own access-denied error.
    Deny,
    /// The service's own 5xx.
    ServerError,
    /// An error of this HTTP status; the rule's code says which.
    Refuse(u16),
    /// Never answers; the connection stays open.
    Hang,
    /// Carries out the call, sends half of the answer and closes the connection.
    Cut,
    /// Carries out the call and closes the connection without an answer.
    LostAcknowledgement,
    /// Closes the connection without an answer, and the call is never carried out.
    LostRequest,
    /// Flips a bit in the middle of the answer's body; its headers stay as they were.
    Flip,
    /// Names another SHA-256 than the object's, in an answer that names one.
    WrongChecksum,
    /// Another writer PUTs other bytes under the name in the instant before (S3).
    Overtake,
    /// Answers so many milliseconds later.
    Slow(u64),
}

fn always() -> f64 {
    1.0
}

/// What befalls one call.
#[derive(Debug, Default)]
pub(super) struct Verdict<'a> {
    /// The first rule, in order, that fires and is not Slow.
    pub rule: Option<&'a FaultRule>,
    /// Sum of all Slow rules that fire.
    pub slow_ms: u64,
}

/// Rules with their counters.
pub(super) struct ActiveFaults {
    faults: Faults,
    matched: Vec<AtomicU64>,
}

impl ActiveFaults {
    pub fn new(faults: Faults) -> Self {
        let matched = faults.rules.iter().map(|_| AtomicU64::new(0)).collect();
        Self { faults, matched }
    }

    /// Calls that each rule matched so far, whether or not it fired.
    pub fn matched(&self) -> Vec<u64> {
        let matched = self.matched.iter();
        matched.map(|n| n.load(Ordering::Relaxed)).collect()
    }

    /// Every rule counts every call it matches, whatever other rules decide: adding a rule does not
    /// move the dice of the ones before it.
    pub fn decide(&self, request: &Request) -> Verdict<'_> {
        let mut verdict = Verdict::default();
        for (index, (rule, matched)) in self.faults.rules.iter().zip(&self.matched).enumerate() {
            if !rule.matches(request) {
                continue;
            }
            let call = matched.fetch_add(1, Ordering::Relaxed);
            let Some(position) = call.checked_sub(rule.after_n.unwrap_or(0)) else {
                continue;
            };
            if rule.first_n.is_some_and(|n| position >= n) || !self.dice(index, call, rule.share) {
                continue;
            }
            match rule.kind {
                FaultKind::Slow(ms) => verdict.slow_ms = verdict.slow_ms.saturating_add(ms),
                _ => verdict.rule = verdict.rule.or(Some(rule)),
            }
        }
        verdict
    }

    fn dice(&self, index: usize, call: u64, share: f64) -> bool {
        let roll = mix(mix(self.faults.seed ^ mix(index as u64)) ^ call);
        // 53 bits: what an f64 holds exactly.
        ((roll >> 11) as f64 / (1u64 << 53) as f64) < share
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::wire::Caller;

    fn request(operation: &str) -> Request {
        Request {
            caller: Caller {
                account: "111122223333".into(),
                role: None,
                session: None,
                expires_ms: None,
            },
            region: "eu-west-1".into(),
            service: "kms".into(),
            operation: operation.into(),
            method: "POST".into(),
            path: "/".into(),
            query: vec![],
            headers: vec![],
            body: vec![],
            request_id: String::new(),
        }
    }

    fn fired(rule: FaultRule, seed: u64, calls: usize) -> Vec<usize> {
        let active = ActiveFaults::new(Faults {
            rules: vec![rule],
            seed,
        });
        (0..calls)
            .filter(|_| active.decide(&request("Sign")).rule.is_some())
            .collect()
    }

    /// The document's example is read, and its table names every kind.
    #[test]
    fn the_document_tells_the_format() {
        let page = include_str!("../../../docs/sandbox.md");
        let from = page.find("```json\n").expect("an example") + "```json\n".len();
        let (example, _) = page[from..].split_once("```").expect("its end");
        let faults: Faults = serde_json::from_str(example).expect("the example");
        assert_eq!(faults.rules.len(), 5);
        let mut kinds = 0;
        for line in page.lines().filter(|line| line.starts_with("| `")) {
            let kind = line.split('`').nth(1).expect("a code span");
            if !kind.starts_with(['"', '{']) {
                continue;
            }
            let kind = kind.replace("STATUS", "409").replace("MS", "7");
            serde_json::from_str::<FaultKind>(&kind).expect(&kind);
            kinds += 1;
        }
        assert_eq!(kinds, 12);
    }

    #[test]
    fn reads_rules_from_json() {
        let text = r#"{"seed":7,"rules":[{"service":"kms","kind":"lost_acknowledgement","share":0.5},{"kind":{"slow":200},"first_n":3},{"kind":{"refuse":409},"code":"ConditionalRequestConflict"}]}"#;
        let faults: Faults = serde_json::from_str(text).unwrap();
        assert_eq!(faults.rules[0].kind, FaultKind::LostAcknowledgement);
        assert_eq!(faults.rules[1].kind, FaultKind::Slow(200));
        assert_eq!(faults.rules[1].share, 1.0);
        assert_eq!(faults.rules[2].kind, FaultKind::Refuse(409));
        assert!(
            serde_json::from_str::<Faults>(r#"{"rules":[{"kind":"throttle","servce":"kms"}]}"#)
                .is_err()
        );
    }

    #[test]
    fn counts_windows_of_matching_calls() {
        let rule = FaultRule {
            after_n: Some(2),
            first_n: Some(3),
            ..FaultRule::every(FaultKind::Throttle)
        };
        assert_eq!(fired(rule, 0, 10), [2, 3, 4]);
        let other = FaultRule {
            operation: Some("DescribeKey".into()),
            ..FaultRule::every(FaultKind::Throttle)
        };
        assert!(fired(other, 0, 10).is_empty());
        let never = FaultRule {
            share: 0.0,
            ..FaultRule::every(FaultKind::Throttle)
        };
        let active = ActiveFaults::new(Faults {
            rules: vec![never],
            seed: 0,
        });
        for _ in 0..3 {
            assert_eq!(active.decide(&request("Sign")).rule, None);
        }
        assert_eq!(active.matched(), [3], "counted all the same");
    }

    #[test]
    fn a_share_is_kept_and_repeats() {
        let rule = FaultRule {
            share: 0.1,
            ..FaultRule::every(FaultKind::ServerError)
        };
        let first = fired(rule.clone(), 7, 10_000);
        assert!((900..1100).contains(&first.len()), "{}", first.len());
        assert_eq!(first, fired(rule.clone(), 7, 10_000));
        assert_ne!(first, fired(rule, 8, 10_000));
    }

    #[test]
    fn slow_rules_add_up_beside_the_one_that_fails() {
        let rules = vec![
            FaultRule::every(FaultKind::Slow(5)),
            FaultRule::every(FaultKind::Hang),
            FaultRule::every(FaultKind::Slow(6)),
            FaultRule::every(FaultKind::Deny),
        ];
        let active = ActiveFaults::new(Faults { rules, seed: 0 });
        let verdict = active.decide(&request("Sign"));
        assert_eq!(verdict.slow_ms, 11);
        assert_eq!(verdict.rule.map(|rule| rule.kind), Some(FaultKind::Hang));
    }
}
