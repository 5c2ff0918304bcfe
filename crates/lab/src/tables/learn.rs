//! Arrow batches to the learning crate's table: all columns a fit may use, or exactly those a model wants.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field as ArrowField, Float64Type, Int64Type, SchemaRef, UInt64Type};
use cormorant_learn::table::{
    BENIGN, Column, Feature, FeatureKind, Field, ListColumn, MISSING, Role, Schema, Table, TextColumn,
};

use super::{batch, names};
use crate::LabError;

/// Places of the columns a fit may use: features, label, family, group, time, and the identity column called
/// `class`, which a model may be asked to tell apart.
pub(crate) fn useful_places(schema: &SchemaRef) -> Vec<usize> {
    let useful =
        |field: &ArrowField| batch::role(field) != Some(Role::Identity) || field.name() == names::CLASS;
    (0..schema.fields().len()).filter(|&place| useful(schema.field(place))).collect()
}

/// The table of columns a fit may use ([`useful_places`]). The family of a benign row is its activity, which is nothing to detect, so
/// it is left out.
///
/// # Errors
/// [`LabError::Learn`] when columns do not make a table.
pub(crate) fn training_table(
    name: &str,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<Table, LabError> {
    let mut table = Table::default();
    let labels = labels(schema, batches);
    for (place, arrow) in schema.fields().iter().enumerate() {
        let role = batch::role(arrow).unwrap_or(Role::Feature);
        let mut column = column(arrow, batches, place);
        if role == Role::Time && !matches!(column, Column::I64(_) | Column::U64(_)) {
            continue;
        }
        if role == Role::Family {
            forget_activities(&mut column, &labels);
        }
        let field = Field::new(arrow.name(), batch::unit(arrow), role);
        table.push(field, column).map_err(LabError::learn(name))?;
    }
    Ok(table)
}

/// The feature columns among these, as a model is bound to them.
pub(crate) fn schema_of<'a>(fields: impl IntoIterator<Item = &'a Arc<ArrowField>>) -> Schema {
    let feature = |field: &Arc<ArrowField>| Feature {
        name: field.name().clone(),
        unit: batch::unit(field).to_owned(),
        kind: kind_of(field),
    };
    Schema {
        features: fields
            .into_iter()
            .filter(|field| batch::role(field) == Some(Role::Feature))
            .map(feature)
            .collect(),
    }
}

fn kind_of(field: &ArrowField) -> FeatureKind {
    match field.data_type() {
        DataType::Utf8 => FeatureKind::Text,
        DataType::List(_) => FeatureKind::List,
        _ => FeatureKind::Number,
    }
}

/// The feature columns of a table in the order a model wants them.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    places: Vec<usize>,
    fields: Vec<Field>,
    /// What else is worth knowing, in sentences.
    pub(crate) notes: Vec<String>,
}

impl Selection {
    /// Finds the columns of `wanted` in `schema`.
    ///
    /// # Errors
    /// [`LabError::Table`] naming the columns that are missing or differ in type or unit.
    pub(crate) fn new(name: &str, schema: &SchemaRef, wanted: &Schema) -> Result<Self, LabError> {
        let mut selection = Self { places: Vec::new(), fields: Vec::new(), notes: Vec::new() };
        let mut faults = Vec::new();
        for feature in &wanted.features {
            let Ok(place) = schema.index_of(&feature.name) else {
                faults.push(format!("`{}` is missing", feature.name));
                continue;
            };
            faults.extend(difference(schema.field(place), feature.kind, &feature.unit));
            selection.places.push(place);
            selection.fields.push(Field::new(&feature.name, &feature.unit, Role::Feature));
        }
        if faults.is_empty() {
            selection.note_extra(name, schema);
            Ok(selection)
        } else {
            Err(misfit(name, wanted, &faults))
        }
    }

    fn note_extra(&mut self, name: &str, schema: &SchemaRef) {
        let extra: Vec<&str> = schema
            .fields()
            .iter()
            .enumerate()
            .filter(|(place, field)| {
                batch::role(field) == Some(Role::Feature) && !self.places.contains(place)
            })
            .map(|(_, field)| field.name().as_str())
            .collect();
        if !extra.is_empty() {
            let shown = crate::plain::plain(&first_few(&extra)).into_owned();
            self.notes
                .push(format!("{name}: the model does not use {} of its columns: {shown}", extra.len()));
        }
    }

    /// The model's features out of batches of the schema.
    ///
    /// # Errors
    /// [`LabError::Learn`].
    pub(crate) fn table(
        &self,
        name: &str,
        schema: &SchemaRef,
        batches: &[RecordBatch],
    ) -> Result<Table, LabError> {
        let columns = self.places.iter().map(|&place| column(schema.field(place), batches, place)).collect();
        Table::new(self.fields.clone(), columns).map_err(LabError::learn(name))
    }
}

fn difference(found: &ArrowField, kind: FeatureKind, unit: &str) -> Option<String> {
    let here = batch::unit(found);
    if kind_of(found) != kind {
        let (here, there) = (word_of(kind_of(found)), word_of(kind));
        return Some(format!("`{}` holds {here}, the model learnt {there}", found.name()));
    }
    (!here.is_empty() && !unit.is_empty() && here != unit)
        .then(|| format!("`{}` is in {here}, the model learnt {unit}", found.name()))
}

fn word_of(kind: FeatureKind) -> &'static str {
    match kind {
        FeatureKind::Number => "numbers",
        FeatureKind::Text => "text",
        FeatureKind::List => "lists",
    }
}

fn misfit(name: &str, wanted: &Schema, faults: &[String]) -> LabError {
    LabError::Table {
        place: name.to_owned(),
        expected: format!("the {} feature columns the model was trained on", wanted.features.len()),
        found: format!(
            "{} that differ: {}",
            faults.len(),
            crate::plain::plain(&first_few(&faults.iter().map(String::as_str).collect::<Vec<_>>()))
        ),
        advice: "extract the table with the model's feature sets, or give the capture itself".to_owned(),
    }
}

fn first_few(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

/// Per row `Some(true)` when malicious, `None` when unlabelled.
pub(crate) fn labels(schema: &SchemaRef, batches: &[RecordBatch]) -> Vec<Option<bool>> {
    words(schema, batches, Role::Label).into_iter().map(|word| word.map(|word| word != BENIGN)).collect()
}

/// The words of the text column that holds this role; `None` in every row when there is no such column.
pub(crate) fn words(schema: &SchemaRef, batches: &[RecordBatch], role: Role) -> Vec<Option<String>> {
    let place = schema.fields().iter().position(|field| batch::role(field) == Some(role));
    let Some(place) = place.filter(|&place| schema.field(place).data_type() == &DataType::Utf8) else {
        return vec![None; batches.iter().map(RecordBatch::num_rows).sum()];
    };
    let texts = batches.iter().flat_map(|batch| batch.column(place).as_string::<i32>().iter());
    texts.map(|text| text.filter(|text| !text.is_empty()).map(str::to_owned)).collect()
}

fn forget_activities(column: &mut Column, labels: &[Option<bool>]) {
    if let Column::Text(text) = column {
        for (code, label) in text.codes.iter_mut().zip(labels) {
            if *label != Some(true) || text.words.get(*code as usize).is_some_and(String::is_empty) {
                *code = MISSING;
            }
        }
    }
}

fn column(field: &ArrowField, batches: &[RecordBatch], place: usize) -> Column {
    let arrays = || batches.iter().map(|batch| batch.column(place));
    let nulls = arrays().any(|array| array.null_count() > 0);
    match field.data_type() {
        DataType::Int64 if !nulls => Column::I64(
            arrays().flat_map(|array| array.as_primitive::<Int64Type>().values()).copied().collect(),
        ),
        DataType::UInt64 if !nulls => Column::U64(
            arrays().flat_map(|array| array.as_primitive::<UInt64Type>().values()).copied().collect(),
        ),
        DataType::Int64 => {
            floats(arrays().flat_map(|array| array.as_primitive::<Int64Type>().iter()), |v| v as f64)
        }
        DataType::UInt64 => {
            floats(arrays().flat_map(|array| array.as_primitive::<UInt64Type>().iter()), |v| v as f64)
        }
        DataType::Utf8 => {
            Column::Text(TextColumn::from_texts(arrays().flat_map(|array| array.as_string::<i32>().iter())))
        }
        DataType::List(_) => Column::List(ListColumn::from_lists(
            arrays().flat_map(|array| array.as_list::<i32>().iter()).map(list),
        )),
        _ => floats(arrays().flat_map(|array| array.as_primitive::<Float64Type>().iter()), |v| v),
    }
}

/// A missing list is an empty one.
fn list(items: Option<ArrayRef>) -> Vec<f64> {
    let numbers = |items: ArrayRef| {
        items.as_primitive::<Float64Type>().iter().map(|item| item.unwrap_or(f64::NAN)).collect()
    };
    items.map_or_else(Vec::new, numbers)
}

/// Whole numbers with gaps become floats: only those can say "missing".
fn floats<T>(values: impl Iterator<Item = Option<T>>, to_float: impl Fn(T) -> f64) -> Column {
    Column::F64(values.map(|value| value.map_or(f64::NAN, &to_float)).collect())
}
