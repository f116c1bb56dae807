//! What the organization's trail delivers to S3 of an account-region, hour by hour: the events that can also
//! be looked up, among others. Every seventh event comes twice.

use serde_json::{Value, json};

use super::account_region::AccountRegion;
use super::launches::{self, DELAY_MS, Event};
use super::{DAY_MS, MINUTE_MS, World};

/// How long before the story the trail began to deliver.
const DAYS_BEFORE: i64 = 12;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// A log file.
#[derive(Debug, Clone)]
pub struct LogFile {
    /// When it was delivered.
    pub at_ms: i64,
    /// Inflated.
    pub text: String,
}

/// Start of the first hour whose files were delivered.
pub fn first_ms(world: &World) -> i64 {
    world.options.start_ms - DAYS_BEFORE * DAY_MS
}

/// Where files of an account lie.
pub fn folder(world: &World, account: &str) -> String {
    format!("AWSLogs/{}/{account}/", world.organization.id)
}

/// The log file of each hour from `from_ms`, as far as hours are over at `now_ms`; none of an hour in which
/// nothing happened.
pub fn hours(
    world: &World,
    here: Option<&AccountRegion>,
    from_ms: i64,
    now_ms: i64,
) -> Vec<(i64, Option<LogFile>)> {
    let whole = now_ms.div_euclid(HOUR_MS) * HOUR_MS;
    // What was delivered in these hours happened before, and some of it is delivered again an hour later.
    let wanted = |_: &str, at_ms: i64| from_ms - 2 * HOUR_MS <= at_ms && at_ms < whole;
    let events = here.map_or_else(Vec::new, |here| launches::events(world, here, &wanted));
    let mut hour = from_ms;
    let mut hours = Vec::new();
    while hour + HOUR_MS <= whole {
        let within = |at_ms: i64| (hour..hour + HOUR_MS).contains(&at_ms);
        let of_hour = events.iter().filter(|event| {
            let delivered = event.at_ms + DELAY_MS;
            within(delivered) || (comes_twice(event) && within(delivered + HOUR_MS))
        });
        let records: Vec<&Event> = of_hour.collect();
        let file = (!records.is_empty()).then(|| {
            let mut values: Vec<Value> = records.iter().map(|e| e.record.clone()).collect();
            values.push(json!({
                "eventVersion": "1.11", "eventSource": "elasticmapreduce.amazonaws.com",
                "eventName": "DescribeCluster", "requestParameters": {"clusterId": "j-OTHER"},
            }));
            LogFile {
                at_ms: hour + HOUR_MS - 5 * MINUTE_MS,
                text: json!({"Records": values}).to_string(),
            }
        });
        hours.push((hour, file));
        hour += HOUR_MS;
    }
    hours
}

fn comes_twice(event: &Event) -> bool {
    event
        .id
        .bytes()
        .map(u32::from)
        .sum::<u32>()
        .is_multiple_of(7)
}
