//! `constant`: columns that say nothing, or next to nothing, or are mostly missing.

use std::collections::HashMap;

use rayon::prelude::*;

use super::{Check, Finding, Severity, View, percent};
use crate::LearnError;
use crate::table::{Column, Field};

/// The line of the table.
pub(super) static CHECK: Check = Check {
    name: "constant",
    doc: "Columns with one value, with one value in nearly every row, or mostly missing.",
    run,
};

/// From this share on a value is nearly the only one.
const NEARLY: f64 = 0.999;
/// From this share on a column is mostly missing.
const MOSTLY: f64 = 0.5;

fn run(view: &View<'_>) -> Result<Vec<Finding>, LearnError> {
    let look = |(field, column): &(&Field, &Column)| {
        view.ctx.check()?;
        Ok(look(field, column))
    };
    let found: Result<Vec<Option<Finding>>, LearnError> = view.features.par_iter().map(look).collect();
    Ok(found?.into_iter().flatten().collect())
}

fn look(field: &Field, column: &Column) -> Option<Finding> {
    let rows = column.len();
    if rows < 2 || matches!(column, Column::List(_)) {
        return None;
    }
    let (missing, row, count) = commonest(column);
    let value = column.text(row);
    let finding = |kind, severity| Finding::new(&CHECK, kind, severity).of_columns([field.name.as_str()]);
    let part = |count: usize| count as f64 / rows as f64;
    if count.max(missing) == rows {
        let value = if missing == rows { "missing".to_owned() } else { format!("`{value}`") };
        return Some(finding("constant", Severity::Warning).says(
            format!("the feature `{}` is {value} in every row", field.name),
            "Nothing can be learnt from it: the step `drop-constant` leaves it out. Ask why it was never filled.",
        ));
    }
    if part(missing) > MOSTLY {
        return Some(finding("mostly-missing", Severity::Note).figure("missing share", part(missing)).says(
            format!("the feature `{}` is missing in {} of the rows", field.name, percent(part(missing))),
            "Make sure that it is missing for the same reason in all classes: `impute:indicator=true` keeps the fact as a column.",
        ));
    }
    (part(count) >= NEARLY).then(|| {
        finding("nearly-constant", Severity::Note).figure("share", part(count)).says(
            format!("the feature `{}` is `{value}` in {} of the rows", field.name, percent(part(count))),
            "What a model learns from so few rows will hardly hold elsewhere.",
        )
    })
}

/// Missing rows, and the first row with the commonest value and how many have it.
fn commonest(column: &Column) -> (usize, usize, usize) {
    let mut counts: HashMap<u64, (usize, usize)> = HashMap::new();
    let mut missing = 0;
    for row in 0..column.len() {
        let key = match column {
            Column::Text(text) => text.get(row).map(|_| u64::from(text.codes[row])),
            numbers => Some(numbers.number(row)).filter(|x| !x.is_nan()).map(|x| (x + 0.0).to_bits()),
        };
        match key {
            Some(key) => counts.entry(key).or_insert((row, 0)).1 += 1,
            None => missing += 1,
        }
    }
    let most = counts.into_values().max_by_key(|&(row, count)| (count, std::cmp::Reverse(row)));
    let (row, count) = most.unwrap_or((0, 0));
    (missing, row, count)
}
