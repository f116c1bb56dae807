//! Rows as a person reads them, in 80 columns: side by side where that fits, long texts in several lines;
//! else one line a value. Nothing is shortened; of many rows the first are shown.

use std::fmt::Write as _;

use arrow::array::{Array as _, RecordBatch};
use arrow::datatypes::Schema;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::error::QueryError;
use super::output::arrow_error;
use crate::report::WIDTH;
use crate::report::text::{counted, harmless};

/// What stands for no value.
const NULL: &str = "NULL";
/// Texts up to this width have one line: account ids, Regions, cluster ids, verdicts.
const WHOLE: usize = 16;
/// Longer ones are broken into lines of no less than this.
const LEAST: usize = 12;
/// A text that would need more lines is shown by itself.
const MOST_LINES: usize = 4;
/// Rows and text that a table shows.
const MOST_ROWS: usize = 10_000;
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Columns between columns, where there is room and where there is not.
const GAPS: [usize; 2] = [2, 1];

/// The rows of an answer that a person may read, and the number of all.
pub(super) struct Table {
    heads: Vec<String>,
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
    bytes: usize,
    /// Rows of the answer.
    pub count: u64,
}

impl Table {
    pub fn new(schema: &Schema) -> Self {
        let fields = || schema.fields().iter();
        Self {
            heads: fields().map(|field| harmless(field.name())).collect(),
            right: fields()
                .map(|field| field.data_type().is_numeric())
                .collect(),
            rows: Vec::new(),
            bytes: 0,
            count: 0,
        }
    }

    /// Takes rows while there is room for them, and counts the others.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        let options = FormatOptions::new().with_null(NULL);
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<Result<_, _>>()
            .map_err(arrow_error)?;
        for row in 0..batch.num_rows() {
            // The first that found no room ends it: what is shown is the head of the answer.
            let whole = self.rows.len() as u64 == self.count;
            self.count += 1;
            if !whole || self.rows.len() == MOST_ROWS || self.bytes >= MOST_BYTES {
                continue;
            }
            let mut cells = Vec::with_capacity(columns.len());
            for (column, array) in columns.iter().zip(batch.columns()) {
                let value = column.value(row).try_to_string().map_err(arrow_error)?;
                // A text that says so itself is told from no value.
                let quoted = array.is_valid(row) && value == NULL;
                let cell = if quoted {
                    format!("'{NULL}'")
                } else {
                    harmless(&value)
                };
                self.bytes += cell.len();
                cells.push(cell);
            }
            self.rows.push(cells);
        }
        Ok(())
    }

    pub fn render(&self) -> String {
        let (heads, rows) = (&self.heads, &self.rows);
        let count = counted(self.count as i64, "row", "rows");
        if heads.is_empty() || rows.is_empty() {
            return format!("{count}\n");
        }
        let natural: Vec<usize> = (0..heads.len())
            .map(|column| {
                let cells = rows.iter().map(|row| width(&row[column]));
                cells.chain([width(&heads[column])]).max().unwrap_or(0)
            })
            .collect();
        let fit = |&gap: &usize| Some((gap, fitted(heads, &natural, gap)?));
        let low = |widths: &[usize]| {
            let pairs = natural.iter().zip(widths);
            pairs
                .filter(|(natural, _)| **natural > WHOLE)
                .all(|(natural, width)| *natural <= width * (MOST_LINES - 1))
        };
        let mut text = match GAPS.iter().find_map(fit) {
            Some((gap, widths)) if low(&widths) => {
                let mut text = String::new();
                line(&mut text, heads, &widths, &self.right, gap);
                let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                line(&mut text, &rules, &widths, &self.right, gap);
                for row in rows {
                    line(&mut text, row, &widths, &self.right, gap);
                }
                text
            }
            _ => by_value(heads, rows),
        };
        let more = self.count - rows.len() as u64;
        if more == 0 {
            let _ = writeln!(text, "{count}");
        } else {
            let more = counted(more as i64, "more row", "more rows");
            let _ = writeln!(
                text,
                "and {more}, {count} in all; --format csv has them all"
            );
        }
        text
    }
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

/// Writes a row, in as many lines as its longest cell needs.
fn line(text: &mut String, cells: &[String], widths: &[usize], right: &[bool], gap: usize) {
    let cells: Vec<Vec<String>> = cells
        .iter()
        .zip(widths)
        .map(|(cell, &width)| broken(cell, width))
        .collect();
    let lines = cells.iter().map(Vec::len).max().unwrap_or(0);
    for at in 0..lines {
        let mut line = String::new();
        for (column, ((cell, &width), &right)) in cells.iter().zip(widths).zip(right).enumerate() {
            if column > 0 {
                line.push_str(&" ".repeat(gap));
            }
            let cell = cell.get(at).map_or("", String::as_str);
            if right {
                let _ = write!(line, "{cell:>width$}");
            } else {
                let _ = write!(line, "{cell:<width$}");
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// A text in pieces of at most `width` characters that are the text when put together: after a sign that
/// ends a word where there is one in the second half of a piece.
fn broken(cell: &str, width: usize) -> Vec<String> {
    let chars: Vec<char> = cell.chars().collect();
    let mut rest = chars.as_slice();
    let mut pieces = Vec::new();
    while rest.len() > width {
        let ends_word = |c: &char| !c.is_alphanumeric();
        let cut = rest[width / 2..width].iter().rposition(ends_word);
        let cut = cut.map_or(width, |at| width / 2 + at + 1);
        let (piece, after) = rest.split_at(cut);
        pieces.push(piece.iter().collect());
        rest = after;
    }
    pieces.push(rest.iter().collect());
    pieces
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
