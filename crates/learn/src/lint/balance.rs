//! `balance`: rows per class and family, and rows without a label.

use std::collections::BTreeMap;

use super::{Check, Finding, Severity, View, listed, percent, share};
use crate::LearnError;

/// The line of the table.
pub(super) static CHECK: Check = Check {
    name: "balance",
    doc: "Rows without a label, one class only, classes of very different size, families too small to judge by.",
    run,
};

/// A family with fewer rows cannot be learnt and held out at once.
const SMALL_FAMILY: usize = 10;

fn run(view: &View<'_>) -> Result<Vec<Finding>, LearnError> {
    let rows = view.table.rows();
    let [benign, malicious] = view.classes();
    let labelled = benign + malicious;
    let mut findings = Vec::new();
    if labelled < rows {
        let part = share(rows - labelled, rows);
        let severity = if part > 0.5 { Severity::Warning } else { Severity::Note };
        findings.push(
            Finding::new(&CHECK, "unlabelled", severity)
                .at_rows((0..rows).filter(|&row| view.labels[row].is_none()))
                .figure("share", part)
                .says(
                    format!("{} of the rows have no label", percent(part)),
                    "Classifiers do not learn from them; let an expert label some, or use a model that needs no labels.",
                ),
        );
    }
    if labelled > 0 && (benign == 0 || malicious == 0) {
        let only = if benign == 0 { "malicious" } else { "benign" };
        findings.push(
            Finding::new(&CHECK, "one-class", Severity::Error).figure("rows", labelled as f64).says(
                format!("every labelled row is {only}"),
                "A classifier needs both; with benign rows only, use a novelty model.",
            ),
        );
    } else if labelled > 0 {
        findings.extend(imbalance(benign, malicious));
    }
    findings.extend(small_families(view));
    Ok(findings)
}

fn imbalance(benign: usize, malicious: usize) -> Option<Finding> {
    let part = share(malicious, benign + malicious);
    let lesser = part.min(1.0 - part);
    if lesser >= 0.1 && part <= 0.5 {
        return None;
    }
    let severity = if lesser < 0.01 || part > 0.5 { Severity::Warning } else { Severity::Note };
    let advice = if part > 0.5 {
        "Traffic is hardly ever mostly malicious: accuracy and precision measured here say nothing of a real network; judge by recall at a fixed false-alarm rate."
    } else {
        "Accuracy says nothing here; judge by precision and recall, and weigh the classes."
    };
    Some(Finding::new(&CHECK, "imbalance", severity).figure("malicious share", part).says(
        format!("{malicious} malicious rows to {benign} benign ones ({} malicious)", percent(part)),
        advice,
    ))
}

fn small_families(view: &View<'_>) -> Option<Finding> {
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    let families = view.table.families();
    families.iter().flatten().for_each(|family| *sizes.entry(family).or_default() += 1);
    let small: Vec<(&str, usize)> = sizes.into_iter().filter(|(_, rows)| *rows < SMALL_FAMILY).collect();
    if small.is_empty() {
        return None;
    }
    let names: Vec<String> = small.iter().map(|(family, _)| (*family).to_owned()).collect();
    let of_small =
        |row: &usize| families[*row].is_some_and(|family| small.iter().any(|(name, _)| *name == family));
    let finding = Finding::new(&CHECK, "small-families", Severity::Warning)
        .at_rows((0..families.len()).filter(of_small))
        .says(
            format!("fewer than {SMALL_FAMILY} rows each: {}", listed(&names)),
            "No figure for such a family means anything: merge related ones, or report them apart.",
        );
    Some(small.iter().fold(finding, |finding, (family, rows)| finding.figure(*family, *rows as f64)))
}
