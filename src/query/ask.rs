//! A statement before anything is fetched for it.

use datafusion::common::TableReference;
use datafusion::execution::context::SQLOptions;
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::Statement as Sql;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::error::QueryError;
use super::tables::{ROLLUPS, for_each_table};
use crate::engine::apart;
use crate::model::table::Dataset;
use crate::{for_each_backfilled, for_each_dataset};

/// Names, numbers and signs that a statement may have. The engine goes as deep as an expression is long,
/// and a stack that overflows cannot be caught.
const LONGEST: usize = 4_000;

/// The schema that the views stand in, here as in Athena.
pub(super) const SCHEMA: &str = "keyproof";

/// One statement that reads, and the views that it names.
#[derive(Debug, Clone)]
pub struct Question {
    /// The parsed statement is as deep as it is long, and is made where the stack is large.
    sql: String,
    views: Vec<&'static str>,
}

impl Question {
    /// Reads a statement.
    ///
    /// # Errors
    /// When it is no SQL, more than one statement, does something else than read, or names something
    /// that is no view of ours: a file's path, a table function, another schema.
    pub fn parse(sql: &str) -> Result<Self, QueryError> {
        let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize();
        let tokens = tokens.map_err(|e| QueryError::Syntax(e.to_string()))?;
        let words = tokens.iter().filter(|t| !matches!(t, Token::Whitespace(_)));
        let words = words.count();
        if words > LONGEST {
            return Err(QueryError::TooLong {
                words,
                limit: LONGEST,
            });
        }
        let read = apart(|| Self::parse_bounded(sql));
        read.unwrap_or_else(|| Err(QueryError::Syntax("it is too deep".to_owned())))
    }

    fn parse_bounded(sql: &str) -> Result<Self, QueryError> {
        let statement = one(sql)?;
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
        Ok(Self {
            sql: sql.to_owned(),
            views,
        })
    }

    /// The statement, for the engine: to be asked for, and dropped, apart.
    pub(super) fn statement(&self) -> Result<Statement, QueryError> {
        one(&self.sql)
    }

    /// Whether the statement names a view.
    pub fn names(&self, view: &str) -> bool {
        self.views.contains(&view)
    }

    /// Whether it names a view of rows that runs wrote: then runs of record are needed.
    pub fn names_rows(&self) -> bool {
        let mut others = vec![
            super::SealedRun::NAME,
            super::RollupFile::NAME,
            super::Asked::NAME,
        ];
        others.extend(ROLLUPS.map(|(view, _)| view));
        macro_rules! each {
            ($($row:ty),+) => { $( others.push(<$row>::NAME); )+ };
        }
        for_each_backfilled!(each);
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

fn one(sql: &str) -> Result<Statement, QueryError> {
    let mut statements =
        DFParser::parse_sql(sql).map_err(|e| QueryError::Syntax(e.strip_backtrace()))?;
    match (statements.pop_front(), statements.len()) {
        (Some(statement), 0) => Ok(statement),
        (first, rest) => Err(QueryError::NotOne(rest + usize::from(first.is_some()))),
    }
}

/// Every view, sorted.
pub fn views() -> Vec<&'static str> {
    let mut all = Vec::new();
    macro_rules! each {
        ($($row:ty),+) => { $( all.push(<$row>::NAME); )+ };
    }
    for_each_dataset!(each);
    for_each_backfilled!(each);
    for_each_table!(each);
    all.extend(ROLLUPS.map(|(view, _)| view));
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
