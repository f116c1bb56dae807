//! When clusters live, relative to audits at about 02:00 UTC of every simulated day.

use super::clusters::Cluster;
use super::rng::Rng;
use super::{DAY_MS, MINUTE_MS, Options};

/// After how many slots lifetimes repeat.
const CYCLE: usize = 6;

/// How a slot of an account-region is filled over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// One cluster, from long before day 0 until after the last day.
    LongLived,
    /// Each night a cluster that is alive at the audit.
    NightlyAcrossAudit,
    /// Each night a cluster that is created after one audit and has ended before the next.
    NightlyBetweenAudits,
    /// One cluster, created long before day 0, that ends mid-period and has a successor.
    Replaced,
}

impl Lifetime {
    /// The lifetime of a slot; `place` numbers the account-region.
    pub(super) fn of(place: usize, slot: usize) -> Self {
        match (place + slot) % CYCLE {
            1 => Self::NightlyAcrossAudit,
            3 => Self::Replaced,
            4 => Self::NightlyBetweenAudits,
            _ => Self::LongLived,
        }
    }

    pub(super) fn is_job(self) -> bool {
        matches!(self, Self::NightlyAcrossAudit | Self::NightlyBetweenAudits)
    }

    /// Name of a slot's clusters, without the date of a job; distinct within an account-region.
    pub(super) fn base_name(place: usize, slot: usize) -> String {
        const NAMES: [&str; CYCLE] = [
            "notebooks",
            "nightly-etl",
            "interactive-spark",
            "reporting",
            "intraday-settlement",
            "hbase-serving",
        ];
        let name = NAMES[(place + slot) % CYCLE];
        match slot / CYCLE {
            0 => name.to_owned(),
            team => format!("{name}-team{team}"),
        }
    }
}

/// Nights before day 0 whose clusters EMR still shows at the first audit.
const PAST_NIGHTS: i64 = 2;

/// A slot's clusters. A `Replaced` slot's successor uses recipe `successor`.
pub(super) fn clusters(
    options: &Options,
    rng: &mut Rng,
    lifetime: Lifetime,
    base_name: &str,
    recipe: usize,
    successor: usize,
) -> Vec<Cluster> {
    let days = i64::from(options.days);
    match lifetime {
        Lifetime::LongLived => {
            let created = options.at(-rng.between(5, 700), rng.between(0, 1_439));
            vec![cluster(rng, base_name.to_owned(), recipe, created, None)]
        }
        Lifetime::NightlyAcrossAudit => {
            // Created and ended in minutes after midnight: an audit at 02:00 meets most of them
            // RUNNING, some STARTING and some TERMINATING.
            let (created, ended) = match rng.below(4) {
                0 => (119, 239),
                1 => (3, 122),
                _ => (60 + rng.between(0, 40), 180 + rng.between(0, 40)),
            };
            nightly(
                options,
                rng,
                base_name,
                recipe,
                -PAST_NIGHTS..=days,
                created,
                ended,
            )
        }
        Lifetime::NightlyBetweenAudits => {
            let created = 240 + rng.between(0, 900);
            let ended = created + 100 + rng.between(0, 60);
            let mut nights = nightly(
                options,
                rng,
                base_name,
                recipe,
                -PAST_NIGHTS..=days - 1,
                created,
                ended,
            );
            // These fail before they are ready, for want of machines.
            for night in nights.iter_mut().filter(|night| night.fails) {
                night.ready_ms = i64::MAX;
            }
            nights
        }
        Lifetime::Replaced => {
            let created = options.at(-rng.between(40, 400), 600);
            let ended = options.at((days - 1) / 2, 480 + rng.between(0, 300));
            let next = ended + 45 * MINUTE_MS;
            vec![
                cluster(rng, base_name.to_owned(), recipe, created, Some(ended)),
                cluster(rng, base_name.to_owned(), successor, next, None),
            ]
        }
    }
}

/// A cluster that ended before the simulation: EMR forgets it between the second and third day.
pub(super) fn almost_forgotten(options: &Options, rng: &mut Rng, recipe: usize) -> Cluster {
    let ended = options.at(2, -60) - super::clusters::RETENTION_MS;
    cluster(
        rng,
        "migration-rehearsal".to_owned(),
        recipe,
        ended - 9 * DAY_MS,
        Some(ended),
    )
}

/// A cluster that EMR forgot before the simulation began.
pub(super) fn forgotten(options: &Options, rng: &mut Rng, recipe: usize) -> Cluster {
    let ended = options.at(-9, 0) - super::clusters::RETENTION_MS;
    cluster(
        rng,
        "first-experiment".to_owned(),
        recipe,
        ended - DAY_MS,
        Some(ended),
    )
}

fn nightly(
    options: &Options,
    rng: &mut Rng,
    base_name: &str,
    recipe: usize,
    days: std::ops::RangeInclusive<i64>,
    created: i64,
    ended: i64,
) -> Vec<Cluster> {
    days.map(|day| {
        let fails = rng.below(12) == 0;
        let (from, to) = (options.at(day, created), options.at(day, ended));
        let mut night = cluster(
            rng,
            format!("{base_name}-{}", date(from)),
            recipe,
            from,
            Some(to),
        );
        night.fails = fails;
        night
    })
    .collect()
}

fn cluster(
    rng: &mut Rng,
    name: String,
    recipe: usize,
    created: i64,
    ended: Option<i64>,
) -> Cluster {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    // Milliseconds that are not zero catch a client that rounds.
    let created_ms = created + rng.between(0, 999);
    Cluster {
        id: format!("j-{}", rng.text(ALPHABET, 13)),
        name,
        recipe,
        created_ms,
        ready_ms: created_ms + rng.between(5, 9) * MINUTE_MS,
        ended_ms: ended.map(|ended| ended + rng.between(0, 999)),
        fails: false,
    }
}

fn date(at_ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(at_ms)
        .map_or_else(String::new, |at| at.format("%Y-%m-%d").to_string())
}
