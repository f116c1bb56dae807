//! How much text one call of a function may make, which the engine does not count.

use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// Text that one call of [`MAKERS`] may make, for all rows of a batch.
const MADE_BYTES: u128 = 64 * 1024 * 1024;
/// Longest single one.
const LONGEST_BYTES: u128 = 1024 * 1024;
/// Functions whose result is as long as an argument says.
pub(super) const MAKERS: [&str; 3] = ["lpad", "repeat", "rpad"];

/// A function that makes text, with a limit on it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Bounded(pub Arc<ScalarUDF>);

impl Bounded {
    fn check(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let [text, length, ..] = args.args.as_slice() else {
            return Ok(());
        };
        let scalars = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        let rows = if args.args.iter().all(scalars) {
            1
        } else {
            args.number_rows
        };
        let lengths = cast(&length.to_array(rows)?, &DataType::Int64)?;
        let lengths = lengths.as_primitive::<Int64Type>();
        let repeats = self.name() == "repeat";
        // A constant is as long in every row, and is not copied for it.
        let texts = match text {
            ColumnarValue::Array(array) if repeats => Some(cast(array, &DataType::LargeUtf8)?),
            _ => None,
        };
        let same = match text {
            ColumnarValue::Scalar(value) if repeats => {
                value.try_as_str().flatten().map_or(0, str::len)
            }
            // Characters that lpad and rpad make have up to four bytes.
            _ => 4,
        };
        let mut made = 0_u128;
        for row in (0..rows).filter(|&row| lengths.is_valid(row)) {
            let bytes = texts.as_ref().map_or(same, |texts| {
                let texts = texts.as_string::<i64>();
                if texts.is_valid(row) {
                    texts.value(row).len()
                } else {
                    0
                }
            });
            let one = u128::try_from(lengths.value(row)).unwrap_or(0) * bytes as u128;
            made += one;
            if one > LONGEST_BYTES || made > MADE_BYTES {
                return exec_err!(
                    "{} may make 1 MiB for a row, and 64 MiB for the rows that are worked on together: \
                     ask for less",
                    self.name()
                );
            }
        }
        Ok(())
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn aliases(&self) -> &[String] {
        self.0.aliases()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.0.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.0.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.0.coerce_types(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&args)?;
        self.0.invoke_with_args(args)
    }
}
