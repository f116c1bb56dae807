//! Attempts to launch clusters, of one account-region.

use std::collections::BTreeSet;

use crate::collect::account_region::Here;
use crate::collect::attempt::Budget;
use crate::collect::coverage::{CellEnd, Fault};
use crate::collect::events::{Looked, Place, Window};
use crate::collect::facts::KnownError;
use crate::collect::shared::Run;
use crate::collect::trail_events::{EVENT_NAME, Event, Reader, name_attempts, newest_of_each};
use crate::model::datasets::{Account, Coverage, EmrCluster, Launch, UNREADABLE_EVENT};
use crate::model::ids::Region;
use crate::model::words::{CellOutcome, EventSource, Source};

/// How far an event's time may lie outside the window that it was asked in: clocks differ.
const SKEW_MS: i64 = 15 * 60_000;

/// The attempts of one account-region, and the cell that tells which hours were looked at.
pub(super) struct Launches {
    pub rows: Vec<Launch>,
    pub cell: Coverage,
}

impl Here<'_> {
    /// Looks up RunJobFlow; `None` where the run does not.
    pub(super) async fn launches(&self) -> Option<Launches> {
        let run = self.run;
        let days = run.options().launch_days;
        if days == 0 {
            return None;
        }
        let budget = self.budget();
        let window = window(run, self.account, self.region, Source::Launches);
        let place = Place {
            session: self.session,
            region: self.region,
            budget: &budget,
        };
        let mut read = Read::new(run, self.account, self.region, window);
        let mut rows = Vec::new();
        let looked = place
            .look(EVENT_NAME, &window, |record| {
                if let Some(Event::Launch(launch)) = read.record(&record) {
                    if !launch.unmatched.is_empty() {
                        tracing::debug!(
                            "RunJobFlow {} in account {} {} has parameters that are not known: {}",
                            launch.row.event_id,
                            self.account.account_id,
                            self.region,
                            launch.unmatched.join(" ")
                        );
                    }
                    rows.push(launch.row);
                }
            })
            .await;
        newest_of_each(&mut rows);
        // Before those that an earlier run recorded are left out: a try may have begun there.
        name_attempts(&mut rows);
        let cell = read.cell(Source::Launches, rows.len(), looked, &budget);
        Some(Launches { rows, cell })
    }
}

impl Launches {
    /// Leaves out what an earlier run recorded and this one knows no better: an event of a cluster that
    /// this run does not hold. A corrected record is always kept.
    pub fn forget(&mut self, recorded: &BTreeSet<String>, clusters: &[EmrCluster]) {
        let held: BTreeSet<&str> = clusters.iter().map(|c| c.cluster_id.as_str()).collect();
        let is_held = |id: &Option<String>| id.as_deref().is_some_and(|id| held.contains(id));
        self.rows.retain(|row| {
            row.late || !recorded.contains(&row.event_id) || is_held(&row.cluster_id)
        });
    }
}

/// The cell of an account-region whose events were not looked up, with the time from which they are
/// still to be; `None` where the run looks up none.
pub(super) fn unseen(
    run: &Run,
    account: &Account,
    region: &Region,
    end: CellEnd,
    budget: &Budget,
) -> Option<Coverage> {
    if run.options().launch_days == 0 {
        return None;
    }
    let window = window(run, account, region, Source::Launches);
    let mut cell = run.cell(account, region, Source::Launches, end, budget);
    Looked::default().note(&window, &mut cell);
    Some(cell)
}

/// What an earlier run recorded here.
pub(super) fn recorded(
    run: &Run,
    account: &Account,
    region: &Region,
) -> Result<BTreeSet<String>, KnownError> {
    run.context.known.launches(&account.account_id, region)
}

/// The window of a source that looks up events.
pub(super) fn window(run: &Run, account: &Account, region: &Region, source: Source) -> Window {
    let known = &run.context.known;
    let observed_to = known.observed_to(&account.account_id, region, source);
    Window::new(observed_to, run.now(), run.options().launch_days)
}

/// Reads the records of one account-region.
pub(super) struct Read<'a> {
    run: &'a Run,
    account: &'a Account,
    region: &'a Region,
    window: Window,
    unreadable: usize,
}

impl<'a> Read<'a> {
    pub fn new(run: &'a Run, account: &'a Account, region: &'a Region, window: Window) -> Self {
        Self {
            run,
            account,
            region,
            window,
            unreadable: 0,
        }
    }

    /// The event of a record. One that cannot be understood, or that AWS cannot have meant (of another
    /// place, of another time), is counted: the cell is then no answer.
    pub fn record(&mut self, text: &str) -> Option<Event> {
        let reader = Reader {
            scheduled_for: self.account.scheduled_for,
            read_from: EventSource::LookupEvents,
            tags: &self.run.options().tags,
        };
        let event = match reader.read_text(text) {
            Ok(event) => event?,
            Err(_) => {
                self.unreadable += 1;
                return None;
            }
        };
        let (account, region, at) = match &event {
            Event::Launch(launch) => {
                let row = &launch.row;
                (&row.account_id, &row.region, row.event_at)
            }
            Event::Control(row) => (&row.account_id, &row.region, row.event_at),
        };
        let from = self.window.again_from.plus_ms(-SKEW_MS);
        let to = self.window.to.plus_ms(SKEW_MS);
        let is_ours = *account == self.account.account_id && region == self.region;
        if is_ours && from <= at && at <= to {
            return Some(event);
        }
        self.unreadable += 1;
        None
    }

    /// How the cell ended, and which time was looked at.
    pub fn cell(self, source: Source, events: usize, looked: Looked, budget: &Budget) -> Coverage {
        let end = match &looked.stopped {
            Some(error) if looked.to.is_none() => CellEnd::error(error),
            Some(error) => CellEnd {
                outcome: CellOutcome::Partial,
                ..CellEnd::error(error)
            },
            None if self.unreadable > 0 => CellEnd {
                outcome: CellOutcome::Partial,
                items: None,
                fault: Fault {
                    code: Some(UNREADABLE_EVENT.to_owned()),
                    ..Fault::default()
                },
            },
            None => CellEnd::read(events),
        };
        let mut cell = self
            .run
            .cell(self.account, self.region, source, end, budget);
        looked.note(&self.window, &mut cell);
        cell
    }
}
