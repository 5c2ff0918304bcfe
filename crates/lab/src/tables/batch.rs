//! Rows to Arrow batches. Numeric buffers and text bytes are moved, never copied; undefined numbers (NaN) become
//! nulls by a validity bitmap beside the unchanged buffer.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, ListArray, StringArray, UInt64Array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use cormorant_learn::table::Role;
use cormorant_net::features::{ColumnKind, RowColumn, RowField, RowSchema, Rows};

use super::names;
use crate::LabError;

/// Key of a column's unit in Arrow field metadata.
pub(crate) const UNIT: &str = "unit";
/// Key of a column's role in Arrow field metadata.
pub(crate) const ROLE: &str = "role";

/// An Arrow field with its role and unit.
pub(crate) fn field(name: &str, data_type: DataType, role: Role, unit: &str) -> Field {
    let metadata = HashMap::from([
        (ROLE.to_owned(), names::word_of(role).to_owned()),
        (UNIT.to_owned(), unit.to_owned()),
    ]);
    let nullable = matches!(data_type, DataType::Float64) || matches!(role, Role::Label | Role::Family);
    Field::new(name, data_type, nullable).with_metadata(metadata)
}

/// The role a field states.
pub(crate) fn role(field: &Field) -> Option<Role> {
    field.metadata().get(ROLE).and_then(|word| names::role_of_word(word))
}

/// The unit a field states; empty when it states none.
pub(crate) fn unit(field: &Field) -> &str {
    field.metadata().get(UNIT).map_or("", String::as_str)
}

/// The Arrow columns of flow rows.
pub(crate) fn fields_of(rows: &RowSchema) -> Vec<Field> {
    let one = |column: &RowField| {
        let role = match (column.identity, column.name.as_str()) {
            (true, names::FIRST_NS) => Role::Time,
            (true, _) => Role::Identity,
            (false, _) => Role::Feature,
        };
        field(&column.name, data_type(column.kind), role, column.unit)
    };
    rows.fields.iter().map(one).collect()
}

/// The Arrow type of a kind of column.
pub(crate) fn data_type(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::F64 => DataType::Float64,
        ColumnKind::I64 => DataType::Int64,
        ColumnKind::U64 => DataType::UInt64,
        ColumnKind::Text => DataType::Utf8,
        ColumnKind::F64List => list_type(),
    }
}

/// The Arrow type of a list column. Its items may be null, as those of other programs may.
pub(crate) fn list_type() -> DataType {
    DataType::List(item_field())
}

/// The field of a list's items, named as Arrow names it.
pub(crate) fn item_field() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Float64, true))
}

/// The Arrow columns of a batch of rows.
///
/// # Errors
/// [`LabError::Internal`] when text is not UTF-8 or lists do not follow each other, which the net crate rules out.
pub(crate) fn arrays_of(rows: Rows) -> Result<Vec<ArrayRef>, LabError> {
    rows.columns.into_iter().map(array_of).collect()
}

/// A text column of one word.
pub(crate) fn repeated(word: &str, rows: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(word, rows)))
}

fn array_of(column: RowColumn) -> Result<ArrayRef, LabError> {
    Ok(match column {
        RowColumn::F64(values) => Arc::new(float_array(values)),
        RowColumn::I64(values) => Arc::new(Int64Array::from(values)),
        RowColumn::U64(values) => Arc::new(UInt64Array::from(values)),
        RowColumn::Text(text) => {
            let offsets = OffsetBuffer::new(ScalarBuffer::from(text.offsets));
            let array = StringArray::try_new(offsets, Buffer::from_vec(text.bytes), None);
            Arc::new(array.map_err(|error| LabError::Internal(error.to_string()))?)
        }
        RowColumn::F64List(lists) => {
            let offsets = OffsetBuffer::new(ScalarBuffer::from(lists.offsets));
            let values = Arc::new(float_array(lists.values));
            let array = ListArray::try_new(item_field(), offsets, values, None);
            Arc::new(array.map_err(|error| LabError::Internal(error.to_string()))?)
        }
    })
}

/// Numbers with NaN as null.
pub(crate) fn float_array(values: Vec<f64>) -> Float64Array {
    let nulls = values
        .iter()
        .any(|value| value.is_nan())
        .then(|| NullBuffer::new(BooleanBuffer::collect_bool(values.len(), |row| !values[row].is_nan())));
    Float64Array::new(ScalarBuffer::from(values), nulls)
}

/// The schema with this metadata.
pub(crate) fn with_metadata(
    fields: Vec<Field>,
    metadata: impl IntoIterator<Item = (String, String)>,
) -> SchemaRef {
    Arc::new(Schema::new_with_metadata(fields, metadata.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use arrow::array::Array;

    use super::*;

    #[test]
    fn the_buffer_of_a_column_is_moved_not_copied() {
        let values = vec![1.0, f64::NAN, 3.0];
        let place = values.as_ptr();
        let array = float_array(values);
        assert_eq!(array.values().as_ptr(), place);
        assert_eq!((array.null_count(), array.is_null(1)), (1, true));
    }

    #[test]
    fn roles_and_units_are_in_the_metadata() {
        let made = field("duration_s", DataType::Float64, Role::Feature, "s");
        assert_eq!((role(&made), unit(&made)), (Some(Role::Feature), "s"));
        assert!(made.is_nullable());
    }
}
