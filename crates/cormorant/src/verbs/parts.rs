//! Parts of pages that several verbs show: counts by reason, how labels met rows, notes, metrics.

use std::collections::BTreeMap;

use cormorant_lab::extraction::{Counts, LabelCounts, Unread};
use cormorant_lab::tasks::evaluate::Intervals;
use serde_json::Value;

use crate::terminal::{Grid, Page, Span, Tone, span};
use crate::units::{bytes, count, counted, metric, rate};

/// `3 idle, 1 fin`, largest first; `none` when nothing was counted.
pub(super) fn tally(counts: &BTreeMap<String, u64>) -> String {
    let mut counts: Vec<_> = counts.iter().filter(|(_, number)| **number > 0).collect();
    counts.sort_by_key(|(name, number)| (std::cmp::Reverse(**number), (*name).clone()));
    let text: Vec<_> = counts.iter().map(|(name, number)| format!("{} {name}", count(**number))).collect();
    if text.is_empty() { "none".to_owned() } else { text.join(", ") }
}

/// A line of a page: a name and what stands beside it.
pub(super) type Pair = (&'static str, String);

/// What was read and what became of it.
pub(super) fn counts(counted_here: &Counts, seconds: f64) -> Vec<Pair> {
    let Counts { packets, bytes: wire_bytes, flows, .. } = *counted_here;
    let speed = format!("{} packets/s", rate(packets, seconds));
    let mut pairs = vec![("packets", format!("{} ({}, {speed})", count(packets), bytes(wire_bytes)))];
    // Packets are in rows, but in no flow: the rows are packets or hosts.
    if flows > 0 || counted_here.packets_in_flows == 0 {
        pairs.push(("flows", format!("{} ({})", count(flows), tally(&counted_here.flows_by_expiry))));
    }
    pairs.extend(unread(&counted_here.unread));
    let mut if_any = |name, reasons: &BTreeMap<String, u64>| {
        if reasons.values().any(|number| *number > 0) {
            pairs.push((name, tally(reasons)));
        }
    };
    if_any("no flow", &counted_here.packets_without_flow);
    if_any("malformed", &counted_here.decode_faults);
    if_any("not decoded", &counted_here.undecoded_links);
    if_any("datagrams", &counted_here.datagrams);
    if counted_here.packets_out_of_order > 0 {
        pairs.push(("out of order", counted(counted_here.packets_out_of_order, "packet")));
    }
    pairs
}

/// Packets that are not among those read, where there are any.
pub(super) fn unread(unread: &Unread) -> Vec<Pair> {
    let mut pairs = Vec::new();
    if unread.packets_filtered > 0 {
        pairs.push(("filtered", counted(unread.packets_filtered, "packet") + " did not match"));
    }
    if !unread.packets_dropped.is_empty() {
        let of = unread.packets_received.map_or_else(String::new, |all| format!(" of {}", count(all)));
        pairs.push(("dropped", tally(&unread.packets_dropped) + &of));
    }
    pairs
}

/// How the labels met the rows.
pub(super) fn labels(labels: &LabelCounts) -> Vec<Pair> {
    let rows = labels.matched + labels.unmatched + labels.ambiguous;
    let mut pairs = vec![("labelled", format!("{} of {} rows", count(labels.matched), count(rows)))];
    if labels.unmatched > 0 {
        pairs.push(("no rule", format!("{} rows, left without a label", count(labels.unmatched))));
    }
    if labels.ambiguous > 0 {
        pairs.push((
            "ambiguous",
            format!("{} rows that rules disagree on, left without a label", count(labels.ambiguous)),
        ));
    }
    if labels.rules_unused > 0 {
        pairs.push((
            "unused",
            format!("{} of {} rules match no row", count(labels.rules_unused), count(labels.rules)),
        ));
    }
    for (label, families) in &labels.families {
        pairs.push((if label == "malicious" { "malicious" } else { "benign" }, named(families)));
    }
    pairs
}

/// What else the user should know, each on its own lines.
pub(super) fn notes(page: &mut Page, notes: &[String]) {
    notes.iter().for_each(|note| page.hanging([span(Tone::Warn, "note: ")], note));
}

/// The metrics of detection, those that exist, in lines of names and values, with their intervals where they are known.
pub(super) fn metrics(page: &mut Page, metrics: &Value, intervals: Option<&Intervals>) {
    let value = |name: &str| metric(metrics.get(name).and_then(Value::as_f64));
    let sure = |name: &str| {
        let interval = intervals.and_then(|intervals| intervals.metrics.get(name));
        let bounds =
            interval.map(|found| format!(" ({} to {})", metric(Some(found.low)), metric(Some(found.high))));
        value(name) + &bounds.unwrap_or_default()
    };
    page.pairs(&[
        ("recall", format!("{} of the malicious rows are caught", sure("recall"))),
        ("FDR", format!("{} of the alerts are false; precision {}", sure("fdr"), value("precision"))),
        ("FPR", format!("{} of the benign rows raise an alert", sure("fpr"))),
        ("F1", format!("{}, MCC {}, base rate {}", sure("f1"), value("mcc"), value("base_rate"))),
        ("ROC AUC", format!("{}, average precision {}", sure("roc_auc"), value("average_precision"))),
    ]);
    if let Some(Intervals { drawn, draws, confidence, .. }) = intervals {
        let percent = 100.0 * confidence;
        page.prose(
            0,
            Tone::Faint,
            &format!("In brackets {percent:.0} % intervals of {draws} bootstrap samples of {drawn}."),
        );
    }
}

/// A number that is good when it is zero.
pub(super) fn unwanted(number: u64) -> Span {
    span(if number == 0 { Tone::Good } else { Tone::Bad }, count(number))
}

fn named(families: &BTreeMap<String, u64>) -> String {
    let named: BTreeMap<_, _> = families
        .iter()
        .map(|(name, rows)| {
            (if name.is_empty() { "without a family".to_owned() } else { name.clone() }, *rows)
        })
        .collect();
    tally(&named)
}

/// Marks a family the model never learnt from.
pub(super) fn unseen(seen: bool) -> Span {
    if seen { "".into() } else { span(Tone::Warn, "never shown") }
}

/// Detection of each family, from a metrics document.
pub(super) fn families(page: &mut Page, metrics: &Value, families_unseen: &[String]) {
    let Some(families) =
        metrics.get("families").and_then(Value::as_array).filter(|families| !families.is_empty())
    else {
        return;
    };
    let mut grid = Grid::new(&["family", ">rows", ">caught", ">missed", ">recall", ">F1", ""]);
    for family in families {
        let number = |name: &str| family.get(name).and_then(Value::as_u64).unwrap_or_default();
        let value = |name: &str| metric(family.get(name).and_then(Value::as_f64));
        let name = family
            .get("family")
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty())
            .unwrap_or("(no family)");
        grid.row([
            name.into(),
            count(number("rows")).into(),
            count(number("detected")).into(),
            unwanted(number("rows") - number("detected").min(number("rows"))),
            value("recall").into(),
            value("f1").into(),
            unseen(!families_unseen.iter().any(|unseen| unseen == name)),
        ]);
    }
    page.blank();
    page.grid(&grid);
}

/// Alerts against truth, from a metrics document.
pub(super) fn confusion(page: &mut Page, metrics: &Value) {
    let number = |name: &str| {
        metrics.pointer(&format!("/confusion/{name}")).and_then(Value::as_u64).unwrap_or_default()
    };
    let mut grid = Grid::new(&["", ">alert", ">no alert"]);
    grid.row([
        "malicious".into(),
        span(Tone::Good, count(number("true_positives"))),
        unwanted(number("false_negatives")),
    ]);
    grid.row(["benign".into(), unwanted(number("false_positives")), count(number("true_negatives")).into()]);
    page.blank();
    page.grid(&grid);
}
