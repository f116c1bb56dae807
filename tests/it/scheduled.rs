//! The scheduled jobs of scripts/deploy: their roles may what they must and no more, their commands are
//! the program's, and the steps that AWS Batch would distribute make one run of several processes.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output, Stdio};

use keyproof::archive::file_store::FileStore;
use keyproof::archive::shards;
use keyproof::archive::store::Store as _;
use keyproof::config::{Config, Layer};
use keyproof::error::Exit;
use keyproof::model::ids::RunId;
use keyproof::run::RunOptions;
use keyproof::sandbox::Options;
use keyproof::sandbox::wire::ServeOptions;
use keyproof::testkit::TempDir;
use serde_json::Value;
use tokio::process::Child;

use crate::reader_role::statements;
use crate::support::{Place, Sealed, never, told};

const BASE: &str = include_str!("../../scripts/deploy/job-base.yaml");
const DAILY: &str = include_str!("../../scripts/deploy/daily-job.yaml");
const BATCH: &str = include_str!("../../scripts/deploy/batch-job.yaml");
const SERVICE: &str = include_str!("../../scripts/deploy/keyproof.service");
const TIMER: &str = include_str!("../../scripts/deploy/keyproof.timer");
const CRON: &str = include_str!("../../scripts/deploy/keyproof.cron");

#[test]
fn the_roles_of_jobs_may_what_they_must() {
    let trusted = ("AssumeRolePolicyDocument", &["sts:AssumeRole"][..]);
    let allowed = |template: &str, expected: &[(&str, (&str, &[&str]))]| {
        let found = statements(template);
        assert_eq!(found.len(), template.matches("Effect:").count());
        assert!(!template.contains("NotAction") && !template.contains("ManagedPolicyArns"));
        let found: Vec<_> = found
            .into_iter()
            .filter(|s| s.sid != "Administrator")
            .collect();
        assert!(found.iter().all(|s| s.effect == "Allow"));
        let found: BTreeSet<_> = found
            .into_iter()
            .map(|s| (s.sid, s.document, s.actions))
            .collect();
        let expected: BTreeSet<_> = expected
            .iter()
            .map(|(sid, (document, actions))| {
                let actions: BTreeSet<String> = actions.iter().map(|a| (*a).to_owned()).collect();
                ((*sid).to_owned(), (*document).to_owned(), actions)
            })
            .collect();
        assert_eq!(found, expected);
    };
    let policy = "PolicyDocument";
    allowed(
        BASE,
        &[
            (
                "TheLogGroupAlone",
                (
                    "KeyPolicy",
                    &[
                        "kms:Decrypt",
                        "kms:DescribeKey",
                        "kms:Encrypt",
                        "kms:GenerateDataKey*",
                        "kms:ReEncrypt*",
                    ],
                ),
            ),
            ("Tasks", trusted),
            ("Registry", (policy, &["ecr:GetAuthorizationToken"])),
            (
                "Image",
                (policy, &["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]),
            ),
            (
                "Log",
                (policy, &["logs:CreateLogStream", "logs:PutLogEvents"]),
            ),
        ],
    );
    allowed(
        DAILY,
        &[
            ("Scheduler", trusted),
            ("Task", (policy, &["ecs:RunTask"])),
            ("Roles", (policy, &["iam:PassRole"])),
        ],
    );
    allowed(
        BATCH,
        &[
            ("StepFunctions", trusted),
            ("Submit", (policy, &["batch:SubmitJob"])),
            ("Look", (policy, &["batch:DescribeJobs"])),
            ("Stop", (policy, &["batch:TerminateJob"])),
            (
                "Hear",
                (
                    policy,
                    &["events:DescribeRule", "events:PutRule", "events:PutTargets"],
                ),
            ),
            ("Scheduler", trusted),
            ("Execution", (policy, &["states:StartExecution"])),
        ],
    );
    // What the program itself may stands in archive.yaml, for both kinds of job; none of these roles is
    // trusted by anybody but a service of AWS.
    for template in [BASE, DAILY, BATCH] {
        let trusts = |word: &str| template.matches(word).count();
        let roles = trusts("AWS::IAM::Role\n");
        assert_eq!(trusts("aws:SourceAccount:"), roles);
        let services = template
            .lines()
            .filter(|line| line.trim().starts_with("Service: "));
        assert_eq!(services.count(), roles + trusts("Service: !Sub \"logs."));
    }
    let roles: Vec<&str> = BATCH
        .lines()
        .filter_map(|line| line.trim().strip_prefix("JobRoleArn: !Ref "))
        .collect();
    let collector = "CollectorRoleArn";
    assert_eq!(roles, [collector, collector, collector, "SealerRoleArn"]);
    assert!(DAILY.contains("TaskRoleArn: !Ref CollectorRoleArn"));
}

/// The items of the lists that follow lines `key`, one list each.
fn lists(template: &str, key: &str) -> Vec<Vec<String>> {
    let mut lists: Vec<Vec<String>> = Vec::new();
    let mut inside = false;
    for line in template.lines() {
        let line = line.trim();
        if line == key {
            lists.push(Vec::new());
            inside = true;
        } else if let (true, Some(item)) = (inside, line.strip_prefix("- ")) {
            lists.last_mut().expect("begun").push(item.to_owned());
        } else {
            inside = false;
        }
    }
    lists
}

/// The commands that a template's containers are started with, by their first word.
fn commands(template: &str) -> BTreeMap<String, Vec<String>> {
    let named = lists(template, "Command:").into_iter();
    named.map(|command| (command[0].clone(), command)).collect()
}

/// The settings that a template gives to its containers, with values that fit.
fn settings(template: &str) -> Vec<(String, String)> {
    let mut settings: Vec<(String, String)> = template
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- Name: KEYPROOF_"))
        .map(|name| {
            let value = match name {
                "ARCHIVE" => "s3://org-evidence/keyproof",
                "ARCHIVE_OWNER" => "111122223333",
                "ARCHIVE_KMS_KEY" | "SIGNING_KEY" => {
                    "arn:aws:kms:us-east-1:111122223333:key/3d3d3d3d-1111-4222-8333-444444444444"
                }
                other => panic!("a value for KEYPROOF_{other}"),
            };
            (format!("KEYPROOF_{name}"), value.to_owned())
        })
        .collect();
    settings.sort();
    settings.dedup();
    settings
}

#[test]
fn the_environment_of_containers_is_the_programs() {
    let dir = TempDir::new();
    let none = dir.path().join("keyproof.toml");
    std::fs::write(&none, "").expect("write");
    for template in [DAILY, BATCH] {
        let settings = settings(template);
        assert_eq!(settings.len(), 4);
        let (config, _) = Config::load(Some(&none), settings.into_iter(), Layer::default())
            .expect("the settings resolve");
        assert_eq!(config.archive.to_string(), "s3://org-evidence/keyproof");
        assert!(config.archive_kms_key.is_some() && config.archive_owner.is_some());
        assert!(config.signing_key.is_some());
    }
}

/// The one line for CloudWatch among those of `output`; every other line of the log is JSON, too.
fn metrics(output: &Output) -> Value {
    let log = told(output);
    let lines = log.lines().map(|line| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e} in {line}"))
    });
    let mut found: Vec<Value> = lines.filter(|line| line.get("_aws").is_some()).collect();
    assert_eq!(found.len(), 1, "{log}");
    found.remove(0)
}

/// The program in `place`, with an archive of its own.
fn program(
    place: &Place,
    archive: &str,
    command: &[String],
    variables: &[(&str, String)],
) -> tokio::process::Command {
    let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
    let mut program = place.program(&arguments);
    program
        .env("KEYPROOF_ARCHIVE", archive)
        .env("KEYPROOF_REGIONS", "auto")
        .env("KEYPROOF_STATE_DIR", place.path("state"))
        .envs(variables.iter().map(|(name, value)| (*name, value)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    program
}

async fn rows(place: &Place, archive: &str, run_id: &RunId) -> BTreeMap<&'static str, Vec<String>> {
    let store = FileStore::at(&place.path(archive).display().to_string()).expect("an archive");
    Sealed::of(Box::new(store), run_id)
        .await
        .lasting_rows()
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_jobs_of_batch_make_the_rows_of_the_daily_job() {
    const SHARDS: u32 = 4;
    let place = Place::present(6, ServeOptions::default()).await;
    let run_id: RunId = "20261124T020000Z-c0de0001".parse().expect("run id");

    let mut daily = commands(DAILY).remove("run").expect("run");
    daily.extend(["--run-id".to_owned(), run_id.to_string()]);
    let one = program(&place, "one", &daily, &[]).output().await;
    let one = one.expect("it runs");
    assert_eq!(one.status.code(), Some(4), "{}", told(&one));
    let told_of_one = metrics(&one);
    assert_eq!(told_of_one["RunSealed"], 1);
    assert_eq!(told_of_one["Outcome"], "PARTIAL");

    let mut jobs = commands(BATCH);
    assert_eq!(jobs.len(), 4);
    for command in jobs.values_mut() {
        for word in command {
            match word.as_str() {
                "Ref::run_id" => *word = run_id.to_string(),
                "Ref::shards" => *word = SHARDS.to_string(),
                _ => assert!(!word.starts_with("Ref::"), "{word}"),
            }
        }
    }
    let started = |name: &str, variables: &[(&str, String)]| {
        let mut program = program(&place, "several", &jobs[name], variables);
        program.spawn().expect("it starts")
    };
    let ended = async |job: Child, code: i32| {
        let done = job.wait_with_output().await.expect("it ends");
        assert_eq!(done.status.code(), Some(code), "{}", told(&done));
        done
    };
    // The sealer alone knows the key; but preparing begins the archive here, and so needs it, too.
    let key = place.path("several-signs/key.pem").display().to_string();
    let key = [("KEYPROOF_SIGNING_KEY", key)];
    ended(started("prepare", &key), 0).await;
    let child_of_array = |index: u32| {
        let variables = [
            ("AWS_BATCH_JOB_ARRAY_INDEX", index.to_string()),
            ("AWS_BATCH_JOB_ARRAY_SIZE", SHARDS.to_string()),
        ];
        started("collect", &variables)
    };
    let side_by_side: Vec<Child> = (0..SHARDS).map(child_of_array).collect();
    for job in side_by_side {
        let done = ended(job, 0).await;
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(text.contains("COLLECTED"), "{text}");
    }
    ended(started("assess", &[]), 0).await;
    let sealed = ended(started("seal", &key), 4).await;
    let mut told_of_several = metrics(&sealed);
    for varies in ["Archive", "_aws", "timestamp"] {
        told_of_several[varies] = told_of_one[varies].clone();
    }
    assert_eq!(told_of_several, told_of_one);

    // The next day's preparing finds an archive, and needs no key any more.
    let next: Vec<String> = jobs["prepare"]
        .iter()
        .map(|word| word.replace(run_id.as_str(), "20261125T020000Z-c0de0002"))
        .collect();
    let next = program(&place, "several", &next, &[]).output().await;
    let next = next.expect("it runs");
    assert_eq!(next.status.code(), Some(0), "{}", told(&next));

    // Not the child of an array job.
    let alone = ended(started("collect", &[]), Exit::Usage as i32).await;
    assert!(told(&alone).contains("AWS_BATCH_JOB_ARRAY_INDEX"));

    let store = FileStore::at(&place.path("several").display().to_string()).expect("an archive");
    let report = crate::support::report(&store).await;
    assert!(report.passed(), "{:?}", report.failures);
    let date = report.runs[0].seal.scheduled_for;
    let (scope, _) = shards::read_scope(store.as_fetch(), &run_id, date)
        .await
        .expect("a scope");
    assert_eq!(scope.shards, SHARDS);
    let dealt: BTreeSet<_> = scope.accounts.iter().filter_map(|a| a.shard).collect();
    assert_eq!(dealt.len() as u32, SHARDS, "every process had accounts");
    let (one, several) = (
        rows(&place, "one", &run_id).await,
        rows(&place, "several", &run_id).await,
    );
    assert!(one["verdict"].len() > 10);
    for (dataset, rows) in several {
        assert_eq!(rows, one[dataset], "{dataset}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_unseen_cells_than_yesterday_are_told() {
    let place = Place::new(&Options {
        accounts: 7,
        regions: 2,
        clusters: 2,
        days: 5,
        seed: 43,
        ..Options::default()
    })
    .await;
    let mut unseen = Vec::new();
    let tags = [("tags.data_classification", "data-classification")];
    let gap = "[[exception]]\nkind = \"gap\"\nregions = [\"global\"]\nreason = \"r\"\n\
               approver = \"a\"\nexpires = \"2027-12-31\"\n";
    for (day, file) in [(0, ""), (1, ""), (2, gap), (3, gap), (4, "")] {
        place.at_day(day);
        let audited = place.audit_with(&place.config_with(&tags, file)).await;
        let metrics = audited.expect("sealed").metrics;
        assert!(metrics.may_be_of_record);
        unseen.push((metrics.unseen_cells, metrics.unseen_changed));
    }
    let changed: Vec<_> = unseen.iter().map(|(_, changed)| *changed).collect();
    let (cells, gapped) = (unseen[0].0, unseen[2].0);
    assert!(cells > gapped && gapped > 0, "{unseen:?}");
    let expected = [None, Some(false), Some(true), Some(false), Some(true)];
    assert_eq!(changed, expected, "{unseen:?}");

    // Neither a part of the scope nor a late run hides that the daily one was missed.
    let some = RunOptions {
        scheduled_for: Some(place.shell().clock.now().date().plus_days(-3)),
        ..place.options()
    };
    let config = place.config_with(&tags, "");
    let late = keyproof::run::audit(&place.shell(), &config, &some, never()).await;
    let late = late.expect("sealed").metrics;
    assert!(!late.may_be_of_record);
    let account = place.world.log_archive_account().to_owned();
    let part = [tags[0], ("accounts", account.as_str())];
    let part = place.audit_with(&place.config_with(&part, "")).await;
    let part = part.expect("sealed").metrics;
    assert_eq!((part.may_be_of_record, part.unseen_changed), (false, None));
}

/// A command line of the files for cron and systemd, without the program's path.
fn arguments_of(line: &str) -> Vec<String> {
    let (_, arguments) = line
        .split_once("/usr/local/bin/keyproof ")
        .expect("the program");
    let arguments = arguments.split(" >>").next().unwrap_or_default();
    arguments.split(' ').map(str::to_owned).collect()
}

#[test]
fn cron_begins_it_every_day() {
    let lines: Vec<&str> = CRON
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let [line] = lines[..] else {
        panic!("one line: {lines:?}");
    };
    assert!(CRON.ends_with('\n'), "cron ignores a line without its end");
    let fields: Vec<&str> = line.splitn(7, ' ').collect();
    let number = |text: &str, below: u32| text.parse::<u32>().is_ok_and(|n| n < below);
    assert!(number(fields[0], 60) && number(fields[1], 24), "{line}");
    assert_eq!(fields[2..5], ["*", "*", "*"], "every day");
    assert_eq!(fields[5], "keyproof", "the user");
    // In cron's commands a % is the end of the line.
    assert!(!line.contains('%'));
    assert!(line.contains(">>/var/lib/keyproof/run.log 2>&1"));
}

/// The values of a setting of a unit.
fn of_unit<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    let values = unit.lines().filter_map(|line| line.split_once('='));
    values
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value)
        .collect()
}

#[test]
fn systemd_takes_the_units() {
    assert_eq!(of_unit(SERVICE, "Type"), ["oneshot"]);
    assert_eq!(of_unit(TIMER, "OnCalendar"), ["*-*-* 02:15:00 UTC"]);
    let codes = [Exit::Findings as u8, Exit::Partial as u8].map(|code| code.to_string());
    assert_eq!(of_unit(SERVICE, "SuccessExitStatus"), [codes.join(" ")]);
    let verify = |change: &dyn Fn(&str) -> String| {
        let dir = TempDir::new();
        let service = change(SERVICE)
            .replace("/usr/local/bin/keyproof", env!("CARGO_BIN_EXE_keyproof"))
            .replace("User=keyproof", "User=root");
        for (name, text) in [
            ("keyproof.service", service),
            ("keyproof.timer", TIMER.to_owned()),
        ] {
            std::fs::write(dir.path().join(name), text).expect("write");
        }
        let path = |name: &str| dir.path().join(name);
        let done = Command::new("systemd-analyze")
            .arg("verify")
            .args([path("keyproof.service"), path("keyproof.timer")])
            .output();
        done.map(|output| told(&output))
    };
    match verify(&str::to_owned) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("no systemd-analyze here: the units were only read");
        }
        found => {
            // It may complain of units of this machine, and ends with 0 for settings that it ignores.
            let ours = |text: String| text.lines().any(|line| line.contains("keyproof."));
            assert!(!ours(found.expect("it runs")), "a complaint");
            let broken = verify(&|service| service.replace("UMask=", "UMsk="));
            assert!(ours(broken.expect("it runs")), "no complaint about UMsk");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_cron_and_systemd_run() {
    let place = Place::present(2, ServeOptions::default()).await;
    let file = place.path("etc.toml").display().to_string();
    std::fs::write(&file, "").expect("write");
    // What systemd makes of StateDirectory=.
    std::fs::create_dir_all(place.path("var/keyproof")).expect("folder");
    let state = place.path("var").display().to_string();
    let variables = of_unit(SERVICE, "Environment")
        .join(" ")
        .replace("%S", &state);
    let variables: Vec<(&str, String)> = variables
        .split(' ')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name, value.to_owned()))
        .collect();
    assert_eq!(variables.len(), 2);
    let exec = of_unit(SERVICE, "ExecStart");
    let [exec] = exec[..] else {
        panic!("one command: {exec:?}");
    };
    let cron = CRON.lines().last().unwrap_or_default();
    for (line, variables) in [(exec, &variables[..]), (cron, &[])] {
        let mut arguments = arguments_of(line);
        let at = arguments
            .iter()
            .position(|word| word == "/etc/keyproof/keyproof.toml");
        arguments[at.expect("the configuration")] = file.clone();
        let done = program(&place, "archive", &arguments, variables)
            .output()
            .await;
        let done = done.expect("it runs");
        assert!(
            [Some(0), Some(4)].contains(&done.status.code()),
            "{line}: {}",
            told(&done)
        );
        let json = line.contains("json");
        assert_eq!(told(&done).contains("_aws"), json, "{}", told(&done));
    }
    assert!(place.path("var/keyproof/state").is_dir());
    assert_eq!(place.report().await.runs.len(), 2);
}
