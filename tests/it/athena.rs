//! `scripts/deploy/athena-views.sh`, with a program in place of the AWS CLI that notes what it is asked.

use std::path::PathBuf;
use std::process::{Command, Output};

use keyproof::testkit::TempDir;

const PIN: &str = "9c1f0b7e41d29c1f0b7e41d29c1f0b7e41d29c1f0b7e41d29c1f0b7e41d29c1f";

/// Says SUCCEEDED of every statement but those that make the view `$FAIL`, and keeps a copy of each.
const AWS: &str = r#"#!/bin/sh
case "$2" in
  start-query-execution)
    for word; do case $word in file://*) file=${word#file://} ;; esac; done
    cp "$file" "$ASKED/$(basename "$file")"
    basename "$file" ;;
  get-query-execution)
    id=$4
    failed=no
    if [ -n "$FAIL" ] && grep -q "keyproof.$FAIL AS" "$ASKED/$id"; then failed=yes; fi
    case "$*" in
      *StateChangeReason*) echo "line 1:1: no such table" ;;
      *) if [ $failed = yes ]; then echo FAILED; else echo SUCCEEDED; fi ;;
    esac ;;
esac
"#;

struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let desk = Self(TempDir::new());
        std::fs::create_dir(desk.asked()).expect("a folder");
        let aws = desk.0.path().join("aws");
        std::fs::write(&aws, AWS).expect("a program");
        std::fs::set_permissions(&aws, std::fs::Permissions::from_mode(0o755)).expect("its mode");
        desk
    }

    fn asked(&self) -> PathBuf {
        self.0.path().join("asked")
    }

    fn run(&self, words: &[&str], fail: &str) -> Output {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let path = std::env::var("PATH").expect("PATH");
        let done = Command::new("sh")
            .arg(root.join("scripts/deploy/athena-views.sh"))
            .args(words)
            .env("PATH", format!("{}:{path}", self.0.path().display()))
            .env("ASKED", self.asked())
            .env("FAIL", fail)
            .output();
        done.expect("sh")
    }

    /// The statements that were asked, in order.
    fn statements(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.asked()).expect("a folder");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
        paths.sort();
        let read = |path: PathBuf| std::fs::read_to_string(path).expect("a statement");
        paths.into_iter().map(read).collect()
    }
}

#[test]
fn every_view_is_made_in_order_for_one_archive_and_one_pin() {
    let desk = Desk::new();
    let done = desk.run(&["org-emr-evidence/keyproof", PIN], "");
    assert!(done.status.success(), "{done:?}");
    let views = include_str!("../../schemas/views.sql");
    let statements = desk.statements();
    assert_eq!(statements.len(), views.matches("\nCREATE ").count());
    let all = statements.concat();
    assert!(!all.contains("{{"), "{all}");
    assert!(
        all.contains("'s3://org-emr-evidence/keyproof/chain/"),
        "{all}"
    );
    assert!(all.contains(&format!("g.sha256 = '{PIN}'")), "{all}");
    for statement in &statements {
        assert_eq!(statement.matches("CREATE ").count(), 1, "{statement}");
        assert!(!statement.contains(';'), "{statement}");
    }
    // Nothing is asked of a view before it is there.
    let place = |view: &str| {
        statements
            .iter()
            .position(|s| s.contains(&format!("VIEW {view} AS")))
    };
    assert!(place("keyproof_raw.entry") < place("keyproof.sealed_run"));
    assert!(place("keyproof.sealed_run") < place("keyproof.evidence_file"));
    assert!(place("keyproof.evidence_file") < place("keyproof.account"));
}

#[test]
fn it_stops_at_the_first_failure_and_refuses_what_is_no_address() {
    let desk = Desk::new();
    let done = desk.run(&["org-emr-evidence/keyproof", PIN], "sealed_run");
    assert!(!done.status.success());
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(
        said.contains("keyproof.sealed_run") && said.contains("no such table"),
        "{said}"
    );
    let last = desk.statements().pop().expect("a statement");
    assert!(last.contains("keyproof.sealed_run AS"), "{last}");
    for words in [
        &["org-emr-evidence/keyproof"][..],
        &["org-emr-evidence/keyproof/", PIN],
        &["s3://org-emr-evidence", PIN],
        &["a'b/keyproof", PIN],
        &["org-emr-evidence/key|proof", PIN],
        &["org-emr-evidence/keyproof", "'; DROP"],
        &["org-emr-evidence/keyproof", &PIN[1..]],
    ] {
        let desk = Desk::new();
        let done = desk.run(words, "");
        assert!(!done.status.success(), "{words:?}");
        assert!(desk.statements().is_empty(), "{words:?}");
    }
}
