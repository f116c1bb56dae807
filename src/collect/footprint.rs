//! What a cell cost the accounts that were asked: attempts, throttling answers and the share of AWS's
//! grant, by operation.
//!
//! The share of a bucket is calls ÷ (burst + refill × the time from the first call to the last), by the
//! rates that AWS grants and not by the part of them that we take.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::collect::operation::Operation;
use crate::model::ids::Region;
use crate::time::UtcMillis;

/// What one operation cost in one cell. Written `operation:calls:throttles:per cent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    pub operation: Operation,
    /// Attempts.
    pub calls: i64,
    /// Answers that said to slow down.
    pub throttles: i64,
    /// Share of AWS's grant, of the Region where it was largest.
    pub percent: i64,
}

/// The attempts of one cell.
#[derive(Debug, Default)]
pub struct Footprint(Vec<Used>);

#[derive(Debug)]
struct Used {
    region: Region,
    operation: Operation,
    calls: i64,
    throttles: i64,
    first: UtcMillis,
    last: UtcMillis,
}

impl Footprint {
    /// Counts an attempt made now.
    pub fn attempt(&mut self, region: &Region, operation: Operation, now: UtcMillis) {
        if let Some(used) = self.of(region, operation) {
            used.calls += 1;
            used.last = now;
            return;
        }
        self.0.push(Used {
            region: region.clone(),
            operation,
            calls: 1,
            throttles: 0,
            first: now,
            last: now,
        });
    }

    /// The last attempt was answered with the word to slow down.
    pub fn throttled(&mut self, region: &Region, operation: Operation) {
        if let Some(used) = self.of(region, operation) {
            used.throttles += 1;
        }
    }

    fn of(&mut self, region: &Region, operation: Operation) -> Option<&mut Used> {
        let mut all = self.0.iter_mut();
        all.find(|used| used.operation == operation && used.region == *region)
    }

    /// What each operation cost, in the order of their declaration.
    pub fn costs(&self) -> Vec<Cost> {
        let mut costs: Vec<Cost> = Vec::new();
        for used in &self.0 {
            let percent = percent(
                used.operation.granted_rate(),
                used.calls,
                used.last.0 - used.first.0,
            );
            costs.push(Cost {
                operation: used.operation,
                calls: used.calls,
                throttles: used.throttles,
                percent,
            });
        }
        summed(costs)
    }
}

/// One cost for each operation, in the order of their declaration: calls and throttles added up, the
/// largest share.
pub fn summed(costs: impl IntoIterator<Item = Cost>) -> Vec<Cost> {
    let mut sums: BTreeMap<Operation, Cost> = BTreeMap::new();
    for cost in costs {
        sums.entry(cost.operation)
            .and_modify(|sum| {
                sum.calls = sum.calls.saturating_add(cost.calls);
                sum.throttles = sum.throttles.saturating_add(cost.throttles);
                sum.percent = sum.percent.max(cost.percent);
            })
            .or_insert(cost);
    }
    sums.into_values().collect()
}

/// `calls` within `took_ms` as per cent of what AWS grants in that time.
pub fn percent((burst, per_second): (f64, f64), calls: i64, took_ms: i64) -> i64 {
    let granted = burst + per_second * took_ms.max(0) as f64 / 1_000.0;
    (100.0 * calls as f64 / granted.max(1.0)).round() as i64
}

/// The text of a coverage row; `None` where nothing was asked.
pub fn text(costs: &[Cost]) -> Option<String> {
    let mut text = String::new();
    for cost in costs {
        let comma = if text.is_empty() { "" } else { ", " };
        let (operation, calls) = (cost.operation, cost.calls);
        let (throttles, percent) = (cost.throttles, cost.percent);
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}{operation:?}:{calls}:{throttles}:{percent}");
    }
    (!text.is_empty()).then_some(text)
}

/// Reads such a text. What has another form is left out: it decides nothing.
pub fn read(text: &str) -> Vec<Cost> {
    let cost = |part: &str| {
        let mut fields = part.trim().split(':');
        let operation = Operation::named(fields.next()?)?;
        let mut number = || fields.next()?.parse().ok().filter(|n| *n >= 0);
        let (calls, throttles, percent) = (number()?, number()?, number()?);
        fields.next().is_none().then_some(Cost {
            operation,
            calls,
            throttles,
            percent,
        })
    };
    text.split(',').filter_map(cost).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_of_what_aws_grants_while_the_bucket_is_used() {
        let (ireland, ohio) = ("eu-west-1", "us-east-2");
        let mut footprint = Footprint::default();
        let mut ask = |region: &str, operation, at| {
            footprint.attempt(&region.parse().expect("Region"), operation, UtcMillis(at));
        };
        for second in 0..=20 {
            ask(ireland, Operation::DescribeCluster, 1_000 * second);
        }
        ask(ohio, Operation::DescribeCluster, 0);
        ask(ireland, Operation::ListClusters, 5);
        footprint.throttled(&ohio.parse().expect("Region"), Operation::DescribeCluster);
        let costs = footprint.costs();
        // 21 of 10 + 20 in one Region, 1 of 10 in the other; 1 of 20.
        let text = text(&costs).expect("some");
        assert_eq!(text, "ListClusters:1:0:5, DescribeCluster:22:1:70");
        assert_eq!(read(&text), costs);
        assert_eq!(super::text(&Footprint::default().costs()), None);
    }

    #[test]
    fn what_is_no_cost_is_left_out() {
        for odd in [
            "",
            "ListClusters",
            "ListClusters:1:0",
            "ListClusters:1:0:5:6",
            "ListClusters:-1:0:5",
            "DropTables:1:0:5",
            "ListClusters:1:0:99999999999999999999",
        ] {
            assert_eq!(read(odd), [], "{odd}");
        }
        assert_eq!(read("x:1:2:3, ListKeys:4:0:1").len(), 1);
    }
}
