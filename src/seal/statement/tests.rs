use super::*;

fn sample() -> Statement {
    Statement {
        archive_id: ArchiveId::from_random([7; 16]),
        seq: 9,
        previous_sha256: Some(Sha256Hex::of(b"eight")),
        burnt_slots: vec![8],
        at: UtcMillis(1_795_485_603_007),
        producer: Producer {
            version: "0.1.0".to_owned(),
            binary_sha256: None,
            config_sha256: Sha256Hex::of(b"config"),
            rules_version: "1".to_owned(),
            rules_sha256: Sha256Hex::of(b"rules"),
            caller_arn: Some("arn:aws:sts::111122223333:assumed-role/a/\"b\"".to_owned()),
            lacking: Lacking {
                failed: vec!["tls_only".to_owned()],
                unknown: vec!["versioning".to_owned()],
            },
        },
        content: Content::Run(RunSeal {
            run_id: "20261124T020003Z-7f3a".parse().expect("id"),
            start_n: 7,
            scheduled_for: "2026-11-24".parse().expect("date"),
            started_at: UtcMillis(1_795_485_603_007),
            ended_at: UtcMillis(1_795_485_604_007),
            outcome: RunOutcome::Partial,
            late: false,
            full_scope: true,
            organization_id: None,
            accounts_listed: 3,
            accounts_in_scope: 2,
            accounts_answered: 1,
            cells: 9_007_199_254_740_993,
            cells_open: 1,
            clusters: 5,
            exceptions_used: vec!["x".to_owned()],
            rows: [("account".to_owned(), 3)].into(),
            died_runs: vec![DiedRun {
                start_n: 6,
                start_sha256: Sha256Hex::of(b"start"),
                run_id: None,
                reason: "the start cannot be read".to_owned(),
            }],
            clock_offset_ms: Some(-12),
        }),
        subjects: vec![Subject {
            name: "manifest/v1/x.json".to_owned(),
            sha256: Sha256Hex::of(b"manifest"),
        }],
    }
}

fn text() -> String {
    String::from_utf8(sample().to_bytes()).expect("text")
}

#[test]
fn a_statement_reads_back_as_written() {
    assert_eq!(Statement::parse(text().as_bytes()), Ok(sample()));
    assert!(!text().contains('\n'));
    assert!(text().contains("\"cells\":\"9007199254740993\""));
}

#[test]
fn what_failed_for_anybody_is_not_unknown() {
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let seen = Lacking {
        failed: names(&["tls_only"]),
        unknown: names(&["object_lock", "versioning"]),
    };
    let all = seen.with_failed(names(&["versioning", "create_only", "tls_only"]));
    assert_eq!(
        all.failed,
        names(&["create_only", "tls_only", "versioning"])
    );
    assert_eq!(all.unknown, names(&["object_lock"]));
    assert!(!all.is_nothing() && Lacking::default().is_nothing());
}

#[test]
fn other_spellings_and_hostile_values_are_refused() {
    let text = text();
    for (from, to) in [
        ("\"seq\":\"9\"", "\"seq\":\"09\""),
        ("\"seq\":\"9\"", "\"seq\":\"+9\""),
        ("\"seq\":\"9\"", "\"seq\":9"),
        ("\"seq\":\"9\"", "\"seq\":\"1\""),
        ("\"seq\":\"9\"", "\"seq\":\"0\""),
        ("\"seq\":\"9\"", "\"seq\":\"99999999999999999999\""),
        ("\"seq\":\"9\"", "\"seq\":\"9\",\"seq\":\"9\""),
        ("\"kind\":\"run\"", "\"kind\":\"rollup\""),
        ("\"late\":false", "\"late\":null"),
        ("\"late\":false", "\"late\":false,\"later\":1"),
        ("Statement/v1", "Statement/v9"),
        ("urn:keyproof:seal:v1", "urn:other:v1"),
        ("PARTIAL", "partial"),
        (".007Z", ".007+00:00"),
        ("\"subject\":[", "\"subject\": ["),
        ("a/\\\"b", "\\u0061/\\\"b"),
    ] {
        let bad = text.replacen(from, to, 1);
        assert_ne!(bad, text, "{from} stands in the sample");
        let read = Statement::parse(bad.as_bytes());
        assert!(
            matches!(read, Err(StatementError::Malformed(_))),
            "{from} -> {to}: {read:?}"
        );
    }
    for bad in ["", "null", "[]", "{}"] {
        assert!(Statement::parse(bad.as_bytes()).is_err());
    }
}

#[test]
fn newer_versions_are_named_even_with_unknown_fields() {
    let v2 = text()
        .replace("seal:v1", "seal:v2")
        .replace("\"late\"", "\"tardy\"");
    assert!(matches!(
        Statement::parse(v2.as_bytes()),
        Err(StatementError::NewerVersion(_))
    ));
    let kind = text().replace("\"kind\":\"run\"", "\"kind\":\"poem\"");
    assert!(matches!(
        Statement::parse(kind.as_bytes()),
        Err(StatementError::NewerVersion(_))
    ));
}
