//! The column table of a dataset, and the one declaration that makes it.
//!
//! [`dataset!`](crate::dataset) declares a row struct and its table together: name, type, unit,
//! meaning (the doc comment), volatile or not, primary key. Encoder, decoder, canonical text,
//! schema pages and DDL are all read from [`Dataset`]; a new column is one line in one file.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::time::{Date, UtcMillis};

/// Physical type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// 64-bit signed integer.
    Int,
    /// Boolean.
    Bool,
    /// TIMESTAMP(MILLIS, UTC).
    Instant,
    /// DATE.
    Date,
}

/// One value of a row. `Null` sorts first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell<'a> {
    Null,
    Text(Cow<'a, str>),
    Int(i64),
    Bool(bool),
    Instant(UtcMillis),
    Date(Date),
}

/// What is known of a column beside its values.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    pub nullable: bool,
    /// Unit or form of the value, e.g. `bytes`, `UTC`, `12 digits`.
    pub unit: &'static str,
    /// What the value says, for a reader who never saw this program.
    pub meaning: &'static str,
    /// Differs between two looks at the same world (observed times, request ids, call counts).
    pub volatile: bool,
}

/// A stored value did not have the shape its column promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column} holds {found}")]
pub struct CellError {
    pub column: &'static str,
    /// The offending value, shortened.
    pub found: String,
}

/// A row type with a column table. Rows sort by their key, column by column.
pub trait Dataset: Clone + std::fmt::Debug + PartialEq + Send + Sync + Sized + 'static {
    /// Dataset name, also the folder below `evidence/` and the table name.
    const NAME: &'static str;
    /// Schema version, the `v1` of the archive path.
    const VERSION: u32;
    /// What one row is.
    const MEANING: &'static str;
    /// Columns in file order.
    const COLUMNS: &'static [Column];
    /// Positions of the primary key in `COLUMNS`.
    const KEY: &'static [usize];

    /// The value at a position of `COLUMNS`; `Null` beyond its end.
    fn cell(&self, position: usize) -> Cell<'_>;

    /// Rebuilds a row; `next` is asked for the positions in order.
    fn from_cells<'a>(next: impl FnMut(usize) -> Cell<'a>) -> Result<Self, CellError>;

    /// Order by primary key.
    fn key_order(&self, other: &Self) -> Ordering {
        Self::KEY
            .iter()
            .map(|&k| self.cell(k).cmp(&other.cell(k)))
            .find(|o| *o != Ordering::Equal)
            .unwrap_or(Ordering::Equal)
    }
}

/// A Rust type that can stand in a column.
pub trait ColumnValue: Sized {
    const KIND: Kind;
    const NULLABLE: bool = false;
    fn cell(&self) -> Cell<'_>;
    /// `None` when the cell has another shape.
    fn from_cell(cell: Cell<'_>) -> Option<Self>;
}

impl<T: ColumnValue> ColumnValue for Option<T> {
    const KIND: Kind = T::KIND;
    const NULLABLE: bool = true;

    fn cell(&self) -> Cell<'_> {
        self.as_ref().map_or(Cell::Null, ColumnValue::cell)
    }

    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            other => T::from_cell(other).map(Some),
        }
    }
}

macro_rules! column_value {
    ($type:ty, $kind:ident, $self:ident => $cell:expr, $pattern:pat => $value:expr) => {
        impl ColumnValue for $type {
            const KIND: Kind = Kind::$kind;
            fn cell(&self) -> Cell<'_> {
                let $self = self;
                $cell
            }
            fn from_cell(cell: Cell<'_>) -> Option<Self> {
                match cell {
                    $pattern => $value,
                    _ => None,
                }
            }
        }
    };
}

column_value!(String, Text, s => Cell::Text(Cow::Borrowed(s)), Cell::Text(t) => Some(t.into_owned()));
column_value!(i64, Int, s => Cell::Int(*s), Cell::Int(i) => Some(i));
column_value!(bool, Bool, s => Cell::Bool(*s), Cell::Bool(b) => Some(b));
column_value!(UtcMillis, Instant, s => Cell::Instant(*s), Cell::Instant(t) => Some(t));
column_value!(Date, Date, s => Cell::Date(*s), Cell::Date(d) => Some(d));

/// Finds a key column's position at compile time; an unknown name does not compile.
#[doc(hidden)]
pub const fn position(columns: &[Column], name: &str) -> usize {
    let mut i = 0;
    while i < columns.len() {
        if same(columns[i].name, name) {
            return i;
        }
        i += 1;
    }
    panic!("the key names a column that the table does not have")
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// Declares a row struct and its column table in one place.
///
/// ```text
/// dataset! {
///     /// One row per …
///     pub struct Account: "account" v1, key [account_id];
///     /// Meaning of the column.
///     account_id: AccountId = "12 digits";
///     /// Calls that were made.
///     calls: i64 = "calls", volatile;
/// }
/// ```
#[macro_export]
macro_rules! dataset {
    (
        $(#[doc = $about:literal])+
        pub struct $row:ident: $name:literal v $version:literal, key [$($key:ident),+ $(,)?];
        $( $(#[doc = $meaning:literal])+ $column:ident: $type:ty = $unit:literal $(, $volatile:ident)?; )+
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $row {
            $( $(#[doc = $meaning])+ pub $column: $type, )+
        }

        impl $crate::model::table::Dataset for $row {
            const NAME: &'static str = $name;
            const VERSION: u32 = $version;
            const MEANING: &'static str = concat!($($about),+);
            const COLUMNS: &'static [$crate::model::table::Column] = &[
                $( $crate::model::table::Column {
                    name: stringify!($column),
                    kind: <$type as $crate::model::table::ColumnValue>::KIND,
                    nullable: <$type as $crate::model::table::ColumnValue>::NULLABLE,
                    unit: $unit,
                    meaning: concat!($($meaning),+),
                    volatile: $crate::dataset!(@volatile $($volatile)?),
                }, )+
            ];
            const KEY: &'static [usize] = &[
                $( $crate::model::table::position(
                    <Self as $crate::model::table::Dataset>::COLUMNS, stringify!($key)) ),+
            ];

            fn cell(&self, position: usize) -> $crate::model::table::Cell<'_> {
                type Accessor = for<'a> fn(&'a $row) -> $crate::model::table::Cell<'a>;
                const ACCESSORS: &[Accessor] = &[
                    $( |row| $crate::model::table::ColumnValue::cell(&row.$column) ),+
                ];
                ACCESSORS.get(position).map_or($crate::model::table::Cell::Null, |read| read(self))
            }

            fn from_cells<'a>(
                mut next: impl FnMut(usize) -> $crate::model::table::Cell<'a>,
            ) -> Result<Self, $crate::model::table::CellError> {
                let mut position = 0;
                let mut take = || { let cell = next(position); position += 1; cell };
                Ok(Self {
                    $( $column: {
                        let cell = take();
                        let shown = || format!("{cell:.80?}");
                        match <$type as $crate::model::table::ColumnValue>::from_cell(cell.clone()) {
                            Some(value) => value,
                            None => return Err($crate::model::table::CellError {
                                column: stringify!($column),
                                found: shown(),
                            }),
                        }
                    }, )+
                })
            }
        }
    };
    (@volatile volatile) => { true };
    (@volatile) => { false };
}

/// Declares an enum that is stored as text: one word per variant, read back exactly.
#[macro_export]
macro_rules! text_enum {
    (
        $(#[$about:meta])*
        pub enum $name:ident { $( $(#[$doc:meta])* $variant:ident = $text:literal, )+ }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[$doc])* $variant, )+ }

        impl $name {
            /// Every value, in declaration order.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The stored word.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text, )+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $( $text => Ok(Self::$variant), )+
                    other => Err(format!(
                        "'{other}' is not one of {}", [$($text),+].join(", "))),
                }
            }
        }

        impl $crate::model::table::ColumnValue for $name {
            const KIND: $crate::model::table::Kind = $crate::model::table::Kind::Text;
            fn cell(&self) -> $crate::model::table::Cell<'_> {
                $crate::model::table::Cell::Text(std::borrow::Cow::Borrowed(self.as_str()))
            }
            fn from_cell(cell: $crate::model::table::Cell<'_>) -> Option<Self> {
                match cell {
                    $crate::model::table::Cell::Text(text) => text.parse().ok(),
                    _ => None,
                }
            }
        }
    };
}
