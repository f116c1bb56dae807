//! What befalls one run, drawn from a seed.

use std::fmt;

use crate::collect::random::{hash, seeded};
use crate::sandbox::wire::{FaultKind, FaultRule, Request};

/// One way of failing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum What {
    Throttle,
    ServerError,
    /// Never answered.
    Hang,
    /// The connection ends in the middle of the answer.
    Cut,
    /// The answer stops in the middle and the connection stays open.
    Stall,
    /// The endpoint's name is not found.
    NoName,
    /// The connection is closed without an answer.
    Closed,
    /// A proxy answers with a page of its own and this status.
    Page(u16),
    Denied,
    DeniedByScp,
    /// AWS does not know the thing (yet).
    Unknown,
    /// Sessions that were issued before the window have run out.
    Expired,
    /// The token is not valid there.
    TokenRefused,
    /// The answer comes so many milliseconds later.
    Slow(u64),
    /// A lie that no fault of AWS's tells: an entry of the list is missing. The property must notice.
    Swallow,
    /// Another lie: the named member of the answer is missing.
    Forget(&'static str),
}

/// One way of failing, whom it befalls and when.
#[derive(Debug, Clone)]
pub(super) struct Dial {
    pub what: What,
    /// Position of the account that is asked, counted round; for AssumeRole of the one that is to be
    /// entered.
    pub account: Option<usize>,
    /// Position among the Regions that host clusters.
    pub region: Option<usize>,
    pub operations: &'static [&'static str],
    pub share: f64,
    /// Whether the dice are thrown once for each thing that is asked about, and not for every call.
    pub per_thing: bool,
    /// From when to when, in milliseconds of the run.
    pub window: (i64, i64),
    /// Of the dice: taking other dials away does not move them.
    pub salt: u64,
}

const ALWAYS: (i64, i64) = (0, i64::MAX);
const LISTS: &[&str] = &["ListClusters", "ListSecurityConfigurations", "ListSteps"];
const READS: &[&str] = &[
    "ListClusters",
    "DescribeCluster",
    "ListSteps",
    "ListSessions",
    "ListSecurityConfigurations",
    "DescribeSecurityConfiguration",
    "DescribeLogGroups",
    "ListRegions",
    "ListBuckets",
    "DescribeKey",
    "GetKeyPolicy",
    "GetKeyRotationStatus",
    "ListResourceTags",
    "ListGrants",
    "ListAliases",
    "GetAccountAuthorizationDetails",
    "GetBucketLocation",
    "GetBucketPolicy",
    "GetBucketEncryption",
    "AssumeRole",
];

impl Dial {
    /// Befalls every call.
    pub fn every(what: What) -> Self {
        Self {
            what,
            account: None,
            region: None,
            operations: &[],
            share: 1.0,
            per_thing: false,
            window: ALWAYS,
            salt: 0,
        }
    }

    fn some(what: What, share: f64) -> Self {
        Self {
            share,
            ..Self::every(what)
        }
    }
}

/// A seeded run.
#[derive(Clone)]
pub(super) struct Schedule {
    pub seed: u64,
    /// Which of the organizations.
    pub stage: usize,
    /// Whether a day without faults went before, so that the run has watermarks.
    pub is_second_day: bool,
    /// Whether clusters start and end while the run looks.
    pub is_moving: bool,
    /// Where in its life the moving organization is looked at.
    pub moment: f64,
    pub looks_up_events: bool,
    /// Whether the Regions are configured.
    pub lists_regions: bool,
    pub cell_deadline_ms: i64,
    pub run_deadline_ms: i64,
    pub concurrency: usize,
    /// Entries of one page of EMR's lists.
    pub page: usize,
    pub dials: Vec<Dial>,
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: organization {}, second day {}, moving {}, events {}, Regions configured {}, \
             {} s for a cell, {} s for the run, {} at once, pages of {}",
            self.seed,
            self.stage,
            self.is_second_day,
            self.is_moving,
            self.looks_up_events,
            self.lists_regions,
            self.cell_deadline_ms / 1_000,
            self.run_deadline_ms / 1_000,
            self.concurrency,
            self.page
        )?;
        for dial in &self.dials {
            writeln!(f, "  {dial:?}")?;
        }
        Ok(())
    }
}

impl Schedule {
    /// The schedule of a seed, for one of `stages` organizations.
    pub fn draw(seed: u64, stages: usize) -> Self {
        let random = seeded(hash(seed, "schedule"));
        let below = |n: usize| ((random() * n as f64) as usize).min(n - 1);
        let maybe = |share: f64| random() < share;
        let is_moving = maybe(0.2);
        let mut schedule = Self {
            seed,
            stage: below(stages),
            is_second_day: !is_moving && maybe(0.5),
            is_moving,
            moment: random(),
            looks_up_events: maybe(0.15),
            lists_regions: maybe(0.2),
            cell_deadline_ms: [20, 120, 900, 900][below(4)] * 1_000,
            run_deadline_ms: [15, 60, 300, 3_600, 20_000][below(5)] * 1_000,
            concurrency: [1, 4, 64][below(3)],
            page: [1, 2, 3, 50][below(4)],
            dials: Vec::new(),
        };
        let count = 1 + below(4);
        for _ in 0..count {
            schedule.dials.push(one(&below, &maybe, &|| random()));
        }
        if maybe(0.25) {
            schedule.dials.extend([
                Dial::some(What::Throttle, 0.3),
                Dial::some(What::ServerError, 0.05),
                Dial::some(What::Hang, 0.01),
                Dial::some(What::Cut, 0.02),
            ]);
        }
        for (dial, salt) in schedule.dials.iter_mut().zip(1..) {
            dial.salt = salt;
        }
        schedule
    }

    /// The same without faults.
    pub fn calm(&self) -> Self {
        Self {
            // With pages of one step each a cluster's steps take half an hour of tokens.
            cell_deadline_ms: 2 * 3_600_000,
            run_deadline_ms: 6 * 3_600_000,
            dials: Vec::new(),
            ..self.clone()
        }
    }

    /// What befalls a call: by how many milliseconds its answer is late, and what happens then.
    pub fn strike(&self, call: &Call<'_>) -> (u64, Option<What>) {
        let mut slow = 0;
        let mut struck = None;
        for dial in self.dials.iter().filter(|dial| dial.concerns(call)) {
            let nth = if dial.per_thing { 0 } else { call.nth };
            let text = format!(
                "{} {} {:?} {:?} {} {} {nth}",
                self.seed, dial.salt, call.account, call.region, call.operation, call.thing
            );
            if seeded(hash(0, &text))() >= dial.share {
                continue;
            }
            match dial.what {
                What::Slow(ms) => slow += ms,
                what => struck = struck.or(Some(what)),
            }
        }
        (slow, struck)
    }
}

/// One call, as dice see it.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub account: Option<usize>,
    pub region: Option<usize>,
    pub operation: &'a str,
    /// Hash of what is asked about.
    pub thing: u64,
    /// How often that was asked before.
    pub nth: u64,
    /// Milliseconds of the run.
    pub at: i64,
    /// When the caller's session was issued, in the same.
    pub issued: Option<i64>,
}

impl Dial {
    fn concerns(&self, call: &Call<'_>) -> bool {
        let (from, to) = self.window;
        let in_time = match self.what {
            What::Expired => call.at >= from && call.issued.is_some_and(|at| at < from),
            _ => (from..to).contains(&call.at),
        };
        in_time
            && self.account.is_none_or(|a| call.account == Some(a))
            && self.region.is_none_or(|r| call.region == Some(r))
            && (self.operations.is_empty() || self.operations.contains(&call.operation))
    }
}

/// One dial of the menu.
fn one(
    below: &impl Fn(usize) -> usize,
    maybe: &impl Fn(f64) -> bool,
    random: &impl Fn() -> f64,
) -> Dial {
    let account = Some(below(6));
    let region = Some(below(2));
    let op = below(READS.len());
    let operation = &READS[op..=op];
    let soon = (random() * 300_000.0) as i64;
    let until = |forever: f64| {
        if maybe(forever) {
            i64::MAX
        } else {
            (random() * random() * 900_000.0) as i64
        }
    };
    match below(20) {
        0 => Dial::some(What::Throttle, [0.05, 0.3][below(2)]),
        1 => Dial::some(What::ServerError, [0.05, 0.3][below(2)]),
        2 => Dial::some(What::Hang, [0.01, 0.05][below(2)]),
        3 => Dial::some(What::Cut, 0.05),
        4 => Dial::some(What::Stall, 0.03),
        5 => Dial::some(What::NoName, [0.05, 0.3][below(2)]),
        6 => Dial::some(What::Closed, 0.05),
        7 => Dial::some(What::Page([200, 403, 404, 502][below(4)]), 0.03),
        8 => Dial {
            account,
            ..Dial::every(What::Slow([500, 4_000, 9_000, 12_000][below(4)]))
        },
        9 | 10 => Dial {
            account,
            window: (soon, i64::MAX),
            ..Dial::every(What::Expired)
        },
        11 => Dial {
            region,
            window: (0, until(0.7)),
            ..Dial::every([What::Hang, What::NoName, What::ServerError, What::Stall][below(4)])
        },
        12 => Dial {
            account: account.filter(|_| maybe(0.7)),
            operations: &["AssumeRole"],
            window: (0, until(0.5)),
            share: [0.5, 1.0][below(2)],
            ..Dial::every(What::Denied)
        },
        13 | 14 => Dial {
            operations: &["DescribeCluster", "ListSteps", "ListSessions"],
            window: (0, until(0.3)),
            per_thing: true,
            ..Dial::some(What::Unknown, 0.4)
        },
        15 => Dial {
            account: account.filter(|_| maybe(0.5)),
            operations: operation,
            window: (0, until(0.7)),
            ..Dial::every([What::Denied, What::DeniedByScp][below(2)])
        },
        16 => Dial {
            account,
            region,
            window: (0, until(0.5)),
            ..Dial::every(What::TokenRefused)
        },
        // One operation fails in one way, sometimes for ever.
        17 | 18 => Dial {
            operations: operation,
            window: (0, until(0.5)),
            share: [0.3, 1.0][below(2)],
            ..Dial::every(
                [
                    What::Throttle,
                    What::ServerError,
                    What::Hang,
                    What::Cut,
                    What::NoName,
                    What::Page(200),
                ][below(6)],
            )
        },
        _ => Dial {
            operations: LISTS,
            window: (soon / 10, i64::MAX),
            ..Dial::some(What::Closed, 0.5)
        },
    }
}

/// The error that AWS answers with, if this is one.
pub(super) fn rule(what: What, request: &Request) -> Option<FaultRule> {
    let said = |kind, code: &str, message: &str| FaultRule {
        code: Some(code.to_owned()),
        message: Some(message.to_owned()),
        ..FaultRule::every(kind)
    };
    Some(match what {
        What::Throttle => FaultRule::every(FaultKind::Throttle),
        What::ServerError => FaultRule::every(FaultKind::ServerError),
        What::Denied => FaultRule::every(FaultKind::Deny),
        What::DeniedByScp => FaultRule {
            message: Some(format!(
                "not authorized to perform: {} with an explicit deny in a service control policy",
                request.operation
            )),
            ..FaultRule::every(FaultKind::Deny)
        },
        What::Unknown => said(
            FaultKind::Refuse(400),
            "InvalidRequestException",
            "Cluster id is not valid.",
        ),
        What::Expired => said(
            FaultKind::Refuse(400),
            "ExpiredTokenException",
            "The security token included in the request is expired",
        ),
        What::TokenRefused => said(
            FaultKind::Refuse(400),
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
        _ => return None,
    })
}
