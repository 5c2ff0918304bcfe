//! Arrow columns by their type, for the writers of text formats.

use std::io;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray, UInt64Array,
};
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};

/// One column.
pub(super) enum View<'a> {
    Float(&'a Float64Array),
    Signed(&'a Int64Array),
    Unsigned(&'a UInt64Array),
    Text(&'a StringArray),
    List(&'a ListArray),
}

/// The columns of a batch.
///
/// # Errors
/// A type that tables of this program do not have.
pub(super) fn columns(batch: &RecordBatch) -> io::Result<Vec<View<'_>>> {
    batch.columns().iter().map(view).collect()
}

fn view(array: &ArrayRef) -> io::Result<View<'_>> {
    match array.data_type() {
        DataType::Float64 => Ok(View::Float(array.as_primitive::<Float64Type>())),
        DataType::Int64 => Ok(View::Signed(array.as_primitive::<Int64Type>())),
        DataType::UInt64 => Ok(View::Unsigned(array.as_primitive::<UInt64Type>())),
        DataType::Utf8 => Ok(View::Text(array.as_string::<i32>())),
        DataType::List(items) if items.data_type() == &DataType::Float64 => {
            Ok(View::List(array.as_list::<i32>()))
        }
        other => Err(io::Error::other(format!("no text form for a column of {other}"))),
    }
}

/// The list of a row as a JSON array, without spaces. JSON has no infinities: they become null, as missing items do.
pub(super) fn json_array(lists: &ListArray, row: usize) -> String {
    let items = lists.value(row);
    let item = |item: Option<f64>| match item.filter(|item| item.is_finite()) {
        Some(item) => format!("{item:?}"),
        None => "null".to_owned(),
    };
    let items: Vec<String> = items.as_primitive::<Float64Type>().iter().map(item).collect();
    format!("[{}]", items.join(","))
}
