//! A statement before anything is fetched for it.

use datafusion::common::TableReference;
use datafusion::execution::context::SQLOptions;
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::Statement as Sql;

use super::error::QueryError;
use super::tables::for_each_table;
use crate::for_each_dataset;
use crate::model::table::Dataset;

/// The schema that the views stand in, here as in Athena.
pub(super) const SCHEMA: &str = "keyproof";

/// One statement that reads, and the views that it names.
#[derive(Debug, Clone)]
pub struct Question {
    pub(super) statement: Statement,
    views: Vec<&'static str>,
}

impl Question {
    /// Reads a statement.
    ///
    /// # Errors
    /// When it is no SQL, more than one statement, does something else than read, or names something
    /// that is no view of ours: a file's path, a table function, another schema.
    pub fn parse(sql: &str) -> Result<Self, QueryError> {
        let mut statements =
            DFParser::parse_sql(sql).map_err(|e| QueryError::Syntax(e.strip_backtrace()))?;
        let count = statements.len();
        let (Some(statement), 1) = (statements.pop_front(), count) else {
            return Err(QueryError::NotOne(count));
        };
        if !matches!(&statement, Statement::Statement(sql) if matches!(**sql, Sql::Query(_))) {
            return Err(QueryError::NotReading(first_words(&statement)));
        }
        let (tables, _) = resolve_table_references(&statement, true).map_err(QueryError::plan)?;
        let mut views = Vec::new();
        for table in &tables {
            views.push(view(table)?);
        }
        views.sort_unstable();
        views.dedup();
        Ok(Self { statement, views })
    }

    /// Whether the statement names a view.
    pub fn names(&self, view: &str) -> bool {
        self.views.contains(&view)
    }

    /// Whether it names a view of rows: then runs of record are needed.
    pub fn names_rows(&self) -> bool {
        let others = [super::SealedRun::NAME, super::Asked::NAME];
        self.views.iter().any(|view| !others.contains(view))
    }

    /// What the engine may do: nothing but read. The parser has refused other statements; this finds
    /// what hides inside a query.
    pub(super) fn options() -> SQLOptions {
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
    }
}

/// Every view, sorted.
pub fn views() -> Vec<&'static str> {
    let mut all = Vec::new();
    macro_rules! each {
        ($($row:ty),+) => { $( all.push(<$row>::NAME); )+ };
    }
    for_each_dataset!(each);
    for_each_table!(each);
    all.sort_unstable();
    all
}

fn view(table: &TableReference) -> Result<&'static str, QueryError> {
    let all = views();
    let ours = table.catalog().is_none() && table.schema().is_none_or(|schema| schema == SCHEMA);
    let found = all.iter().find(|name| ours && **name == table.table());
    found.copied().ok_or_else(|| QueryError::NoView {
        name: table.to_string().chars().take(80).collect(),
        hint: format!("there are {}", all.join(", ")),
    })
}

/// What a person would call the statement.
fn first_words(statement: &Statement) -> String {
    let text = statement.to_string();
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    words.join(" ").chars().take(40).collect()
}
