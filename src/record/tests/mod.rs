//! Journal, encoder and decoder together, on arbitrary rows and on damaged files.

mod journal;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::*;
use crate::dataset;
use crate::model::ids::{AccountId, Region, Sha256Hex};
use crate::model::table::{Cell, Dataset, Kind};
use crate::time::{Date, UtcMillis};

dataset! {
    /// Every kind of column, required and not, with a key that begins as most do.
    pub struct Sample: "sample" v 1, key [account_id, region, id, at];
    /// Date.
    scheduled_for: Date = "UTC date";
    /// Account.
    account_id: AccountId = "12 digits";
    /// Region.
    region: Region = "Region";
    /// Id.
    id: String = "text";
    /// Instant of the key.
    at: UtcMillis = "UTC";
    /// Optional instant.
    seen_at: Option<UtcMillis> = "UTC";
    /// Number.
    number: i64 = "items";
    /// Optional number.
    maybe_number: Option<i64> = "items";
    /// Flag.
    flag: bool = "true or false";
    /// Optional flag.
    maybe_flag: Option<bool> = "true or false";
    /// Optional text.
    note: Option<String> = "text";
    /// Optional date.
    day: Option<Date> = "UTC date";
    /// Document.
    document_json: Option<String> = "canonical JSON";
    /// Its digest.
    document_sha256: Option<Sha256Hex> = "hex";
}

/// A folder of its own that goes away with the test.
pub(super) struct Folder(pub PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("keyproof-{name}-{}-{n}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("temporary folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn date(days: i64) -> Date {
    Date::from_days(days)
}

fn account(n: u8) -> AccountId {
    format!("{:012}", u64::from(n)).parse().expect("account id")
}

fn region(n: u8) -> Region {
    ["eu-west-1", "global", "us-east-1"][usize::from(n) % 3]
        .parse()
        .expect("region")
}

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), -5..5i64]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-c\"\\\\\u{0}-\u{1f}\u{7f}é𐍈]{0,6}"]
}

prop_compose! {
    fn sample()(
        (days, acc, reg, id) in (-800_000..3_000_000i64, 0..4u8, 0..3u8, text()),
        (at, seen_at, number, maybe_number) in (number(), prop::option::of(number()), number(), prop::option::of(number())),
        (flag, maybe_flag) in (any::<bool>(), any::<Option<bool>>()),
        (note, day, json) in (prop::option::of(text()), prop::option::of(-800_000..3_000_000i64), prop::option::of(text())),
    ) -> Sample {
        Sample {
            scheduled_for: date(days),
            account_id: account(acc),
            region: region(reg),
            id,
            at: UtcMillis(at),
            seen_at: seen_at.map(UtcMillis),
            number,
            maybe_number,
            flag,
            maybe_flag,
            note,
            day: day.map(date),
            document_sha256: json.as_ref().map(|json| Sha256Hex::of(json.as_bytes())),
            document_json: json,
        }
    }
}

fn sorted(mut rows: Vec<Sample>) -> Vec<Sample> {
    rows.sort_by(|a, b| a.key_order(b));
    rows.dedup_by(|b, a| a.key_order(b).is_eq());
    rows
}

fn encode(folder: &Folder, name: &str, rows: &[Sample]) -> Encoded {
    write_rows(&folder.0.join(name), rows.iter().cloned().map(Ok)).expect("encodes")
}

fn decode<D: Dataset>(folder: &Folder, name: &str) -> Vec<D> {
    read_file(&folder.0.join(name))
        .expect("opens")
        .collect::<Result<_, _>>()
        .expect("decodes")
}

/// The canonical line by way of serde_json's own tree.
fn line_by_serde<D: Dataset>(row: &D) -> String {
    let object: serde_json::Map<String, serde_json::Value> = D::COLUMNS
        .iter()
        .enumerate()
        .map(|(position, column)| {
            let value = match row.cell(position) {
                Cell::Null => serde_json::Value::Null,
                Cell::Text(text) => text.as_ref().into(),
                Cell::Int(value) => value.into(),
                Cell::Bool(value) => value.into(),
                Cell::Instant(instant) => instant.0.into(),
                Cell::Date(date) => date.to_string().into(),
            };
            (column.name.to_owned(), value)
        })
        .collect();
    crate::model::canonical::to_string(&object.into())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_arrival_gives_the_same_bytes(
        rows in prop::collection::vec(sample(), 0..60).prop_map(sorted).prop_flat_map(|rows| {
            let n = rows.len();
            (Just(rows.clone()), Just(rows).prop_shuffle(), prop::collection::vec(0..=n, 0..6))
        })
    ) {
        let (sorted, mut shuffled, mut cuts) = rows;
        let folder = Folder::new("order");
        let straight = encode(&folder, "straight.parquet", &sorted);

        let journal = Journal::create(&folder.0.join("journal")).expect("journal");
        cuts.sort_unstable();
        for cut in cuts.into_iter().rev() {
            journal.append(&mut shuffled.split_off(cut.min(shuffled.len()))).expect("append");
        }
        journal.append(&mut shuffled).expect("append");
        let by_journal = write_rows::<Sample>(&folder.0.join("journal.parquet"), journal.rows())
            .expect("encodes");

        prop_assert_eq!(&straight, &by_journal);
        let bytes = std::fs::read(folder.0.join("journal.parquet")).expect("read");
        prop_assert_eq!(straight.sha256, Sha256Hex::of(&bytes));
        prop_assert_eq!(straight.bytes, bytes.len() as u64);

        let by_group: Vec<Sample> = journal
            .groups::<Sample>()
            .map(|group| group.expect("group"))
            .flat_map(|(account, region)| journal.read_group(&account, &region).expect("group"))
            .collect();
        prop_assert_eq!(by_group, sorted);
    }

    #[test]
    fn what_is_written_reads_back(rows in prop::collection::vec(sample(), 0..40).prop_map(sorted)) {
        let folder = Folder::new("back");
        let written = encode(&folder, "a.parquet", &rows);
        prop_assert_eq!(written.rows, rows.len() as u64);
        prop_assert_eq!(decode::<Sample>(&folder, "a.parquet"), rows);
    }

    #[test]
    fn canonical_lines_are_serde_s_and_read_back(rows in prop::collection::vec(sample(), 1..4)) {
        let mut writer = LineWriter::<Sample>::new();
        let reader = LineReader::<Sample>::new();
        for row in rows {
            let mut line = Vec::new();
            writer.write(&row, &mut line);
            prop_assert_eq!(std::str::from_utf8(&line).expect("UTF-8"), line_by_serde(&row));
            prop_assert_eq!(reader.read(&line).expect("reads"), row);
        }
    }

    #[test]
    fn a_damaged_file_is_an_error_or_other_rows_but_no_panic(
        rows in prop::collection::vec(sample(), 1..20).prop_map(sorted),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..4),
        keep in any::<prop::sample::Index>(),
    ) {
        let folder = Folder::new("damage");
        encode(&folder, "a.parquet", &rows);
        let mut bytes = std::fs::read(folder.0.join("a.parquet")).expect("read");
        let cut = bytes[..keep.index(bytes.len())].to_vec();
        prop_assert!(all::<Sample>(cut).is_err());
        for (at, flip) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        let _ = all::<Sample>(bytes);
    }

    #[test]
    fn noise_is_no_parquet_file(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(all::<Sample>(noise.clone()).is_err());
        let framed = [b"PAR1", &noise[..], &(noise.len() as u32).to_le_bytes(), b"PAR1"].concat();
        let _ = all::<Sample>(framed);
    }
}

fn all<D: Dataset>(bytes: Vec<u8>) -> Result<Vec<D>, RecordError> {
    read_bytes("memory", bytes)?.collect()
}

fn row(id: &str) -> Sample {
    Sample {
        scheduled_for: date(20_000),
        account_id: account(1),
        region: region(0),
        id: id.to_owned(),
        at: UtcMillis(0),
        seen_at: None,
        number: 0,
        maybe_number: None,
        flag: false,
        maybe_flag: None,
        note: None,
        day: None,
        document_json: None,
        document_sha256: None,
    }
}

#[test]
fn no_rows_make_a_valid_empty_file() {
    let folder = Folder::new("empty");
    let written = encode(&folder, "a.parquet", &[]);
    assert_eq!(written.rows, 0);
    assert_eq!(written.rows_sha256, Sha256Hex::of(b""));
    assert_eq!(decode::<Sample>(&folder, "a.parquet"), []);
}

#[test]
fn rows_out_of_order_and_repeated_keys_are_refused_and_leave_no_file() {
    let folder = Folder::new("disorder");
    let path = folder.0.join("a.parquet");
    let mut second = row("a");
    second.number = 7;
    let error = write_rows(&path, [row("a"), second].map(Ok).into_iter()).expect_err("repeated");
    assert_eq!(
        error.to_string(),
        "sample: two rows have the key 000000000001/eu-west-1/a/1970-01-01T00:00:00.000Z"
    );
    let error = write_rows(&path, [row("b"), row("a")].map(Ok).into_iter()).expect_err("disorder");
    assert!(matches!(error, RecordError::OutOfOrder { .. }), "{error}");
    assert!(!path.exists());
}

#[test]
fn an_existing_file_is_not_replaced() {
    let folder = Folder::new("existing");
    encode(&folder, "a.parquet", &[row("a")]);
    let again = write_rows::<Sample>(&folder.0.join("a.parquet"), std::iter::empty());
    assert!(matches!(again, Err(RecordError::Io { .. })));
    assert_eq!(decode::<Sample>(&folder, "a.parquet").len(), 1);
}

#[test]
fn rows_cross_slices_and_row_groups_unharmed() {
    let rows: Vec<Sample> = (0..20_000).map(|n| row(&format!("{n:06}"))).collect();
    let folder = Folder::new("groups");
    encode(&folder, "a.parquet", &rows);
    assert_eq!(decode::<Sample>(&folder, "a.parquet"), rows);
    let file = std::fs::File::open(folder.0.join("a.parquet")).expect("open");
    let builder = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file)
        .expect("metadata");
    let groups: Vec<i64> = builder
        .metadata()
        .row_groups()
        .iter()
        .map(parquet::file::metadata::RowGroupMetaData::num_rows)
        .collect();
    assert_eq!(groups, [4_096, 4_096, 4_096, 4_096, 3_616]);
    assert_eq!(builder.schema(), &arrow_schema::<Sample>());
    assert_eq!(
        builder.metadata().file_metadata().created_by(),
        Some("keyproof version 1.0.0 (build 1)")
    );
}

mod versions {
    use super::*;

    dataset! {
        /// What an older program wrote.
        pub struct Older: "aged" v 1, key [id];
        /// Id.
        id: String = "text";
        /// Dropped by the newer one.
        gone: i64 = "items";
    }
    dataset! {
        /// What a newer program reads.
        pub struct Newer: "aged" v 1, key [id];
        /// Came later.
        note: Option<String> = "text";
        /// Id.
        id: String = "text";
    }
    dataset! {
        /// Asks for a column that never was.
        pub struct Stricter: "aged" v 1, key [id];
        /// Id.
        id: String = "text";
        /// Required.
        must: i64 = "items";
    }
    dataset! {
        /// Asks for another type.
        pub struct Other: "aged" v 1, key [id];
        /// Id.
        id: UtcMillis = "UTC";
    }

    #[test]
    fn old_and_new_read_each_other() {
        let folder = Folder::new("versions");
        let path = folder.0.join("old.parquet");
        let older = Older {
            id: "a".to_owned(),
            gone: 1,
        };
        write_rows(&path, [Ok(older)].into_iter()).expect("encodes");
        let newer = Newer {
            note: None,
            id: "a".to_owned(),
        };
        assert_eq!(decode::<Newer>(&folder, "old.parquet"), [newer]);

        let error = read_file::<Stricter>(&path).expect_err("missing");
        assert!(matches!(
            error,
            RecordError::MissingColumn { column: "must", .. }
        ));
        let error = read_file::<Other>(&path)
            .expect_err("wrong type")
            .to_string();
        assert!(
            error.contains("old.parquet: column id is Utf8, expected Timestamp"),
            "{error}"
        );
    }

    #[test]
    fn a_value_that_its_column_does_not_allow_names_the_row() {
        dataset! {
            /// The same columns with free text where ids belong.
            pub struct Loose: "loose" v 1, key [account_id];
            /// Not checked.
            account_id: String = "text";
        }
        dataset! {
            /// Checked.
            pub struct Strict: "loose" v 1, key [account_id];
            /// Checked.
            account_id: AccountId = "12 digits";
        }
        let folder = Folder::new("loose");
        let path = folder.0.join("a.parquet");
        let rows = ["000000000001", "1/../etc"].map(|id| {
            Ok(Loose {
                account_id: id.to_owned(),
            })
        });
        write_rows(&path, rows.into_iter()).expect("encodes");
        let mut rows = read_file::<Strict>(&path).expect("opens");
        assert!(rows.next().is_some_and(|row| row.is_ok()));
        let error = rows
            .next()
            .expect("a row")
            .expect_err("not an id")
            .to_string();
        assert!(error.contains("row 1: column account_id holds"), "{error}");
        assert!(rows.next().is_none());
    }
}

#[test]
fn lines_that_are_no_rows_say_why() {
    let reader = LineReader::<Sample>::new();
    for (line, part) in [
        ("", "EOF"),
        ("[]", "a row of sample"),
        ("{\"what\":1}", "no column what"),
        ("{\"id\":1}", "expected text"),
        ("{\"id\":\"a\",\"id\":\"a\"}", "stands there twice"),
        ("{\"number\":1.5}", "expected i64"),
        ("{\"day\":\"2026-02-30\"}", "not a date"),
        ("{}", "scheduled_for holds Null"),
        ("{} x", "trailing characters"),
    ] {
        let error = reader.read(line.as_bytes()).expect_err(line);
        assert!(error.contains(part), "{line}: {error}");
    }
}

#[test]
fn every_dataset_has_a_schema_with_a_column_for_each_entry() {
    macro_rules! each {
        ($($dataset:ty),+) => { $(
            let schema = arrow_schema::<$dataset>();
            assert_eq!(schema.fields().len(), <$dataset>::COLUMNS.len());
            assert!(schema.metadata().is_empty());
            for (field, column) in schema.fields().iter().zip(<$dataset>::COLUMNS) {
                assert_eq!((field.name().as_str(), field.is_nullable()), (column.name, column.nullable));
                let utc = field.data_type().to_string().contains("UTC");
                assert_eq!(utc, column.kind == Kind::Instant);
            }
        )+ };
    }
    crate::for_each_dataset!(each);
}

#[test]
fn every_flipped_bit_of_a_footer_ends_in_an_answer() {
    let folder = Folder::new("footer");
    encode(&folder, "a.parquet", &[row("a"), row("b")]);
    let bytes = std::fs::read(folder.0.join("a.parquet")).expect("read");
    let mut given_up = 0;
    for bit in (bytes.len() - 1_000) * 8..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        if let Err(error) = all::<Sample>(damaged) {
            given_up += usize::from(error.to_string().contains("gave up on its structure"));
        }
    }
    assert!(
        given_up > 0,
        "the Parquet reader no longer panics; `guarded` can go"
    );
}
