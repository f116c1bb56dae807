//! The raw tables: what lies below the archive's root, whoever put it there.

use super::Folders;
use crate::model::table::{Dataset, Kind};
use crate::record::sentence;
use crate::{for_each_backfilled, for_each_dataset};

/// First date that partition projection offers; no archive is older.
pub const FIRST_DATE: &str = "2026-01-01";

/// A table over a folder.
pub struct Raw {
    pub name: String,
    pub about: String,
    /// Name, type, meaning.
    pub columns: Vec<(String, &'static str, String)>,
    /// Below the root, no slash at the end.
    pub folder: String,
    pub stored: Stored,
    /// Whether the folder is divided by `dt=`.
    pub dated: bool,
}

/// How a table's files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    Parquet,
    /// Each line is a row of one column.
    Lines,
}

pub fn tables(folders: &Folders) -> Vec<Raw> {
    let lines = |name: &str, folder: &str, about: &str, dated| Raw {
        name: name.to_owned(),
        about: about.to_owned(),
        columns: vec![(
            "line".to_owned(),
            "string",
            "One line of a file.".to_owned(),
        )],
        folder: folder.trim_end_matches('/').to_owned(),
        stored: Stored::Lines,
        dated,
    };
    let mut all = vec![
        lines(
            "chain",
            folders.chain,
            "Objects of the chain, junk included: a signed entry is one line of JSON.",
            false,
        ),
        lines(
            "manifest",
            folders.manifests,
            "Manifests of runs and backfills, planted ones included: a manifest is one line of JSON.",
            true,
        ),
    ];
    macro_rules! each {
        ($($row:ty),+) => { $( all.push(of::<$row>(folders)); )+ };
    }
    for_each_dataset!(each);
    for_each_backfilled!(each);
    all
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
        dated: true,
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

/// Partition projection of a dated table at `location`: nothing needs to be added day by day.
pub fn projection(location: &str) -> [(&'static str, String); 7] {
    [
        ("projection.enabled", "true".to_owned()),
        ("projection.dt.type", "date".to_owned()),
        ("projection.dt.format", "yyyy-MM-dd".to_owned()),
        ("projection.dt.range", format!("{FIRST_DATE},NOW")),
        ("projection.dt.interval", "1".to_owned()),
        ("projection.dt.interval.unit", "DAYS".to_owned()),
        (
            "storage.location.template",
            format!("{location}/dt=${{dt}}"),
        ),
    ]
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
