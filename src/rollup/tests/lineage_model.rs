//! Intervals against a slow model that walks from run to run and remembers who is bad.

use super::*;

const DAY: i64 = 24;
const DIES_OUT: i64 = 30 * DAY;
/// Runs start at this hour of their day.
const AT: i64 = 2;

/// A cluster of the one lineage.
#[derive(Debug, Clone)]
struct Life {
    created: i64,
    ended: Option<i64>,
    /// No run tells of its end: it just is not listed any more.
    vanishes: bool,
    /// By run: the verdict, and whether changed rules alone make it.
    judged: Vec<(Judgement, bool)>,
}

/// A run: its day, and whether it could list the account's clusters.
#[derive(Debug, Clone, Copy)]
struct Look {
    day: i64,
    listed: bool,
}

/// What is remembered of a cluster.
#[derive(Debug, Clone, Default)]
struct Known {
    seen: bool,
    /// Hour of its end, once a run knew of it.
    ended: Option<i64>,
    bad: bool,
    excused: bool,
    /// Whether its first COMPLIANT verdict has been seen, and came from no change of rules.
    compliant: Option<bool>,
}

/// How an interval closed; later ones outweigh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Ended,
    Replaced,
    FixedInPlace,
}

/// What a run shows of a cluster: its end, where known, and the verdict.
fn row(
    lives: &[Life],
    looks: &[Look],
    run: usize,
    cluster: usize,
) -> Option<(Option<i64>, Judgement, bool)> {
    let life = &lives[cluster];
    let start = |run: usize| looks[run].day * DAY + AT;
    let over = |hour: i64| life.ended.is_some_and(|ended| ended <= hour);
    let listed_before = (0..run).rev().find(|&r| looks[r].listed).map(start);
    let (judged, by_rules) = life.judged[run];
    if looks[run].listed {
        let told_before = listed_before.is_some_and(over);
        if life.created > start(run) || told_before || (life.vanishes && over(start(run))) {
            return None;
        }
        return Some((life.ended.filter(|_| over(start(run))), judged, by_rules));
    }
    // Carried: alive when last listed.
    let alive = listed_before.is_some_and(|hour| life.created <= hour && !over(hour));
    alive.then_some((None, Unknown, false))
}

fn model(lives: &[Life], looks: &[Look]) -> Vec<(String, i64, Option<i64>, i64)> {
    let mut known = vec![Known::default(); lives.len()];
    let mut intervals = Vec::new();
    let mut current: Option<(i64, i64)> = None;
    for (run, look) in looks.iter().enumerate() {
        let now = look.day * DAY + AT;
        let mut ways = Vec::new();
        let mut newly: Vec<(i64, usize)> = Vec::new();
        for (n, life) in lives.iter().enumerate() {
            let state = &mut known[n];
            let Some((ended, judged, by_rules)) = row(lives, looks, run, n) else {
                if state.seen && look.listed && state.ended.is_none() {
                    state.ended = Some(now);
                }
                continue;
            };
            state.seen = true;
            state.ended = state.ended.or(ended);
            match judged {
                NonCompliant if by_rules => state.excused |= !state.bad,
                NonCompliant if !state.excused && !state.bad => {
                    state.bad = true;
                    newly.push((life.created, n));
                }
                Compliant => {
                    if state.bad {
                        ways.push(if by_rules {
                            Way::Ended
                        } else {
                            Way::FixedInPlace
                        });
                    }
                    state.bad = false;
                    state.excused = false;
                    state.compliant = state.compliant.or(Some(!by_rules));
                }
                _ => {}
            }
        }
        if let (None, Some(first)) = (current, newly.iter().min()) {
            current = Some((look.day, first.0));
        }
        let died_out = look.listed.then(|| dead(lives, &known, now));
        for n in 0..lives.len() {
            if !known[n].bad || known[n].ended.is_none() {
                continue;
            }
            let later = |&m: &usize| (lives[m].created, m) > (lives[n].created, n);
            let successor = (0..lives.len())
                .filter(later)
                .any(|m| known[m].compliant == Some(true));
            if successor {
                ways.push(Way::Replaced);
                known[n].bad = false;
            } else if died_out.as_ref().is_some_and(|dead| dead[n]) {
                ways.push(Way::Ended);
                known[n].bad = false;
            }
        }
        if let Some((opened, exposed)) = current
            && !known.iter().any(|state| state.bad)
        {
            let how = match ways.iter().max().expect("something closed it") {
                Way::Ended => "ended",
                Way::Replaced => "replaced",
                Way::FixedInPlace => "fixed_in_place",
            };
            intervals.push((how.to_owned(), opened, Some(look.day), exposed));
            current = None;
        }
    }
    intervals.extend(current.map(|(opened, exposed)| ("open".to_owned(), opened, None, exposed)));
    intervals
}

/// Which clusters belong to a succession whose last one ended 30 days ago.
fn dead(lives: &[Life], known: &[Known], now: i64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..lives.len()).filter(|&n| known[n].seen).collect();
    order.sort_by_key(|&n| (lives[n].created, n));
    let mut dead = vec![false; lives.len()];
    let mut succession: Vec<usize> = Vec::new();
    let mut until: Option<i64> = Some(i64::MIN);
    let mut close = |succession: &mut Vec<usize>, until: Option<i64>| {
        let is_dead = until.is_some_and(|until| until <= now);
        for n in succession.drain(..) {
            dead[n] = is_dead;
        }
    };
    for n in order {
        if until.is_some_and(|until| lives[n].created > until) {
            close(&mut succession, until);
        }
        let survives = known[n].ended.map(|ended| ended + DIES_OUT);
        until = until.zip(survives).map(|(a, b)| a.max(b));
        succession.push(n);
    }
    close(&mut succession, until);
    dead
}

fn world() -> impl Strategy<Value = (Vec<Look>, Vec<Life>)> {
    let look = (
        prop_oneof![4 => Just(1i64), 1 => 2..12i64],
        prop::bool::weighted(0.8),
    );
    prop::collection::vec(look, 8..30).prop_flat_map(|steps| {
        let mut day = 0;
        let looks: Vec<Look> = steps
            .into_iter()
            .map(|(step, listed)| {
                day += step;
                Look { day, listed }
            })
            // Later runs are of another quarter.
            .take_while(|look| look.day < 92)
            .collect();
        let verdict = prop_oneof![
            3 => Just(Compliant),
            4 => Just(NonCompliant),
            1 => Just(Unknown),
            1 => Just(NoLogs),
        ];
        let verdicts = prop::collection::vec((verdict, prop::bool::weighted(0.1)), looks.len());
        // Most clusters keep a verdict for a while.
        let stays = prop::collection::vec(prop::bool::weighted(0.7), looks.len());
        let life = (
            -100..looks.last().map_or(1, |look| look.day) * DAY,
            prop_oneof![
                Just(None),
                (1..200i64).prop_map(Some),
                (1..2_000i64).prop_map(Some)
            ],
            prop::bool::weighted(0.15),
            verdicts,
            stays,
        );
        let lives = prop::collection::vec(life, 1..7);
        (Just(looks), lives).prop_map(|(looks, lives)| {
            let lives = lives
                .into_iter()
                .map(|(created, span, vanishes, verdicts, stays)| {
                    let mut judged: Vec<(Judgement, bool)> = Vec::new();
                    for (fresh, stays) in verdicts.into_iter().zip(stays) {
                        let before = judged.last().filter(|_| stays);
                        let next = before.map_or(fresh, |(verdict, _)| (*verdict, false));
                        judged.push(next);
                    }
                    Life {
                        created,
                        ended: span.map(|span| created + span),
                        vanishes,
                        judged,
                    }
                });
            (looks, lives.collect::<Vec<_>>())
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn intervals_are_those_of_the_model(worlds in prop::collection::vec(world(), 8)) {
        // Each world has an account of its own, so that one computation does for all.
        let mut evidence = Evidence::new();
        let account = |n: usize| format!("{n:012}").parse::<crate::model::ids::AccountId>().expect("account id");
        let days: std::collections::BTreeSet<i64> =
            worlds.iter().flat_map(|(looks, _)| looks.iter().map(|look| look.day)).collect();
        for day in days {
            let started = hour(day * DAY + AT);
            let (mut verdicts, mut cells) = (Vec::new(), Vec::new());
            for (n, (looks, lives)) in worlds.iter().enumerate() {
                let Some(run) = looks.iter().position(|look| look.day == day) else { continue };
                cells.push(Coverage {
                    scheduled_for: started.date(),
                    outcome: if looks[run].listed { CellOutcome::Collected } else { CellOutcome::DeniedScp },
                    ..testkit::coverage(account(n), "eu-west-1".parse().expect("region"), Source::Clusters)
                });
                for (cluster, life) in lives.iter().enumerate() {
                    if let Some((ended, judged, by_rules)) = row(lives, looks, run, cluster) {
                        verdicts.push(Verdict {
                            account_id: account(n),
                            lineage: Some("one".into()),
                            rule_change: by_rules.then_some(Unknown),
                            ..verdict(&format!("j-{cluster}"), judged, life.created, ended)
                        });
                    }
                }
            }
            evidence.run(started, verdicts);
            evidence.add(cells);
        }
        let rows = evidence.measures(2).expect("measures").remediation;
        let day = |date: crate::time::Date| i64::from(date.days() - quarter().first().days());
        for (n, (looks, lives)) in worlds.iter().enumerate() {
            let found: Vec<_> = rows
                .iter()
                .filter(|r| r.account_id == account(n))
                .map(|r| {
                    let exposed = hours(r.exposed_since_ms - hour(0).0);
                    (r.how.clone(), day(r.opened_on), r.closed_on.map(day), exposed)
                })
                .collect();
            prop_assert_eq!(found, model(lives, looks), "{:?} {:#?}", looks, lives);
        }
    }
}
