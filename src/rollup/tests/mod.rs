//! The compliant share against hand-counted cases and against a slow model that looks at every hour;
//! [`intervals`], [`lineage_model`]: what opens and closes an interval; [`launches`]: of which runs know
//! different things; [`quarters`]: whole quarters with stated figures.

mod intervals;
mod launches;
mod lineage_model;
mod quarters;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::*;
use crate::model::datasets::{Account, Coverage, Verdict};
use crate::model::table::Dataset;
use crate::model::words::{CellOutcome, Delivery, Judgement, Source};
use crate::record::write_rows;
use crate::testkit;
use crate::time::{HOUR_MS, Quarter, UtcMillis};

/// A folder of evidence files that goes away with the test.
struct Evidence {
    dir: PathBuf,
    inputs: RollupInputs,
}

impl Evidence {
    fn new() -> Self {
        Self::of(quarter())
    }

    fn of(quarter: Quarter) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        // Characters that a careless URL or pattern would trip over.
        let name = format!("keyproof rollup [%*?] {}-{n}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("temporary folder");
        Self {
            dir,
            inputs: RollupInputs::new(quarter),
        }
    }

    fn write<D: Dataset>(&self, mut rows: Vec<D>) -> PathBuf {
        rows.sort_by(D::key_order);
        let n = std::fs::read_dir(&self.dir).expect("folder").count();
        let path = self.dir.join(format!("{}-{n}.parquet", D::NAME));
        write_rows(&path, rows.into_iter().map(Ok)).expect("encodes");
        path
    }

    /// One run of record with what it saw.
    fn run(&mut self, started: UtcMillis, verdicts: Vec<Verdict>) {
        let date = started.date();
        self.add(vec![testkit::run(started)]);
        let dated = verdicts.into_iter().map(|verdict| Verdict {
            scheduled_for: date,
            ..verdict
        });
        self.add(dated.collect::<Vec<_>>());
    }

    /// Adds a file of rows, in any order.
    fn add<D: Dataset>(&mut self, rows: Vec<D>) {
        let path = self.write(rows);
        let files = self.inputs.files_mut(D::NAME);
        files.expect("a dataset that measures read").push(path);
    }

    fn measures(&self, target_partitions: usize) -> Result<Measures, RollupError> {
        runtime().block_on(measures(&self.inputs, target_partitions))
    }

    fn rows(&self, target_partitions: usize) -> Result<Vec<CompliantShare>, RollupError> {
        Ok(self.measures(target_partitions)?.compliant_share)
    }
}

impl Drop for Evidence {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("runtime")
}

/// The row of one scope.
fn scope<'r>(rows: &'r [CompliantShare], kind: &str, scope: &str) -> &'r CompliantShare {
    rows.iter()
        .find(|row| row.scope_kind == kind && row.scope == scope)
        .unwrap_or_else(|| panic!("no scope {kind} {scope}"))
}

/// What is told of a quarter that is over.
fn finished(quarter: Quarter) -> Label {
    Label {
        quarter,
        unfinished: false,
        sealed: None,
    }
}

fn quarter() -> Quarter {
    "2026Q4".parse().expect("quarter")
}

/// Hours after the quarter's start; negative before it.
fn hour(hours: i64) -> UtcMillis {
    quarter().first().start().plus_ms(hours * HOUR_MS)
}

fn verdict(id: &str, verdict: Judgement, created: i64, ended: Option<i64>) -> Verdict {
    Verdict {
        account_id: "111111111111".parse().expect("account id"),
        created_at: Some(hour(created)),
        created_ms: Some(hour(created).0),
        ended_at: ended.map(hour),
        ended_ms: ended.map(|h| hour(h).0),
        ou_path: Some("o-a/r-a/ou-a/".into()),
        cost_center: Some("cc-1".into()),
        business_unit: Some("bu".into()),
        ..testkit::verdict(id, verdict, ended.is_none())
    }
}

fn hours(ms: i64) -> i64 {
    assert_eq!(ms % HOUR_MS, 0);
    ms / HOUR_MS
}

use Judgement::{Compliant, NoLogs, NonCompliant, Unknown};

#[test]
fn a_quarter_without_runs_is_not_applicable_and_no_error() {
    let evidence = Evidence::new();
    let rows = evidence.rows(1).expect("rows");
    assert_eq!(rows.len(), 1);
    let whole = &rows[0];
    assert_eq!(
        (whole.scope_kind.as_str(), whole.scope.as_str()),
        ("organization", "(all)")
    );
    assert_eq!((whole.days_expected, whole.runs_of_record), (92, 0));
    assert_eq!((whole.end_date, whole.cells), (None, Some(0)));
    assert!(table(&rows, Scopes::Most).contains("n/a"));
    assert!(!table(&[], Scopes::Most).is_empty());
}

#[test]
fn days_and_quarter_end_count_the_active_and_leave_no_logs_beside() {
    let mut evidence = Evidence::new();
    let fleet = |ended| {
        vec![
            verdict("j-1", Compliant, -100, None),
            verdict("j-2", NonCompliant, -100, ended),
            verdict("j-3", NoLogs, -100, None),
            Verdict {
                delivery: Delivery::Broken,
                owner: Some("ann".into()),
                ..verdict("j-4", Unknown, -100, None)
            },
        ]
    };
    evidence.run(hour(2), fleet(None));
    evidence.run(hour(26), fleet(Some(20)));
    let rows = evidence.rows(2).expect("rows");
    let whole = scope(&rows, "organization", "(all)");
    assert_eq!(whole.end_date, Some(hour(26).date()));
    assert_eq!(whole.runs_of_record, 2);
    assert_eq!(
        [
            whole.end_compliant,
            whole.end_non_compliant,
            whole.end_unknown,
            whole.end_no_logs
        ],
        [1, 0, 1, 1]
    );
    assert_eq!(
        [
            whole.days_compliant,
            whole.days_non_compliant,
            whole.days_unknown,
            whole.days_no_logs
        ],
        [2, 1, 2, 2]
    );
    assert_eq!(
        (whole.end_delivery_broken, whole.end_delivery_unknown),
        (1, 0)
    );
    assert_eq!(scope(&rows, "owner", "ann").days_unknown, 2);
    let nobody = scope(&rows, "owner", "(no owner)");
    assert_eq!((nobody.days_unknown, nobody.days_compliant), (0, 2));
    assert_eq!((nobody.cells, whole.cells), (None, Some(0)));
    assert_eq!(scope(&rows, "ou", "o-a/r-a/ou-a/").days_compliant, 2);
    assert_eq!(scope(&rows, "account", "111111111111").days_compliant, 2);
}

#[test]
fn a_verdict_holds_to_the_next_run_at_most_48_hours_and_ends_with_its_cluster() {
    let mut evidence = Evidence::new();
    // Nightly runs at 2, 26; then none until 122.
    evidence.run(
        hour(2),
        vec![
            verdict("j-1", Compliant, -100, None),
            verdict("j-2", NonCompliant, -100, None),
        ],
    );
    // j-2 ended between the runs; j-3 came and went; j-4 is new.
    evidence.run(
        hour(26),
        vec![
            verdict("j-1", Unknown, -100, None),
            verdict("j-2", NonCompliant, -100, Some(12)),
            verdict("j-3", NoLogs, 5, Some(8)),
            verdict("j-4", Compliant, 20, None),
        ],
    );
    evidence.run(
        hour(122),
        vec![
            verdict("j-1", Unknown, -100, Some(122)),
            verdict("j-4", NonCompliant, 20, Some(123)),
        ],
    );
    let rows = evidence.rows(2).expect("rows");
    let whole = scope(&rows, "organization", "(all)");
    // j-1: 2 to 26. j-4: 20 to 26 looking back, 26 to 74.
    assert_eq!(hours(whole.compliant_ms), 24 + 6 + 48);
    // j-2: 2 to 12. j-4: 122 to 123.
    assert_eq!(hours(whole.non_compliant_ms), 10 + 1);
    // j-1: 26 to 74.
    assert_eq!(hours(whole.unknown_ms), 48);
    assert_eq!(hours(whole.no_logs_ms), 3);
    // j-1: 0 to 2 and 74 to 122; j-2: 0 to 2; j-4: 74 to 122.
    assert_eq!(hours(whole.unobserved_ms), 2 + 48 + 2 + 48);
}

#[test]
fn what_lies_outside_the_quarter_does_not_count() {
    let mut evidence = Evidence::new();
    evidence.run(hour(-10), vec![verdict("j-1", Compliant, -50, None)]);
    evidence.run(hour(14), vec![verdict("j-1", Compliant, -50, Some(4))]);
    evidence.run(
        hour(92 * 24 + 2),
        vec![verdict("j-2", Unknown, 92 * 24 - 3, None)],
    );
    // Too far away to matter.
    evidence.run(hour(-200), vec![verdict("j-9", Unknown, -300, Some(-250))]);
    let rows = evidence.rows(2).expect("rows");
    let whole = scope(&rows, "organization", "(all)");
    assert_eq!(hours(whole.compliant_ms), 4);
    assert_eq!(hours(whole.unknown_ms), 3);
    assert_eq!(hours(whole.unobserved_ms), 0);
    assert_eq!(whole.runs_of_record, 1);
    assert_eq!((whole.days_compliant, whole.days_unknown), (0, 0));
}

#[test]
fn cells_are_open_unless_answered_accepted_or_locked() {
    let mut evidence = Evidence::new();
    evidence.run(hour(2), vec![]);
    let date = hour(2).date();
    let cell =
        |account: &str, region: &str, outcome, items_failed, accepted: Option<&str>| Coverage {
            scheduled_for: date,
            outcome,
            accepted_by: accepted.map(str::to_owned),
            items_failed,
            ..testkit::coverage(
                account.parse().expect("account id"),
                region.parse().expect("region"),
                Source::Keys,
            )
        };
    let (a, b) = ("111111111111", "222222222222");
    evidence.add(vec![
        cell(a, "aa", CellOutcome::Collected, None, None),
        cell(a, "ab", CellOutcome::Partial, Some(0), None),
        cell(a, "ac", CellOutcome::Partial, Some(1), None),
        cell(a, "ad", CellOutcome::Partial, None, None),
        cell(b, "aa", CellOutcome::DeniedScp, None, Some("x")),
        cell(b, "ab", CellOutcome::DeniedScp, None, None),
    ]);
    evidence.add(vec![Account {
        scheduled_for: date,
        ou_path: Some("o-a/r-a/".to_owned()),
        ..testkit::account(b.parse().expect("account id"))
    }]);
    let rows = evidence.rows(2).expect("rows");
    let cells = |kind: &str, name: &str| {
        let row = scope(&rows, kind, name);
        (row.cells, row.cells_open, row.end_cells, row.end_cells_open)
    };
    assert_eq!(
        cells("organization", "(all)"),
        (Some(6), Some(3), Some(6), Some(3))
    );
    assert_eq!(cells("account", a), (Some(4), Some(2), Some(4), Some(2)));
    assert_eq!(
        cells("ou", "o-a/r-a/"),
        (Some(2), Some(1), Some(2), Some(1))
    );
    assert_eq!(cells("ou", "(no ou)"), (Some(4), Some(2), Some(4), Some(2)));
    let shown = table(&evidence.rows(1).expect("rows"), Scopes::Most);
    assert!(
        shown.contains("Coverage 3 of 6 cells open at end"),
        "{shown}"
    );
}

#[test]
fn what_nobody_could_look_at_is_unknown_and_not_none() {
    let cell = |outcome| {
        vec![Coverage {
            scheduled_for: hour(2).date(),
            outcome,
            ..testkit::coverage(
                "111111111111".parse().expect("account id"),
                "eu-west-1".parse().expect("region"),
                Source::Clusters,
            )
        }]
    };
    let text = |outcome| {
        let mut evidence = Evidence::new();
        evidence.run(hour(2), vec![]);
        evidence.add(cell(outcome));
        let measures = evidence.measures(1).expect("measures");
        summary(&measures, &finished(quarter()), Scopes::Most)
    };
    let seen = text(CellOutcome::Empty);
    assert!(seen.contains("n/a: none active"), "{seen}");
    assert!(!seen.contains("not seen"), "{seen}");
    let dark = text(CellOutcome::DeniedTrust);
    assert!(!dark.contains("none active"), "{dark}");
    for told in [
        "Organization                   unknown",
        "Unknown  1 of 1 cells were not seen: what is there stands in no figure\n",
        "Unseen   1 of 1 cells at quarter end: what they hold is not in here\n",
    ] {
        assert!(dark.contains(told), "{told}: {dark}");
    }
}

#[test]
fn json_has_the_label_and_the_ratios() {
    let mut evidence = Evidence::new();
    evidence.run(
        hour(2),
        vec![
            verdict("j-1", Compliant, -100, None),
            verdict("j-2", NonCompliant, -100, None),
        ],
    );
    let measures = evidence.measures(1).expect("measures");
    let label = Label {
        unfinished: true,
        sealed: Some(Edition {
            edition: 2,
            chain_seq: 7,
            chain_sha256: crate::model::ids::Sha256Hex::of(b"entry"),
        }),
        ..finished(quarter())
    };
    let json: serde_json::Value = serde_json::from_str(&measures.json(&label)).expect("JSON");
    assert_eq!(json["rollup"]["quarter"], "2026Q4");
    assert_eq!(json["rollup"]["unfinished"], true);
    assert_eq!(json["rollup"]["sealed"], true);
    assert_eq!(json["rollup"]["edition"], 2);
    assert_eq!(json["rollup"]["chain_seq"], 7);
    let rows = json["compliant_share"].as_array().expect("rows");
    let whole = rows.iter().find(|row| row["scope"] == "(all)");
    let whole = whole.expect("the organization");
    assert_eq!(whole["share_at_end"], 0.5);
    assert_eq!(whole["end_compliant"], 1);
    let attempts = &json["launch_attempts"][0];
    assert!(attempts["share_blocked"].is_null());
    assert!(attempts.get("share_blocked").is_some());
}

#[test]
fn a_quarter_before_1970_needs_nothing() {
    for quarter in ["0001Q1", "1900Q1", "1970Q1"] {
        let quarter: Quarter = quarter.parse().expect("quarter");
        for (_, dates) in dates_needed(quarter) {
            assert!(dates.start <= dates.end, "{quarter}: {dates:?}");
            let runs = BTreeMap::from([(hour(2).date(), ())]);
            let _ = runs.range(dates).count();
        }
    }
}

#[test]
fn files_that_do_not_fit_together_are_refused() {
    let mut evidence = Evidence::new();
    evidence.run(hour(2), vec![verdict("j-1", Compliant, 0, None)]);
    let runs = std::mem::take(&mut evidence.inputs.run);
    let error = evidence.rows(1).expect_err("no run");
    assert!(
        matches!(
            error,
            RollupError::NoRun {
                dataset: "verdict",
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("2026-10-01"), "{error}");

    evidence.inputs.run = runs;
    let again = evidence.write(vec![testkit::run(hour(3))]);
    evidence.inputs.run.push(again);
    let error = evidence.rows(1).expect_err("two runs");
    assert!(matches!(error, RollupError::TwoRuns { .. }), "{error}");

    evidence.inputs.run.pop();
    let damaged = evidence.dir.join("damaged.parquet");
    std::fs::write(&damaged, b"PAR1 nothing of the kind PAR1").expect("write");
    evidence.inputs.verdict.push(damaged);
    let error = evidence.rows(1).expect_err("damaged");
    assert!(matches!(error, RollupError::Query(_)), "{error}");
}

#[test]
fn too_little_memory_ends_in_words() {
    let mut evidence = Evidence::new();
    let fleet = vec![verdict("j-1", Compliant, 1, None)];
    evidence.run(hour(2), fleet);
    evidence.rows(1).expect("enough memory");
    evidence.inputs.pool_bytes = 64;
    let error = evidence.rows(1).expect_err("too little memory");
    assert!(matches!(error, RollupError::Memory { .. }), "{error}");
    assert!(error.to_string().contains("runs in Athena"), "{error}");
}

#[test]
fn the_file_does_not_depend_on_the_number_of_partitions() {
    let mut evidence = Evidence::new();
    for day in 0..4 {
        let fleet = (0..1_500)
            .map(|n| {
                let judged = [Compliant, NonCompliant, Unknown, NoLogs][(n + day) % 4];
                Verdict {
                    owner: (n % 7 > 0).then(|| format!("owner {}", n % 7).into()),
                    account_id: format!("{:012}", n % 40).parse().expect("account id"),
                    ..verdict(&format!("j-{n:05}"), judged, n as i64 / 20, None)
                }
            })
            .collect();
        evidence.run(hour(day as i64 * 24 + 2), fleet);
    }
    let mut digests = Vec::new();
    for partitions in [1, 2, 8] {
        let rows = evidence.rows(partitions).expect("rows");
        let path = evidence.dir.join(format!("share-{partitions}.parquet"));
        digests.push(write_rows(&path, rows.into_iter().map(Ok)).expect("encodes"));
    }
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0], digests[2]);
    assert!(digests[0].rows > 40);
}

#[test]
fn the_table_fits_80_columns_and_shows_the_worst_first() {
    let mut evidence = Evidence::new();
    let fleet = (0..40)
        .map(|n| Verdict {
            account_id: format!("{n:012}").parse().expect("account id"),
            owner: Some(
                format!("{n:02} \u{1b}[31m a name that is far too long for its column").into(),
            ),
            ..verdict(
                "j-1",
                if n == 30 { NonCompliant } else { Compliant },
                -1,
                None,
            )
        })
        .collect();
    evidence.run(hour(2), fleet);
    let text = table(&evidence.rows(1).expect("rows"), Scopes::Most);
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }
    assert!(
        text.contains("Organization                    97.5 %       39/40"),
        "{text}"
    );
    assert!(text.contains("Account\n  000000000030"), "{text}");
    assert!(text.contains("and 28 more"), "{text}");
    let all = table(&evidence.rows(1).expect("rows"), Scopes::All);
    assert!(!all.contains(" more\n"), "{all}");
    assert!(all.contains("000000000039"), "{all}");
}

#[test]
fn the_committed_schema_page_is_the_one_that_is_generated() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    for (name, content) in schema_files() {
        let committed = std::fs::read_to_string(root.join(&name)).unwrap_or_default();
        assert!(
            committed == content,
            "schemas/{name} is stale; write it anew with `keyproof schema`"
        );
    }
}

/// A cluster of the model: hours of its life, and what each run that shows it concludes.
#[derive(Debug, Clone)]
struct Life {
    created: i64,
    ended: Option<i64>,
    judged: Vec<Option<Judgement>>,
}

const JUDGEMENTS: [Judgement; 4] = [Compliant, NonCompliant, Unknown, NoLogs];

/// Hours by verdict and unobserved hours, from looking at each hour of the quarter by itself.
fn model(starts: &[i64], life: &Life) -> (BTreeMap<&'static str, i64>, i64) {
    let (mut by_verdict, mut unobserved) = (BTreeMap::new(), 0);
    let Some(first) = life.judged.iter().position(Option::is_some) else {
        return (by_verdict, unobserved);
    };
    let last = life
        .judged
        .iter()
        .rposition(Option::is_some)
        .expect("the first is one");
    let end = 92 * 24;
    // A run reports an end only if it came before the run.
    let known_end = life.ended.filter(|&ended| ended <= starts[last]);
    let gone = known_end.unwrap_or_else(|| starts.get(last + 1).copied().unwrap_or(end));
    for hour in life.created.max(0)..end.min(gone) {
        let current = starts.iter().rposition(|&start| start <= hour);
        let next = starts.iter().position(|&start| start > hour);
        let held = current
            .filter(|&run| hour < starts[run] + 48)
            .and_then(|run| life.judged[run]);
        let looked_back = next
            .filter(|&run| run == first && hour >= starts[run] - 48)
            .filter(|&run| {
                let previous = run.checked_sub(1).map_or(starts[run] - 48, |p| starts[p]);
                life.created > previous
            })
            .and_then(|run| life.judged[run]);
        match held.or(looked_back) {
            Some(judged) => *by_verdict.entry(judged.as_str()).or_insert(0) += 1,
            None => unobserved += 1,
        }
    }
    (by_verdict, unobserved)
}

/// Runs at distinct dates near both ends of the quarter, and clusters about them.
fn world() -> impl Strategy<Value = (Vec<i64>, Vec<Life>)> {
    let days = prop_oneof![-2..8i64, 88..94i64];
    prop::collection::btree_map(days, 0..24i64, 1..9).prop_flat_map(|days| {
        let starts: Vec<i64> = days
            .into_iter()
            .map(|(day, hour)| day * 24 + hour)
            .filter(|start| (-48..92 * 24 + 48).contains(start))
            .collect();
        let runs = starts.len();
        let judged = prop::collection::vec(prop::option::weighted(0.8, 0..4usize), runs);
        let span = prop_oneof![1..20i64, 1..200i64, Just(9_999)];
        let life = (prop_oneof![-80..200i64, 2_100..2_250i64], span, judged);
        (Just(starts), prop::collection::vec(life, 20..80)).prop_map(|(starts, lives)| {
            let lives = lives
                .into_iter()
                .map(|(created, span, judged)| {
                    let ended = (span < 9_999).then_some(created + span);
                    // A run shows clusters that exist by then, and ended ones once after their end.
                    let shown = |run: usize| {
                        let over_before = run.checked_sub(1).is_some_and(|previous| {
                            ended.is_some_and(|ended| ended <= starts[previous])
                        });
                        created <= starts[run] && !over_before
                    };
                    let judged = judged
                        .into_iter()
                        .enumerate()
                        .map(|(run, j)| j.filter(|_| shown(run)).map(|j| JUDGEMENTS[j]))
                        .collect();
                    Life {
                        created,
                        ended,
                        judged,
                    }
                })
                .collect();
            (starts, lives)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5, max_shrink_iters: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hours_are_those_of_the_model((starts, lives) in world()) {
        let mut evidence = Evidence::new();
        for (run, &start) in starts.iter().enumerate() {
            let rows = lives
                .iter()
                .enumerate()
                .filter_map(|(n, life)| {
                    let ended = life.ended.filter(|&ended| ended <= start);
                    life.judged[run].map(|j| Verdict {
                        account_id: account_of(n).parse().expect("account id"),
                        ..verdict("j-1", j, life.created, ended)
                    })
                })
                .collect();
            evidence.run(hour(start), rows);
        }
        // Each cluster has an account of its own, so that errors cannot cancel out.
        let rows = evidence.rows(2).expect("rows");
        for (n, life) in lives.iter().enumerate() {
            let (by_verdict, unobserved) = model(&starts, life);
            let account = account_of(n);
            let row = rows.iter().find(|r| r.scope_kind == "account" && r.scope == account);
            let Some(row) = row else {
                prop_assert!(life.judged.iter().all(Option::is_none));
                continue;
            };
            let found = [
                (Compliant, row.compliant_ms),
                (NonCompliant, row.non_compliant_ms),
                (Unknown, row.unknown_ms),
                (NoLogs, row.no_logs_ms),
            ];
            for (judged, ms) in found {
                let expected = by_verdict.get(judged.as_str()).copied().unwrap_or(0);
                prop_assert_eq!(hours(ms), expected, "{} of {:?}, runs {:?}", judged, life, starts);
            }
            prop_assert_eq!(hours(row.unobserved_ms), unobserved, "{:?}, runs {:?}", life, starts);
        }
    }
}

fn account_of(n: usize) -> String {
    format!("{n:012}")
}
