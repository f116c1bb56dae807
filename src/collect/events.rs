//! LookupEvents: the events of one name in one account-region, so that whatever ends the look, the time
//! that was looked at is known.
//!
//! AWS answers newest first, 50 a page and two requests a second
//! (<https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html>). A list that
//! breaks off would have read the wrong end, so a window of more than one page is halved, and its
//! older half read first: a quiet place costs one call, and a busy one is read from the past to now.

use std::sync::Arc;

use crate::collect::api::{Member, Page};
use crate::collect::attempt::{Budget, CallError};
use crate::collect::operation::Operation;
use crate::collect::session::Session;
use crate::model::datasets::Coverage;
use crate::model::ids::Region;
use crate::time::{DAY_MS, HOUR_MS, UtcMillis};

/// How far back AWS remembers events.
pub(super) const REACH_DAYS: i64 = 90;
/// Events may be delivered late: so much of what was looked at before is looked at again.
const OVERLAP_MS: i64 = DAY_MS;
/// A window of this length is read page by page.
const SHORTEST_MS: i64 = HOUR_MS;

/// The time to look at: first what is new, then what was looked at before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// Where the overlap begins.
    pub again_from: UtcMillis,
    /// Where what is new begins.
    pub from: UtcMillis,
    /// Its end, not included.
    pub to: UtcMillis,
}

impl Window {
    /// The window of a run. `observed_to`: how far earlier runs looked; without one the last `days`.
    pub fn new(observed_to: Option<UtcMillis>, now: UtcMillis, days: i64) -> Self {
        let reach = now.plus_ms(-days.clamp(1, REACH_DAYS) * DAY_MS);
        let oldest = now.plus_ms(-REACH_DAYS * DAY_MS);
        let from = observed_to.map_or(reach, |to| to.clamp(oldest, now));
        let again_from = match observed_to {
            Some(_) => from.plus_ms(-OVERLAP_MS).max(oldest),
            None => from,
        };
        Self {
            again_from,
            from,
            to: now,
        }
    }
}

/// How far a look came.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Whether the overlap was looked at, too.
    pub again: bool,
    /// End of the time that was looked at without a gap; `None` where nothing was.
    pub to: Option<UtcMillis>,
    /// Why it ended early.
    pub stopped: Option<CallError>,
}

impl Looked {
    /// Notes in a cell which time was looked at. Where nothing was, an empty time says where the next
    /// run begins.
    pub fn note(&self, window: &Window, cell: &mut Coverage) {
        let from = if self.again {
            window.again_from
        } else {
            window.from
        };
        let to = self.to.unwrap_or(from);
        cell.observed_from_ms = Some(from.0);
        cell.observed_to_ms = Some(to.0);
    }

    /// What two names that were looked up in the same window have in common.
    pub fn and(self, other: Self) -> Self {
        Self {
            again: self.again && other.again,
            to: self.to.min(other.to),
            stopped: other.stopped.or(self.stopped),
        }
    }
}

/// Where events are looked up.
pub(super) struct Place<'a> {
    pub session: &'a Session,
    pub region: &'a Region,
    pub budget: &'a Budget,
}

impl Place<'_> {
    /// Hands over the records of all events of a name in the window, some perhaps twice.
    pub async fn look(
        &self,
        name: &str,
        window: &Window,
        mut take: impl FnMut(String) + Send,
    ) -> Looked {
        let mut looked = Looked::default();
        if window.again_from < window.from {
            // A quiet place tells all in one page.
            match self.first(name, (window.again_from, window.to)).await {
                Ok(page) if page.next.is_none() => {
                    page.items.into_iter().for_each(take);
                    looked.again = true;
                    looked.to = Some(window.to);
                    return looked;
                }
                Ok(_) => {}
                Err(error) => {
                    looked.stopped = Some(error);
                    return looked;
                }
            }
        }
        let mut reached = |to| looked.to = Some(to);
        let new = (window.from, window.to);
        if let Err(error) = self.span(name, new, &mut take, &mut reached).await {
            looked.stopped = Some(error);
            return looked;
        }
        if window.again_from == window.from {
            looked.again = true;
            return looked;
        }
        let again = (window.again_from, window.from);
        match self.span(name, again, &mut take, &mut |_| {}).await {
            Ok(()) => looked.again = true,
            Err(error) => looked.stopped = Some(error),
        }
        looked
    }

    /// The first page of a part, which tells whether there are more.
    async fn first(
        &self,
        name: &str,
        part: (UtcMillis, UtcMillis),
    ) -> Result<Page<String>, CallError> {
        let (region, operation) = (self.region, Operation::LookupEvents);
        let ask = |m: Arc<dyn Member>| async move { m.events(region, name, part, None).await };
        self.session.call(self.budget, region, operation, ask).await
    }

    /// Reads one span from the past to now, and tells after each part how far that came.
    async fn span(
        &self,
        name: &str,
        (from, to): (UtcMillis, UtcMillis),
        take: &mut (impl FnMut(String) + Send),
        reached: &mut (impl FnMut(UtcMillis) + Send),
    ) -> Result<(), CallError> {
        let region = self.region;
        // The part to read next is the last.
        let mut parts = vec![(from, to)];
        while let Some(part) = parts.pop() {
            let (from, to) = part;
            let first = self.first(name, part).await?;
            // An empty page with a token says nothing of how many there are.
            let is_busy = first.next.is_some() && !first.items.is_empty();
            if is_busy && to.0 - from.0 > SHORTEST_MS {
                let middle = UtcMillis(from.0 + (to.0 - from.0) / 2);
                parts.extend([(middle, to), (from, middle)]);
                continue;
            }
            let mut records = first.items;
            if first.next.is_some() {
                records.clear();
                self.session
                    .pages(
                        self.budget,
                        region,
                        Operation::LookupEvents,
                        |m, next| async move { m.events(region, name, part, next).await },
                        |page| records.extend(page),
                    )
                    .await?;
            }
            records.into_iter().for_each(&mut *take);
            reached(to);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcMillis = UtcMillis(1_795_485_600_000);

    #[test]
    fn a_first_run_looks_as_far_back_as_it_may() {
        let window = Window::new(None, NOW, 30);
        let from = NOW.plus_ms(-30 * DAY_MS);
        assert_eq!(
            (window.again_from, window.from, window.to),
            (from, from, NOW)
        );
        let all = Window::new(None, NOW, 400);
        assert_eq!(all.from, NOW.plus_ms(-90 * DAY_MS));
    }

    #[test]
    fn a_later_run_looks_again_at_one_day() {
        let to = NOW.plus_ms(-DAY_MS);
        let window = Window::new(Some(to), NOW, 30);
        assert_eq!(window.from, to);
        assert_eq!(window.again_from, to.plus_ms(-DAY_MS));
        // What AWS has forgotten is asked for by nobody, and a clock that went back asks for nothing.
        let old = Window::new(Some(UtcMillis(0)), NOW, 30);
        assert_eq!(old.from, NOW.plus_ms(-90 * DAY_MS));
        assert_eq!(old.again_from, old.from);
        let ahead = Window::new(Some(NOW.plus_ms(DAY_MS)), NOW, 30);
        assert_eq!((ahead.from, ahead.to), (NOW, NOW));
    }

    /// domain/launches.md, "Easily wrong" 6: AWS remembers less than a quarter, so the earlier part stays
    /// unobserved unless runs were there.
    #[test]
    fn easily_wrong_6_one_look_does_not_reach_a_whole_quarter() {
        let quarter: crate::time::Quarter = "2026Q4".parse().expect("quarter");
        let end = quarter.end().start();
        let one = Window::new(None, end, REACH_DAYS);
        assert!(one.again_from > quarter.first().start());
        // Daily runs reach each other without a gap.
        let yesterday = Window::new(None, end.plus_ms(-DAY_MS), REACH_DAYS);
        let today = Window::new(Some(yesterday.to), end, REACH_DAYS);
        assert!(today.from <= yesterday.to && yesterday.again_from < one.again_from);
    }

    #[test]
    fn two_names_were_looked_at_as_far_as_both_were() {
        let all = |to| Looked {
            again: true,
            to: Some(UtcMillis(to)),
            stopped: None,
        };
        assert_eq!(all(5).and(all(3)).to, Some(UtcMillis(3)));
        let nothing = all(5).and(Looked::default());
        assert_eq!((nothing.to, nothing.again), (None, false));
    }
}
