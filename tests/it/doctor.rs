//! `keyproof doctor` before organizations that let it in, and before those that do not: over the real
//! wire, and without leaving anything anywhere.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use keyproof::archive::starts::Start;
use keyproof::collect::operation::{Caller, Operation};
use keyproof::config::Config;
use keyproof::report::doctor_summary::{
    Check, DoctorSummary, Line, Outcome, State, render, render_json,
};
use keyproof::run::{self, Duties, RunOptions, Shell};
use keyproof::sandbox::wire::{FaultKind, FaultRule, Faults, ServeOptions};
use keyproof::sandbox::world::organization::{Denial, ReaderRole};
use keyproof::sandbox::{Options, World, credentials};
use keyproof::time::{Clock, HOUR_MS, ShiftedClock, SystemClock};

use crate::cli_support::{Desk, Ended, SEALED, Served};
use crate::support::{Place, files_below, never};

fn small() -> Options {
    Options {
        accounts: 4,
        regions: 1,
        clusters: 2,
        days: 3,
        seed: 5,
        ..Options::default()
    }
}

/// The small organization, changed.
async fn place(change: impl FnOnce(&mut World)) -> Place {
    let mut world = World::generate(&small());
    change(&mut world);
    Place::of(world, ServeOptions::default()).await
}

/// An archive in the organization's bucket, signed by its KMS key.
fn on_s3(place: &Place, more: &[(&'static str, &str)]) -> Config {
    let archive = format!("s3://{}/keyproof", place.world.archive_bucket().name);
    let key = place.world.signing_key_arn();
    let mut settings = vec![("archive", archive.as_str()), ("signing_key", key.as_str())];
    settings.extend(more);
    place.config_with(&settings, "")
}

/// Examines, and checks that the text keeps to the terminal and nothing was left.
async fn examine_as(
    place: &Place,
    shell: &Shell,
    config: &Config,
    duties: Duties,
) -> DoctorSummary {
    let bucket = &place.world.archive_bucket().name;
    let stored = || {
        (
            place.sandbox.object_keys(bucket),
            files_below(place.dir.path()),
        )
    };
    let before = stored();
    let summary = run::doctor(shell, config, duties, &RunOptions::default(), never())
        .await
        .expect("a summary");
    assert_eq!(before, stored(), "something was written");
    for line in render(&summary).lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let json: serde_json::Value = serde_json::from_str(&render_json(&summary)).expect("JSON");
    assert_eq!(json["checks"].as_array().map(Vec::len), Some(12));
    summary
}

async fn examine(place: &Place, config: &Config) -> DoctorSummary {
    examine_as(place, &place.shell(), config, Duties::All).await
}

fn check<'a>(summary: &'a DoctorSummary, name: &str) -> &'a Check {
    let found = summary.checks.iter().find(|check| check.name == name);
    found.unwrap_or_else(|| panic!("no check {name}"))
}

/// Checks how one check ended, and that a line of it that decides so has every one of `parts`, what to
/// do included.
#[track_caller]
fn ended(summary: &DoctorSummary, name: &str, outcome: Outcome, parts: &[&str]) {
    let check = check(summary, name);
    assert_eq!(check.outcome(), outcome, "{}", render(summary));
    let decides = |line: &&Line| match outcome {
        Outcome::Pass => true,
        Outcome::Fail => line.state == State::Fail,
        Outcome::Unknown => line.state == State::Unknown,
    };
    let has = |line: &Line| {
        let said = format!(
            "{} {} {}",
            line.what,
            line.accounts.join(" "),
            line.next.as_deref().unwrap_or_default()
        );
        parts.iter().all(|part| said.contains(part))
    };
    let found = check.lines.iter().filter(decides).any(has);
    assert!(found, "no line of {name} has {parts:?}: {:#?}", check.lines);
}

/// Names of the checks that ended so.
fn names(summary: &DoctorSummary, outcome: Outcome) -> Vec<&'static str> {
    let checks = summary.checks.iter();
    let ended = checks.filter(|check| check.outcome() == outcome);
    ended.map(|check| check.name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_is_well_before_the_first_run_and_after_it() {
    let place = place(|_| {}).await;
    let config = on_s3(&place, &[]);
    let summary = examine(&place, &config).await;
    assert_eq!(summary.exit as u8, 0, "{}", render(&summary));
    ended(
        &summary,
        "roles",
        Outcome::Pass,
        &["assumed in 4 of 4 accounts"],
    );
    ended(&summary, "archive", Outcome::Pass, &["--create-archive"]);
    // Nothing was ever written there, so nobody can tell.
    let untold = |summary: &DoctorSummary| {
        let lines = &check(summary, "archive").lines;
        lines.iter().any(|l| {
            l.state == State::Untold
                && l.next
                    .as_deref()
                    .is_some_and(|n| n.contains("s3:PutObject"))
        })
    };
    assert!(untold(&summary), "{}", render(&summary));
    ended(
        &summary,
        "signer",
        Outcome::Pass,
        &["signs, key", &place.world.signing_key_arn()],
    );
    ended(&summary, "clock", Outcome::Pass, &["off AWS's"]);

    let mut options = place.options();
    options.create_archive = true;
    run::audit(&place.shell(), &config, &options, never())
        .await
        .expect("sealed");
    let summary = examine(&place, &config).await;
    assert_eq!(summary.exit as u8, 0, "{}", render(&summary));
    ended(
        &summary,
        "archive",
        Outcome::Pass,
        &["caller's role wrote entry 2"],
    );
    assert!(!untold(&summary), "{}", render(&summary));
    ended(
        &summary,
        "signer",
        Outcome::Pass,
        &["the archive is sealed with"],
    );
    ended(
        &summary,
        "schedule",
        Outcome::Pass,
        &["is the last one sealed"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_permission_of_the_reader_is_tried_and_nothing_else_is_asked() {
    let place = place(|_| {}).await;
    let config = on_s3(&place, &[]);
    let summary = examine(&place, &config).await;
    assert_eq!(summary.outcome(), Outcome::Pass, "{}", render(&summary));
    let calls = place.sandbox.calls();
    let made: BTreeSet<&str> = calls.iter().map(|call| call.operation.as_str()).collect();
    let reader = Operation::ALL
        .iter()
        .filter(|o| o.caller() == Caller::Reader);
    for operation in reader.filter(|o| **o != Operation::DescribeJob) {
        assert!(
            made.contains(format!("{operation:?}").as_str()),
            "{operation:?}: {made:?}"
        );
    }
    for write in [
        "PutObject",
        "DeleteObject",
        "CreateGrant",
        "GenerateDataKey",
        "Decrypt",
    ] {
        assert!(!made.contains(write), "{made:?}");
    }
    // One question of each kind to each account: whoever shares the quota does not notice.
    let management = place.world.management_account();
    for call in calls.iter().filter(|call| call.account != management) {
        assert!(call.calls <= 2, "{call:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_roles_are_told_with_what_to_do() {
    let place = place(|world| {
        world.accounts[1].reader = ReaderRole::Missing;
        world.accounts[2].reader = ReaderRole::NotTrusting;
        world.accounts[0].reader = ReaderRole::Missing;
    })
    .await;
    let config = place.config();
    let summary = examine(&place, &config).await;
    assert_eq!(summary.exit as u8, 1);
    assert_eq!(
        names(&summary, Outcome::Fail),
        ["roles"],
        "{}",
        render(&summary)
    );
    let ids = |n: usize| place.world.accounts[n].id.as_str();
    let parts = [
        "denied_trust) in 2 accounts",
        "reader-role.yaml",
        ids(1),
        ids(2),
    ];
    ended(&summary, "roles", Outcome::Fail, &parts);
    ended(
        &summary,
        "roles",
        Outcome::Fail,
        &["StackSets skip it", ids(0)],
    );

    // The organization decided that these are no holes.
    let gap = "[[exception]]\nid = \"known\"\nkind = \"gap\"\noutcomes = [\"denied_trust\"]\nsources = [\"regions\", \"bucket_owners\", \"trails\"]\n\
               reason = \"migration\"\napprover = \"ciso\"\nexpires = \"2027-01-01\"\n";
    let summary = examine(&place, &place.config_with(&[], gap)).await;
    assert_eq!(summary.exit as u8, 0, "{}", render(&summary));
    ended(
        &summary,
        "roles",
        Outcome::Pass,
        &["exceptions accept", ids(0), ids(1)],
    );

    let nobody = place.config_with(&[("role_name", "misspelt")], "");
    let summary = examine(&place, &nobody).await;
    ended(
        &summary,
        "roles",
        Outcome::Fail,
        &["misspelt", "needs sts:AssumeRole"],
    );
    assert_eq!(names(&summary, Outcome::Unknown), ["regions", "reading"]);
    ended(&summary, "reading", Outcome::Unknown, &["needs roles"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_permissions_are_named() {
    let place = place(|world| {
        world.accounts[1].denials = vec![Denial::SecurityAuditOnly];
        world.accounts[2].denials = vec![Denial::MissingAction("s3:ListJobs")];
    })
    .await;
    let summary = examine(&place, &place.config()).await;
    assert_eq!(
        names(&summary, Outcome::Fail),
        ["regions", "reading"],
        "{}",
        render(&summary)
    );
    let ids = |n: usize| place.world.accounts[n].id.as_str();
    let parts = ["account:ListRegions", "denied_iam", ids(1)];
    ended(&summary, "regions", Outcome::Fail, &parts);
    let parts = [
        "elasticmapreduce:ListSessions, elasticmapreduce:ListSteps, s3:ListJobs",
        ids(1),
    ];
    ended(&summary, "reading", Outcome::Fail, &parts);
    ended(
        &summary,
        "reading",
        Outcome::Fail,
        &["not allowed: s3:ListJobs; in 1 account", ids(2)],
    );
    // With listed Regions nobody needs to be told which are on.
    let region = place.world.regions[0];
    let listed = place.config_with(&[("regions", region)], "");
    let summary = examine(&place, &listed).await;
    ended(
        &summary,
        "regions",
        Outcome::Pass,
        &[region, "is on in 3 of 3 accounts"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fence_of_the_organization_is_told_from_a_missing_permission() {
    let place = place(|world| {
        let region = world.regions[0];
        world.accounts[1].denials = vec![Denial::FencedRegion(region)];
    })
    .await;
    let summary = examine(&place, &place.config()).await;
    let parts = [
        "policy of the organization",
        "elasticmapreduce:ListClusters",
        place.world.regions[0],
    ];
    ended(&summary, "reading", Outcome::Fail, &parts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_does_not_protect_fails() {
    let place = place(|world| {
        let bucket = world.archive_bucket_mut();
        bucket.versioning = false;
        bucket.object_lock = false;
        bucket.policy = None;
    })
    .await;
    let summary = examine(&place, &on_s3(&place, &[])).await;
    assert_eq!(
        names(&summary, Outcome::Fail),
        ["archive"],
        "{}",
        render(&summary)
    );
    for check in [
        "versioning",
        "object_lock",
        "create_only",
        "delete_denied",
        "tls_only",
    ] {
        ended(
            &summary,
            "archive",
            Outcome::Fail,
            &[check, "scripts/deploy/archive.yaml"],
        );
    }
    let allowed = on_s3(&place, &[("allow_unprotected", "true")]);
    assert_eq!(examine(&place, &allowed).await.exit as u8, 0);

    // What may not be asked is not known, and not passed.
    place.sandbox.set_faults(Faults {
        rules: vec![FaultRule {
            operation: Some("GetBucketVersioning".to_owned()),
            path_contains: Some(place.world.archive_bucket().name.clone()),
            ..FaultRule::every(FaultKind::Deny)
        }],
        seed: 0,
    });
    let summary = examine(&place, &allowed).await;
    assert_eq!(summary.exit as u8, 1);
    ended(
        &summary,
        "archive",
        Outcome::Unknown,
        &["versioning", "s3:GetBucketVersioning"],
    );

    let nowhere = on_s3(&place, &[("archive", "s3://no-such-bucket/keyproof")]);
    let summary = examine(&place, &nowhere).await;
    ended(&summary, "archive", Outcome::Fail, &["does not exist"]);
    ended(&summary, "schedule", Outcome::Unknown, &["needs archive"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signing_key_that_does_not_sign_fails() {
    let place = place(|_| {}).await;
    let config = on_s3(&place, &[]);
    let refuse = |code: &str| Faults {
        rules: vec![FaultRule {
            service: Some("kms".to_owned()),
            operation: Some("Sign".to_owned()),
            code: Some(code.to_owned()),
            ..FaultRule::every(FaultKind::Refuse(400))
        }],
        seed: 0,
    };
    place.sandbox.set_faults(refuse("DisabledException"));
    let summary = examine(&place, &config).await;
    assert_eq!(
        names(&summary, Outcome::Fail),
        ["signer"],
        "{}",
        render(&summary)
    );
    ended(&summary, "signer", Outcome::Fail, &["DisabledException"]);
    place.sandbox.set_faults(refuse("AccessDeniedException"));
    let summary = examine(&place, &config).await;
    ended(
        &summary,
        "signer",
        Outcome::Fail,
        &["kms:GetPublicKey and kms:Sign"],
    );
    // The role that only collects signs nothing.
    let summary = examine_as(&place, &place.shell(), &config, Duties::Collect).await;
    assert_eq!(summary.exit as u8, 0, "{}", render(&summary));
    ended(&summary, "signer", Outcome::Pass, &["--duties collect"]);

    // A key of another kind.
    let other = place.world.archive_key_arn();
    let summary = examine(&place, &on_s3(&place, &[("signing_key", &other)])).await;
    assert_eq!(check(&summary, "signer").outcome(), Outcome::Fail);

    // A key file that others may read.
    let file = place.path("key.pem");
    run::create_key(&file).expect("a key");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("mode");
    let named = file.display().to_string();
    let summary = examine(&place, &on_s3(&place, &[("signing_key", &named)])).await;
    ended(&summary, "signer", Outcome::Fail, &["0644", "chmod 600"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealer_is_asked_for_what_it_has_to_do() {
    let place = place(|_| {}).await;
    let config = on_s3(&place, &[]);
    let summary = examine_as(&place, &place.shell(), &config, Duties::Seal).await;
    assert_eq!(summary.exit as u8, 0, "{}", render(&summary));
    for name in ["organization", "roles", "regions", "reading"] {
        ended(&summary, name, Outcome::Pass, &["--duties seal"]);
    }
    ended(&summary, "signer", Outcome::Pass, &["signs"]);
    assert_eq!(place.calls("ListAccounts") + place.calls("AssumeRole"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_off_fails_by_itself() {
    let place = place(|_| {}).await;
    let at = |seconds: i64| Shell {
        clock: Arc::new(ShiftedClock::at(place.clock.now().plus_ms(seconds * 1_000))),
        ..place.shell()
    };
    for (seconds, outcome) in [
        (-55, Outcome::Pass),
        (90, Outcome::Fail),
        (-90, Outcome::Fail),
    ] {
        let summary = examine_as(&place, &at(seconds), &place.config(), Duties::All).await;
        assert_eq!(
            check(&summary, "clock").outcome(),
            outcome,
            "{}",
            render(&summary)
        );
        assert_eq!(check(&summary, "reading").outcome(), Outcome::Pass);
    }
    // AWS refuses who signs an hour ahead, and its answer tells the time all the same.
    let summary = examine_as(&place, &at(3_600), &place.config(), Duties::All).await;
    assert_eq!(
        names(&summary, Outcome::Fail),
        ["credentials", "clock"],
        "{}",
        render(&summary)
    );
    ended(&summary, "clock", Outcome::Fail, &["3600 s off", "NTP"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_leave_everything_else_unknown() {
    let place = place(|_| {}).await;
    let mut shell = place.shell();
    shell.credentials = Some(("AKIANOBODYKNOWSTHIS0".to_owned(), "nothing".to_owned()));
    let summary = examine_as(&place, &shell, &on_s3(&place, &[]), Duties::All).await;
    assert_eq!(summary.exit as u8, 1);
    ended(
        &summary,
        "credentials",
        Outcome::Fail,
        &["aws sts get-caller-identity"],
    );
    let unknown = [
        "organization",
        "roles",
        "regions",
        "reading",
        "archive",
        "signer",
        "schedule",
    ];
    assert_eq!(
        names(&summary, Outcome::Unknown),
        unknown,
        "{}",
        render(&summary)
    );
    for name in ["organization", "roles", "archive", "signer"] {
        ended(&summary, name, Outcome::Unknown, &["needs credentials"]);
    }
    ended(&summary, "schedule", Outcome::Unknown, &["needs archive"]);

    // A local archive is looked at all the same.
    let summary = examine_as(&place, &shell, &place.config(), Duties::All).await;
    ended(&summary, "archive", Outcome::Pass, &["may be written to"]);

    // A member account may not list the organization.
    let mut shell = place.shell();
    shell.credentials = Some(credentials(&place.world.accounts[3].id));
    let summary = examine_as(&place, &shell, &place.config(), Duties::All).await;
    ended(
        &summary,
        "organization",
        Outcome::Fail,
        &["allow organizations:ListAccounts"],
    );
    ended(&summary, "roles", Outcome::Unknown, &["needs organization"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_to_enter_fails_at_the_organization() {
    let place = place(|_| {}).await;
    let nobody = place.config_with(&[("ou", "ou-none-00000000")], "");
    let summary = examine(&place, &nobody).await;
    assert_eq!(
        names(&summary, Outcome::Fail),
        ["organization"],
        "{}",
        render(&summary)
    );
    ended(
        &summary,
        "organization",
        Outcome::Fail,
        &["no account was selected"],
    );
    ended(
        &summary,
        "regions",
        Outcome::Unknown,
        &["needs organization"],
    );

    let all: String = place
        .world
        .accounts
        .iter()
        .map(|a| format!("\"{}\",", a.id))
        .collect();
    let excluded = format!(
        "[[exception]]\nid = \"all\"\nkind = \"exclude\"\naccounts = [{all}]\n\
         reason = \"test\"\napprover = \"ciso\"\nexpires = \"2027-01-01\"\n"
    );
    let summary = examine(&place, &place.config_with(&[], &excluded)).await;
    ended(
        &summary,
        "organization",
        Outcome::Fail,
        &["4 accounts, 0 to be entered"],
    );
    assert_eq!(place.calls("AssumeRole"), 0);

    // One account of several, to look closer.
    let one = &place.world.accounts[1].id;
    let summary = examine(&place, &place.config_with(&[("accounts", one)], "")).await;
    assert_eq!(summary.exit as u8, 0, "{}", render(&summary));
    ended(
        &summary,
        "configuration",
        Outcome::Pass,
        &["speaks for no date"],
    );
    ended(
        &summary,
        "roles",
        Outcome::Pass,
        &["assumed in 1 of 1 account"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_accounts_have_one_line_for_each_kind_of_failure() {
    let options = Options {
        accounts: 50,
        regions: 2,
        ..small()
    };
    let place = Place::new(&options).await;
    let summary = examine(&place, &place.config()).await;
    assert_eq!(
        names(&summary, Outcome::Fail),
        ["roles", "regions", "reading"],
        "{}",
        render(&summary)
    );
    let reader = |wanted: &[ReaderRole]| {
        let accounts = place.world.accounts.iter();
        let shut = accounts.filter(|a| a.state.is_usable() && wanted.contains(&a.reader));
        shut.count()
    };
    let shut = reader(&[ReaderRole::Missing, ReaderRole::NotTrusting]);
    assert!(shut >= 4, "{shut}");
    ended(
        &summary,
        "roles",
        Outcome::Fail,
        &[&format!("denied_trust) in {shut} accounts")],
    );
    let failed = check(&summary, "roles")
        .lines
        .iter()
        .filter(|l| l.state == State::Fail);
    assert_eq!(failed.count(), 1, "{}", render(&summary));
    ended(
        &summary,
        "organization",
        Outcome::Pass,
        &["not entered for the state"],
    );
    for action in [
        "elasticmapreduce:ListSteps",
        "iam:GetAccountAuthorizationDetails",
        "cloudtrail:LookupEvents",
        "logs:DescribeLogGroups",
    ] {
        ended(&summary, "reading", Outcome::Fail, &[action]);
    }
    assert!(
        summary.throttles == 0 && summary.calls > 1_000,
        "{summary:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_not_taken_for_an_answer() {
    let place = place(|_| {}).await;
    let id = place.world.accounts[2].id.clone();
    place.sandbox.set_faults(Faults {
        rules: vec![FaultRule {
            operation: Some("ListBuckets".to_owned()),
            account: Some(id.clone()),
            ..FaultRule::every(FaultKind::ServerError)
        }],
        seed: 0,
    });
    // What is waited for passes twenty times as fast.
    let shell = Shell {
        clock: Arc::new(crate::support::Impatient(place.clock.clone())),
        ..place.shell()
    };
    let summary = examine_as(&place, &shell, &place.config(), Duties::All).await;
    assert_eq!(
        names(&summary, Outcome::Unknown),
        ["reading"],
        "{}",
        render(&summary)
    );
    ended(
        &summary,
        "reading",
        Outcome::Unknown,
        &["no answer to s3:ListAllMyBuckets", &id],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_folders_are_told() {
    let place = place(|_| {}).await;
    let path = |name: &str| place.path(name).display().to_string();
    std::fs::write(place.path("file"), "mine").expect("file");
    let open = place.path("open");
    std::fs::create_dir(&open).expect("folder");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).expect("mode");
    for (setting, folder, parts) in [
        (
            "work_dir",
            "file/work",
            &["work folder", "is not a folder"][..],
        ),
        (
            "work_dir",
            "open",
            &["may be changed by others (mode 0777)", "chmod 700"],
        ),
        ("state_dir", "file", &["state folder", "is not a folder"]),
        ("state_dir", "open", &["may be changed by others"]),
    ] {
        let config = place.config_with(&[(setting, &path(folder))], "");
        let summary = examine(&place, &config).await;
        assert_eq!(
            names(&summary, Outcome::Fail),
            ["machine"],
            "{}",
            render(&summary)
        );
        ended(&summary, "machine", Outcome::Fail, parts);
    }

    // Memory that somebody garbled, or that speaks of another archive.
    place.audit().await;
    let summary = examine(&place, &place.config()).await;
    assert_eq!(summary.exit as u8, 0, "{}", render(&summary));
    let memory = files_below(&place.path("state")).pop().expect("a memory");
    let said = std::fs::read_to_string(&memory).expect("read");
    std::fs::write(&memory, "{}").expect("write");
    let summary = examine(&place, &place.config()).await;
    ended(
        &summary,
        "machine",
        Outcome::Fail,
        &["state file", "cannot be read"],
    );
    let sha256 = said
        .split("\"genesis_sha256\": \"")
        .nth(1)
        .expect("a digest");
    let other = said.replace(&sha256[..64], &"0".repeat(64));
    std::fs::write(&memory, other).expect("write");
    let summary = examine(&place, &place.config()).await;
    ended(
        &summary,
        "machine",
        Outcome::Fail,
        &["is not the archive that this machine remembers"],
    );
}

/// What the program says, with one space between words wherever its lines break.
#[track_caller]
fn doctor(desk: &Desk, line: &str) -> Ended {
    let mut ended = desk.changes_nothing(line);
    if !line.ends_with("json") {
        ended.out = ended.out.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    ended
}

#[test]
fn a_person_reads_what_to_do_before_a_local_archive_of_one_account() {
    let desk = Desk::new();
    let ready = doctor(&desk, "doctor --single-account --archive archive");
    ready.says(0, &["READY", "the first run makes", "nothing was written"]);
    desk.line("run --single-account --archive archive")
        .says(0, &["SEALED"]);
    let ready = doctor(
        &desk,
        "doctor --single-account --archive archive --format json",
    );
    let json: serde_json::Value = serde_json::from_str(&ready.out).expect("JSON");
    assert_eq!(
        (json["outcome"].as_str(), json["exit"].as_i64()),
        (Some("pass"), Some(0))
    );
    // The same archive is about one account and no organization.
    let other = doctor(&desk, "doctor --archive archive");
    other.says(1, &["begun for scope"]);

    let desk = Desk::new();
    doctor(&desk, "doctor --archive archive").says(0, &["READY", "4 of 4 accounts"]);
    let foreign = desk.write("notes/readme.txt", "mine");
    let said = doctor(&desk, "doctor --archive notes");
    said.says(1, &["not an archive of", "could not tell"]);
    assert!(foreign.exists());
}

#[test]
fn a_configuration_that_cannot_be_used_is_told_first() {
    let desk = Desk::new();
    let said = doctor(&desk, "doctor --archive http://x");
    said.says(
        2,
        &[
            "1 FAILED, 11 NOT KNOWN (exit 2)",
            "flag --archive",
            "needs configuration",
        ],
    );
    let said = doctor(
        &desk,
        "doctor --archive s3://some-bucket/x --account-list none",
    );
    said.says(2, &["account list none", "needs --signing-key"]);
    let said = doctor(
        &desk,
        "doctor --archive archive --signing-key archive/key.pem",
    );
    said.says(2, &["lies inside the archive", "needs configuration"]);
    doctor(&desk, "doctor --duties none").fails(2, &["none"]);
    desk.changes_nothing("completions bash")
        .says(0, &["keyproof__subcmd__doctor"]);
}

#[test]
fn no_credentials_at_all_and_nobody_who_answers() {
    let desk = Desk::new().without_credentials();
    let said = doctor(&desk, "doctor --archive archive");
    said.says(
        1,
        &[
            "no AWS credentials found",
            "AWS_PROFILE",
            "needs credentials",
            "needs an answer of AWS",
        ],
    );
    let desk = Desk::new().with("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let said = doctor(&desk, "doctor --archive archive");
    said.says(1, &["NOT KNOWN", "http://127.0.0.1:1"]);
}

#[test]
fn a_clock_that_is_off_is_told_to_the_person() {
    let served = Served::new(|_| {}, 90_000);
    let said = doctor(&Desk::before(&served), "doctor --archive archive");
    said.says(1, &["1 FAILED (exit 1)", "s off AWS's; 60 s are allowed"]);
}

#[test]
fn a_live_run_and_missing_dates_are_told() {
    let desk = SEALED.desk();
    let line = "doctor --single-account --archive archive";
    doctor(&desk, line).says(0, &["READY", "no run is alive"]);
    let now = SystemClock.now();
    let start = |deadline_ms: i64| Start {
        n: 2,
        run_id: "20261124T020003Z-7f3a".parse().expect("run id"),
        scheduled_for: now.date(),
        started_at: now,
        deadline_at: now.plus_ms(deadline_ms),
        head_seq: 2,
        config: serde_json::json!({}),
    };
    desk.write("archive/starts/0000000002.json", start(HOUR_MS).to_bytes());
    let said = doctor(&desk, line);
    said.says(1, &["20261124T020003Z-7f3a is alive", "--take-over"]);
    desk.write("archive/starts/0000000002.json", start(-1).to_bytes());
    doctor(&desk, line).says(0, &["no run is alive"]);
}
