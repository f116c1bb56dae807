//! Rows as a person reads them, in 80 columns: one line a row where that fits, long texts shortened;
//! else one line a value, nothing shortened.

use std::fmt::Write as _;

use arrow::array::{Array as _, RecordBatch};
use arrow::datatypes::Schema;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::error::QueryError;
use super::output::arrow_error;
use crate::report::WIDTH;
use crate::report::text::{counted, harmless, name};

/// What stands for no value.
const NULL: &str = "NULL";
/// Texts up to this width are never shortened: account ids, Regions, cluster ids, verdicts.
const WHOLE: usize = 16;
/// Longer ones are shortened to no less than this.
const LEAST: usize = 12;
/// Columns between columns, where there is room and where there is not.
const GAPS: [usize; 2] = [2, 1];

pub(super) fn render(schema: &Schema, batches: &[RecordBatch]) -> Result<String, QueryError> {
    let heads: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| harmless(field.name()))
        .collect();
    let rows = cells(batches)?;
    let count = counted(rows.len() as i64, "row", "rows");
    if heads.is_empty() || rows.is_empty() {
        return Ok(format!("{count}\n"));
    }
    let natural: Vec<usize> = (0..heads.len())
        .map(|column| {
            let cells = rows.iter().map(|row| width(&row[column]));
            cells.chain([width(&heads[column])]).max().unwrap_or(0)
        })
        .collect();
    let fit = |&gap: &usize| Some((gap, fitted(&heads, &natural, gap)?));
    let Some((gap, widths)) = GAPS.iter().find_map(fit) else {
        return Ok(format!("{}{count}\n", by_value(&heads, &rows)));
    };
    let right: Vec<bool> = schema
        .fields()
        .iter()
        .map(|field| field.data_type().is_numeric())
        .collect();
    let mut text = String::new();
    line(&mut text, &heads, &widths, &right, gap);
    let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    line(&mut text, &rules, &widths, &right, gap);
    for row in &rows {
        line(&mut text, row, &widths, &right, gap);
    }
    text.push_str(&count);
    if widths != natural {
        text.push_str("; long values are shortened, --format csv has them whole");
    }
    text.push('\n');
    Ok(text)
}

fn cells(batches: &[RecordBatch]) -> Result<Vec<Vec<String>>, QueryError> {
    let options = FormatOptions::new().with_null(NULL);
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<Result<_, _>>()
            .map_err(arrow_error)?;
        for row in 0..batch.num_rows() {
            let mut cells = Vec::with_capacity(columns.len());
            for (column, array) in columns.iter().zip(batch.columns()) {
                let value = column.value(row).try_to_string().map_err(arrow_error)?;
                // A text that says so itself is told from no value.
                let quoted = array.is_valid(row) && value == NULL;
                cells.push(if quoted {
                    format!("'{NULL}'")
                } else {
                    harmless(&value)
                });
            }
            rows.push(cells);
        }
    }
    Ok(rows)
}

/// Widths that fit a line, the widest columns shortened first; none where even the least do not fit.
fn fitted(heads: &[String], natural: &[usize], gap: usize) -> Option<Vec<usize>> {
    let gaps = gap * (natural.len() - 1);
    let least = |column: usize| {
        if natural[column] <= WHOLE {
            natural[column]
        } else {
            LEAST.max(width(&heads[column]))
        }
    };
    let mut widths = natural.to_vec();
    loop {
        let total = widths.iter().sum::<usize>() + gaps;
        if total <= WIDTH {
            return Some(widths);
        }
        let can_shrink = (0..widths.len()).filter(|&column| widths[column] > least(column));
        let widest = can_shrink.max_by_key(|&column| widths[column])?;
        widths[widest] -= 1;
    }
}

fn line(text: &mut String, cells: &[String], widths: &[usize], right: &[bool], gap: usize) {
    let mut line = String::new();
    for ((cell, &width), &right) in cells.iter().zip(widths).zip(right) {
        if !line.is_empty() {
            line.push_str(&" ".repeat(gap));
        }
        let cell = name(cell, width);
        if right {
            let _ = write!(line, "{cell:>width$}");
        } else {
            let _ = write!(line, "{cell:<width$}");
        }
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

fn by_value(heads: &[String], rows: &[Vec<String>]) -> String {
    let width = heads.iter().map(|head| width(head)).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        for (head, cell) in heads.iter().zip(row) {
            let _ = writeln!(text, "{head:<width$}  {cell}");
        }
        text.push('\n');
    }
    text
}

fn width(text: &str) -> usize {
    text.chars().count()
}
