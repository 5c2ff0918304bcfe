//! `impossible`: values that what the column is named after cannot have.

use rayon::prelude::*;

use super::{Check, Finding, Severity, View, names, share};
use crate::LearnError;
use crate::table::{Column, Field};

/// The line of the table.
pub(super) static CHECK: Check = Check {
    name: "impossible",
    doc: "Infinite values, and negative durations, counts, sizes and rates; -1 as a code for \"none\".",
    run,
};

/// Words of what cannot be below 0.
const NOT_NEGATIVE: &[&str] = &[
    "duration", "dur", "iat", "interval", "gap", "active", "idle", "count", "counts", "packets", "packet",
    "pkts", "pkt", "bytes", "byte", "length", "len", "size", "win", "window", "flags", "flag", "rate",
    "ratio", "num", "number", "std", "variance", "port", "header", "segment", "ttl", "time", "bulk",
    "subflow", "type", "code",
];
/// Units of what cannot be below 0.
const UNITS: &[&str] = &["s", "ms", "us", "ns", "bytes", "packets", "bits"];

fn run(view: &View<'_>) -> Result<Vec<Finding>, LearnError> {
    let look = |(field, column): &(&Field, &Column)| {
        view.ctx.check()?;
        Ok(look(field, column))
    };
    let found: Result<Vec<Vec<Finding>>, LearnError> = view.features.par_iter().map(look).collect();
    Ok(found?.into_iter().flatten().collect())
}

fn look(field: &Field, column: &Column) -> Vec<Finding> {
    if matches!(column, Column::Text(_) | Column::List(_)) {
        return Vec::new();
    }
    let rows_where =
        |is: fn(f64) -> bool| (0..column.len()).filter(|&row| is(column.number(row))).collect::<Vec<_>>();
    let finding = |kind, severity, rows: &[usize]| {
        Finding::new(&CHECK, kind, severity)
            .of_columns([field.name.as_str()])
            .at_rows(rows.iter().copied())
            .figure("rows", rows.len() as f64)
            .figure("share", share(rows.len(), column.len()))
    };
    let mut findings = Vec::new();
    let infinite = rows_where(f64::is_infinite);
    if !infinite.is_empty() {
        findings.push(finding("infinite", Severity::Error, &infinite).says(
            format!("the feature `{}` is infinite in {} rows", field.name, infinite.len()),
            "A rate over no time is no rate: these rows become the largest number there is; make them missing or 0 instead.",
        ));
    }
    if !names::has(&field.name, NOT_NEGATIVE) && !UNITS.contains(&field.unit.as_str()) {
        return findings;
    }
    let negative = rows_where(|x| x < 0.0);
    if negative.is_empty() {
        return findings;
    }
    if negative.iter().all(|&row| column.number(row) == -1.0) {
        findings.push(finding("minus-one", Severity::Warning, &negative).says(
            format!(
                "the feature `{}` is -1 in {} rows and never otherwise negative: -1 stands for \"none\"",
                field.name,
                negative.len()
            ),
            "Make it missing: as a number it is next to 0, which means something else.",
        ));
    } else {
        let least = negative.iter().map(|&row| column.number(row)).fold(0.0, f64::min);
        findings.push(finding("negative", Severity::Error, &negative).figure("least", least).says(
            format!("the feature `{}` cannot be negative, but is in {} rows (down to {least})", field.name, negative.len()),
            "Counters that ran over or packets out of order: leave the rows out, or meter the captures again.",
        ));
    }
    findings
}
