//! `identity`: features that say which row it is, or what someone thought of it, by their names or by how they behave.

use rayon::prelude::*;

use super::{Check, Finding, Severity, View, names};
use crate::LearnError;
use crate::table::{Column, Field, MISSING};

/// The line of the table.
pub(super) static CHECK: Check = Check {
    name: "identity",
    doc: "Addresses, ports, times, ids and verdicts among the features, by name or because they are unique or run with the rows.",
    run,
};

/// Fewer rows show no behaviour.
const LEAST_ROWS: usize = 50;

/// What a name gives away: kind, severity, what it is, and whether a name is one.
type Pattern = (&'static str, Severity, &'static str, fn(&str) -> bool);

static PATTERNS: &[Pattern] = &[
    ("verdict", Severity::Error, "looks like a label, or like something made from the labels", is_verdict),
    ("address", Severity::Error, "is named like an address", is_address),
    ("id", Severity::Error, "is named like an id", is_id),
    ("time", Severity::Error, "is named like a point in time", is_time),
    ("port", Severity::Warning, "is named like a port", is_port),
];

const ADVICE: &str = "Give the column another role than feature: in data recorded once, it tells the rows of an attack apart without saying what an attack is.";

fn run(view: &View<'_>) -> Result<Vec<Finding>, LearnError> {
    let look = |(field, column): &(&Field, &Column)| {
        view.ctx.check()?;
        Ok(by_name(&field.name).or_else(|| by_behaviour(&field.name, column)))
    };
    let found: Result<Vec<Option<Finding>>, LearnError> = view.features.par_iter().map(look).collect();
    Ok(found?.into_iter().flatten().collect())
}

fn by_name(name: &str) -> Option<Finding> {
    let (kind, severity, what, _) = PATTERNS.iter().find(|(_, _, _, is_one)| is_one(name))?;
    Some(
        Finding::new(&CHECK, kind, *severity)
            .of_columns([name])
            .says(format!("the feature `{name}` {what}"), ADVICE),
    )
}

fn is_verdict(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "label",
        "labels",
        "class",
        "target",
        "attack",
        "attacktype",
        "attackcat",
        "attackcategory",
        "attemptedcategory",
        "category",
        "subcategory",
        "difficulty",
        "difficultylevel",
        "detailedlabel",
        "family",
        "ismalicious",
        "malicious",
        "verdict",
    ];
    NAMES.contains(&names::squeezed(name).as_str())
}

fn is_address(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "ip", "ipv4", "ipv6", "mac", "addr", "address", "srcip", "dstip", "sip", "dip", "saddr", "daddr",
        "srcaddr", "dstaddr", "srcmac", "dstmac",
    ];
    const ENDS: &[&str] = &["idorigh", "idresph"];
    let squeezed = names::squeezed(name);
    !names::is_aggregate(name) && (names::has(name, WORDS) || ENDS.iter().any(|end| squeezed == *end))
}

fn is_id(name: &str) -> bool {
    const NAMES: &[&str] =
        &["id", "uid", "uuid", "guid", "index", "rownumber", "row", "unnamed0", "key", "hash", "pktseqid"];
    const LAST: &[&str] = &["id", "uid", "uuid"];
    let words = names::words(name);
    let last = words.last().is_some_and(|word| LAST.contains(&word.as_str()));
    !names::is_aggregate(name) && (last || NAMES.contains(&words.concat().as_str()))
}

fn is_time(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "time",
        "timestamp",
        "ts",
        "date",
        "datetime",
        "stime",
        "ltime",
        "starttime",
        "endtime",
        "firstseen",
        "lastseen",
        "flowstart",
        "flowend",
        "flowstarttime",
        "flowstartmilliseconds",
        "flowendmilliseconds",
        "measurementtime",
    ];
    NAMES.contains(&names::squeezed(name).as_str())
}

fn is_port(name: &str) -> bool {
    const WORDS: &[&str] = &["port", "sport", "dport", "srcport", "dstport", "dsport"];
    const ENDS: &[&str] = &["idorigp", "idrespp"];
    let squeezed = names::squeezed(name);
    !names::is_aggregate(name) && (names::has(name, WORDS) || ENDS.iter().any(|end| squeezed == *end))
}

fn by_behaviour(name: &str, column: &Column) -> Option<Finding> {
    if column.len() < LEAST_ROWS {
        return None;
    }
    let behaves = |kind: &str, severity, figure: f64, what: &str| {
        Finding::new(&CHECK, kind, severity)
            .of_columns([name])
            .figure("distinct share", figure)
            .says(format!("the feature `{name}` {what}"), ADVICE)
    };
    match column {
        Column::List(_) => None,
        Column::Text(text) => {
            let mut seen = vec![false; text.words.len()];
            text.codes.iter().filter(|code| **code != MISSING).for_each(|&code| seen[code as usize] = true);
            let part = seen.iter().filter(|seen| **seen).count() as f64 / column.len() as f64;
            (part > 0.5).then(|| {
                behaves(
                    "many-words",
                    Severity::Warning,
                    part,
                    "has a word of its own for most rows, as names and ids have",
                )
            })
        }
        numbers => {
            let value = |row| numbers.number(row);
            if (1..numbers.len()).all(|row| value(row) > value(row - 1))
                || (1..numbers.len()).all(|row| value(row) < value(row - 1))
            {
                return Some(behaves(
                    "runs-with-rows",
                    Severity::Error,
                    1.0,
                    "grows or falls from each row to the next, as row numbers and clocks do",
                ));
            }
            let mut values: Vec<f64> = (0..numbers.len()).map(value).collect();
            if values.iter().any(|value| value.fract() != 0.0 || value.is_nan()) {
                return None;
            }
            values.sort_unstable_by(f64::total_cmp);
            values.windows(2).all(|pair| pair[0] != pair[1]).then(|| {
                behaves("unique", Severity::Error, 1.0, "is another whole number in every row, as ids are")
            })
        }
    }
}
