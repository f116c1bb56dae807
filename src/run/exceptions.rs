//! Exceptions as rows, as waivers, and as they are sealed with a start.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::assess::Waiver;
use crate::collect::exceptions::ExceptionRule;
use crate::model::datasets::Exception;
use crate::model::words::ExceptionKind;
use crate::time::Date;

/// One row per declared exception; `used` counts what each covered.
pub fn rows(rules: &[ExceptionRule], date: Date, used: &BTreeMap<String, i64>) -> Vec<Exception> {
    rules
        .iter()
        .map(|rule| row(rule, date, used.get(&rule.id).copied().unwrap_or(0)))
        .collect()
}

fn row(rule: &ExceptionRule, date: Date, used: i64) -> Exception {
    Exception {
        scheduled_for: date,
        exception_id: rule.id.clone(),
        kind: rule.kind,
        reason: rule.reason.clone(),
        approver: rule.approver.clone(),
        expires: rule.expires,
        expired: rule.is_expired(date),
        accounts: joined(&rule.accounts),
        ous: joined(&rule.ous),
        regions: joined(&rule.regions),
        sources: joined(&rule.sources),
        outcomes: joined(&rule.outcomes),
        rules: joined(&rule.rules),
        resources: joined(&rule.resources),
        used,
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
                "expires": w.expires.to_string(),
            })
        })
        .collect()
}

/// Reads back what [`sealed`] wrote; `None` when it has another shape.
pub fn unsealed(value: &Value) -> Option<Vec<Waiver>> {
    fn texts(value: &Value) -> Option<Vec<String>> {
        value
            .as_array()?
            .iter()
            .map(|v| Some(v.as_str()?.to_owned()))
            .collect()
    }
    let read = |w: &Value| {
        Some(Waiver {
            id: w["id"].as_str()?.to_owned(),
            rules: texts(&w["rules"])?,
            resources: texts(&w["resources"])?,
            accounts: texts(&w["accounts"])?
                .iter()
                .map(|a| a.parse().ok())
                .collect::<Option<_>>()?,
            expires: w["expires"].as_str()?.parse().ok()?,
        })
    };
    value.as_array()?.iter().map(read).collect()
}
