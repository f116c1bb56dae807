//! Rows as canonical JSON lines: the form that `rows_sha256` hashes and that journal frames hold.
//!
//! One object per row; keys sorted by code point; `null` written out; no white space; instants as
//! integer milliseconds, dates as `"YYYY-MM-DD"`; the shortest escapes of JSON. The line feed after
//! each line belongs to the file, not to the line.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};

use crate::model::table::{Cell, Dataset, Kind};
use crate::time::{Date, UtcMillis};

/// Appends the canonical line of one row, without line feed. For many rows keep a [`LineWriter`].
pub fn canonical_line<D: Dataset>(row: &D, out: &mut Vec<u8>) {
    LineWriter::<D>::new().write(row, out);
}

/// Writes canonical lines straight into a buffer, column order worked out once.
#[derive(Debug)]
pub struct LineWriter<D> {
    /// Position in `D::COLUMNS` and the text before the value, in order of name.
    columns: Vec<(usize, Vec<u8>)>,
    /// Nearly all rows of a file share one date.
    last_date: Option<(Date, String)>,
    rows: PhantomData<fn(&D)>,
}

impl<D: Dataset> LineWriter<D> {
    /// A writer for rows of `D`.
    pub fn new() -> Self {
        let columns = sorted_positions::<D>()
            .into_iter()
            .enumerate()
            .map(|(i, position)| {
                let mut before = vec![if i == 0 { b'{' } else { b',' }];
                write_text(D::COLUMNS[position].name, &mut before);
                before.push(b':');
                (position, before)
            })
            .collect();
        Self {
            columns,
            last_date: None,
            rows: PhantomData,
        }
    }

    /// Appends the canonical line of `row`, without line feed.
    pub fn write(&mut self, row: &D, out: &mut Vec<u8>) {
        for (position, before) in &self.columns {
            out.extend_from_slice(before);
            match row.cell(*position) {
                Cell::Null => out.extend_from_slice(b"null"),
                Cell::Text(text) => write_text(&text, out),
                Cell::Int(value) | Cell::Instant(UtcMillis(value)) => write_int(value, out),
                Cell::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
                Cell::Date(date) => {
                    if self
                        .last_date
                        .as_ref()
                        .is_none_or(|(known, _)| *known != date)
                    {
                        self.last_date = Some((date, format!("\"{date}\"")));
                    }
                    if let Some((_, text)) = &self.last_date {
                        out.extend_from_slice(text.as_bytes());
                    }
                }
            }
        }
        out.push(b'}');
    }
}

impl<D: Dataset> Default for LineWriter<D> {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads canonical lines back into rows. Any JSON object with the right keys is understood, in any
/// order; an absent key counts as null.
#[derive(Debug)]
pub struct LineReader<D> {
    /// Positions in `D::COLUMNS` in order of name, the order in which keys arrive.
    sorted: Vec<usize>,
    rows: PhantomData<fn() -> D>,
}

impl<D: Dataset> LineReader<D> {
    /// A reader for rows of `D`.
    pub fn new() -> Self {
        Self {
            sorted: sorted_positions::<D>(),
            rows: PhantomData,
        }
    }

    /// The row that `line` holds; the error says what is wrong with it.
    pub fn read(&self, line: &[u8]) -> Result<D, String> {
        let mut json = serde_json::Deserializer::from_slice(line);
        let mut cells = Cells::<D> {
            sorted: &self.sorted,
            rows: PhantomData,
        }
        .deserialize(&mut json)
        .map_err(|e| e.to_string())?;
        json.end().map_err(|e| e.to_string())?;
        D::from_cells(|position| std::mem::replace(&mut cells[position], Cell::Null))
            .map_err(|e| e.to_string())
    }
}

impl<D: Dataset> Default for LineReader<D> {
    fn default() -> Self {
        Self::new()
    }
}

fn sorted_positions<D: Dataset>() -> Vec<usize> {
    let mut positions: Vec<usize> = (0..D::COLUMNS.len()).collect();
    positions.sort_by_key(|&position| D::COLUMNS[position].name);
    positions
}

fn write_int(value: i64, out: &mut Vec<u8>) {
    serde_json::to_writer(out, &value).expect("writing to memory does not fail");
}

/// A JSON string with the escapes that serde_json writes (RFC 8259 section 7): short ones where they
/// exist, `\u00xx` for other control characters, everything else as it is.
fn write_text(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    // Nearly all texts, and looked at as a whole several bytes go at once.
    let odd = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    if !bytes.iter().fold(false, |any, &byte| any | odd(byte)) {
        out.extend_from_slice(bytes);
        out.push(b'"');
        return;
    }
    let mut plain_from = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            0x09 => b't',
            0x0a => b'n',
            0x0c => b'f',
            0x0d => b'r',
            0x00..=0x1f => 0,
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain_from..i]);
        plain_from = i + 1;
        if short == 0 {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
    }
    out.extend_from_slice(&bytes[plain_from..]);
    out.push(b'"');
}

/// One line as cells in the order of `D::COLUMNS`, text borrowed from the line where it can be.
struct Cells<'s, D> {
    sorted: &'s [usize],
    rows: PhantomData<fn() -> D>,
}

impl<'de, D: Dataset> DeserializeSeed<'de> for Cells<'_, D> {
    type Value = Vec<Cell<'de>>;

    fn deserialize<J: Deserializer<'de>>(self, json: J) -> Result<Self::Value, J::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, D: Dataset> Visitor<'de> for Cells<'_, D> {
    type Value = Vec<Cell<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a row of {}", D::NAME)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut cells = vec![None; D::COLUMNS.len()];
        let mut next = 0;
        while let Some(Text(name)) = map.next_key()? {
            let expected = self.sorted.get(next).copied();
            let position = expected
                .filter(|&position| D::COLUMNS[position].name == name)
                .or_else(|| D::COLUMNS.iter().position(|column| column.name == name))
                .ok_or_else(|| M::Error::custom(format!("there is no column {name:.80}")))?;
            next += 1;
            let column = &D::COLUMNS[position];
            let cell = match column.kind {
                Kind::Text => map.next_value::<Option<Text>>()?.map(|t| Cell::Text(t.0)),
                Kind::Int => map.next_value::<Option<i64>>()?.map(Cell::Int),
                Kind::Bool => map.next_value::<Option<bool>>()?.map(Cell::Bool),
                Kind::Instant => map
                    .next_value::<Option<i64>>()?
                    .map(|ms| Cell::Instant(UtcMillis(ms))),
                Kind::Date => map
                    .next_value::<Option<Text>>()?
                    .map(|t| t.0.parse().map(Cell::Date))
                    .transpose()
                    .map_err(M::Error::custom)?,
            };
            if cells[position]
                .replace(cell.unwrap_or(Cell::Null))
                .is_some()
            {
                return Err(M::Error::custom(format!(
                    "column {name} stands there twice"
                )));
            }
        }
        Ok(cells
            .into_iter()
            .map(|cell| cell.unwrap_or(Cell::Null))
            .collect())
    }
}

/// Text that borrows from the line unless escapes stand in it; serde's `Cow` always copies.
struct Text<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Text<'de> {
    fn deserialize<J: Deserializer<'de>>(json: J) -> Result<Self, J::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        json.deserialize_str(Borrow)
    }
}
