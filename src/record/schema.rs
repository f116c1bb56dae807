//! The Arrow schema of a dataset.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::model::table::{Dataset, Kind};

/// The Arrow schema that `D`'s column table stands for; no metadata.
pub fn arrow_schema<D: Dataset>() -> SchemaRef {
    let fields: Vec<Field> = D::COLUMNS
        .iter()
        .map(|column| Field::new(column.name, arrow_type(column.kind), column.nullable))
        .collect();
    Arc::new(Schema::new(fields))
}

/// The Arrow type of a column kind.
pub(super) fn arrow_type(kind: Kind) -> DataType {
    match kind {
        Kind::Text => DataType::Utf8,
        Kind::Int => DataType::Int64,
        Kind::Bool => DataType::Boolean,
        Kind::Instant => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        Kind::Date => DataType::Date32,
    }
}
