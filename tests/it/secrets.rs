//! Nothing that is not allow-listed is written anywhere: journal, archive, output.
//!
//! The sandbox plants a marker in every field that AWS returns and an audit must not store. They are
//! looked for in raw bytes, in decompressed cells and in everything that the program prints.

use std::path::Path;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyproof::for_each_dataset;
use keyproof::model::table::Dataset;
use keyproof::record::{self, Journal};
use keyproof::sandbox::Options;
use keyproof::sandbox::wire::{FaultKind, FaultRule, Faults, ServeOptions};

use crate::support::{Place, Sealed, TAGS, files_below};

/// Texts that nothing may hold: planted markers, secret keys as the sandbox gives them.
const FORBIDDEN: [&str; 2] = ["PLANTED-SECRET", "not+a+secret"];

/// How the sandbox's session tokens begin: `{"account":"` in base64. A seal's `"rows":{"account":"13"`
/// reads the same where base64 happens to fall so; a token goes on with the 12 digits of an account.
const TOKEN: &[u8] = b"eyJhY2NvdW50Ijoi";

/// Whether a secret begins here: a forbidden text, an access key id (4 letters and the 12 digits of
/// an account, as the sandbox makes them; the letters alone occur in random bytes), a session token.
fn begins_secret(at: &[u8]) -> bool {
    let digits = |text: Option<&[u8]>| {
        text.is_some_and(|text| text.len() == 12 && text.iter().all(u8::is_ascii_digit))
    };
    let after = |start: &[u8], length: usize| at.strip_prefix(start)?.get(..length);
    let account = after(TOKEN, 16).and_then(|text| STANDARD.decode(text).ok());
    FORBIDDEN.iter().any(|word| at.starts_with(word.as_bytes()))
        || digits(after(b"AKIA", 12))
        || digits(after(b"ASIA", 12))
        || digits(account.as_deref())
}

/// The first secret in some bytes, and a little of what stands around it.
fn forbidden(bytes: &[u8]) -> Option<String> {
    let at = (0..bytes.len()).find(|&at| begins_secret(&bytes[at..]))?;
    let end = (at + 60).min(bytes.len());
    let from = at.saturating_sub(60);
    Some(String::from_utf8_lossy(&bytes[from..end]).into_owned())
}

fn assert_clean(what: &str, bytes: &[u8]) {
    if let Some(found) = forbidden(bytes) {
        panic!("{what} holds a secret: {found}");
    }
}

/// A whole run of the real program with every message of every library switched on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_prints_and_archives_no_secret() {
    let place = Place::present(13, ServeOptions::default()).await;
    assert!(
        place.world.planted_secrets().len() > 100,
        "secrets are planted"
    );
    let mut program = place.program(&["run", "--archive", "archive", "--external-id"]);
    program.arg(keyproof::sandbox::EXTERNAL_ID);
    for (name, value) in TAGS {
        let variable = format!("KEYPROOF_{}", name.replace('.', "_").to_uppercase());
        program.env(variable, value);
    }
    let ran = program
        .env("KEYPROOF_LOG", "trace")
        .env("RUST_LOG", "trace")
        .stdin(Stdio::null())
        .output()
        .await
        .expect("the program runs");
    let told = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(
        ran.status.code(),
        Some(4),
        "{}",
        told.lines().last().unwrap_or_default()
    );
    assert_clean("standard output", &ran.stdout);
    assert_clean("standard error", &ran.stderr);

    let files = files_below(place.dir.path());
    assert!(files.len() > 15, "{files:?}");
    for file in files {
        let bytes = std::fs::read(&file).expect("a file");
        assert_clean(&file.display().to_string(), &bytes);
    }
    let sealed = place.report().await;
    let run = &sealed.runs[0];
    archive_is_clean(&place.sealed(&run.seal.run_id).await).await;
}

/// Every cell of every dataset, decompressed.
async fn archive_is_clean(sealed: &Sealed) {
    macro_rules! every {
        ($($row:ty),+) => { $(
            for row in sealed.rows::<$row>().await {
                assert_clean(<$row>::NAME, &line(&row));
            }
        )+ };
    }
    for_each_dataset!(every);
}

fn line<D: Dataset>(row: &D) -> Vec<u8> {
    let mut line = Vec::new();
    record::canonical_line(row, &mut line);
    line
}

/// The journal of a run that could not be sealed stays in a configured work folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_of_an_unsealed_run_holds_no_secret() {
    let options = Options {
        accounts: 13,
        regions: 2,
        clusters: 3,
        days: 2,
        seed: 5,
        ..Options::default()
    };
    let place = Place::new(&options).await;
    let bucket = place.world.archive_bucket().name.clone();
    let archive = format!("s3://{bucket}/journal-test");
    let mut settings = TAGS.to_vec();
    settings.push(("archive", &archive));
    let config = place.config_with(&settings, "");
    // The evidence cannot be put: the run fails after its journal is whole.
    place.sandbox.set_faults(Faults {
        rules: vec![FaultRule {
            path_contains: Some("/evidence/".to_owned()),
            ..FaultRule::every(FaultKind::Deny)
        }],
        seed: 0,
    });
    let mut asked = place.options();
    asked.create_archive = true;
    let refused = keyproof::run::audit(&place.shell(), &config, &asked, crate::support::never())
        .await
        .expect_err("nothing is sealed");
    assert!(refused.to_string().contains("evidence/"), "{refused}");

    let work = place.path("work");
    let files = files_below(&work);
    assert!(!files.is_empty(), "the journal is left: {refused}");
    for file in &files {
        let bytes = std::fs::read(file).expect("a file");
        assert_clean(&file.display().to_string(), &bytes);
    }
    let journal = files
        .iter()
        .filter_map(|f| f.parent())
        .find(|f| f.ends_with("journal-1"))
        .expect("a journal");
    journal_is_clean(journal);
    assert_clean("the message", refused.to_string().as_bytes());
    for key in place.sandbox.object_keys(&bucket) {
        let bytes = place.sandbox.object(&bucket, &key).expect("an object");
        assert_clean(&key, &bytes);
    }
}

fn journal_is_clean(folder: &Path) {
    let opened = Journal::open(folder).expect("the journal opens");
    let mut rows = 0;
    macro_rules! every {
        ($($row:ty),+) => { $(
            for row in opened.journal.rows::<$row>() {
                assert_clean(<$row>::NAME, &line(&row.expect("a row")));
                rows += 1;
            }
        )+ };
    }
    for_each_dataset!(every);
    assert!(rows > 100, "{rows} rows");
}

/// The search itself finds what it is made for.
#[test]
fn a_secret_would_be_found() {
    assert_eq!(forbidden(b"nothing here"), None);
    assert!(forbidden(b"x PLANTED-SECRET-0000012 y").is_some());
    assert!(forbidden(b"x ASIA111122223333SBOX").is_some());
    assert!(forbidden(b"AKIA111122223333USER").is_some());
    let token = STANDARD.encode(r#"{"account":"111122223333","role":"keyproof-reader"}"#);
    assert!(forbidden(format!("token={token}").as_bytes()).is_some());
    // What a seal may hold.
    let rows = STANDARD.encode(r#"xyz{"account":"13","archive":"1","channel":"7"}"#);
    assert!(rows.contains("eyJhY2NvdW50Ijoi"), "{rows}");
    assert_eq!(forbidden(rows.as_bytes()), None);
}
