use super::*;
use crate::report::tally::{Attempts, Count};

fn summary() -> RunSummary {
    let mut tally = Tally::default();
    let counts = [
        (Judgement::Compliant, 1507, 471),
        (Judgement::NonCompliant, 318, 97),
        (Judgement::Unknown, 121, 31),
        (Judgement::NoLogs, 68, 13),
    ];
    for (verdict, all, active) in counts {
        tally.verdicts.insert(verdict, Count { all, active });
    }
    tally.postures.insert(Posture::PassiveDefault, 61);
    tally.postures.insert(Posture::PassiveAwsKey, 13);
    tally
        .unknown_for_want_of
        .insert("kms:DescribeKey".to_owned(), 27);
    RunSummary {
        run_id: "20261124T020003Z-7f3a0000".parse().expect("run id"),
        date: "2026-11-24".parse().expect("date"),
        outcome: RunOutcome::Partial,
        late: false,
        narrowed: false,
        regions_off: Vec::new(),
        tally,
        previous: None,
        expired: Vec::new(),
        account_names: Vec::new(),
        accounts: Accounts {
            listed: 400,
            collected: 398,
            excluded: 2,
            ..Accounts::default()
        },
        cells: 6_800,
        cells_open: 0,
        not_observed: NotObserved::default(),
        checks: Vec::new(),
        url: "s3://org-emr-evidence/keyproof".to_owned(),
        seq: 93,
        head: Sha256Hex::of(b"head"),
        begun_with: None,
        took_ms: 1_860_000,
        calls: 41_207,
        throttles: 82,
        busiest: None,
    }
}

#[test]
fn the_busiest_bucket_is_one_line() {
    let mut summary = summary();
    assert!(!render(&summary).contains("Quota used"));
    let lines = render(&summary).lines().count();
    summary.busiest = Some(Busiest {
        account_id: "111122223333".parse().expect("account"),
        region: "ap-southeast-1".parse().expect("Region"),
        operation: "DescribeSecurityConfiguration".to_owned(),
        percent: 100,
    });
    let text = render(&summary);
    let line = "Quota used 100 % of DescribeSecurityConfiguration, 111122223333 ap-southeast-1";
    assert!(text.lines().any(|l| l == line), "{text}");
    assert_eq!(text.lines().count(), lines + 1);
    assert!(text.lines().all(|l| l.chars().count() <= WIDTH), "{text}");
}

#[test]
fn the_first_run_has_no_column_of_changes() {
    let text = render(&summary());
    assert!(
        text.contains("Run 20261124T020003Z-7f3a0000 for 2026-11-24"),
        "{text}"
    );
    assert!(text.contains("SEALED, PARTIAL (exit 4)\n"), "{text}");
    assert!(text.contains("  COMPLIANT      1,507      471\n"), "{text}");
    assert!(
        text.contains("78.6 % = 471 / (471 + 97 + 31); NO_LOGS left out"),
        "{text}"
    );
    assert!(text.contains("27 for want of kms:DescribeKey"), "{text}");
    assert!(
        text.contains("31 min, 41,207 calls, 0.2 % throttled"),
        "{text}"
    );
    assert!(!text.contains("since"), "{text}");
}

#[test]
fn later_runs_say_what_changed() {
    let mut s = summary();
    let delta = [(Judgement::Compliant, 6), (Judgement::Unknown, -1200)].into();
    let changes = Changes {
        delta,
        new: 2,
        fixed: 5,
        ended: 3,
    };
    s.previous = Some(("2026-11-23".parse().expect("date"), changes));
    let text = render(&s);
    assert!(text.contains("since 2026-11-23"), "{text}");
    assert!(text.contains("2 new, 5 fixed, 3 ended"), "{text}");
    assert!(text.contains("-1,200; 27 for want of"), "{text}");
}

#[test]
fn what_is_unknown_is_grouped_by_what_is_missing() {
    let mut s = summary();
    let wanted = &mut s.tally.unknown_for_want_of;
    for (action, n) in [
        ("elasticmapreduce:ListSteps", 40),
        ("sts:AssumeRole", 3),
        ("owner_unknown", 2),
        ("key_not_described", 1),
    ] {
        wanted.insert(action.to_owned(), n);
    }
    s.tally.delivery_unknown_for_want_of =
        [("iam:GetAccountAuthorizationDetails".to_owned(), 1200)].into();
    let text = render(&s);
    let rows = [
        "   40 for want of elasticmapreduce:ListSteps\n",
        "\n                                  27 for want of kms:DescribeKey\n",
        "\n                                  3 for want of sts:AssumeRole\n",
        "\n                                  3 for other reasons\n",
        "Delivery         1,200 compliant unknown: 1,200 for want of",
    ];
    for row in rows {
        assert!(text.contains(row), "{row}: {text}");
    }
}

#[test]
fn what_is_amiss_with_the_archive_is_named() {
    let mut s = summary();
    let check = |(name, outcome): (&str, CheckOutcome)| ArchiveCheck {
        scheduled_for: s.date,
        check_name: name.to_owned(),
        outcome,
        required: false,
        detail: String::new(),
    };
    let all = [
        ("create_only", CheckOutcome::Fail),
        ("key_decrypt", CheckOutcome::Unknown),
        ("tls_only", CheckOutcome::Fail),
        ("versioning", CheckOutcome::Pass),
    ];
    s.checks = all.map(check).to_vec();
    for check in &mut s.checks {
        check.detail = format!("about {}", check.check_name);
    }
    let told = "Protection create_only: about create_only\n           \
                tls_only: about tls_only\n           \
                not known: key_decrypt: about key_decrypt\n           \
                `keyproof doctor` looks again and says what to do\n";
    assert!(render(&s).contains(told), "{}", render(&s));
    s.checks.extend(s.checks.clone());
    assert!(render(&s).contains("\n           and 3 more checks\n"));
    s.checks.retain(|check| check.outcome == CheckOutcome::Pass);
    assert!(!render(&s).contains("Protection"));
}

#[test]
fn of_a_folder_nothing_is_said_that_it_has_not() {
    let mut s = summary();
    s.checks = vec![ArchiveCheck {
        scheduled_for: s.date,
        check_name: NO_PROTECTION.to_owned(),
        outcome: CheckOutcome::Fail,
        required: false,
        detail: "none: a local folder".to_owned(),
    }];
    let text = render(&s);
    let told = "Protection none: a folder shows changes, and prevents none (see keyproof doctor)\n";
    assert!(text.contains(told), "{text}");
    assert!(!text.contains("fail"), "{text}");
}

#[test]
fn a_run_that_speaks_for_no_date_says_so() {
    let mut s = summary();
    assert!(!render(&s).contains("speak"));
    s.narrowed = true;
    s.regions_off = vec!["af-south-1".parse().expect("Region")];
    let text = render(&s);
    let told = "\nNarrowed   this run does not speak for 2026-11-24, and no KPI counts it: it left";
    assert!(text.contains(told), "{text}");
    assert!(
        text.contains("Regions    af-south-1: on in no account"),
        "{text}"
    );
    assert!(text.lines().all(|l| l.chars().count() <= WIDTH), "{text}");
}

#[test]
fn expired_exceptions_are_named_with_what_to_do() {
    let mut s = summary();
    let exception = |id: &str| Exception {
        scheduled_for: s.date,
        exception_id: id.to_owned(),
        kind: crate::model::words::ExceptionKind::Waiver,
        reason: String::new(),
        approver: "ciso@example.org".to_owned(),
        expires: "2026-10-06".parse().expect("date"),
        expired: true,
        accounts: String::new(),
        ous: String::new(),
        regions: String::new(),
        sources: String::new(),
        outcomes: String::new(),
        rules: String::new(),
        resources: String::new(),
        used: 0,
        outcome: None,
        severity: None,
        advice: None,
    };
    s.expired = ["a", "b", "c", "d", "e"].map(exception).into();
    let text = render(&s);
    let first =
        "Expired    a (waiver) on 2026-10-06: let ciso@example.org renew it, or remove it\n";
    assert!(text.contains(first), "{text}");
    assert!(
        text.contains("2 further exceptions; see dataset exception"),
        "{text}"
    );
}

#[test]
fn copies_that_aws_keeps_stand_beside_the_compliant() {
    let mut s = summary();
    s.tally.keep_copies = 402;
    let delta = [(Judgement::Compliant, 6)].into();
    let changes = Changes {
        delta,
        ..Changes::default()
    };
    s.previous = Some(("2026-11-23".parse().expect("date"), changes));
    let text = render(&s);
    let row = "  COMPLIANT      1,507      471   +6; of active, 402 keep AWS-side copies too\n";
    assert!(text.contains(row), "{text}");
}

#[test]
fn nothing_is_wider_than_a_terminal() {
    let mut s = summary();
    let account: AccountId = "111122223333".parse().expect("account");
    s.account_names = vec![(account.clone(), "x\u{1b}[31m".repeat(40))];
    s.tally.unknown_for_want_of.insert("y".repeat(200), 99);
    let not_seen = (0..9)
        .map(|_| (account.clone(), CellOutcome::DeniedTrust))
        .collect();
    s.accounts = Accounts {
        listed: i64::MAX,
        not_seen,
        accepted_cells: 7,
        unavailable: 3,
        not_selected: 9,
        ..Accounts::default()
    };
    s.begun_with = Some(Sha256Hex::of(b"pin"));
    for line in render(&s).lines() {
        assert!(line.chars().count() <= WIDTH, "{line}");
        assert!(!line.contains('\u{1b}'), "{line}");
    }
}

#[test]
fn attempts_and_what_nobody_saw_stand_in_one_line() {
    let mut s = summary();
    assert!(!render(&s).contains("Attempts"), "a run that did not look");
    s.tally.attempts = Attempts {
        events: 14,
        distinct: 9,
        blocked: 2,
        flagged: 3,
        unknown: 1,
        without_cluster: 0,
        without_launch: 0,
    };
    let told = "Attempts   9 launches: 2 blocked, 3 flagged, 1 unknown; 0 h not observed\n";
    assert!(render(&s).contains(told), "{}", render(&s));
    s.tally.attempts.without_launch = 2;
    s.not_observed = NotObserved {
        ms: 90 * 60_000,
        accounts: 0,
        denied_action: Some("cloudtrail:LookupEvents".to_owned()),
    };
    let text = render(&s);
    assert!(
        text.contains("; 2 h not observed\n           for want of cloudtrail:LookupEvents\n"),
        "{text}"
    );
    assert!(
        text.contains("           0 launches in no list; 2 clusters without an event\n"),
        "{text}"
    );
}

/// domain/launches.md, "Easily wrong" 4.
#[test]
fn easily_wrong_4_no_events_and_no_look_are_told_apart() {
    let mut s = summary();
    s.not_observed.ms = HOUR_MS;
    let told = "Attempts   0 launches: 0 blocked, 0 flagged, 0 unknown; 1 h not observed\n";
    assert!(render(&s).contains(told), "{}", render(&s));
    s.not_observed = NotObserved {
        accounts: 2,
        ..NotObserved::default()
    };
    let told = "0 unknown; 0 h not observed\n           2 accounts not observed at all\n";
    assert!(render(&s).contains(told), "{}", render(&s));
}

#[test]
fn an_empty_organization_has_no_share() {
    let mut s = summary();
    s.tally = Tally::default();
    assert!(render(&s).contains("not applicable"));
}

#[test]
fn nothing_seen_and_nothing_there_are_told_apart() {
    let mut s = summary();
    s.tally = Tally::default();
    (s.cells, s.cells_open) = (24, 24);
    let text = render(&s);
    assert!(
        text.contains("Compliant share  unknown: 24 of 24 cells were not seen\n"),
        "{text}"
    );
    assert!(!text.contains("not applicable"), "{text}");
}
