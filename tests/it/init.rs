//! The first steps at a desk: `init`, `run --dry-run`, and shares of the rate that make no sense.

use keyproof::config::{Config, EXAMPLE, Layer};
use serde_json::Value;

use crate::cli_support::{Desk, SEALED};

#[test]
fn init_writes_a_configuration_that_runs_and_never_replaces_one() {
    let desk = Desk::new();
    desk.line("init")
        .says(0, &["keyproof.toml is written", "--dry-run"]);
    let written = std::fs::read_to_string(desk.path("keyproof.toml")).expect("written");
    assert_eq!(written, EXAMPLE);
    desk.changes_nothing("config")
        .says(0, &["keyproof-reader", "keyproof.toml"]);
    desk.changes_nothing("init")
        .fails(2, &["keyproof.toml is there already"]);
    desk.write("mine.toml", "");
    desk.changes_nothing("init --config mine.toml")
        .fails(2, &["mine.toml is there already"]);
    std::os::unix::fs::symlink("nowhere", desk.path("link.toml")).expect("link");
    desk.changes_nothing("init --config link.toml")
        .fails(2, &["is there already"]);
    desk.changes_nothing("init --config no/such/folder.toml")
        .fails(1, &["cannot write no/such/folder.toml"]);
    desk.line("init --config other.toml")
        .says(0, &["other.toml is written"]);
}

#[test]
fn what_stands_in_the_example_as_a_remark_is_right_as_well() {
    let bare: Vec<&str> = EXAMPLE
        .lines()
        .map(|line| {
            line.strip_prefix('#')
                .filter(|l| !l.starts_with(' '))
                .unwrap_or(line)
        })
        .filter(|line| {
            !line.starts_with("single_account") && *line != "archive = \"./keyproof-archive\""
        })
        .collect();
    let desk = Desk::new();
    let path = desk.write("keyproof.toml", bare.join("\n"));
    let (config, settings) =
        Config::load(Some(&path), std::iter::empty(), Layer::default()).expect("it resolves");
    assert_eq!(config.exceptions.len(), 1);
    assert_eq!(settings.text("tags.owner"), Some("owner"));
    assert!(
        settings
            .text("archive")
            .is_some_and(|a| a.starts_with("s3://"))
    );
    assert!(EXAMPLE.lines().all(|line| line.chars().count() <= 110));
}

#[test]
fn init_prints_policies_that_are_json_and_changes_nothing() {
    let desk = Desk::new();
    for (line, part) in [
        ("init --policy reader", "elasticmapreduce:ListSteps"),
        ("init --policy collector", "organizations:ListAccounts"),
        (
            "init --policy sampler --bucket logs-1/emr",
            "arn:aws:s3:::logs-1/emr/*",
        ),
        (
            "init --policy source-reader --bucket reports --key arn:aws:kms:eu-west-1:111122223333:key/r",
            "kms:Decrypt",
        ),
        (
            "init --policy sealer --archive s3://org-evidence/x --signing-key arn:aws:kms:eu-west-1:1:key/s",
            "kms:Sign",
        ),
    ] {
        let ended = desk.changes_nothing(line);
        ended.says(0, &[part]);
        let policy: Value = serde_json::from_str(&ended.out).expect("JSON");
        assert_eq!(policy["Version"], "2012-10-17", "{line}");
        assert_eq!(ended.err, "", "{line}");
    }
    let unnamed = desk.changes_nothing("init --policy sampler");
    unnamed.says(0, &["LOG-BUCKET"]);
    unnamed.fails(0, &["no --bucket"]);
    for (line, part) in [
        ("init --policy sealer", "--archive"),
        ("init --policy auditor", "possible values"),
        ("init --policy sampler --bucket *", "without wildcards"),
        ("init --policy sampler --bucket UPPER", "a bucket name"),
        (
            "init --policy source-reader --bucket abc --key *",
            "full ARN",
        ),
        ("init --bucket logs-1", "--policy"),
    ] {
        desk.changes_nothing(line).fails(2, &[part]);
    }
}

#[test]
fn a_dry_run_tells_and_changes_nothing() {
    let desk = Desk::new();
    let first = desk.changes_nothing("run --dry-run --archive archive");
    first.says(
        0,
        &[
            "Call plan of a run",
            "clusters are not known",
            "sts AssumeRole",
        ],
    );
    for line in first.out.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let json = desk.changes_nothing("run --dry-run --archive archive --log-format json");
    let plan: Value = serde_json::from_str(&json.out).expect("one object");
    assert_eq!(plan["basis"], Value::Null);
    assert!(plan["calls_total"].as_i64() > Some(4), "{plan}");

    let sealed = SEALED.desk();
    let tomorrow = sealed.changes_nothing("run --single-account --dry-run --archive archive");
    // The run of today is no basis for today.
    tomorrow.says(0, &["Basis      none"]);
    sealed
        .changes_nothing("run --dry-run --archive archive")
        .fails(2, &["single_account"]);
    desk.changes_nothing("run --dry-run --resume 20261124T020003Z-7f3a --archive archive")
        .fails(2, &["--resume"]);
}

#[test]
fn remembered_rates_that_cannot_be_read_are_a_warning_and_no_more() {
    let desk = Desk::new();
    let run = "run --single-account --archive archive --state-dir state";
    for (n, torn) in ["{\"version\":1,\"rat", "", "\u{0}\u{0}"]
        .iter()
        .enumerate()
    {
        desk.write("state/rates.json", torn);
        let ended = desk.line(run);
        ended.says(0, &["SEALED, COMPLETE"]);
        ended.fails(0, &["rates.json is not used", "learned afresh"]);
        // Nothing was learned: the file holds no rate any more.
        let kept = std::fs::read_to_string(desk.path("state/rates.json")).expect("a file");
        assert_eq!(kept, "{\"version\":1,\"rates\":[]}\n", "{n}");
    }
    let quiet = desk.line(run);
    quiet.says(0, &["SEALED, COMPLETE"]);
    assert!(!quiet.err.contains("rates.json"), "{}", quiet.err);
}

#[test]
fn shares_of_the_rate_and_of_the_work_that_make_no_sense_are_refused() {
    let desk = Desk::new();
    for share in ["0", "-1", "1.01", "NaN", "inf", "0.049", "lots"] {
        let line = format!("run --single-account --archive archive --quota-share={share}");
        desk.changes_nothing(&line)
            .fails(2, &["quota_share", share, "is not a number from 0.05 to 1"]);
    }
    desk.changes_nothing("run --single-account --archive archive --concurrency 0")
        .fails(2, &["concurrency", "from 1 to 1024"]);
    let collect = "collect --archive archive --run-id 20261124T020003Z-7f3a --shard";
    for shard in ["0/4", "5/4", "1/0", "0/0", "-1/4", "1", "1/4294967296"] {
        desk.changes_nothing(&format!("{collect}={shard}"))
            .fails(2, &["a shard is K/N"]);
    }
    let prepare = "prepare --archive archive --shards";
    for shards in ["0", "100"] {
        desk.changes_nothing(&format!("{prepare} {shards}"))
            .fails(2, &["1 to 99 shards"]);
    }
}
