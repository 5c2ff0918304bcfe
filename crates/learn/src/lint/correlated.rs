//! `correlated`: columns that repeat another one, exactly or nearly.

use rayon::prelude::*;

use super::{Check, Finding, Severity, View, listed};
use crate::LearnError;
use crate::prep::correlated::Centred;
use crate::table::Column;

/// The line of the table.
pub(super) static CHECK: Check = Check {
    name: "correlated",
    doc: "Columns equal to an earlier one in every row, or with a correlation above 0.98.",
    run,
};

const ABOVE: f64 = 0.98;
/// Values kept at most (256 MiB): of larger tables so many rows are compared, evenly spread.
const MOST_VALUES: usize = 1 << 25;
/// Products of values at most.
const MOST_WORK: usize = 4_000_000_000;

fn run(view: &View<'_>) -> Result<Vec<Finding>, LearnError> {
    let numeric: Vec<usize> = (0..view.features.len())
        .filter(|&place| !matches!(view.features[place].1, Column::Text(_) | Column::List(_)))
        .collect();
    let pairs = (numeric.len() * numeric.len() / 2).max(1);
    let most = (MOST_WORK / pairs).min(MOST_VALUES / numeric.len().max(1)).max(100);
    let rows = most.min(view.table.rows());
    let row = |place: usize| place * view.table.rows() / rows.max(1);
    let sample = |&place: &usize| {
        let number = |row| view.features[place].1.number(row).clamp(-f64::MAX, f64::MAX);
        Centred::of(&(0..rows).map(|place| number(row(place))).collect::<Vec<_>>())
    };
    let columns: Vec<Centred> = numeric.par_iter().map(sample).collect();
    let first_like = |later: usize| {
        view.ctx.check()?;
        let like = |earlier: &usize| columns[*earlier].correlation(&columns[later]).abs() > ABOVE;
        Ok((0..later).find(like))
    };
    let firsts: Result<Vec<Option<usize>>, LearnError> =
        (0..columns.len()).into_par_iter().map(first_like).collect();
    let firsts = firsts?;
    let mut findings = Vec::new();
    for earlier in 0..columns.len() {
        let like: Vec<usize> = (0..columns.len()).filter(|&later| firsts[later] == Some(earlier)).collect();
        let (same, near): (Vec<usize>, Vec<usize>) = like
            .into_iter()
            .partition(|&later| equal(view.features[numeric[earlier]].1, view.features[numeric[later]].1));
        let name = |place: usize| view.features[numeric[place]].0.name.as_str();
        let finding = |kind, severity, others: &[usize], how: &str| {
            let names: Vec<String> = others.iter().map(|&place| name(place).to_owned()).collect();
            let found = Finding::new(&CHECK, kind, severity)
                .of_columns([name(earlier)].into_iter().chain(others.iter().map(|&place| name(place))))
                .figure("rows compared", rows as f64)
                .says(
                    format!("{how} `{}`: {}", name(earlier), listed(&names)),
                    "The step `correlated` keeps the first; reasons and importances are shared out among such columns.",
                );
            let r = |place: usize| columns[earlier].correlation(&columns[place]);
            others.iter().fold(found, |found, &place| found.figure(format!("r of {}", name(place)), r(place)))
        };
        if !same.is_empty() {
            findings.push(finding("identical", Severity::Warning, &same, "equal in every row to"));
        }
        if !near.is_empty() {
            findings.push(finding("nearly-identical", Severity::Note, &near, "nearly the same as"));
        }
    }
    Ok(findings)
}

/// Whether two columns are equal in every row of the table.
fn equal(a: &Column, b: &Column) -> bool {
    (0..a.len()).all(|row| {
        let (a, b) = (a.number(row), b.number(row));
        a == b || (a.is_nan() && b.is_nan())
    })
}
