//! Bad input on the command line: each says what happened, to what and what to do, ends with the
//! right code and leaves nothing half written. The good ways beside them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use keyproof::archive::local_signer::LocalSigner;
use keyproof::archive::signer::Signer as _;
use keyproof::archive::starts::Start;
use keyproof::model::ids::Sha256Hex;
use keyproof::sandbox::wire::{FaultKind, FaultRule, Faults};
use keyproof::sandbox::world::organization::ReaderRole;
use keyproof::seal::Envelope;
use keyproof::time::{Clock as _, HOUR_MS, SystemClock};
use serde_json::Value;

use crate::cli_support::{Desk, SEALED, SMALL, Served, copy};

const NOWHERE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn an_unknown_flag_or_command_is_refused() {
    let desk = Desk::new();
    let flag = desk.changes_nothing("run --role-naem x");
    flag.fails(2, &["--role-naem", "--role-name"]);
    desk.changes_nothing("rum").fails(2, &["rum", "run"]);
    desk.changes_nothing("").fails(2, &["Usage"]);
}

#[test]
fn an_unknown_setting_is_refused_with_the_near_one() {
    let desk = Desk::new();
    desk.write("keyproof.toml", "rle_name = 'x'");
    let file = desk.changes_nothing("run");
    file.fails(2, &["keyproof.toml", "'rle_name'", "'role_name'"]);
    std::fs::remove_file(desk.path("keyproof.toml")).expect("there");
    let desk = desk.with("KEYPROOF_ROLE_NAEM", "x");
    let variable = desk.changes_nothing("run");
    variable.fails(2, &["KEYPROOF_ROLE_NAEM", "'role_name'"]);
}

#[test]
fn malformed_values_name_the_flag_and_show_the_form() {
    let desk = Desk::new();
    desk.write("empty", "\n# nothing\n");
    desk.write("bad", "111122223333\n\n12345\n");
    desk.write("binary.toml", [0xff, 0xfe, 0x00]);
    desk.write("broken.toml", "archive = ");
    desk.write("huge.toml", vec![b'#'; 5_000_000]);
    for (line, parts) in [
        (
            "run --run-id ../../x",
            &["--run-id", "20261124T020003Z-7f3a"][..],
        ),
        (
            "run --scheduled-for 2026-13-01",
            &["--scheduled-for", "2026-11-24"],
        ),
        (
            "run --scheduled-for 2099-01-01",
            &["2099-01-01", "not begun", "today is"],
        ),
        ("run --deadline 3x", &["--deadline", "6h"]),
        ("run --deadline 25h", &["--deadline"]),
        ("run --concurrency 0", &["--concurrency"]),
        ("run --quota-share 7", &["--quota-share"]),
        ("run --accounts 1234", &["--accounts", "12 digits"]),
        ("run --regions EU-WEST-1", &["--regions", "EU-WEST-1"]),
        ("run --role-name a:b", &["--role-name"]),
        ("run --archive ftp://x", &["--archive", "file://", "s3://"]),
        ("run --archive s3://UPPER/x", &["UPPER", "bucket name"]),
        (
            "run --endpoint-url localhost:1",
            &["--endpoint-url", "http://"],
        ),
        ("run --fail-on worst", &["--fail-on"]),
        ("run --take-over x", &["--take-over"]),
        ("run --single-account --account-list x", &["--account-list"]),
        (
            "run --account-list none",
            &["account list none", "No such file"],
        ),
        (
            "run --account-list empty",
            &["account list empty", "names no account"],
        ),
        (
            "run --account-list bad",
            &["account list bad", "line 3", "12 digits"],
        ),
        (
            "run --account-list /dev/zero",
            &["/dev/zero", "larger than"],
        ),
        ("run --config none.toml", &["none.toml", "No such file"]),
        ("run --config binary.toml", &["binary.toml", "utf-8"]),
        (
            "run --config broken.toml",
            &["broken.toml", "not valid TOML"],
        ),
        ("run --config huge.toml", &["huge.toml", "more than"]),
        ("run --config /dev/zero", &["/dev/zero", "more than"]),
        ("verify x --pin abc", &["--pin", "SHA-256"]),
        ("verify x --level 9", &["--level"]),
        ("rollup --quarter 2026Q5", &["2026Q4"]),
        ("assess --run-id x", &["--run-id"]),
    ] {
        desk.changes_nothing(line).fails(2, parts);
    }
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let desk = Desk::new();
    let bad = std::ffi::OsStr::from_bytes(b"a\xff");
    let run = std::ffi::OsStr::new("run");
    let before = desk.listing();
    for flag in ["--archive", "--role-name", "--config", "--account-list"] {
        let ended = desk.keyproof([run, std::ffi::OsStr::new(flag), bad]);
        assert!(matches!(ended.code, Some(1 | 2)), "{ended:?}");
        assert!(!ended.err.contains("panicked"), "{ended:?}");
    }
    assert_eq!(desk.listing(), before);
}

#[test]
fn an_endpoint_that_does_not_answer_is_named_in_bounded_time() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", free.local_addr().expect("address"));
    let desk = Desk::new();
    let silent = desk.changes_nothing(&format!("run --endpoint-url {url}"));
    silent.fails(1, &[&url, "check the endpoint"]);
    assert!(silent.took < Duration::from_secs(45), "{silent:?}");
    drop(free);
    let ended = desk.changes_nothing(&format!("run --endpoint-url {url}"));
    ended.fails(1, &[&url, "refused", "check the endpoint"]);
    assert!(ended.took < Duration::from_secs(45), "{ended:?}");
}

#[test]
fn missing_credentials_say_what_to_set() {
    let desk = Desk::new().without_credentials();
    let ended = desk.changes_nothing("run");
    ended.fails(
        1,
        &["no AWS credentials", "AWS_PROFILE", "AWS_ACCESS_KEY_ID"],
    );
    let desk = desk.with("AWS_PROFILE", "nobody");
    let ended = desk.changes_nothing("run");
    ended.fails(1, &["'nobody'", "aws configure list-profiles"]);
}

#[test]
fn an_instance_metadata_service_that_hangs_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("address"));
    let desk = Desk::new()
        .without_credentials()
        .without("AWS_EC2_METADATA_DISABLED")
        .with("AWS_EC2_METADATA_SERVICE_ENDPOINT", url);
    let ended = desk.changes_nothing("run");
    ended.fails(1, &["AWS_PROFILE", "AWS_ACCESS_KEY_ID"]);
    assert!(ended.took < Duration::from_secs(60), "{ended:?}");
}

#[test]
fn another_organization_is_refused() {
    let desk = Desk::new();
    let id = &SMALL.world.organization.id;
    let desk = desk.with("KEYPROOF_ORGANIZATION_ID", "o-another0001");
    let ended = desk.changes_nothing("run --archive archive");
    ended.fails(1, &[id, "o-another0001", "nothing was looked at"]);
}

#[test]
fn an_archive_of_another_organization_is_refused() {
    let desk = Desk::new();
    desk.line("run --archive archive")
        .says(0, &["SEALED, COMPLETE"]);
    let other = Served::new(
        |world| world.organization.id = "o-another0001".to_owned(),
        0,
    );
    let desk = desk.with("AWS_ENDPOINT_URL", other.sandbox.url());
    let ended = desk.changes_nothing("run --archive archive");
    let id = &SMALL.world.organization.id;
    ended.fails(1, &["begun for organization", id, "o-another0001"]);
}

#[test]
fn a_caller_outside_of_organizations_learns_of_single_account() {
    let foreign = SMALL.key_id(&SMALL.world.foreign_account);
    let desk = Desk::new().with("AWS_ACCESS_KEY_ID", foreign);
    let ended = desk.changes_nothing("run --archive archive");
    ended.fails(
        1,
        &[
            &SMALL.world.foreign_account,
            "--single-account",
            "--account-list",
        ],
    );
}

#[test]
fn a_role_that_is_missing_in_half_of_the_accounts_makes_the_run_partial() {
    let served = Served::new(
        |world| {
            for account in world.accounts.iter_mut().skip(2) {
                account.reader = ReaderRole::Missing;
            }
        },
        0,
    );
    let desk = Desk::before(&served);
    let ended = desk.line("run --archive archive");
    let parts = [
        "SEALED, PARTIAL (exit 4)",
        "2 collected, 2 not fully seen",
        "denied_trust",
    ];
    ended.says(4, &parts);
    for account in served.world.accounts.iter().skip(2) {
        assert!(ended.out.contains(&account.id), "{}", ended.out);
    }
    // PARTIAL comes before findings.
    desk.line("run --archive archive --fail-on low")
        .says(4, &parts);
    desk.line("verify archive")
        .says(0, &["VERIFIED", "2 sealed runs"]);
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    let desk = Desk::new();
    desk.write("notes/readme.txt", "mine");
    let ended = desk.changes_nothing("run --archive notes");
    ended.fails(1, &["notes", "not an archive of ours", "empty place"]);
    desk.changes_nothing("verify notes")
        .says(5, &["empty_archive"]);
    for line in [
        "keys --archive notes",
        "rollup --archive notes --quarter 2026Q4",
    ] {
        desk.changes_nothing(line)
            .fails(1, &["no archive at", "notes"]);
    }
}

#[test]
fn a_place_that_cannot_be_written_is_told_before_anything_is_made() {
    let desk = Desk::new();
    desk.write("file", "mine");
    for (archive, parts) in [
        ("file", &["file", "is not a folder"][..]),
        ("file/archive", &["file/archive"]),
        // For root, too, there is no writing below /proc.
        (
            "/proc/keyproof/archive",
            &["/proc/keyproof/archive", "/proc", "may write to"],
        ),
    ] {
        let ended = desk.changes_nothing(&format!("run --archive {archive}"));
        ended.fails(1, parts);
    }
    let ended = desk.changes_nothing("run --archive new --signing-key file/key.pem");
    ended.fails(1, &["file"]);
    let ended = desk.changes_nothing("run --archive new --work-dir file/work");
    ended.fails(1, &["file/work"]);
    let ended = desk.changes_nothing("run --archive new --state-dir file/state");
    ended.fails(1, &["state file file/state"]);
}

#[test]
fn a_signal_ends_a_run_cleanly_though_aws_does_not_answer() {
    let served = Served::new(|_| {}, 0);
    let hang = FaultRule {
        operation: Some("ListClusters".to_owned()),
        ..FaultRule::every(FaultKind::Hang)
    };
    served.sandbox.set_faults(Faults {
        rules: vec![hang],
        seed: 0,
    });
    let desk = Desk::before(&served);
    let run = desk.begin("run --archive archive");
    let listed = || {
        let calls = served.sandbox.calls();
        calls.iter().any(|call| call.operation == "ListClusters")
    };
    while !listed() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let asked = Instant::now();
    run.terminate();
    run.wait()
        .fails(1, &["stopped by a signal", "nothing is sealed"]);
    assert!(
        asked.elapsed() < Duration::from_secs(30),
        "{:?}",
        asked.elapsed()
    );
    let left = desk.listing();
    assert!(
        left.iter().any(|name| name.ends_with("/end.json")),
        "{left:?}"
    );
    assert!(
        !left.iter().any(|name| name.contains("/evidence/")),
        "{left:?}"
    );
    assert!(
        !left.iter().any(|name| name.contains("/keyproof-2")),
        "{left:?}"
    );

    served.sandbox.set_faults(Faults::default());
    desk.line("run --archive archive")
        .says(0, &["SEALED, COMPLETE"]);
    desk.line("verify archive")
        .says(0, &["VERIFIED", "1 sealed run "]);
}

#[test]
fn the_configuration_in_the_readme_is_understood() {
    let readme = include_str!("../../README.md");
    let from = readme.find("archive = \"s3://").expect("an example");
    let example = readme[from..]
        .lines()
        .take_while(|l| !l.is_empty())
        .map(str::trim);
    let desk = Desk::new();
    desk.write("keyproof.toml", example.collect::<Vec<_>>().join("\n"));
    desk.changes_nothing("config")
        .says(0, &["s3://", "signing_key", "exception gap-1"]);
}

#[test]
fn an_archive_of_a_newer_version_is_refused() {
    let desk = SEALED.desk();
    let entry = |n: u32| desk.path(&format!("archive/chain/{n:010}.dsse.json"));
    let old = std::fs::read(entry(2)).expect("entry 2");
    let envelope = Envelope::parse(&old).expect("ours");
    let payload = String::from_utf8(envelope.payload.clone()).expect("text");
    let key = LocalSigner::load(&desk.path("archive.signing-key.pem")).expect("key");
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let sealed = |payload: &str| {
        let payload = payload.as_bytes().to_vec();
        let signed = Envelope::to_sign(&payload);
        Envelope {
            signature: runtime.block_on(key.sign(&signed)).expect("signed"),
            keyid: envelope.keyid.clone(),
            payload,
        }
        .to_bytes()
    };
    let newer = payload
        .replace("urn:keyproof:seal:v1", "urn:keyproof:seal:v9")
        .replace(r#""seq":"2""#, r#""seq":"3""#);
    std::fs::write(entry(3), sealed(&newer)).expect("entry 3");
    let ended = desk.changes_nothing("run --single-account --archive archive");
    ended.fails(1, &["newer version", "entry 3"]);
    let verified = desk.changes_nothing(&format!("verify archive --pin {}", SEALED.pin));
    verified.says(5, &["newer_version", "0000000003"]);
    std::fs::remove_file(entry(3)).expect("there");

    // A manifest of a newer version, vouched for by its seal.
    let manifest = std::fs::read_dir(desk.path("archive/manifest/v1"))
        .expect("folder")
        .flat_map(|day| std::fs::read_dir(day.expect("day").path()).expect("folder"))
        .next()
        .expect("a manifest")
        .expect("entry")
        .path();
    let text = std::fs::read_to_string(&manifest).expect("text");
    let changed = text.replace(r#""version":"1"}"#, r#""version":"2"}"#);
    assert_ne!(text, changed);
    std::fs::write(&manifest, &changed).expect("write");
    let digests = [&text, &changed].map(|t| Sha256Hex::of(t.as_bytes()).to_string());
    std::fs::write(entry(2), sealed(&payload.replace(&digests[0], &digests[1]))).expect("entry 2");
    let line = format!("assess --archive archive --run-id {}", SEALED.run_id);
    desk.changes_nothing(&line)
        .fails(5, &["version '2'", "use a newer one"]);
    let verified = desk.changes_nothing(&format!("verify archive --pin {}", SEALED.pin));
    verified.says(5, &["version '2'"]);
}

#[test]
fn key_files_that_cannot_be_used_are_refused() {
    let desk = SEALED.desk();
    let key = desk.path("archive.signing-key.pem");
    let run = "run --single-account --archive archive";

    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).expect("chmod");
    desk.changes_nothing(run).fails(1, &["0644", "chmod 600"]);
    std::fs::remove_file(&key).expect("there");
    let missing = desk.changes_nothing(run);
    missing.fails(
        1,
        &[
            "archive.signing-key.pem",
            "does not exist",
            "signed this archive",
        ],
    );
    let rollup = desk.changes_nothing("rollup --archive archive --quarter 2026Q4");
    rollup.fails(1, &["archive.signing-key.pem", "does not exist"]);
    desk.write("garbage.pem", "x");
    let path = desk.path("garbage.pem");
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).expect("chmod");
    let garbage = desk.changes_nothing(&format!("{run} --signing-key garbage.pem"));
    garbage.fails(1, &["garbage.pem", "PKCS#8"]);

    desk.line("keys --create other.pem")
        .says(0, &["other.pem", "0600"]);
    let other = desk.changes_nothing(&format!("{run} --signing-key other.pem"));
    other.fails(1, &["is sealed with key", "the archive's own key"]);
    let inside = desk.changes_nothing("run --archive new --signing-key new/key.pem");
    inside.fails(2, &["new/key.pem", "inside the archive"]);
    let inside = desk.changes_nothing("run --archive new --signing-key x/../new/key.pem");
    inside.fails(2, &["inside the archive"]);
    std::os::unix::fs::symlink("archive", desk.path("link")).expect("link");
    let inside = desk.changes_nothing(&format!("{run} --signing-key link/key.pem"));
    inside.fails(2, &["inside the archive"]);
}

#[test]
fn a_key_is_created_for_its_owner_and_never_replaced() {
    let desk = Desk::new();
    desk.line("keys --create key.pem")
        .says(0, &["Created", "0600", "Key id"]);
    let made = std::fs::read(desk.path("key.pem")).expect("key");
    let mode = std::fs::metadata(desk.path("key.pem"))
        .expect("key")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    desk.changes_nothing("keys --create key.pem")
        .fails(1, &["key.pem", "never replaced"]);
    assert_eq!(std::fs::read(desk.path("key.pem")).expect("key"), made);
}

#[test]
fn a_clock_that_is_off_is_told_as_such() {
    // Minutes are refused by us, hours by AWS before.
    for shift in [2 * 60_000, 3 * HOUR_MS, -3 * HOUR_MS] {
        let served = Served::new(|_| {}, shift);
        let desk = Desk::before(&served);
        let ended = desk.changes_nothing("run --archive archive");
        ended.fails(1, &["clock is", "s off", "set the clock"]);
    }
}

/// Answers as AWS does, but for a list of accounts that never ends. Unit tests beside the code
/// (`collect::attempt`, `discover`) hold every paginator to the same.
fn endless_list(listener: &TcpListener, organization: &str) {
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { return };
        let organization = organization.to_owned();
        std::thread::spawn(move || {
            let mut request = Vec::new();
            let mut chunk = [0; 4096];
            loop {
                let text = String::from_utf8_lossy(&request).to_lowercase();
                let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                    let length = head.lines().find_map(|l| l.strip_prefix("content-length:"));
                    length.map_or(0, |l| l.trim().parse().unwrap_or(0)) <= body.len()
                });
                if whole {
                    let body = if text.contains("getcalleridentity") {
                        "<GetCallerIdentityResponse><GetCallerIdentityResult>\
                         <Arn>arn:aws:iam::111122223333:user/x</Arn><UserId>x</UserId>\
                         <Account>111122223333</Account></GetCallerIdentityResult>\
                         </GetCallerIdentityResponse>"
                            .to_owned()
                    } else if text.contains(".describeorganization") {
                        format!(
                            r#"{{"Organization":{{"Id":"{organization}","MasterAccountId":"111122223333"}}}}"#
                        )
                    } else {
                        r#"{"Accounts":[],"NextToken":"again"}"#.to_owned()
                    };
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                    request.clear();
                }
                match stream.read(&mut chunk) {
                    Ok(n) if n > 0 => request.extend(&chunk[..n]),
                    _ => return,
                }
            }
        });
    }
}

#[test]
fn a_paginator_that_repeats_ends_the_run() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    std::thread::spawn(move || endless_list(&listener, "o-exampleorg1"));
    let desk = Desk::new().with("AWS_ENDPOINT_URL", url);
    let ended = desk.changes_nothing("run --archive archive");
    ended.fails(1, &["ListAccounts", "repeats or never ends"]);
    assert!(ended.took < Duration::from_secs(60), "{ended:?}");
}

#[test]
fn a_second_run_waits_for_the_one_that_is_alive() {
    let desk = SEALED.desk();
    let now = SystemClock.now();
    let alive = "20261124T020003Z-7f3a".parse().expect("run id");
    let start = Start {
        n: 2,
        run_id: alive,
        scheduled_for: now.date(),
        started_at: now,
        deadline_at: now.plus_ms(HOUR_MS),
        head_seq: 2,
        config: serde_json::json!({}),
    };
    desk.write("archive/starts/0000000002.json", start.to_bytes());
    let run = "run --single-account --archive archive";
    let ended = desk.changes_nothing(run);
    ended.fails(
        1,
        &[
            "20261124T020003Z-7f3a",
            "has until",
            "--take-over 20261124T020003Z-7f3a",
        ],
    );
    let ended = desk.changes_nothing(&format!("{run} --take-over 20261124T020003Z-7f3b"));
    ended.fails(1, &["20261124T020003Z-7f3b", "no start"]);
    let ended = desk.line(&format!("{run} --take-over 20261124T020003Z-7f3a"));
    ended.says(0, &["SEALED, COMPLETE"]);
    desk.line("verify archive")
        .says(0, &["VERIFIED", "2 sealed runs"]);
}

#[test]
fn two_that_begin_at_once_make_one_archive_and_one_run_or_two_in_turn() {
    let desk = Desk::new();
    let run = || desk.line("run --single-account --archive archive");
    let ended: Vec<_> = std::thread::scope(|scope| {
        let started = [scope.spawn(run), scope.spawn(run), scope.spawn(run)];
        started.map(|one| one.join().expect("no panic")).into()
    });
    let sealed = ended.iter().filter(|e| e.code == Some(0)).count();
    assert!(sealed >= 1, "{ended:#?}");
    for lost in ended.iter().filter(|e| e.code != Some(0)) {
        assert_eq!(lost.code, Some(1), "{lost:#?}");
        assert!(!lost.err.contains("panicked"), "{lost:#?}");
    }
    let verified = desk.line("verify archive");
    let runs = if sealed == 1 {
        "1 sealed run ".to_owned()
    } else {
        format!("{sealed} sealed runs")
    };
    verified.says(0, &["VERIFIED", &runs]);
}

#[test]
fn a_mistyped_s3_prefix_starts_nothing() {
    let bucket = &SMALL.world.archive_bucket().name;
    let log_archive = SMALL.key_id(SMALL.world.log_archive_account());
    let desk = Desk::new().with("AWS_ACCESS_KEY_ID", log_archive);
    let before = SMALL.sandbox.object_keys(bucket);
    let line = format!("run --single-account --archive s3://{bucket}/keyprof");
    let ended = desk.changes_nothing(&line);
    ended.fails(2, &["keyprof is empty", "--create-archive"]);
    let ended = desk.changes_nothing(&format!("{line} --create-archive"));
    ended.fails(2, &["--signing-key", "KMS", "keys --create"]);
    let ended = desk.changes_nothing("run --archive s3://no-such-bucket-here/x");
    ended.fails(1, &["no-such-bucket-here", "does not exist"]);
    assert_eq!(SMALL.sandbox.object_keys(bucket), before);
}

#[test]
fn a_run_id_is_used_once() {
    let desk = SEALED.desk();
    let line = format!(
        "run --single-account --archive archive --run-id {}",
        SEALED.run_id
    );
    let ended = desk.changes_nothing(&line);
    ended.fails(1, &[&SEALED.run_id, "another --run-id"]);
}

#[test]
fn a_member_account_learns_who_may_list_the_organization() {
    let member = &SMALL.world.accounts[3].id;
    let desk = Desk::new().with("AWS_ACCESS_KEY_ID", SMALL.key_id(member));
    let ended = desk.changes_nothing("run --archive archive");
    ended.fails(1, &["management account", "delegated", "--account-list"]);
}

#[test]
fn accounts_that_nobody_lists_are_refused() {
    let desk = Desk::new();
    let ended = desk.changes_nothing("run --archive archive --accounts 123456789012");
    ended.fails(1, &["123456789012", "not listed"]);
    let everyone: Vec<&str> = SMALL.world.accounts.iter().map(|a| a.id.as_str()).collect();
    let line = format!(
        "run --archive archive --exclude-accounts {}",
        everyone.join(",")
    );
    desk.changes_nothing(&line)
        .fails(1, &["no account was selected", "--exclude-accounts"]);
}

#[test]
fn verification_needs_something_from_outside() {
    let desk = SEALED.desk();
    let pin = &SEALED.pin;
    let unpinned = desk.changes_nothing("verify archive");
    unpinned.says(5, &["UNPINNED (exit 5)", "--pin"]);
    let accepted = desk.changes_nothing("verify archive --self-consistent-only");
    accepted.says(0, &["SELF-CONSISTENT, UNPINNED"]);
    let wrong = desk.changes_nothing(&format!("verify archive --pin {NOWHERE}"));
    wrong.says(5, &["FAILED", "genesis_not_pinned", pin, "NONE"]);
    assert!(!wrong.out.contains("you gave"), "{}", wrong.out);
    assert!(!wrong.out.contains("every file is"), "{}", wrong.out);

    desk.line("keys --create other.pem");
    for (private, public) in [
        ("other.pem", "other.pub"),
        ("archive.signing-key.pem", "own.pub"),
    ] {
        let key = LocalSigner::load(&desk.path(private)).expect("key");
        desk.write(public, key.public_key().to_pem());
    }
    let other = desk.changes_nothing("verify archive --key other.pub");
    other.says(5, &["FAILED", "wrong_key", "NONE"]);
    for (file, parts) in [
        ("other.pem", &["other.pem", "PUBLIC KEY"][..]),
        ("none.pub", &["none.pub", "No such file"]),
        ("/dev/zero", &["/dev/zero"]),
    ] {
        let line = format!("verify archive --key {file}");
        desk.changes_nothing(&line).fails(2, parts);
    }
    let json = desk.changes_nothing("verify archive --format json --self-consistent-only");
    let value: Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(value["passed"], true);
    assert_eq!(value["genesis_sha256"], Value::from(pin.as_str()));
    assert_eq!(value["trust"], "unpinned");

    // What was vouched for once is remembered, and then needs no pin.
    desk.line("verify archive --key own.pub")
        .says(0, &["VERIFIED", "the one you gave"]);
    desk.line(&format!("verify archive --pin {pin}"))
        .says(0, &["VERIFIED"]);
    desk.line("verify archive")
        .says(0, &["VERIFIED", "remembers"]);
    std::fs::remove_file(desk.path("archive/chain/0000000002.dsse.json")).expect("there");
    desk.line("verify archive").says(5, &["removed_tail"]);
}

#[test]
fn what_is_asked_beyond_the_usual_must_be_shown() {
    let desk = SEALED.desk();
    let pin = &SEALED.pin;
    let usual = desk.line(&format!("verify archive --pin {pin}"));
    usual.says(
        0,
        &[
            "VERIFIED",
            "not checkable",
            "a folder does not",
            "what level 4 asks",
        ],
    );
    let insisted = desk.changes_nothing(&format!("verify archive --pin {pin} --level 5"));
    insisted.says(5, &["FAILED", "level 4 could not be checked"]);
    let dates = desk.changes_nothing("verify archive --from 2026-11-25 --to 2026-11-24");
    dates.fails(2, &["--to 2026-11-24", "--from"]);
    let before = desk.changes_nothing(&format!("verify archive --pin {pin} --from 2001-01-01"));
    before.says(5, &["before_the_beginning"]);
    let after = desk.changes_nothing(&format!("verify archive --pin {pin} --to 2999-12-31"));
    after.says(5, &["schedule_hole", "to 2999-12-31"]);

    let entry = std::fs::read(desk.path("archive/chain/0000000002.dsse.json")).expect("entry 2");
    desk.write("head", format!("2:{}\n", Sha256Hex::of(&entry)));
    desk.write("other", format!("2:{NOWHERE}"));
    desk.write("later", format!("7:{NOWHERE}"));
    desk.write("nonsense", "2");
    for (file, code, said) in [
        ("head", 0, "VERIFIED"),
        ("other", 5, "head_changed"),
        ("later", 5, "removed_tail"),
    ] {
        let line = format!("verify archive --pin {pin} --expect-head {file}");
        desk.changes_nothing(&line).says(code, &[said]);
    }
    let line = format!("verify archive --pin {pin} --expect-head nonsense");
    desk.changes_nothing(&line)
        .fails(2, &["nonsense", "SEQ:SHA256"]);
    let line = format!("verify archive --pin {pin} --copy ftp://x");
    desk.changes_nothing(&line).fails(2, &["--copy", "ftp://x"]);
    for same in ["archive", "./archive/"] {
        let line = format!("verify archive --pin {pin} --copy {same}");
        desk.changes_nothing(&line)
            .fails(2, &["the archive itself"]);
    }
    copy(&desk.path("archive"), &desk.path("elsewhere"));
    let line = format!("verify archive --pin {pin} --copy elsewhere");
    desk.changes_nothing(&line)
        .says(0, &["Level 7", "copied elsewhere says the same"]);
}

#[test]
fn no_level_calls_a_broken_archive_verified() {
    let pin = &SEALED.pin;
    for entry in ["chain/0000000001.dsse.json", "chain/0000000002.dsse.json"] {
        let desk = SEALED.desk();
        let path = desk.path("archive").join(entry);
        let mut bytes = std::fs::read(&path).expect("entry");
        bytes[100] ^= 1;
        std::fs::write(&path, bytes).expect("entry");
        for level in 1..=3 {
            for trust in ["--self-consistent-only".to_owned(), format!("--pin {pin}")] {
                let line = format!("verify archive --level {level} {trust}");
                let ended = desk.changes_nothing(&line);
                ended.says(5, &["FAILED (exit 5)", entry, "Shows      level 1 "]);
                assert!(!ended.out.contains("VERIFIED"), "{}", ended.out);
                assert!(!ended.out.contains("every "), "{}", ended.out);
            }
        }
    }
    let desk = SEALED.desk();
    desk.changes_nothing(&format!("verify archive --level 1 --pin {NOWHERE}"))
        .says(5, &["genesis_not_pinned", "NONE"]);
    desk.changes_nothing(&format!("verify archive --level 1 --pin {pin}"))
        .says(0, &["VERIFIED TO LEVEL 1", "levels 2 and 3 were not"]);
}

#[test]
fn a_memory_that_fails_is_warned_of_and_decides_nothing() {
    let desk = SEALED.desk();
    let pin = &SEALED.pin;
    // The first cannot be made, the second not even looked for.
    for folder in ["/proc/keyproof-state", "/dev/null/state"] {
        let line = format!("verify archive --pin {pin} --state-dir {folder}");
        let ended = desk.changes_nothing(&line);
        ended.says(0, &["VERIFIED", "entry 1 has the SHA-256 you gave"]);
        assert!(ended.err.contains("WARN"), "{}", ended.err);
        assert!(ended.err.contains(folder), "{}", ended.err);
        let line = format!("verify archive --pin {NOWHERE} --state-dir {folder}");
        desk.changes_nothing(&line).says(5, &["genesis_not_pinned"]);
    }
    // Where nothing else vouches, it must not pass for an archive that was never seen.
    let line = "verify archive --self-consistent-only --state-dir /dev/null/state";
    desk.changes_nothing(line).fails(1, &["/dev/null/state"]);
}

#[test]
fn a_metadata_service_that_refuses_is_no_reason_to_warn() {
    let service = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", service.local_addr().expect("address"));
    std::thread::spawn(move || {
        for stream in service.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(
                b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
    });
    let desk = Desk::new()
        .without_credentials()
        .without("AWS_EC2_METADATA_DISABLED")
        .with("AWS_EC2_METADATA_SERVICE_ENDPOINT", url);
    let ended = desk.changes_nothing("run");
    ended.fails(1, &["AWS credentials could not be obtained", "AWS_PROFILE"]);
    assert!(!ended.err.contains("WARN"), "{}", ended.err);
    assert!(!ended.err.contains("aws_config"), "{}", ended.err);
}

#[test]
fn verification_of_nothing_fails() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("empty")).expect("folder");
    desk.write("file", "x");
    desk.changes_nothing("verify empty")
        .fails(5, &["empty", "nothing is there"]);
    desk.changes_nothing("verify missing")
        .fails(5, &["missing", "nothing is there"]);
    desk.changes_nothing("verify file")
        .fails(1, &["file", "is not a folder"]);
    for line in [
        "keys --archive missing",
        "rollup --archive empty --quarter 2026Q4 --no-seal",
        "assess --archive empty --run-id 20261124T020003Z-7f3a",
    ] {
        desk.changes_nothing(line)
            .fails(1, &["no archive at", "--archive"]);
    }
}

#[test]
fn sealed_runs_can_be_looked_at() {
    let desk = SEALED.desk();
    let keys = desk.changes_nothing("keys --archive archive");
    keys.says(0, &["Pin", &SEALED.pin, "Signs", "ECDSA P-256"]);
    let unknown = desk.changes_nothing("assess --archive archive --run-id 20261124T020003Z-7f3a");
    unknown.fails(1, &["20261124T020003Z-7f3a is not sealed"]);
    let line = format!("assess --archive archive --run-id {}", SEALED.run_id);
    desk.changes_nothing(&line)
        .says(0, &["every conclusion is as sealed"]);
    // A quarter of which the archive can tell nothing would be sealed for ever.
    for nonsense in ["0001Q1", "1900Q1", "2020Q1", "2062Q4", "9999Q4"] {
        for seal in ["", " --no-seal"] {
            desk.changes_nothing(&format!(
                "rollup --archive archive --quarter {nonsense}{seal}"
            ))
            .fails(2, &["nothing may be counted", nonsense]);
        }
    }
    let quarter = SEALED.quarter();
    let none = &format!("rollup --archive archive --quarter {quarter}");
    desk.changes_nothing(&format!("{none} --check"))
        .fails(2, &["no sealed edition"]);
    let dry = desk.changes_nothing(&format!("{none} --no-seal"));
    dry.says(0, &["UNFINISHED", "Runs of record 1 of ", "Not sealed"]);
    desk.changes_nothing(&format!("{none} --no-seal --all"))
        .says(0, &["Not sealed"]);
    let json = desk.changes_nothing(&format!("{none} --no-seal --format json"));
    json.says(
        0,
        &[
            "{\"rollup\":{",
            "\"sealed\":false",
            "\"unfinished\":true",
            "\"compliant_share\":[{",
            "\"share_at_end\":",
            "\"time_to_remediate\":[{",
        ],
    );
    desk.write("prices.csv", "item,valid_from,nano_usd,unit\n");
    desk.changes_nothing(&format!("{none} --prices prices.csv"))
        .fails(2, &["prices.csv", "no price of kms_key_month"]);
    desk.changes_nothing(&format!("{none} --prices missing.csv"))
        .fails(2, &["missing.csv"]);
    desk.line(none).says(
        0,
        &["Runs of record 1 of ", "Time to remediate", "edition 1"],
    );
    desk.line(none).says(0, &["Nothing new: edition 1"]);
    desk.changes_nothing(&format!("{none} --check"))
        .says(0, &["EQUAL", "edition 1"]);
    desk.changes_nothing(&format!("{none} --check --edition 2"))
        .fails(2, &["no sealed edition 2"]);
    desk.line(&format!("verify archive --pin {}", SEALED.pin))
        .says(0, &["1 rollup"]);
    desk.change_rollup("launch_attempts");
    desk.line(none)
        .fails(5, &["launch_attempts", "was changed"]);
    desk.changes_nothing(&format!("{none} --check --edition 1"))
        .says(5, &["DIFFERENT", "launch_attempts"]);
}

#[test]
fn a_profile_is_all_that_one_account_needs() {
    let desk = Desk::new();
    let (id, secret) = keyproof::sandbox::credentials(SMALL.world.management_account());
    let desk = desk
        .without_credentials()
        .without("AWS_REGION")
        .with("AWS_PROFILE", "x");
    desk.write(
        "../home/.aws/config",
        format!(
            "[profile x]\nregion = us-east-1\nendpoint_url = {}\n",
            SMALL.sandbox.url()
        ),
    );
    desk.write(
        "../home/.aws/credentials",
        format!("[x]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n"),
    );
    let desk = desk.without("AWS_ENDPOINT_URL");
    let run = desk.line("run --single-account");
    run.says(
        0,
        &["SEALED, COMPLETE", "Accounts   1 = 1 collected", "Pin"],
    );
    let folder = std::fs::read_dir(desk.path("")).expect("folder");
    let mut made: Vec<_> = folder.map(|e| e.expect("entry").file_name()).collect();
    made.sort();
    assert_eq!(
        made,
        ["keyproof-archive", "keyproof-archive.signing-key.pem"]
    );
    desk.line("verify").says(0, &["VERIFIED", "remembers"]);
}

#[test]
fn findings_decide_the_exit_code_when_asked_to() {
    let desk = Desk::new();
    let run = desk.line("run --archive archive --fail-on high");
    run.says(3, &["SEALED, COMPLETE"]);
}

#[test]
fn messages_are_json_lines_or_nothing_on_request() {
    let desk = SEALED.desk();
    let quiet = desk.line("run --single-account --archive archive --quiet");
    quiet.says(0, &["SEALED"]);
    assert_eq!(quiet.err, "");
    let run = desk.line("run --single-account --archive archive --log-format json");
    run.says(0, &["SEALED"]);
    let failed = desk.line("run --archive archive --log-format json --signing-key none");
    assert_eq!(failed.code, Some(1), "{failed:?}");
    let config = desk.line("run --log-format json --accounts x");
    assert_eq!(config.code, Some(2), "{config:?}");
    assert!(failed.err.contains("does not exist") && config.err.contains("12 digits"));
    for line in [&run, &failed, &config]
        .into_iter()
        .flat_map(|e| e.err.lines())
    {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(value["level"].is_string(), "{line}");
    }
}

#[test]
fn settings_show_where_they_come_from_and_no_secret() {
    let desk = Desk::new().with("KEYPROOF_TAGS_OWNER", "team");
    desk.write(
        "keyproof.toml",
        "role_name = 'auditor'\nexternal_id = 'hush-hush'\n",
    );
    let config = desk.changes_nothing("config --archive elsewhere");
    let has = |words: [&str; 3]| {
        let mut lines = config.out.lines();
        lines.any(|l| words.iter().all(|w| l.contains(w)))
    };
    assert!(
        has(["archive ", "elsewhere", "flag --archive"]),
        "{}",
        config.out
    );
    assert!(
        has(["role_name", "auditor", "keyproof.toml"]),
        "{}",
        config.out
    );
    assert!(
        has(["tags.owner", "team", "KEYPROOF_TAGS_OWNER"]),
        "{}",
        config.out
    );
    assert!(has(["concurrency", "64", "default"]), "{}", config.out);
    assert!(
        has(["external_id", "(set)", "keyproof.toml"]),
        "{}",
        config.out
    );
    assert!(!config.out.contains("hush"), "{}", config.out);
}

#[test]
fn descriptions_and_completions_are_written() {
    let desk = Desk::new();
    desk.line("schema --out described")
        .says(0, &["files written", "described"]);
    let verdict = std::fs::read_to_string(desk.path("described/datasets/verdict.md"));
    assert!(verdict.expect("there").contains("account_id"));
    desk.write("file", "x");
    desk.changes_nothing("schema --out file")
        .fails(1, &["file"]);
    desk.changes_nothing("completions bash")
        .says(0, &["_keyproof()", "--scheduled-for"]);
    desk.changes_nothing("completions basic")
        .fails(2, &["basic", "bash"]);
    desk.changes_nothing("--version").says(0, &["keyproof 0."]);
    desk.changes_nothing("run --help").says(0, &["--take-over"]);
}
