//! CloudTrail records, as far as they tell of launches and of changes that matter to them. Pure: text
//! in, rows out, for LookupEvents and for the files of a trail alike.
//!
//! - [`Reader`]: one record to one row, or to nothing where the record is about something else.
//! - `record`: the record's parts, found whatever the case of their names
//!   (<https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>).
//! - `launch`, [`control`]: what is kept of RunJobFlow, and of which other events.
//! - `denial`: what an error message says of the policy that denied.
//! - [`name_attempts`]: which events are one attempt.
//! - [`newest_of_each`]: what several looks at the same events leave.
//!
//! Nothing of a request is kept beyond the columns of `launch` and `control_event`.

pub mod control;

mod attempts;
mod denial;
mod launch;
mod record;

#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use serde_json::Value;

use crate::collect::scope::TagNames;
use crate::model::datasets::{ControlEvent, Launch};
use crate::model::table::Dataset;
use crate::model::words::EventSource;
use crate::time::Date;

use record::Record;

pub use attempts::{WINDOW_MS, name_attempts};
pub use launch::{EVENT_NAME, EVENT_SOURCE};

/// What one record tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Launch(Box<ReadLaunch>),
    Control(Box<ControlEvent>),
}

/// A RunJobFlow record.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadLaunch {
    /// The facts of the row. Its conclusions are those of an event of which nothing else is known;
    /// `assess` draws the others.
    pub row: Launch,
    /// Names of request parameters that the API does not have, for a log message: a spelling that
    /// nobody knew of must not pass for a missing parameter.
    pub unmatched: Vec<String>,
}

/// Why a record was refused. Where it stands is said by whoever read it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("a CloudTrail record is no JSON object (cut off, perhaps)")]
    NotJson,
    #[error("a CloudTrail record has no usable {0}")]
    Field(&'static str),
}

/// Reads records.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// Date that the rows speak for.
    pub scheduled_for: Date,
    pub read_from: EventSource,
    /// Tags that may be kept.
    pub tags: &'a TagNames,
}

impl Reader<'_> {
    /// Reads a record as text, as LookupEvents gives it. `None` for an event that is neither a launch
    /// nor a change.
    pub fn read_text(&self, text: &str) -> Result<Option<Event>, RecordError> {
        let value: Value = serde_json::from_str(text).map_err(|_| RecordError::NotJson)?;
        self.read(&value)
    }

    /// Reads one element of `Records`.
    pub fn read(&self, value: &Value) -> Result<Option<Event>, RecordError> {
        let record = Record::new(value).ok_or(RecordError::NotJson)?;
        let source = record
            .text("eventSource")
            .ok_or(RecordError::Field("eventSource"))?;
        let name = record
            .text("eventName")
            .ok_or(RecordError::Field("eventName"))?;
        if source == EVENT_SOURCE && name == EVENT_NAME {
            let launch = launch::read(self, &record)?;
            return Ok(Some(Event::Launch(Box::new(launch))));
        }
        let Some(kind) = control::kind(source, name) else {
            return Ok(None);
        };
        let row = control::read(self, &record, kind)?;
        Ok(Some(Event::Control(Box::new(row))))
    }
}

/// Rows that may hold the same event more than once.
pub trait EventRow: Dataset {
    /// Whether this row of an event says more than `other`, of the same event.
    fn supersedes(&self, other: &Self) -> bool;
}

impl EventRow for Launch {
    /// A record that no digest file vouches for stands back; then a corrected record speaks for the event,
    /// then one with parameters; else any, by its content.
    fn supersedes(&self, other: &Self) -> bool {
        let rank = |row: &Self| {
            let vouched = row.read_from != EventSource::UnvalidatedTrail;
            (vouched, row.late, row.params_available)
        };
        rank(self)
            .cmp(&rank(other))
            .then_with(|| content(self, other))
            == Ordering::Greater
    }
}

impl EventRow for ControlEvent {
    /// A record that no digest file vouches for stands back; else any, by its content.
    fn supersedes(&self, other: &Self) -> bool {
        let vouched = |row: &Self| row.read_from != EventSource::UnvalidatedTrail;
        vouched(self)
            .cmp(&vouched(other))
            .then_with(|| content(self, other))
            == Ordering::Greater
    }
}

/// Sorts rows by their key and keeps one of each event: overlapping looks, two trails and late
/// records deliver an event more than once. Whatever the order of arrival, the same row stays.
pub fn newest_of_each<D: EventRow>(rows: &mut Vec<D>) {
    rows.sort_by(|a, b| {
        a.key_order(b).then_with(|| match a.supersedes(b) {
            true => Ordering::Less,
            false if b.supersedes(a) => Ordering::Greater,
            false => Ordering::Equal,
        })
    });
    rows.dedup_by(|later, first| later.key_order(first) == Ordering::Equal);
}

fn content<D: Dataset>(a: &D, b: &D) -> Ordering {
    let cells = 0..D::COLUMNS.len();
    cells
        .map(|at| a.cell(at).cmp(&b.cell(at)))
        .find(|order| *order != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}
