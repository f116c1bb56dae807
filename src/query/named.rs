//! The queries of `schemas/queries/`: the same text for the program, Athena, DuckDB and Spark. The head of
//! each file says what it shows, for whom, and how many runs it reads.

use super::error::QueryError;

/// Which runs of record a statement is about, unless a date or a quarter is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The newest one.
    Newest,
    /// It and the one before it.
    NewestTwo,
    /// All of them.
    Every,
}

/// A query with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    pub name: &'static str,
    pub sql: &'static str,
}

macro_rules! queries {
    ($($name:literal),+ $(,)?) => {
        &[ $( Named {
            name: $name,
            sql: include_str!(concat!("../../schemas/queries/", $name, ".sql")),
        } ),+ ]
    };
}

/// Every named query, sorted by name.
pub const NAMED: &[Named] = queries![
    "buckets-without-bucket-key",
    "changes",
    "control-events",
    "exceptions",
    "footprint",
    "idle-keys",
    "key-access",
    "late-and-missed",
    "launches",
    "not-seen",
    "owners",
    "passive-clusters",
    "population",
    "sample-clusters",
    "security-configuration-log-key",
];

impl Named {
    /// The query of a name.
    pub fn find(name: &str) -> Result<Self, QueryError> {
        let found = NAMED.iter().find(|query| query.name == name);
        found.copied().ok_or_else(|| QueryError::NoNamed {
            name: name.chars().take(80).collect(),
            known: NAMED.iter().map(|q| q.name).collect::<Vec<_>>().join(", "),
        })
    }

    /// What it shows, in a sentence or more.
    pub fn about(&self) -> String {
        let lines = self.head().take_while(|line| !line.starts_with("For: "));
        lines.collect::<Vec<_>>().join(" ")
    }

    /// The runs that it reads.
    pub fn span(&self) -> Span {
        let runs = self.head().find_map(|line| line.strip_prefix("Runs: "));
        match runs {
            Some("every") => Span::Every,
            Some("newest two") => Span::NewestTwo,
            _ => Span::Newest,
        }
    }

    fn head(&self) -> impl Iterator<Item = &'static str> {
        let lines = self.sql.lines();
        lines.map_while(|line| line.strip_prefix("-- "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_query_with_a_head_and_a_total_order() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/queries");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .expect("schemas/queries")
            .map(|entry| {
                entry
                    .expect("entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        files.sort();
        let known: Vec<String> = NAMED.iter().map(|q| format!("{}.sql", q.name)).collect();
        assert_eq!(files, known);
        for query in NAMED {
            let head: Vec<&str> = query.head().collect();
            assert!(!query.about().is_empty(), "{}", query.name);
            assert!(
                head.iter().any(|l| l.starts_with("For: ")),
                "{}",
                query.name
            );
            let runs = head.iter().find_map(|l| l.strip_prefix("Runs: "));
            let known = ["newest", "newest two", "every"];
            assert!(
                runs.is_some_and(|runs| known.contains(&runs)),
                "{}",
                query.name
            );
            assert!(query.sql.contains("\nORDER BY"), "{}", query.name);
            assert!(
                super::super::Question::parse(query.sql).is_ok(),
                "{}",
                query.name
            );
            for foreign in ["now(", "current_date", "approx_", "AS VARCHAR", "avg("] {
                assert!(!query.sql.contains(foreign), "{}: {foreign}", query.name);
            }
        }
        assert!(Named::find("poulation").is_err());
    }
}
