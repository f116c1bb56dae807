//! Which records of a log file are kept, and as what.

use std::collections::BTreeSet;

use super::{Unit, Wanted};
use crate::collect::options::Options;
use crate::collect::trail_events::control::{About, KINDS};
use crate::collect::trail_events::{EVENT_NAME, Event, Reader};
use crate::model::datasets::{ControlEvent, Launch};
use crate::model::ids::{AccountId, Region};
use crate::model::words::EventSource;
use crate::time::UtcMillis;

/// How far the clock of an event may be ahead of that of its delivery.
const SKEW_MS: i64 = 15 * 60_000;

/// The events in one file that are kept.
pub(super) struct Records<'a> {
    wanted: &'a Wanted,
    reader: Reader<'a>,
    account: &'a AccountId,
    region: &'a Region,
    /// No event can be later.
    latest: UtcMillis,
    pub launches: Vec<Launch>,
    pub control_events: Vec<ControlEvent>,
    pub unreadable: i64,
}

impl<'a> Records<'a> {
    /// Of a file of `unit`. `is_vouched`: whether a digest file names it; `delivered_ms`: when at the latest
    /// it was delivered.
    pub fn new(
        wanted: &'a Wanted,
        unit: &'a Unit,
        options: &'a Options,
        is_vouched: bool,
        delivered_ms: i64,
    ) -> Self {
        Self {
            wanted,
            reader: Reader {
                scheduled_for: options.scheduled_for,
                read_from: if is_vouched {
                    EventSource::OrganizationTrail
                } else {
                    EventSource::UnvalidatedTrail
                },
                tags: &options.tags,
            },
            account: &unit.account,
            region: &unit.region,
            latest: UtcMillis(delivered_ms.saturating_add(SKEW_MS)),
            launches: Vec::new(),
            control_events: Vec::new(),
            unreadable: 0,
        }
    }

    /// One record, as text.
    pub fn take(&mut self, record: &[u8]) {
        // Of a million records a few are kept, and the others are not even parsed.
        if !event_names(record).any(|name| self.keeps(name)) {
            return;
        }
        let text = std::str::from_utf8(record).unwrap_or_default();
        let event = match self.reader.read_text(text) {
            Ok(Some(event)) => event,
            Ok(None) => return,
            Err(_) => {
                self.unreadable += 1;
                return;
            }
        };
        let (account, region, at) = match &event {
            Event::Launch(launch) => {
                let row = &launch.row;
                (&row.account_id, &row.region, row.event_at)
            }
            Event::Control(row) => (&row.account_id, &row.region, row.event_at),
        };
        // A clock that is ahead of the delivery is no clock of AWS's.
        if account != self.account || region != self.region || at > self.latest {
            self.unreadable += 1;
            return;
        }
        match event {
            Event::Launch(launch) => self.launches.push(launch.row),
            Event::Control(row) => self.control_events.push(*row),
        }
    }

    /// Whether events of this name are kept here.
    fn keeps(&self, name: &[u8]) -> bool {
        let lives = |places: &BTreeSet<(AccountId, Region)>| {
            places.contains(&(self.account.clone(), self.region.clone()))
        };
        let concerns = |about: About| match about {
            About::Key | About::Alias => lives(&self.wanted.keys),
            About::Bucket => lives(&self.wanted.buckets),
            About::SecurityConfiguration | About::Trail => true,
        };
        let mut kinds = KINDS.iter().filter(|kind| kind.name.as_bytes() == name);
        name == EVENT_NAME.as_bytes() || kinds.any(|kind| concerns(kind.about))
    }
}

/// The values of `eventName` in the text of a record, its own and those of objects in it.
fn event_names(record: &[u8]) -> impl Iterator<Item = &[u8]> {
    const MEMBER: &[u8] = b"\"eventName\"";
    let mut rest = record;
    std::iter::from_fn(move || {
        let at = rest.windows(MEMBER.len()).position(|part| part == MEMBER)?;
        rest = &rest[at + MEMBER.len()..];
        let value = rest
            .trim_ascii_start()
            .strip_prefix(b":")
            .unwrap_or_default();
        let value = value
            .trim_ascii_start()
            .strip_prefix(b"\"")
            .unwrap_or_default();
        let end = value.iter().position(|byte| *byte == b'"').unwrap_or(0);
        Some(&value[..end])
    })
}
