//! `order`: rows sorted by label, and labels that the clock gives away.

use super::giveaway::best_split;
use super::{Check, Finding, Severity, View, percent};
use crate::LearnError;

/// The line of the table.
pub(super) static CHECK: Check = Check {
    name: "order",
    doc: "Rows sorted by label, rows in order of time, and labels that follow from the time alone.",
    run,
};

/// Runs of equal labels below this share of those a shuffled table has are an order.
const FEW_RUNS: f64 = 0.1;

fn run(view: &View<'_>) -> Result<Vec<Finding>, LearnError> {
    Ok(runs(view).into_iter().chain(time(view)).collect())
}

/// Wald and Wolfowitz: n rows of which a and b are of either class have 2ab/n + 1 runs when shuffled.
fn runs(view: &View<'_>) -> Option<Finding> {
    let labels: Vec<bool> = view.labels.iter().flatten().copied().collect();
    let [a, b] = view.classes().map(|count| count as f64);
    let found = 1.0 + labels.windows(2).filter(|pair| pair[0] != pair[1]).count() as f64;
    let expected = 2.0 * a * b / (a + b) + 1.0;
    if labels.len() < 20 || expected.is_nan() || found >= FEW_RUNS * expected {
        return None;
    }
    let sorted = found <= 2.0;
    let message = if sorted {
        "the rows are sorted by label".to_owned()
    } else {
        format!(
            "labels come in {found} runs where shuffled rows have about {expected:.0}: benign and malicious rows were recorded or joined in blocks"
        )
    };
    Some(
        Finding::new(&CHECK, "sorted-by-label", Severity::Warning)
            .figure("runs", found)
            .figure("runs when shuffled", expected)
            .says(message, "Never split by position; neighbours belong together, so split by capture, host or time of attack."),
    )
}

fn time(view: &View<'_>) -> Vec<Finding> {
    let Some(times) = view.table.times() else { return Vec::new() };
    let mut findings = Vec::new();
    if times.len() > 1 && times.is_sorted() {
        findings.push(Finding::new(&CHECK, "in-time-order", Severity::Note).says(
            "the rows are in order of time",
            "Test on what came later than what was learnt from; a random split mixes one attack's rows into both sides.",
        ));
    }
    let numbers: Vec<f64> = times.iter().map(|&time| time as f64).collect();
    if let Some(split) = best_split(&numbers, &view.labels).filter(|split| split.auc > 0.99) {
        findings.push(
            Finding::new(&CHECK, "time-tells-label", Severity::Error).figure("auc", split.auc).says(
                format!("one moment parts benign from malicious rows ({} right on both sides)", percent(split.auc)),
                "Whatever drifts with time will look like an attack: record both kinds at the same time, and keep clocks out of the features.",
            ),
        );
    }
    findings
}
