//! `overlap`: what the table to learn from and the one to test on have in common.

use std::collections::{BTreeSet, HashSet};

use super::{Check, Finding, Severity, View, listed, percent, rows, share};
use crate::LearnError;
use crate::table::{Role, Table};

/// The line of the table.
pub(super) static CHECK: Check = Check {
    name: "overlap",
    doc: "Rows, groups and families that the table to learn from and the one to test on share; feature columns that differ.",
    run,
};

fn run(view: &View<'_>) -> Result<Vec<Finding>, LearnError> {
    let Some(test) = view.test else { return Ok(Vec::new()) };
    let mut findings = Vec::new();
    if let Err(error) = view.table.schema().check(&test.schema()) {
        findings.push(
            Finding::new(&CHECK, "other-columns", Severity::Error)
                .says(error.to_string(), "Extract both tables with the same feature set."),
        );
    } else if !view.features.is_empty() {
        findings.extend(shared_rows(view, test));
    }
    let shared = |role: Role| {
        let (mine, theirs) = (words(view.table, role), words(test, role));
        mine.intersection(&theirs).cloned().collect::<Vec<_>>()
    };
    let groups = shared(Role::Group);
    if !groups.is_empty() {
        findings.push(
            Finding::new(&CHECK, "shared-groups", Severity::Error)
                .figure("groups", groups.len() as f64)
                .says(
                    format!("both tables have rows of {}", listed(&groups)),
                    "Rows of one capture or host resemble each other: keep each group on one side.",
                ),
        );
    }
    let families = shared(Role::Family);
    if !families.is_empty() {
        findings.push(Finding::new(&CHECK, "shared-families", Severity::Note).figure("families", families.len() as f64).says(
            format!("both tables have rows of the families {}", listed(&families)),
            "The test says how well known attacks are found; leave whole families out to learn about new ones.",
        ));
    }
    Ok(findings)
}

fn shared_rows(view: &View<'_>, test: &Table) -> Option<Finding> {
    let known: HashSet<u128> = view.keys.iter().copied().collect();
    let again: Vec<usize> =
        (0..).zip(rows::keys(test)).filter(|(_, key)| known.contains(key)).map(|(row, _)| row).collect();
    if again.is_empty() {
        return None;
    }
    let part = share(again.len(), test.rows());
    let severity = if part > 0.01 { Severity::Error } else { Severity::Warning };
    Some(
        Finding::new(&CHECK, "shared-rows", severity)
            .at_rows(again.iter().copied())
            .figure("rows", again.len() as f64)
            .figure("share", part)
            .says(
                format!("{} of the test rows are in the table to learn from, feature by feature", percent(part)),
                "Drop them from the test: a model that remembers rows would look as good as one that understands.",
            ),
    )
}

fn words(table: &Table, role: Role) -> BTreeSet<String> {
    let Some(column) = table.role(role) else { return BTreeSet::new() };
    let mut words: BTreeSet<String> = (0..column.len()).map(|row| column.text(row)).collect();
    words.remove("");
    words
}
