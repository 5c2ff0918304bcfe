//! Any separated text, and how the roles of its columns follow from options and names; [`super::parquet`] asks the same.

use std::borrow::Cow;
use std::io::Read;

use cormorant_learn::table::{BENIGN, MALICIOUS, Role};

use super::columns::{Fault, Missing};
use super::plan::{Plan, Planned, Says, Truth, Verdict, Wanted};
use super::sheet::{self, Layout};
use super::times::{Clock, Unit};
use super::{Format, Input, Options};
use crate::LabError;
use crate::plain::plain;
use crate::tables::names;

pub(super) static FORMAT: Format = Format {
    name: "csv",
    about: "any text with a separator; options say which column is what",
    roles_by_option: true,
    read: |job, table| {
        let Some(first) = job.inputs.first() else {
            return Err(LabError::Internal("an import of no file".to_owned()));
        };
        let no_header = job.options.no_header;
        let layout = Layout {
            delimiter: delimiter(first, job.options)?,
            header: &|first| header(first, no_header),
            plan: &|input, names| plan(&input.name, names, job.options),
        };
        sheet::import(job, &layout, table)?;
        note_one_sided(table);
        Ok(())
    },
};

/// Words that mean benign when nobody says which do.
const BENIGN_WORDS: [&str; 7] = [BENIGN, "normal", "legitimate", "clean", "0", "0.0", "false"];
/// Words that mean malicious without saying which attack.
const MALICIOUS_WORDS: [&str; 8] =
    [MALICIOUS, "malware", "attack", "anomaly", "abnormal", "1", "1.0", "true"];
/// Names, without case and all but letters and digits, of columns that say whose row it is in tables of flows and files.
const IDENTITIES: [&str; 45] = [
    "srcip",
    "sourceip",
    "dstip",
    "destinationip",
    "destip",
    "srcaddr",
    "dstaddr",
    "sourceaddress",
    "destinationaddress",
    "saddr",
    "daddr",
    "srcport",
    "sourceport",
    "dstport",
    "destinationport",
    "destport",
    "sport",
    "dport",
    "srcmac",
    "dstmac",
    "idorigh",
    "idorigp",
    "idresph",
    "idrespp",
    "addressa",
    "addressb",
    "porta",
    "portb",
    "uid",
    "flowid",
    "instanceid",
    "timestamp",
    "ts",
    "time",
    "starttime",
    "endtime",
    "stime",
    "ltime",
    "date",
    "datetime",
    "filename",
    "md5",
    "sha1",
    "sha256",
    "communityid",
];

/// What separates fields: as stated, or the candidate that the first line has most of.
fn delimiter(input: &Input, options: &Options) -> Result<u8, LabError> {
    if let Some(word) = &options.delimiter {
        return match word.as_bytes() {
            b"tab" | b"\\t" => Ok(b'\t'),
            [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !b"\"\r\n".contains(byte) => {
                Ok(*byte)
            }
            _ => Err(LabError::Request {
                what: "--delimiter",
                expected: "one character that is no letter, digit or quote, or `tab`".to_owned(),
                found: format!("`{}`", plain(word)),
                advice: "leave it out to let the first line decide".to_owned(),
            }),
        };
    }
    let mut start = Vec::new();
    // What cannot be read is said by whoever reads the rows.
    let _ = input.open()?.take(64 << 10).read_to_end(&mut start);
    let line =
        start.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    Ok(most_frequent(line))
}

fn most_frequent(line: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0), (b'|', 0)];
    for byte in line {
        quoted ^= *byte == b'"';
        if !quoted && let Some((_, count)) = counts.iter_mut().find(|(candidate, _)| candidate == byte) {
            *count += 1;
        }
    }
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or_default();
    counts.iter().find(|(_, count)| *count == most).map_or(b',', |(candidate, _)| *candidate)
}

fn header(first: Vec<String>, no_header: bool) -> Result<(Vec<String>, bool), Fault> {
    let numbered = |place: usize| format!("column_{}", place + 1);
    if no_header {
        return Ok(((0..first.len()).map(numbered).collect(), true));
    }
    let numbers = first.iter().filter(|cell| cell.parse::<f64>().is_ok()).count();
    if 2 * numbers > first.len() {
        let shown = first.iter().take(4).cloned().collect::<Vec<_>>().join(",");
        return Err(Fault::new("a header that names the columns", &shown).advise(
            "if the first line is a row, say --no-header; if it is a row of the KDD Cup, --as kdd99 or nsl-kdd",
        ));
    }
    let name = |(place, name): (usize, String)| if name.is_empty() { numbered(place) } else { name };
    Ok((first.into_iter().enumerate().map(name).collect(), false))
}

/// Roles of columns by the options, else by their names.
///
/// # Errors
/// [`LabError::Request`] for a column that does not exist or has two roles.
pub(super) fn plan(file: &str, names: &[String], options: &Options) -> Result<Plan, LabError> {
    let find = |what: &'static str, wanted: &str| find(what, wanted, names, file);
    let all = |what: &'static str, wanted: &[String]| -> Result<Vec<usize>, LabError> {
        wanted.iter().filter(|name| !name.is_empty()).map(|name| find(what, name)).collect()
    };
    let identity = all("--identity", &options.identity)?;
    let feature = all("--feature", &options.feature)?;
    let numeric = all("--numeric", &options.numeric)?;
    let mut drop = all("--drop", &options.drop)?;
    let free = |place: &usize| ![&identity, &feature, &drop].iter().any(|taken| taken.contains(place));
    let named = |wanted: &str| names.iter().position(|name| name.eq_ignore_ascii_case(wanted)).filter(free);
    let stated =
        |what, wanted: &Option<String>| wanted.as_deref().map(|wanted| find(what, wanted)).transpose();
    let all_alike = options.label_all.as_deref().map(Alike::parse).transpose()?;
    let label = match stated("--label", &options.label)? {
        Some(label) => Some(label),
        None if all_alike.is_some() => None,
        None => named(names::LABEL),
    };
    let family = stated("--family", &options.family)?.or_else(|| named(names::FAMILY));
    let group = stated("--group", &options.group)?;
    let (time, clock) = match options.time.as_deref() {
        None => (named(names::FIRST_NS), Clock { unit: Some(Unit::Nanoseconds), ..Clock::default() }),
        Some(wanted) => {
            let (name, unit) = with_unit(wanted, names);
            (Some(find("--time", name)?), Clock { unit, ..Clock::default() })
        }
    };
    let roles = [("--label", label), ("--family", family), ("--group", group), ("--time", time)];
    check_once(names, &roles, &[("--identity", &identity), ("--feature", &feature), ("--drop", &drop)])?;
    drop.extend(roles.iter().filter_map(|(_, place)| *place));
    let mut notes = Vec::new();
    let kept = (0..names.len()).filter(|place| !drop.contains(place));
    let columns: Vec<_> = kept
        .map(|place| {
            let name = &names[place];
            let known = is_known_identity(name) && !feature.contains(&place);
            let role = if known || identity.contains(&place) { Role::Identity } else { Role::Feature };
            if known && !identity.contains(&place) {
                notes.push(plain(name).into_owned());
            }
            let wanted = if numeric.contains(&place) { Wanted::Numbers } else { Wanted::Seen };
            Planned {
                place,
                name: name.clone(),
                unit: names::unit_of(name).unwrap_or_default(),
                role,
                wanted,
            }
        })
        .collect();
    if !notes.is_empty() {
        notes = vec![format!(
            "identities by their names, not learnt from: {} (--feature overrules)",
            notes.join(", ")
        )];
    }
    Ok(Plan {
        truth: truth(label, family, all_alike, options),
        time: time.map(|place| (place, clock)),
        group,
        missing: Missing::usual(&options.missing),
        notes,
        ..Plan::of(columns)
    })
}

/// A column by its name, or else by its name in other case.
fn find(what: &'static str, wanted: &str, names: &[String], file: &str) -> Result<usize, LabError> {
    let exact = names.iter().position(|name| name == wanted);
    exact.or_else(|| names.iter().position(|name| name.eq_ignore_ascii_case(wanted.trim()))).ok_or_else(
        || {
            let mut shown: Vec<_> = names.iter().take(30).map(|name| plain(name).into_owned()).collect();
            if names.len() > shown.len() {
                shown.push(format!("and {} more", names.len() - shown.len()));
            }
            LabError::Request {
                what,
                expected: format!("a column of {file}"),
                found: format!("`{}`", plain(wanted)),
                advice: format!("its columns are {}", shown.join(", ")),
            }
        },
    )
}

/// `ts:ms` as a column and a unit, unless a column has that whole name.
fn with_unit<'a>(wanted: &'a str, names: &[String]) -> (&'a str, Option<Unit>) {
    if names.iter().any(|name| name == wanted) {
        return (wanted, None);
    }
    match wanted.rsplit_once(':').map(|(name, unit)| (name, Unit::of(unit))) {
        Some((name, Some(unit))) => (name, Some(unit)),
        _ => (wanted, None),
    }
}

/// No column may have two roles.
fn check_once(
    names: &[String],
    single: &[(&str, Option<usize>)],
    several: &[(&str, &[usize])],
) -> Result<(), LabError> {
    let single = single.iter().filter_map(|(option, place)| place.map(|place| (*option, place)));
    let several = several.iter().flat_map(|(option, places)| places.iter().map(|&place| (*option, place)));
    let mut roles: Vec<Option<&str>> = vec![None; names.len()];
    for (option, place) in single.chain(several) {
        if let Some(first) = roles[place].filter(|first| *first != option) {
            return Err(LabError::Request {
                what: "options",
                expected: "one role per column".to_owned(),
                found: format!("`{}` under {first} and {option}", plain(&names[place])),
                advice: "leave one of them out".to_owned(),
            });
        }
        roles[place] = Some(option);
    }
    Ok(())
}

fn is_known_identity(name: &str) -> bool {
    let bare: String =
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    IDENTITIES.contains(&bare.as_str())
        || !matches!(names::role_of(name), Role::Feature | Role::Label | Role::Family)
}

/// One label for all rows.
#[derive(Clone, Debug)]
struct Alike {
    malicious: bool,
    family: Option<String>,
}

impl Alike {
    fn parse(text: &str) -> Result<Self, LabError> {
        let (word, family) = text.split_once(':').map_or((text, None), |(word, family)| (word, Some(family)));
        match word {
            BENIGN if family.is_none() => Ok(Self { malicious: false, family: None }),
            MALICIOUS if family != Some("") => {
                Ok(Self { malicious: true, family: family.map(str::to_owned) })
            }
            _ => Err(LabError::Request {
                what: "--label-all",
                expected: "benign, malicious or malicious:FAMILY".to_owned(),
                found: format!("`{}`", plain(text)),
                advice: "rows of several labels need a column: --label COLUMN".to_owned(),
            }),
        }
    }
}

fn truth(
    label: Option<usize>,
    family: Option<usize>,
    alike: Option<Alike>,
    options: &Options,
) -> Option<Truth> {
    let says = Says { family: true, ..Says::default() };
    if let Some(alike) = alike.filter(|_| label.is_none()) {
        let judge: super::plan::Judge = Box::new(move |cells| {
            let named = cells.first().cloned().flatten().map(|family| Cow::Owned(family.into_owned()));
            let family = named.or_else(|| alike.family.clone().map(Cow::Owned));
            Ok(Verdict { malicious: Some(alike.malicious), family, ..Verdict::default() })
        });
        return Some(Truth { places: family.into_iter().collect(), says, judge });
    }
    let label = label?;
    let or_usual = |words: &[String]| match words {
        [] => BENIGN_WORDS.map(str::to_owned).to_vec(),
        stated => stated.to_vec(),
    };
    let (benign, unlabelled) = (or_usual(&options.benign), options.unlabelled.clone());
    let judge: super::plan::Judge = Box::new(move |cells| {
        let Some(word) = cells.first().and_then(Option::as_deref) else { return Ok(Verdict::default()) };
        let among = |words: &[String]| words.iter().any(|known| known.trim().eq_ignore_ascii_case(word));
        let malicious = (!among(&unlabelled)).then(|| !among(&benign));
        let family = match cells.get(1) {
            Some(family) => family.clone().map(|family| Cow::Owned(family.into_owned())),
            None => {
                let bare = MALICIOUS_WORDS.iter().any(|known| known.eq_ignore_ascii_case(word));
                (malicious == Some(true) && !bare).then(|| Cow::Owned(word.to_owned()))
            }
        };
        Ok(Verdict { malicious, family, ..Verdict::default() })
    });
    Some(Truth { places: std::iter::once(label).chain(family).collect(), says, judge })
}

/// Labels of one kind alone are more often a wrong word than the truth.
pub(super) fn note_one_sided(table: &mut super::Table<'_>) {
    let count = |label: &str| table.tally.labels.get(label).copied().unwrap_or_default();
    let (benign, malicious) = (count(BENIGN), count(MALICIOUS));
    if malicious > 0 && benign == 0 {
        table.tally.notes.push("no row is benign; if some are, --benign says by which word".to_owned());
    } else if benign + malicious == 0 {
        table.tally.notes.push("no row has a label; --label names the column that says".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn judged(options: &Options, columns: &[&str], cells: &[&str]) -> Verdict {
        let truth = plan("t.csv", &names(columns), options).unwrap().truth.unwrap();
        let cells: Vec<_> = truth.places.iter().map(|&place| Some(Cow::Borrowed(cells[place]))).collect();
        (truth.judge)(&cells).unwrap()
    }

    #[test]
    fn the_separator_is_what_the_first_line_has_most_of_outside_quotes() {
        assert_eq!(most_frequent(b"a;b;c,d"), b';');
        assert_eq!(most_frequent(b"\"a;b;c\",d"), b',');
        assert_eq!(most_frequent(b"a\tb"), b'\t');
        assert_eq!(most_frequent(b"alone"), b',');
    }

    #[test]
    fn labels_are_benign_by_words_and_others_name_an_attack() {
        let usual = Options::default();
        assert_eq!(judged(&usual, &["x", "Label"], &["1", "BENIGN"]).malicious, Some(false));
        let mirai = judged(&usual, &["x", "label"], &["1", "Mirai"]);
        assert_eq!((mirai.malicious, mirai.family.as_deref()), (Some(true), Some("Mirai")));
        assert_eq!(judged(&usual, &["x", "label"], &["1", "1"]).family, None);
        let options = Options {
            label: Some("kind".to_owned()),
            benign: vec!["background".to_owned()],
            unlabelled: vec!["unknown".to_owned()],
            family: Some("detail".to_owned()),
            ..Options::default()
        };
        let columns = ["x", "kind", "detail"];
        assert_eq!(judged(&options, &columns, &["1", "Background", "a"]).malicious, Some(false));
        assert_eq!(
            judged(&options, &columns, &["1", "benign", "b"]).malicious,
            Some(true),
            "not among the words"
        );
        assert_eq!(judged(&options, &columns, &["1", "unknown", "c"]).malicious, None);
        assert_eq!(judged(&options, &columns, &["1", "bot", "neris"]).family.as_deref(), Some("neris"));
    }

    #[test]
    fn identities_are_known_by_name_and_roles_must_not_clash() {
        let columns = names(&["id.orig_h", "Src Port", "ts", "duration", "label"]);
        let found = plan("t.csv", &columns, &Options::default()).unwrap();
        let features: Vec<_> =
            found.columns.iter().filter(|c| c.role == Role::Feature).map(|c| c.name.as_str()).collect();
        assert_eq!(features, ["duration"]);
        let options =
            Options { feature: names(&["src port"]), time: Some("ts:s".to_owned()), ..Options::default() };
        let found = plan("t.csv", &columns, &options).unwrap();
        assert_eq!(found.columns.iter().filter(|c| c.role == Role::Feature).count(), 2);
        assert_eq!(found.time.unwrap().1.unit, Some(Unit::Seconds));
        let twice = Options { drop: names(&["ts"]), time: Some("ts".to_owned()), ..Options::default() };
        assert!(plan("t.csv", &columns, &twice).err().unwrap().to_string().contains("one role per column"));
        let absent = Options { group: Some("host".to_owned()), ..Options::default() };
        let message = plan("t.csv", &columns, &absent).err().unwrap().to_string();
        assert!(message.contains("`host`") && message.contains("id.orig_h, Src Port"), "{message}");
    }

    #[test]
    fn a_first_line_of_numbers_is_no_header() {
        assert!(header(names(&["0", "tcp", "181", "0.5"]), false).is_err());
        assert_eq!(header(names(&["0", "tcp"]), true).unwrap().0, ["column_1", "column_2"]);
        assert_eq!(header(names(&["", "a"]), false).unwrap().0, ["column_1", "a"]);
    }
}
