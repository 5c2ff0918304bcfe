//! Flows of CICFlowMeter as CIC-IDS2017, CSE-CIC-IDS2018 and their improved versions publish them.
//!
//! What those tables are known for, and what is done about it: spaces around names; `Fwd Header Length` twice (the second is
//! left out when it has the same name, and so is pandas' `.1`); rows of nothing but commas and headers in the middle (left
//! out, counted); `Infinity` and `NaN` at duration 0 (missing, counted); the dash of `Web Attack – XSS` in Windows-1252, in
//! UTF-8 or lost (a hyphen); hours of CIC-IDS2017 without their half of the day (from 1 to 7 they are afternoons).
//!
//! Attempted attacks, of which no payload reached its target, are told apart by G. Engelen et al., *Troubleshooting an
//! Intrusion Detection Dataset* (2021), and L. Liu et al., *Error Prevalence in NIDS Datasets* (2022), who advise to count
//! them as benign.

use std::borrow::Cow;

use cormorant_learn::table::Role;

use super::columns::{Check, Fault, Kind, Missing};
use super::plan::{Plan, Planned, Says, Truth, Verdict, Wanted};
use super::sheet::{self, Layout};
use super::times::Clock;
use super::{Attempted, Format, Input, Options};
use crate::LabError;

pub(super) static FORMAT: Format = Format {
    name: "cic",
    about: "CIC-IDS2017, CSE-CIC-IDS2018 and their improved versions (flows of CICFlowMeter)",
    roles_by_option: false,
    read: |job, table| {
        let layout = Layout {
            delimiter: b',',
            header: &header,
            plan: &|input, names| plan(input, names, job.options),
        };
        sheet::import(job, &layout, table)
    },
};

/// Columns that say whose row it is, in lower case.
const IDENTITIES: [&str; 14] = [
    "id",
    "unnamed: 0",
    "flow id",
    "src ip",
    "source ip",
    "src port",
    "source port",
    "dst ip",
    "destination ip",
    "dst port",
    "destination port",
    "simillarhttp",
    "similarhttp",
    "external ip",
];
const ATTEMPTED_CATEGORY: &str = "attempted category";
const ATTEMPTED: &str = "- attempted";

/// The first row names the columns. A name that stands there twice is made another one, to be left out.
fn header(first: Vec<String>) -> Result<(Vec<String>, bool), Fault> {
    if !first.iter().any(|name| name.eq_ignore_ascii_case("label")) {
        let shown = first.iter().take(3).cloned().collect::<Vec<_>>().join(",");
        let advice = "check --as; tables of other flows are read --as csv";
        return Err(Fault::new("a header with a column Label", &shown).advise(advice));
    }
    Ok((first, false))
}

fn plan(input: &Input, names: &[String], options: &Options) -> Result<Plan, LabError> {
    let lower: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let find = |wanted: &str| lower.iter().position(|name| name == wanted);
    let label = find("label").ok_or_else(|| LabError::Internal("a header without its label".to_owned()))?;
    let (category, time) = (find(ATTEMPTED_CATEGORY), find("timestamp"));
    let mut notes = Vec::new();
    let mut columns: Vec<Planned> = Vec::new();
    for (place, name) in names.iter().enumerate() {
        if place == label || Some(place) == time {
            continue;
        }
        let once = name.strip_suffix(".1").unwrap_or(name);
        if names[..place].iter().any(|earlier| earlier == once) {
            notes.push(format!("the second `{once}` was left out"));
            continue;
        }
        let identity = IDENTITIES.contains(&lower[place].as_str()) || Some(place) == category;
        let (role, wanted) = match (identity, lower[place].ends_with("ip") || lower[place] == "flow id") {
            (true, true) => (Role::Identity, Wanted::Fixed(Kind::Text, Check::Any)),
            (true, false) => (Role::Identity, Wanted::Seen),
            (false, _) => (Role::Feature, Wanted::Numbers),
        };
        columns.push(Planned { place, name: name.clone(), unit: unit(&lower[place]), role, wanted });
    }
    let afternoons = time.is_some_and(|_| !input.stem().contains("2018"));
    if time.is_some() {
        notes.push(
            "times are taken as UTC, which those of the published tables are not (docs/import.md)".to_owned(),
        );
    }
    Ok(Plan {
        truth: Some(truth(label, category, options.attempted)),
        time: time.map(|place| (place, Clock { unit: None, afternoons })),
        missing: Missing::usual(&options.missing),
        western: true,
        notes,
        ..Plan::of(columns)
    })
}

fn truth(label: usize, category: Option<usize>, attempted: Attempted) -> Truth {
    Truth {
        places: std::iter::once(label).chain(category).collect(),
        says: Says { family: true, ..Says::default() },
        judge: Box::new(move |cells| {
            let label = cells.first().and_then(Option::as_deref).unwrap_or_default();
            let category = cells.get(1).and_then(Option::as_deref);
            verdict(label, category, attempted).map_err(|fault| (0, fault))
        }),
    }
}

fn verdict(label: &str, category: Option<&str>, attempted: Attempted) -> Result<Verdict, Fault> {
    let name = hyphenated(label);
    if name.is_empty() {
        return Err(Fault::new("BENIGN or the name of an attack", label));
    }
    if ["benign", "normal"].iter().any(|word| word.eq_ignore_ascii_case(&name)) {
        return Ok(Verdict { malicious: Some(false), ..Verdict::default() });
    }
    let cut = name.len().saturating_sub(ATTEMPTED.len());
    let ends = name.get(cut..).is_some_and(|end| end.eq_ignore_ascii_case(ATTEMPTED));
    let family = if ends { name[..cut].trim_end() } else { &name };
    let in_vain = ends || category.is_some_and(|category| !["-1", "-1.0"].contains(&category));
    let malicious = match attempted {
        Attempted::Benign if in_vain => Some(false),
        Attempted::Unlabelled if in_vain => None,
        _ => Some(true),
    };
    let family = malicious.filter(|malicious| *malicious).map(|_| Cow::Owned(family.to_owned()));
    Ok(Verdict { malicious, family, ..Verdict::default() })
}

/// The label with one space between words and a hyphen for every dash, also where it was lost to a wrong code page.
fn hyphenated(label: &str) -> String {
    let dashes = ['\u{2013}', '\u{2014}', '\u{fffd}', '\u{96}', '\u{97}'];
    let plain: String = label.chars().map(|c| if dashes.contains(&c) { '-' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Units by the words of a name, as CICFlowMeter has them in either spelling.
fn unit(lower: &str) -> &'static str {
    let has = |word: &str| lower.contains(word);
    let ends = |word: &str| lower.ends_with(word);
    if ends("bytes/s") || ends("byts/s") {
        "bytes/s"
    } else if ends("packets/s") || ends("pkts/s") {
        "packets/s"
    } else if has("variance") || ends(" var") || ends("ratio") || has("rate") || has("category") {
        ""
    } else if has("iat") || has("duration") || has("active ") || has("idle ") || has("flow time") {
        "us"
    } else if has("length")
        || has("len ")
        || has(" len")
        || has("size")
        || has("bytes")
        || has("byts")
        || has("seg ")
    {
        "bytes"
    } else if has("packet") || has("pkt") {
        "packets"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_of_any_making_are_hyphens() {
        for label in [
            "Web Attack \u{2013} XSS",
            "Web Attack \u{fffd} XSS",
            "Web Attack - XSS",
            " Web  Attack \u{96} XSS",
        ] {
            let found = verdict(label, None, Attempted::Benign).unwrap();
            assert_eq!(found.family.as_deref(), Some("Web Attack - XSS"), "{label}");
        }
        assert!(verdict("  ", None, Attempted::Benign).is_err());
    }

    #[test]
    fn attempts_count_as_asked() {
        for (label, category) in [("DoS Hulk - Attempted", None), ("DoS Hulk", Some("3"))] {
            let judged = |attempted| verdict(label, category, attempted).unwrap();
            assert_eq!(judged(Attempted::Benign).malicious, Some(false));
            assert_eq!(judged(Attempted::Benign).family, None);
            assert_eq!(judged(Attempted::Unlabelled).malicious, None);
            let malicious = judged(Attempted::Malicious);
            assert_eq!((malicious.malicious, malicious.family.as_deref()), (Some(true), Some("DoS Hulk")));
        }
        assert_eq!(verdict("DoS Hulk", Some("-1"), Attempted::Benign).unwrap().malicious, Some(true));
        assert_eq!(verdict("Benign", Some("-1"), Attempted::Malicious).unwrap().malicious, Some(false));
    }

    #[test]
    fn units_follow_the_names_in_both_spellings() {
        for (name, expected) in [
            ("Flow Bytes/s", "bytes/s"),
            ("Flow Byts/s", "bytes/s"),
            ("Bwd Pkts/s", "packets/s"),
            ("Flow IAT Mean", "us"),
            ("Total Fwd Packets", "packets"),
            ("Tot Fwd Pkts", "packets"),
            ("TotLen Fwd Pkts", "bytes"),
            ("Fwd Packet Length Max", "bytes"),
            ("Packet Length Variance", ""),
            ("Down/Up Ratio", ""),
            ("Flow Duration", "us"),
            ("SYN Flag Count", ""),
        ] {
            assert_eq!(unit(&name.to_ascii_lowercase()), expected, "{name}");
        }
    }
}
