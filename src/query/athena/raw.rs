//! The raw tables: what lies below the archive's root, whoever put it there.

use super::Folders;
use crate::model::table::{Dataset, Kind};
use crate::record::sentence;
use crate::{for_each_backfilled, for_each_dataset, for_each_rollup};

/// First date and year that partition projection offers; no archive is older.
pub const FIRST_DATE: &str = "2026-01-01";
const FIRST_YEAR: u32 = 2026;
/// Years of quarters that partition projection offers.
const YEARS: u32 = 30;

/// A table over a folder.
pub struct Raw {
    pub name: String,
    pub about: String,
    /// Name, type, meaning.
    pub columns: Vec<(String, &'static str, String)>,
    /// Below the root, no slash at the end.
    pub folder: String,
    pub stored: Stored,
    pub divided: Divided,
}

/// How the folder of a table is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Divided {
    /// Not, or not so that a query must know: every file below it is read.
    No,
    /// By `dt=`.
    Dates,
    /// By `quarter=`.
    Quarters,
}

impl Divided {
    /// The column that says in which part a file lies.
    pub fn column(self) -> Option<&'static str> {
        match self {
            Self::No => None,
            Self::Dates => Some("dt"),
            Self::Quarters => Some("quarter"),
        }
    }
}

/// How a table's files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    Parquet,
    /// Each line is a row of one column.
    Lines,
}

pub fn tables(folders: &Folders) -> Vec<Raw> {
    let lines = |name: &str, folder: &str, about: &str, divided| Raw {
        name: name.to_owned(),
        about: about.to_owned(),
        columns: vec![(
            "line".to_owned(),
            "string",
            "One line of a file.".to_owned(),
        )],
        folder: folder.trim_end_matches('/').to_owned(),
        stored: Stored::Lines,
        divided,
    };
    let mut all = vec![
        lines(
            "chain",
            folders.chain,
            "Objects of the chain, junk included: a signed entry is one line of JSON.",
            Divided::No,
        ),
        lines(
            "manifest",
            folders.manifests,
            "Manifests of runs and backfills, planted ones included: a manifest is one line of JSON.",
            Divided::Dates,
        ),
        lines(
            "rollup_manifest",
            folders.manifests,
            "Manifests of rollups, planted ones included: a manifest is one line of JSON.",
            Divided::Quarters,
        ),
    ];
    macro_rules! each {
        ($($row:ty),+) => { $( all.push(of::<$row>(folders)); )+ };
    }
    for_each_dataset!(each);
    for_each_backfilled!(each);
    macro_rules! rollups {
        ($($row:ty),+) => { $( all.push(of_rollup::<$row>(folders)); )+ };
    }
    for_each_rollup!(rollups);
    all
}

/// Every edition of a measure.
fn of_rollup<D: Dataset>(folders: &Folders) -> Raw {
    let raw = of::<D>(folders);
    Raw {
        name: format!("rollup_{}", raw.name),
        folder: (folders.rollup)(D::NAME, D::VERSION),
        divided: Divided::No,
        ..raw
    }
}

fn of<D: Dataset>(folders: &Folders) -> Raw {
    let columns = D::COLUMNS.iter();
    let columns = columns.map(|c| (c.name.to_owned(), athena_type(c.kind), comment(c.meaning)));
    Raw {
        name: format!("{}_v{}", D::NAME, D::VERSION),
        about: comment(D::MEANING),
        columns: columns.collect(),
        folder: (folders.evidence)(D::NAME, D::VERSION),
        stored: Stored::Parquet,
        divided: Divided::Dates,
    }
}

fn athena_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "string",
        Kind::Int => "bigint",
        Kind::Bool => "boolean",
        Kind::Instant => "timestamp",
        Kind::Date => "date",
    }
}

/// Partition projection of a divided table at `location`: nothing needs to be added day by day.
pub fn projection(divided: Divided, location: &str) -> Vec<(String, String)> {
    let Some(column) = divided.column() else {
        return Vec::new();
    };
    let own: Vec<(&str, String)> = if divided == Divided::Dates {
        vec![
            ("type", "date".to_owned()),
            ("format", "yyyy-MM-dd".to_owned()),
            ("range", format!("{FIRST_DATE},NOW")),
            ("interval", "1".to_owned()),
            ("interval.unit", "DAYS".to_owned()),
        ]
    } else {
        let years = FIRST_YEAR..FIRST_YEAR + YEARS;
        let quarters = years.flat_map(|year| (1..=4).map(move |n| format!("{year}Q{n}")));
        vec![
            ("type", "enum".to_owned()),
            ("values", quarters.collect::<Vec<_>>().join(",")),
        ]
    };
    let mut all = vec![("projection.enabled".to_owned(), "true".to_owned())];
    for (name, value) in own {
        all.push((format!("projection.{column}.{name}"), value));
    }
    let template = format!("{location}/{column}=${{{column}}}");
    all.push(("storage.location.template".to_owned(), template));
    all
}

/// Text inside a quoted comment. Engines disagree on how to escape a quote (Hive joins `''` to nothing),
/// so a typographic one stands in for it. Glue takes at most 255 characters
/// (<https://docs.aws.amazon.com/glue/latest/webapi/API_Column.html>).
fn comment(text: &str) -> String {
    let text = sentence(text).replace(['\'', '\\'], "’");
    match text.char_indices().nth(255) {
        Some(_) => format!("{}…", text.chars().take(254).collect::<String>()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_cannot_end_the_quote_and_stay_within_glue_s_limit() {
        assert_eq!(comment("the bucket's\n  key"), "the bucket’s key");
        assert_eq!(comment(&"ä".repeat(400)).chars().count(), 255);
    }
}
