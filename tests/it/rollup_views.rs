//! The views over sealed rollups, `rollup_file` and `rollup_<measure>`: every edition of a quarter can be
//! asked, the newest is told from those before it, and what is not as it was sealed gives no answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use keyproof::archive::chain::Chain;
use keyproof::archive::layout;
use keyproof::error::Exit;
use keyproof::model::ids::Sha256Hex;
use keyproof::query::ROLLUPS;
use keyproof::rollup::{CompliantShare, DEFAULT_PRICES};
use keyproof::run::{self, RolledUp, RollupRequest};
use keyproof::time::Clock as _;
use serde_json::{Value, json};

use crate::cli_support::SEALED;
use crate::query::{NEWEST, rows, three_days};
use crate::support::{Place, TAGS, files_below};

async fn roll_up(place: &Place) -> RolledUp {
    let request = RollupRequest::new(place.clock.now().date().quarter());
    let config = place.config_with(&TAGS, "");
    let rolled = run::rollup(&place.shell(), &config, &request).await;
    rolled.expect("rolled up")
}

/// Two editions of a quarter: of three days, and of four.
async fn two_editions() -> (Place, [RolledUp; 2]) {
    let place = three_days().await;
    let first = roll_up(&place).await;
    place.at_day(3);
    let config = place.config_with(&TAGS, "");
    place.audit_with(&config).await.expect("sealed");
    let second = roll_up(&place).await;
    (place, [first, second])
}

async fn asked(place: &Place, sql: &str) -> Vec<Value> {
    rows(place, sql, NEWEST).await.expect(sql)
}

fn hours(rows: &[CompliantShare]) -> Vec<Value> {
    let rows = rows.iter().map(|row| {
        json!({
            "scope_kind": row.scope_kind, "scope": row.scope,
            "days_compliant": row.days_compliant, "compliant_ms": row.compliant_ms,
        })
    });
    rows.collect()
}

/// The file of a measure in an edition that a run id names.
fn file_of(place: &Place, measure: &str, run_id: &str) -> PathBuf {
    let files = files_below(&place.archive().join("rollup").join(measure));
    let of_run = |path: &&PathBuf| path.to_string_lossy().contains(run_id);
    files.iter().find(of_run).expect("a file").clone()
}

/// Sealed files are read-only.
fn overwrite(path: &Path, bytes: &[u8]) {
    std::fs::remove_file(path).expect("removed");
    std::fs::write(path, bytes).expect("written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sealed_edition_is_in_view_and_the_newest_is_told_from_the_others() {
    let (place, [first, second]) = two_editions().await;
    let whole = "SELECT quarter, edition, newest_edition, unfinished, runs_of_record \
                 FROM rollup_compliant_share WHERE scope_kind = 'organization' ORDER BY edition";
    let quarter = place.clock.now().date().quarter().to_string();
    let edition = |n: i64, newest: bool, runs: i64| {
        json!({
            "quarter": quarter, "edition": n, "newest_edition": newest, "unfinished": true,
            "runs_of_record": runs,
        })
    };
    let both = [edition(1, false, 3), edition(2, true, 4)];
    assert_eq!(asked(&place, whole).await, both);
    for (condition, rolled) in [
        ("newest_edition", &second),
        ("edition = 2", &second),
        ("edition = 1", &first),
    ] {
        let sql = format!(
            "SELECT scope_kind, scope, days_compliant, compliant_ms FROM rollup_compliant_share \
             WHERE {condition} ORDER BY scope_kind, scope"
        );
        let sealed = hours(&rolled.measures.compliant_share);
        assert!(sealed.len() > 10, "{}", rolled.text);
        assert_eq!(asked(&place, &sql).await, sealed, "{condition}");
    }

    // Every measure has as many rows in its view as its seal says.
    let chain = Chain::read(&place.store()).await;
    let chain = chain.expect("a chain").expect("begun");
    let seals: Vec<_> = chain.rollups().collect();
    assert_eq!(seals.len(), 2);
    for (view, measure) in ROLLUPS {
        let sql = format!("SELECT edition, COUNT(*) AS n FROM {view} GROUP BY edition");
        let counted: BTreeMap<u64, u64> = asked(&place, &sql)
            .await
            .iter()
            .map(|row| (row["edition"].as_u64(), row["n"].as_u64()))
            .map(|(edition, n)| (edition.expect("a number"), n.expect("a number")))
            .collect();
        let sealed = seals
            .iter()
            .map(|(_, seal)| (seal.edition, seal.rows[measure]));
        let sealed: BTreeMap<u64, u64> = sealed.filter(|(_, n)| *n > 0).collect();
        assert_eq!(counted, sealed, "{view}");
    }

    // Each file is named with its entry, and rows name their file.
    let files = asked(&place, "SELECT * FROM rollup_file ORDER BY chain_seq, name").await;
    assert_eq!(files.len(), 2 * ROLLUPS.len());
    for (n, file) in files.iter().enumerate() {
        let (entry, seal) = seals[n / ROLLUPS.len()];
        let name = file["name"].as_str().expect("a name");
        let bytes = std::fs::read(place.archive().join(name)).expect("a file");
        assert_eq!(file["file_sha256"], Sha256Hex::of(&bytes).as_str());
        let bytes = std::fs::read(place.archive().join(layout::entry(entry.seq)));
        let bytes = bytes.expect("an entry");
        assert_eq!(file["chain_sha256"], Sha256Hex::of(&bytes).as_str());
        assert_eq!(file["chain_seq"], entry.seq);
        assert_eq!(file["run_id"], seal.run_id.as_str());
        assert_eq!(
            [&file["edition"], &file["chain_from"], &file["chain_to"]],
            [&json!(seal.edition), &json!(1), &json!(seal.chain_to)]
        );
        assert_eq!(file["newest_edition"], seal.edition == 2);
        assert_eq!(
            (file["quarter"].as_str(), file["unfinished"].as_bool()),
            (Some(&*quarter), Some(true))
        );
    }
    let joined = "SELECT f.edition, f.measure, COUNT(*) AS n FROM rollup_price p \
                  JOIN rollup_file f ON f.file_sha256 = p.file_sha256 AND f.edition = p.edition \
                  GROUP BY f.edition, f.measure ORDER BY f.edition";
    let prices = first.measures.price.len();
    let of_edition = |n: i64| json!({"edition": n, "measure": "price", "n": prices});
    assert_eq!(asked(&place, joined).await, [of_edition(1), of_edition(2)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollup_file_that_is_not_as_sealed_gives_no_answer() {
    let (place, _) = two_editions().await;
    let chain = Chain::read(&place.store()).await;
    let chain = chain.expect("a chain").expect("begun");
    let run_ids: Vec<String> = chain
        .rollups()
        .map(|(_, seal)| seal.run_id.as_str().to_owned())
        .collect();
    let shares = "SELECT edition, COUNT(*) AS n FROM rollup_compliant_share \
                  GROUP BY edition ORDER BY edition";
    let listed = "SELECT name, file_sha256 FROM rollup_file ORDER BY name";
    let (counts, files) = (asked(&place, shares).await, asked(&place, listed).await);
    assert_eq!(counts.len(), 2);

    // A file that no seal names is in no view.
    let file = file_of(&place, "compliant_share", &run_ids[0]);
    let planted = file.to_string_lossy().into_owned();
    let planted = planted.replace(&run_ids[0], "20991231T235959Z-0badc0de");
    std::fs::copy(&file, planted).expect("a copy");
    assert_eq!(asked(&place, shares).await, counts);
    assert_eq!(asked(&place, listed).await, files);

    // Of the earlier edition, too, and whichever edition is asked for.
    let good = std::fs::read(&file).expect("a file");
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let longer = [good.as_slice(), b"more"].concat();
    let name = file.file_name().expect("a name").to_string_lossy();
    let newest = "SELECT COUNT(*) FROM rollup_compliant_share WHERE newest_edition";
    let damages = [
        (Some(flipped.as_slice()), "was changed"),
        (Some(&good[..good.len() - 1]), "was changed"),
        (Some(longer.as_slice()), "is not what was sealed"),
        (None, "was sealed and is not there any more"),
    ];
    for (bytes, told) in damages {
        match bytes {
            Some(bytes) => overwrite(&file, bytes),
            None => std::fs::remove_file(&file).expect("removed"),
        }
        for sql in [shares, newest] {
            let error = rows(&place, sql, NEWEST).await.expect_err(told);
            let said = error.to_string();
            assert_eq!(error.exit(), Exit::Unverified, "{said}");
            for part in [
                "rollup/compliant_share/",
                &*name,
                told,
                "run keyproof verify",
            ] {
                assert!(said.contains(part), "{part}: {said}");
            }
        }
        // What was sealed is known all the same, and so are the other measures.
        assert_eq!(asked(&place, listed).await, files);
        assert!(!asked(&place, "SELECT * FROM rollup_price").await.is_empty());
    }
    std::fs::write(&file, good).expect("as it was");
    assert_eq!(asked(&place, shares).await, counts);
}

#[test]
fn sealed_editions_are_asked_on_the_command_line() {
    let desk = SEALED.desk();
    let sealed = format!("rollup --archive archive --quarter {}", SEALED.quarter());
    desk.line(&sealed).says(0, &["edition 1"]);
    let dearer = DEFAULT_PRICES.replace(",1000000000,key", ",2000000000,key");
    desk.write("prices.csv", dearer);
    desk.line(&format!("{sealed} --prices prices.csv"))
        .says(0, &["edition 2"]);
    let query = |sql: &str| {
        let words = ["query", "--archive", "archive", "--format", "csv"];
        desk.keyproof(words.into_iter().chain([sql]))
    };
    let prices = "SELECT edition, newest_edition, nano_usd FROM rollup_price \
                  WHERE item = 'kms_key_month' ORDER BY edition";
    let told = "edition,newest_edition,nano_usd\n1,false,1000000000\n2,true,2000000000\n";
    let answer = query(prices);
    answer.says(0, &[]);
    assert_eq!(answer.out, told);
    desk.change_rollup("price");
    query(prices).fails(5, &["rollup/price/", "was changed", "run keyproof verify"]);
    query("SELECT DISTINCT edition FROM rollup_file ORDER BY edition")
        .says(0, &["edition\n1\n2\n"]);
}
