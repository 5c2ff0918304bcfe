//! `duplicates`: rows equal in every feature, and those among them whose labels contradict each other.

use std::collections::BTreeMap;

use super::{Check, Finding, Severity, View, percent, share};
use crate::LearnError;

/// The line of the table.
pub(super) static CHECK: Check = Check {
    name: "duplicates",
    doc: "Rows equal in every feature, by class, and equal rows with different labels or families.",
    run,
};

/// Classes whose share of duplicates is given, the worst first.
const MOST_CLASSES: usize = 30;

fn run(view: &View<'_>) -> Result<Vec<Finding>, LearnError> {
    if view.features.is_empty() {
        return Ok(Vec::new());
    }
    let mut order: Vec<u32> = (0..view.keys.len() as u32).collect();
    order.sort_unstable_by_key(|&row| (view.keys[row as usize], row));
    let same = |a: &u32, b: &u32| view.keys[*a as usize] == view.keys[*b as usize];
    let groups: Vec<&[u32]> = order.chunk_by(same).filter(|group| group.len() > 1).collect();
    let again: Vec<usize> = groups.iter().flat_map(|group| &group[1..]).map(|&row| row as usize).collect();
    let mut findings = Vec::new();
    if !again.is_empty() {
        findings.push(repeated(view, again));
    }
    findings.extend(contradictions(view, &groups));
    Ok(findings)
}

fn repeated(view: &View<'_>, mut again: Vec<usize>) -> Finding {
    again.sort_unstable();
    let rows = view.keys.len();
    let part = share(again.len(), rows);
    let severity = match part {
        part if part > 0.1 => Severity::Error,
        part if part > 0.01 => Severity::Warning,
        _ => Severity::Note,
    };
    let families = view.table.families();
    let class = |row: usize| match view.labels[row] {
        Some(false) => Some("benign"),
        Some(true) => Some(families[row].unwrap_or("malicious")),
        None => families[row],
    };
    let count = |rows: &mut dyn Iterator<Item = usize>| {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        rows.filter_map(class).for_each(|class| *counts.entry(class).or_default() += 1);
        counts
    };
    let (all, repeats) = (count(&mut (0..rows)), count(&mut again.iter().copied()));
    let mut shares: Vec<(&str, f64)> =
        repeats.iter().map(|(class, &repeats)| (*class, share(repeats, all[class]))).collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    let by_class = shares.iter().take(3).map(|(class, part)| format!("{class} {}", percent(*part)));
    let by_class = by_class.collect::<Vec<_>>().join(", ");
    let finding = Finding::new(&CHECK, "repeated-rows", severity)
        .at_rows(again.iter().copied())
        .figure("rows", rows as f64)
        .figure("distinct", (rows - again.len()) as f64)
        .figure("share", part)
        .says(
            format!("{} of the rows repeat an earlier one in every feature{}{by_class}",
                percent(part), if by_class.is_empty() { "" } else { "; most of all " }),
            "Drop repeats before splitting, or the same row is learnt from and tested on; what is repeated most also weighs most.",
        );
    shares
        .iter()
        .take(MOST_CLASSES)
        .fold(finding, |finding, (class, part)| finding.figure(format!("share in {class}"), *part))
}

fn contradictions(view: &View<'_>, groups: &[&[u32]]) -> Vec<Finding> {
    let families = view.table.families();
    let both = |group: &&&[u32]| {
        let has = |wanted| group.iter().any(|&row| view.labels[row as usize] == Some(wanted));
        has(true) && has(false)
    };
    let several = |group: &&&[u32]| {
        let mut named = group.iter().filter_map(|&row| families[row as usize]);
        named.next().is_some_and(|first| named.any(|family| family != first))
    };
    let rows_of = |groups: Vec<&&[u32]>| {
        let mut rows: Vec<usize> =
            groups.into_iter().flat_map(|group| group.iter()).map(|&row| row as usize).collect();
        rows.sort_unstable();
        rows
    };
    let found = |kind: &str, severity, rows: Vec<usize>, what: &str| {
        (!rows.is_empty()).then(|| {
            Finding::new(&CHECK, kind, severity)
                .at_rows(rows.iter().copied())
                .figure("rows", rows.len() as f64)
                .figure("share", share(rows.len(), view.keys.len()))
                .says(
                    format!("{} rows are equal in every feature to a row of another {what}", rows.len()),
                    "No model can get these right: the features do not tell them apart, or labels are wrong. Look at some by hand.",
                )
        })
    };
    let labels = rows_of(groups.iter().filter(both).collect());
    let names = rows_of(groups.iter().filter(|group| several(group) && !both(group)).collect());
    [
        found("contradicting-labels", Severity::Warning, labels, "label"),
        found("contradicting-families", Severity::Note, names, "family"),
    ]
    .into_iter()
    .flatten()
    .collect()
}
