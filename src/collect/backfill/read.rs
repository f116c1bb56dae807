//! Reads the account-regions of a trail: digest files first, then what they vouch for, day by day.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::contents::{budget, digest_names, open, source};
use super::digest::{self, Digest, DigestFault, Keys};
use super::events::Records;
use super::places::{self, DigestName};
use super::readings::{Counts, Readings};
use super::records::{FileFault, LogFile};
use super::{BackfillError, Contents, Found, Unit, Wanted};
use crate::collect::attempt::{Budget, CallError};
use crate::collect::coverage::Fault;
use crate::collect::engine::{Context, joined};
use crate::collect::facts::SinkError;
use crate::collect::history::source::Source;
use crate::collect::operation::Operation;
use crate::collect::session::Session;
use crate::collect::trail_events::{name_attempts, newest_of_each};
use crate::model::datasets::{ControlEvent, Launch, UNREADABLE_EVENT};
use crate::model::ids::{AccountId, Region};
use crate::model::words::TrailOutcome;
use crate::time::{Date, HOUR_MS, UtcMillis};

/// Reads everything that was listed and hands over each account-region as it ends.
///
/// # Errors
/// When what was found cannot be kept, or the process was told to stop.
pub async fn read(
    context: &Context,
    wanted: &Wanted,
    contents: &Contents,
    mut keep: impl FnMut(Found) -> Result<(), SinkError>,
) -> Result<(), BackfillError> {
    for account in &contents.absent {
        let place = (account, &Region::global());
        let file = wanted.place.folders(account).into_iter().next();
        let file = file.map(|folder| wanted.place.url(&folder));
        let why = (TrailOutcome::NotValidated, "NoTrail", file);
        keep(nothing(context, wanted, place, why))?;
    }
    for (account, region, error) in &contents.untold {
        let why = (TrailOutcome::NotRead, &*code(error), None);
        keep(nothing(context, wanted, (account, region), why))?;
    }
    let session = open(context, wanted).await?;
    let wanted = Arc::new(wanted.clone());
    let mut at_work = JoinSet::new();
    let limit = context.options.concurrency.max(1);
    for unit in &contents.units {
        if at_work.len() >= limit
            && let Some(found) = joined(at_work.join_next().await)
        {
            keep(found?)?;
        }
        let (context, session) = (context.clone(), session.clone());
        let (wanted, unit) = (wanted.clone(), unit.clone());
        at_work.spawn(async move { of_unit(&context, &session, &wanted, &unit).await });
    }
    while let Some(ended) = at_work.join_next().await {
        if let Some(found) = joined(Some(ended)) {
            keep(found?)?;
        }
    }
    Ok(())
}

/// Of a place of which nothing can be read.
fn nothing(
    context: &Context,
    wanted: &Wanted,
    place: (&AccountId, &Region),
    (outcome, reason, file): (TrailOutcome, &str, Option<String>),
) -> Found {
    let mut readings = Readings::default();
    let (from_ms, to_ms) = wanted.window();
    let time = (from_ms - HOUR_MS, to_ms + 2 * HOUR_MS);
    readings.wanting(time, outcome, reason, file);
    Found {
        launches: Vec::new(),
        control_events: Vec::new(),
        readings: readings.rows(context.options.scheduled_for, place, wanted.window()),
    }
}

fn code(error: &CallError) -> String {
    Fault::of(error)
        .code
        .unwrap_or_else(|| error.outcome().as_str().to_owned())
}

async fn of_unit(
    context: &Context,
    session: &Arc<Session>,
    wanted: &Wanted,
    unit: &Unit,
) -> Result<Found, CallError> {
    let budget = budget(context);
    let mut reading = Reading {
        context,
        wanted,
        unit,
        source: source(session, wanted, &budget),
        keys: keys(session, wanted, unit, &budget).await?,
        vouched: BTreeMap::new(),
        last: BTreeMap::new(),
        readings: Readings::default(),
        launches: Vec::new(),
        control_events: Vec::new(),
    };
    reading.all().await?;
    let Reading {
        readings,
        mut launches,
        mut control_events,
        ..
    } = reading;
    newest_of_each(&mut control_events);
    newest_of_each(&mut launches);
    // Before the days around are left out: a try may have begun there.
    name_attempts(&mut launches);
    let (from_ms, to_ms) = wanted.window();
    launches.retain(|row| (from_ms..to_ms).contains(&row.event_ms));
    control_events.retain(|row| (from_ms..to_ms).contains(&row.event_ms));
    let place = (&unit.account, &unit.region);
    Ok(Found {
        launches,
        control_events,
        readings: readings.rows(context.options.scheduled_for, place, wanted.window()),
    })
}

/// The keys that signed in the time that is read. Where they are not told no digest file can be checked,
/// which every hour then says.
async fn keys(
    session: &Session,
    wanted: &Wanted,
    unit: &Unit,
    budget: &Budget,
) -> Result<Keys, CallError> {
    let mut keys = Keys::default();
    let (from, to) = (wanted.from.plus_days(-1), wanted.to.plus_days(3));
    let now = UtcMillis(budget.started_at.0);
    let window = (from.start(), to.start().min(now));
    let told = session
        .pages(
            budget,
            &unit.region,
            Operation::ListPublicKeys,
            |m, next| async move { m.trail_keys(&unit.region, window, next).await },
            |page| page.into_iter().for_each(|key| keys.add(key)),
        )
        .await;
    match told {
        Err(CallError::RunEnded) => Err(CallError::RunEnded),
        Err(error) => {
            tracing::warn!(
                "the keys of digest files in {} are not known, so nothing is validated there: {error}",
                unit.region
            );
            Ok(keys)
        }
        Ok(()) => Ok(keys),
    }
}

/// What a digest file says of a log file.
struct Vouched {
    sha256: String,
    /// Time of the digest.
    time: (i64, i64),
}

/// One account-region that is being read.
struct Reading<'a> {
    context: &'a Context,
    wanted: &'a Wanted,
    unit: &'a Unit,
    source: Source<'a>,
    keys: Keys,
    /// Log files that digest files name and that were not come to yet.
    vouched: BTreeMap<String, Vouched>,
    /// By trail the last digest file that was read.
    last: BTreeMap<String, Last>,
    readings: Readings,
    launches: Vec<Launch>,
    control_events: Vec<ControlEvent>,
}

/// A digest file that the next one is to name.
struct Last {
    object: String,
    time: (i64, i64),
    /// SHA-256 and signature, where it is one that CloudTrail signed.
    signed: Option<(String, String)>,
}

impl Reading<'_> {
    /// Reads everything; what AWS refuses is said of its time.
    async fn all(&mut self) -> Result<(), CallError> {
        let names = match digest_names(&self.source, self.wanted, self.unit).await {
            Ok(names) => names,
            Err(error) => return self.whole_time(&error),
        };
        let (late, mut in_order): (Vec<DigestName>, Vec<DigestName>) = names
            .into_iter()
            .map(|(name, _)| name)
            .partition(|name| name.is_backfill);
        for name in late {
            self.digest(&name).await?;
        }
        in_order.reverse();
        for day in self.wanted.days() {
            // The last files of a day are told of by the digests of the next.
            let until = day.plus_days(2).start();
            while let Some(name) = in_order.pop_if(|name| name.to < until) {
                self.digest(&name).await?;
            }
            if let Err(error) = self.day(day).await {
                self.of_day(day, &error)?;
            }
        }
        Ok(())
    }

    fn whole_time(&mut self, error: &CallError) -> Result<(), CallError> {
        for day in self.wanted.days() {
            self.of_day(day, error)?;
        }
        Ok(())
    }

    fn of_day(&mut self, day: Date, error: &CallError) -> Result<(), CallError> {
        if matches!(error, CallError::RunEnded) {
            return Err(error.clone());
        }
        let time = (day.start().0, day.plus_days(1).start().0);
        let outcome = TrailOutcome::NotRead;
        self.readings.wanting(time, outcome, &code(error), None);
        Ok(())
    }

    /// One digest file.
    async fn digest(&mut self, name: &DigestName) -> Result<(), CallError> {
        let usual = (name.to.0 - HOUR_MS, name.to.0);
        let file = Some(self.wanted.place.url(&name.object));
        let mut bytes = Vec::new();
        let got = self.source.each_part(&name.object, |part| {
            bytes.extend_from_slice(part);
            bytes.len() <= digest::LIMIT
        });
        let part = match got.await {
            Ok(Some(part)) => part,
            Ok(None) => {
                let outcome = TrailOutcome::Failed;
                self.readings.wanting(usual, outcome, "DigestMissing", file);
                return Ok(());
            }
            Err(CallError::RunEnded) => return Err(CallError::RunEnded),
            Err(error) => {
                let outcome = TrailOutcome::NotRead;
                self.readings.wanting(usual, outcome, &code(&error), file);
                return Ok(());
            }
        };
        let bucket = &self.wanted.place.bucket;
        let signature = part.signature.as_deref();
        match digest::read(bucket, &name.object, &bytes, signature, &self.keys) {
            Ok(digest) => self.follow(name, digest),
            Err(fault) => {
                let outcome = match fault {
                    DigestFault::KeyUnavailable => TrailOutcome::NotValidated,
                    _ => TrailOutcome::Failed,
                };
                self.readings.wanting(usual, outcome, fault.code(), file);
                let last = Last {
                    object: name.object.clone(),
                    time: usual,
                    signed: None,
                };
                if !name.is_backfill {
                    self.last.insert(name.trail.clone(), last);
                }
            }
        }
        Ok(())
    }

    /// Links a signed digest file to the one before, and takes up what it vouches for.
    fn follow(&mut self, name: &DigestName, digest: Digest) {
        let time = (digest.from.0, digest.to.0);
        for (object, sha256) in digest.files {
            self.vouched.insert(object, Vouched { sha256, time });
        }
        if name.is_backfill {
            return;
        }
        self.readings.validated(time);
        if let Some(previous) = &digest.previous {
            let last = self.last.get(&name.trail);
            let failed = TrailOutcome::Failed;
            let file = || Some(self.wanted.place.url(&previous.object));
            match last {
                Some(last) if last.object == previous.object => {
                    let (time, signed) = (last.time, &last.signed);
                    if signed
                        .as_ref()
                        .is_some_and(|(sha, sig)| !previous.is(sha, sig))
                    {
                        self.readings
                            .wanting(time, failed, "DigestUnlinked", file());
                    }
                }
                // What lies before the time that is read is not looked at.
                last => {
                    let first = self.wanted.from.plus_days(-1).start();
                    let named = DigestName::parse(&previous.object, &self.unit.region);
                    if named.is_none_or(|named| named.to >= first) {
                        let from_ms = last.map_or(first.0, |last| last.time.1).min(time.0 - 1);
                        let gap = (from_ms, time.0);
                        self.readings.wanting(gap, failed, "DigestMissing", file());
                    }
                }
            }
        }
        let last = Last {
            object: name.object.clone(),
            time,
            signed: Some((digest.sha256, digest.signature)),
        };
        self.last.insert(name.trail.clone(), last);
    }

    /// The log files of one day's folder.
    async fn day(&mut self, day: Date) -> Result<(), CallError> {
        let above = places::logs(&self.unit.folder, &self.unit.region);
        let (after, before) = places::days(&above, day, day);
        let mut names = Vec::new();
        let take = |object: crate::collect::api::SourceObject| names.push(object.name);
        self.source
            .objects_between(&above, (&after, &before), take)
            .await?;
        for name in names {
            let vouched = self.vouched.remove(&name);
            self.log_file(&name, vouched.as_ref()).await?;
        }
        let first = self.wanted.from.plus_days(-1);
        let mut missing = Vec::new();
        self.vouched.retain(|name, vouched| {
            let of_day = places::folder_date(name);
            let is_over = of_day.is_none_or(|of| of <= day);
            if is_over && of_day.is_none_or(|of| of >= first) {
                missing.push((name.clone(), vouched.time));
            }
            !is_over
        });
        for (name, time) in missing {
            let file = Some(self.wanted.place.url(&name));
            let outcome = TrailOutcome::Failed;
            self.readings.wanting(time, outcome, "LogFileMissing", file);
        }
        Ok(())
    }

    /// One log file. Launches are taken when all of it is as it should be.
    async fn log_file(&mut self, name: &str, vouched: Option<&Vouched>) -> Result<(), CallError> {
        let time = match vouched {
            Some(vouched) => vouched.time,
            None => {
                let at = places::delivered_at(name);
                let day = places::folder_date(name).map(Date::start);
                let at = at.or(day).unwrap_or_default().0;
                let hour = at - at.rem_euclid(HOUR_MS);
                (hour, hour + HOUR_MS)
            }
        };
        let mut records = Records::new(
            self.wanted,
            self.unit,
            &self.context.options,
            vouched.is_some(),
            time.1,
        );
        let mut file = LogFile::new(|record: &[u8]| records.take(record));
        let mut bytes = 0;
        let got = self.source.each_part(name, |part| {
            bytes += part.len() as i64;
            file.push(part)
        });
        let got = got.await;
        let whole = file.finish();
        let Records {
            launches,
            control_events,
            unreadable,
            ..
        } = records;
        let url = Some(self.wanted.place.url(name));
        let failed = TrailOutcome::Failed;
        let whole = match (got, whole) {
            (Err(CallError::RunEnded), _) => return Err(CallError::RunEnded),
            (Err(error), _) => {
                let outcome = TrailOutcome::NotRead;
                self.readings.wanting(time, outcome, &code(&error), url);
                return Ok(());
            }
            (Ok(None), _) => {
                self.readings.wanting(time, failed, "LogFileMissing", url);
                return Ok(());
            }
            (Ok(Some(_)), Err(fault @ (FileFault::Malformed | FileFault::TooLarge))) => {
                self.readings.wanting(time, failed, fault.code(), url);
                return Ok(());
            }
            (Ok(Some(_)), Ok(whole)) => whole,
        };
        if vouched.is_some_and(|vouched| vouched.sha256 != whole.sha256) {
            self.readings.wanting(time, failed, "LogFileChanged", url);
            return Ok(());
        }
        let counts = Counts {
            files: 1,
            bytes,
            records: i64::try_from(whole.records).unwrap_or(i64::MAX),
            records_unreadable: unreadable,
            ..Counts::default()
        };
        self.readings.count(time.0, counts);
        let outcome = TrailOutcome::NotValidated;
        if vouched.is_none() {
            self.readings.wanting(time, outcome, "NotInDigest", url);
        } else if unreadable > 0 {
            self.readings.wanting(time, outcome, UNREADABLE_EVENT, url);
        }
        self.launches.extend(launches);
        self.control_events.extend(control_events);
        Ok(())
    }
}
