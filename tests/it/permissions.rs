//! `init --policy`: what it prints is what the templates of scripts/deploy allow, and nothing that a run
//! calls lies outside.

use std::collections::{BTreeMap, BTreeSet};

use keyproof::archive::layout;
use keyproof::collect::operation::Operation;
use keyproof::config::{Config, Layer};
use keyproof::model::ids::RunId;
use keyproof::run::{self, Named, Role, RunOptions};
use keyproof::sandbox::Options;
use keyproof::sandbox::wire::ServeOptions;
use serde_json::Value;

use crate::reader_role::{SAMPLER, SOURCE_READER, TEMPLATE, permitted};
use crate::support::{Place, never};

const ARCHIVE: &str = include_str!("../../scripts/deploy/archive.yaml");

fn config() -> Config {
    let mut layer = Layer::default();
    for (name, value) in [
        ("archive", "s3://org-evidence/keyproof"),
        (
            "archive_kms_key",
            "arn:aws:kms:eu-west-1:111122223333:key/a",
        ),
        ("signing_key", "arn:aws:kms:eu-west-1:444455556666:key/s"),
        // The templates allow what any configuration asks for.
        ("tags.owner", "owner"),
        ("sample_objects", "100"),
        ("source_reader_role_name", "keyproof-source-reader"),
    ] {
        layer.flag(name, Some(value.to_owned()));
    }
    Config::of_layer(layer).expect("configuration")
}

/// The actions of one effect in a policy.
fn printed(role: Role, named: &Named, effect: &str) -> BTreeSet<String> {
    printed_by(&config(), role, named, effect)
}

fn printed_by(config: &Config, role: Role, named: &Named, effect: &str) -> BTreeSet<String> {
    let policy = run::policy(role, config, named).expect("a policy");
    let statements = policy["Statement"].as_array().expect("statements");
    let of_effect = statements.iter().filter(|s| s["Effect"] == effect);
    let actions = of_effect.flat_map(|s| s["Action"].as_array().expect("actions"));
    let text = |action: &Value| action.as_str().expect("an action").to_owned();
    actions.map(text).collect()
}

/// A resource of the template, as its lines.
fn resource(name: &str) -> String {
    let from = ARCHIVE.find(&format!("\n  {name}:\n")).expect("a resource");
    let lines = ARCHIVE[from + 1..].lines();
    let (first, below) = (lines.clone().take(1), lines.skip(1));
    let is_inside = |line: &&str| line.is_empty() || line.starts_with("   ");
    let all: Vec<&str> = first.chain(below.take_while(is_inside)).collect();
    all.join("\n")
}

fn allowed(resources: &[&str]) -> BTreeSet<String> {
    let all = resources
        .iter()
        .map(|name| permitted(&resource(name), "Allow"));
    all.flatten().collect()
}

#[test]
fn policies_and_templates_agree() {
    let plain = Named::default();
    for effect in ["Allow", "Deny"] {
        assert_eq!(
            printed(Role::Reader, &plain, effect),
            permitted(TEMPLATE, effect)
        );
        assert_eq!(
            printed(Role::Sampler, &plain, effect),
            permitted(SAMPLER, effect)
        );
    }
    let with_key = Named {
        keys: vec!["arn:aws:kms:eu-west-1:111122223333:key/r".to_owned()],
        ..Named::default()
    };
    let source_reader = printed(Role::SourceReader, &with_key, "Allow");
    assert_eq!(source_reader, permitted(SOURCE_READER, "Allow"));
    let collector = ["CollectorRole", "ReadPolicy", "CollectPolicy"];
    assert_eq!(
        printed(Role::Collector, &plain, "Allow"),
        allowed(&collector)
    );
    let sealer = ["SealerRole", "ReadPolicy", "SealPolicy"];
    assert_eq!(printed(Role::Sealer, &plain, "Allow"), allowed(&sealer));
}

#[test]
fn folders_of_the_archive_are_written_by_the_role_that_the_template_says() {
    for (name, folders) in [
        ("CollectPolicy", layout::OF_COLLECTOR.as_slice()),
        ("SealPolicy", layout::OF_SEALER.as_slice()),
    ] {
        let text = resource(name);
        let root = "!Sub \"${ArchiveBucket.Arn}/${Prefix}/";
        let written: BTreeSet<&str> = text
            .lines()
            .filter_map(|line| line.split_once(root))
            .filter_map(|(_, rest)| rest.strip_suffix("*\""))
            .collect();
        assert_eq!(written, folders.iter().copied().collect(), "{name}");
    }
}

/// The permission that a call of the archive's store or signer needs.
fn action_of(service: &str, operation: &str) -> String {
    match operation {
        "HeadObject" | "GetObject" => "s3:GetObject".to_owned(),
        "HeadBucket" | "ListObjectsV2" => "s3:ListBucket".to_owned(),
        "ListObjectVersions" => "s3:ListBucketVersions".to_owned(),
        "PutObject" => "s3:PutObject".to_owned(),
        other => match Operation::named(other) {
            Some(known) => known.iam_action().unwrap_or("none").to_owned(),
            None => format!("{service}:{other}"),
        },
    }
}

/// An organization whose archive lies on S3, and a configuration for it with these settings more.
async fn on_s3(settings: &[(&'static str, &str)]) -> (Place, Config) {
    let options = Options {
        accounts: 8,
        regions: 2,
        clusters: 4,
        days: 2,
        seed: 23,
        ..Options::default()
    };
    let place = Place::served(&options, ServeOptions::default()).await;
    let bucket = place.world.archive_bucket().name.clone();
    let (url, owner) = (
        format!("s3://{bucket}/keyproof"),
        place.world.log_archive_account().to_owned(),
    );
    let (key, signing) = (place.world.archive_key_arn(), place.world.signing_key_arn());
    let archive = [
        ("archive", url.as_str()),
        ("archive_kms_key", &key),
        ("archive_owner", &owner),
        ("archive_lock_days", "30"),
        ("signing_key", &signing),
    ];
    let config = place.config_with(&[&archive, settings].concat(), "");
    (place, config)
}

async fn audit(place: &Place, config: &Config) {
    let asked = RunOptions {
        create_archive: true,
        ..place.options()
    };
    run::audit(&place.shell(), config, &asked, never())
        .await
        .expect("sealed");
}

/// Runs on two days with an archive on S3 and these settings more, and checks that every call is allowed by
/// a policy that `init` prints for the same configuration. Gives the actions that were needed.
async fn needed(settings: &[(&'static str, &str)]) -> (BTreeSet<String>, Config) {
    let (place, config) = on_s3(settings).await;
    for day in 0..2 {
        place.at_day(day);
        audit(&place, &config).await;
    }
    let plain = Named::default();
    let of = |roles: &[Role]| -> BTreeSet<String> {
        let roles = roles.iter();
        roles
            .flat_map(|role| printed_by(&config, *role, &plain, "Allow"))
            .collect()
    };
    let mut in_accounts = of(&[Role::Reader]);
    if config.sample_objects > 0 || config.listing.is_some() {
        in_accounts.extend(of(&[Role::Sampler]));
    }
    if config.source_reader_role_name.is_some() {
        in_accounts.extend(of(&[Role::SourceReader]));
    }
    let mut of_job = of(&[Role::Collector, Role::Sealer]);
    of_job.insert("none".to_owned());
    let management = place.world.management_account();
    let mut seen = BTreeSet::new();
    for call in &place.sandbox.calls() {
        let action = action_of(&call.service, &call.operation);
        // The management account runs the job, and is looked into as well.
        let is_job = call.account == management && of_job.contains(&action);
        assert!(
            in_accounts.contains(&action) || is_job,
            "{call:?} needs {action}"
        );
        seen.insert(action);
    }
    (seen, config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_calls_nothing_that_no_policy_allows() {
    let (seen, config) = needed(&[
        ("control_events", "true"),
        ("sample_objects", "100"),
        ("list_objects", "1000"),
        ("source_reader_role_name", "keyproof-source-reader"),
    ])
    .await;
    // And the policies hold little that this run had no use for.
    for action in [
        "kms:Sign",
        "s3:PutObject",
        "sts:AssumeRole",
        "s3:ListBucketVersions",
    ] {
        assert!(seen.contains(action), "{action} was not called: {seen:?}");
    }
    let all = printed_by(&config, Role::Reader, &Named::default(), "Allow");
    let unused: Vec<&String> = all.difference(&seen).collect();
    // Only asked where ListBuckets does not tell the Region.
    assert_eq!(unused, ["s3:GetBucketLocation"], "allowed and never called");
}

/// The same of a run that asks for less: its policies allow less, and are enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_asks_for_less_needs_no_more_than_its_policies() {
    let (seen, config) = needed(&[("launches", "false")]).await;
    let plain = Named::default();
    let reader = printed_by(&config, Role::Reader, &plain, "Allow");
    assert!(
        !reader
            .iter()
            .any(|action| action.starts_with("cloudtrail:")),
        "{reader:?}"
    );
    let unused: Vec<&String> = reader.difference(&seen).collect();
    assert_eq!(unused, ["s3:GetBucketLocation"], "allowed and never called");
    let collector = run::policy(Role::Collector, &config, &plain).expect("a policy");
    let collector = collector.to_string();
    for part in ["keyproof-sampler", "keyproof-source-reader"] {
        assert!(!collector.contains(part), "{collector}");
    }
}

/// Accounts and actions of all calls so far, with how many.
fn called(place: &Place) -> BTreeMap<(String, String), u64> {
    let mut called = BTreeMap::new();
    for call in place.sandbox.calls() {
        let action = action_of(&call.service, &call.operation);
        *called.entry((call.account, action)).or_default() += call.calls;
    }
    called
}

/// A run in several processes: whoever seals asks no account that is audited, and signs with a permission
/// that the others have no use for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_calls_nothing_that_its_own_role_may_not() {
    let (place, config) = on_s3(&[("control_events", "true"), ("tags.owner", "owner")]).await;
    place.at_day(0);
    audit(&place, &config).await;
    place.at_day(1);
    let shell = place.shell();
    let id: RunId = "20261125T020000Z-7f3a".parse().expect("run id");
    let asked = RunOptions {
        run_id: Some(id.clone()),
        ..place.options()
    };
    let since = |before: &BTreeMap<(String, String), u64>| -> BTreeSet<(String, String)> {
        let more = |(what, calls): &(_, u64)| before.get(what) != Some(calls);
        let all = called(&place).into_iter().filter(more);
        all.map(|(what, _)| what).collect()
    };
    let may = |role: Role| {
        let mut actions = printed_by(&config, role, &Named::default(), "Allow");
        actions.insert("none".to_owned());
        actions
    };
    let management = place.world.management_account();

    let before = called(&place);
    run::prepare(&shell, &config, &asked, 2, never())
        .await
        .expect("prepared");
    for shard in 1..=2 {
        run::collect(&shell, &config, &asked, &id, (shard, 2), never())
            .await
            .expect("collected");
    }
    run::assess(&shell, &config, &asked, &id, never())
        .await
        .expect("judged");
    let (collector, reader) = (may(Role::Collector), may(Role::Reader));
    let collected = since(&before);
    for (account, action) in &collected {
        // The management account runs the job, and is looked into as well.
        let is_job = account == management && collector.contains(action);
        assert!(is_job || reader.contains(action), "{account} {action}");
    }
    let tags = "organizations:ListTagsForResource".to_owned();
    assert!(collected.contains(&(management.to_owned(), tags)));

    let before = called(&place);
    run::seal(&shell, &config, &id, never())
        .await
        .expect("sealed");
    let sealer = may(Role::Sealer);
    let sealed = since(&before);
    for (account, action) in &sealed {
        assert_eq!(account, management, "{action}");
        assert!(sealer.contains(action), "{action}");
    }
    let signs = (management.to_owned(), "kms:Sign".to_owned());
    assert!(sealed.contains(&signs), "{sealed:?}");
    assert!(!collector.contains("kms:Sign"));
}
