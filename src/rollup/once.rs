//! A statement whose parts are computed once each.
//!
//! DataFusion puts what a WITH names into every place that names it, and computes it there anew: a part of
//! a part that stands twice, four times. DuckDB keeps such parts. Here those that are named more than once
//! become tables in memory before the rest runs.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use arrow::datatypes::Schema;
use datafusion::datasource::MemTable;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast::{Query, Statement as Sql, With, visit_relations};

use super::engine::RollupError;

/// The rows of a statement that is one query.
pub(super) async fn rows(
    session: &SessionContext,
    sql: &str,
) -> Result<Vec<RecordBatch>, RollupError> {
    let mut query = parsed(sql)?;
    let named = named(&query);
    let parts = query
        .with
        .as_mut()
        .map(|w| std::mem::take(&mut w.cte_tables));
    let memory = Arc::clone(&session.runtime_env().memory_pool);
    let mut kept = Vec::new();
    for part in parts.unwrap_or_default() {
        let name = part.alias.name.value.clone();
        let is_again = named.get(&name).is_some_and(|&times| times > 1);
        // The rest stays in place, before what comes after it.
        if !is_again || session.table_exist(name.as_str())? {
            if let Some(with) = &mut query.with {
                with.cte_tables.push(part);
            }
            continue;
        }
        let mut alone = *part.query;
        alone.with = in_place(&query);
        let held = MemoryConsumer::new(format!("rows of {name}")).register(&memory);
        let table = kept_rows(planned(session, alone).await?, &held).await?;
        session.register_table(name.as_str(), Arc::new(table))?;
        kept.push((name, held));
    }
    query.with = in_place(&query);
    let rows = planned(session, query).await?.collect().await;
    for (name, _) in kept {
        session.deregister_table(name)?;
    }
    Ok(rows?)
}

/// The rows of a part, which count as memory that the engine holds. What may be null is planned and computed
/// in different ways: here everything may.
async fn kept_rows(frame: DataFrame, held: &MemoryReservation) -> Result<MemTable, RollupError> {
    let fields = frame.schema().fields().iter();
    let nullable = fields.map(|field| field.as_ref().clone().with_nullable(true));
    let schema = Arc::new(Schema::new(nullable.collect::<Vec<_>>()));
    let mut batches = Vec::new();
    let mut rows = frame.execute_stream().await?;
    while let Some(batch) = poll_fn(|context| rows.as_mut().poll_next(context)).await {
        let columns: Vec<_> = batch?.columns().iter().map(compact).collect();
        held.try_grow(columns.iter().map(bytes).sum())?;
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns);
        batches.push(batch.map_err(|e| RollupError::Query(e.to_string()))?);
    }
    Ok(MemTable::try_new(schema, vec![batches])?)
}

/// A column without what it shares with others: few texts would keep all that was read in memory.
fn compact(column: &ArrayRef) -> ArrayRef {
    match column.as_string_view_opt() {
        Some(texts) => Arc::new(texts.gc()),
        None => Arc::clone(column),
    }
}

/// What a compact column takes: a slice of a longer one would count as the whole of it.
fn bytes(column: &ArrayRef) -> usize {
    match column.as_string_view_opt() {
        Some(texts) => texts.get_array_memory_size(),
        None => {
            let slice = column.to_data().get_slice_memory_size();
            slice.unwrap_or_else(|_| column.get_array_memory_size())
        }
    }
}

fn parsed(sql: &str) -> Result<Query, RollupError> {
    let mut statements = DFParser::parse_sql(sql)?;
    match (statements.pop_front(), statements.len()) {
        (Some(Statement::Statement(statement)), 0) => match *statement {
            Sql::Query(query) => Ok(*query),
            other => Err(RollupError::Query(format!("it is no query: {other}"))),
        },
        _ => Err(RollupError::Query("it is not one statement".to_owned())),
    }
}

/// How often each table and part is named.
fn named(query: &Query) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    let _ = visit_relations(query, |name| {
        *times.entry(name.to_string()).or_default() += 1;
        ControlFlow::<()>::Continue(())
    });
    times
}

/// The parts that stay in place.
fn in_place(query: &Query) -> Option<With> {
    let with = query.with.as_ref();
    with.filter(|with| !with.cte_tables.is_empty()).cloned()
}

async fn planned(session: &SessionContext, query: Query) -> Result<DataFrame, RollupError> {
    let statement = Statement::Statement(Box::new(Sql::Query(Box::new(query))));
    let plan = session.state().statement_to_plan(statement).await?;
    Ok(session.execute_logical_plan(plan).await?)
}
