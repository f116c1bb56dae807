//! Exceptions as rows, as waivers, and as they are sealed with a start.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::assess::Waiver;
use crate::collect::exceptions::ExceptionRule;
use crate::model::datasets::Exception;
use crate::model::words::{ExceptionKind, Outcome, Severity};
use crate::time::Date;

/// One row per declared exception; `used` counts what each covered.
pub fn rows(rules: &[ExceptionRule], date: Date, used: &BTreeMap<String, i64>) -> Vec<Exception> {
    rules
        .iter()
        .map(|rule| row(rule, date, used.get(&rule.id).copied().unwrap_or(0)))
        .collect()
}

/// How bad an expired exception is: it protects nothing and hides nothing, since what it covered shows
/// again by itself.
pub const EXPIRED: Severity = Severity::Low;

fn row(rule: &ExceptionRule, date: Date, used: i64) -> Exception {
    let expired = rule.is_expired(date);
    let advice = || {
        format!(
            "ask {} to renew exception {} with a later expiry, or remove it from the configuration: \
             since {} it has no effect",
            rule.approver,
            rule.id,
            rule.expires.plus_days(1)
        )
    };
    Exception {
        scheduled_for: date,
        exception_id: rule.id.clone(),
        kind: rule.kind,
        reason: rule.reason.clone(),
        approver: rule.approver.clone(),
        expires: rule.expires,
        expired,
        accounts: joined(&rule.accounts),
        ous: joined(&rule.ous),
        regions: joined(&rule.regions),
        sources: joined(&rule.sources),
        outcomes: joined(&rule.outcomes),
        rules: joined(&rule.rules),
        resources: joined(&rule.resources),
        used,
        outcome: Some(if expired {
            Outcome::Fail
        } else {
            Outcome::Pass
        }),
        severity: expired.then_some(EXPIRED),
        advice: expired.then(advice),
    }
}

fn joined<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(" ")
}

/// The waivers among the exceptions, as rules are judged with.
pub fn waivers(rules: &[ExceptionRule]) -> Vec<Waiver> {
    let waivers = rules.iter().filter(|r| r.kind == ExceptionKind::Waiver);
    waivers
        .map(|r| Waiver {
            id: r.id.clone(),
            rules: r.rules.clone(),
            resources: r.resources.clone(),
            accounts: r.accounts.clone(),
            ous: r.ous.clone(),
            regions: r.regions.clone(),
            expires: r.expires,
        })
        .collect()
}

/// The waivers as they stand in a start file; other exceptions do not change findings.
pub fn sealed(waivers: &[Waiver]) -> Value {
    waivers
        .iter()
        .map(|w| {
            json!({
                "id": w.id,
                "rules": w.rules,
                "resources": w.resources,
                "accounts": w.accounts,
                "ous": w.ous,
                "regions": w.regions,
                "expires": w.expires.to_string(),
            })
        })
        .collect()
}

/// Reads back what [`sealed`] wrote; `None` when it has another shape. The first starts have neither
/// `ous` nor `regions`: their waivers were not limited by them.
pub fn unsealed(value: &Value) -> Option<Vec<Waiver>> {
    fn list<T: std::str::FromStr>(value: &Value) -> Option<Vec<T>> {
        let items = value.as_array()?.iter();
        items.map(|v| v.as_str()?.parse().ok()).collect()
    }
    fn later<T: std::str::FromStr>(value: Option<&Value>) -> Option<Vec<T>> {
        value.map_or_else(|| Some(Vec::new()), list)
    }
    let read = |w: &Value| {
        Some(Waiver {
            id: w["id"].as_str()?.to_owned(),
            rules: list(&w["rules"])?,
            resources: list(&w["resources"])?,
            accounts: list(&w["accounts"])?,
            ous: later(w.get("ous"))?,
            regions: later(w.get("regions"))?,
            expires: w["expires"].as_str()?.parse().ok()?,
        })
    };
    value.as_array()?.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiver() -> Waiver {
        Waiver {
            id: "w".to_owned(),
            rules: vec!["EL-01".to_owned()],
            resources: vec!["arn:x".to_owned()],
            accounts: vec!["111122223333".parse().expect("account")],
            ous: vec!["ou-ab12-11111111".to_owned()],
            regions: vec!["eu-west-1".parse().expect("region")],
            expires: "2026-12-31".parse().expect("date"),
        }
    }

    #[test]
    fn every_limit_of_a_waiver_is_sealed_and_read_back() {
        let sealed = sealed(&[waiver()]);
        assert_eq!(unsealed(&sealed), Some(vec![waiver()]));
    }

    #[test]
    fn an_expired_exception_is_a_finding_from_the_day_after_its_last() {
        for kind in [
            ExceptionKind::Exclude,
            ExceptionKind::Gap,
            ExceptionKind::Waiver,
        ] {
            let mut rule = crate::collect::exceptions::tests::rule("short", kind);
            rule.expires = "2026-10-06".parse().expect("date");
            let on = |date: &str| {
                let date = date.parse().expect("date");
                rows(
                    std::slice::from_ref(&rule),
                    date,
                    &[("short".to_owned(), 3)].into(),
                )
                .remove(0)
            };
            let last = on("2026-10-06");
            assert_eq!((last.outcome, last.severity), (Some(Outcome::Pass), None));
            assert_eq!((last.advice, last.used), (None, 3));
            let after = on("2026-10-07");
            assert!(after.expired);
            assert_eq!(after.outcome, Some(Outcome::Fail));
            assert_eq!(after.severity, Some(EXPIRED));
            let advice = after.advice.expect("advice");
            assert!(
                advice.contains("short") && advice.contains("2026-10-07"),
                "{advice}"
            );
        }
    }

    #[test]
    fn waivers_of_older_starts_are_read_and_garbage_is_not() {
        let mut sealed = sealed(&[waiver()]);
        let fields = sealed[0].as_object_mut().expect("object");
        fields.remove("ous");
        fields.remove("regions");
        let old = Waiver {
            ous: Vec::new(),
            regions: Vec::new(),
            ..waiver()
        };
        assert_eq!(unsealed(&sealed), Some(vec![old]));
        sealed[0]["regions"] = json!("eu-west-1");
        assert_eq!(unsealed(&sealed), None);
        sealed[0]["regions"] = json!(["nowhere at all"]);
        assert_eq!(unsealed(&sealed), None);
    }
}
