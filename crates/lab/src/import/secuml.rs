//! A data set of SecuML: `idents.csv` (who each instance is, and the truth where it is known), annotations, a file of
//! features with its description; in SecuML's directories or side by side, told apart by their headers.
//!
//! Rows are joined by `instance_id` and not by their order. Labels are those of `idents.csv` where it has them (the
//! ground truth), else those of the annotations, else of columns right behind the id in the features; other rows
//! stay unlabelled. Features are numbers; ones whose ids are described get their described names.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use cormorant_learn::table::Role;

use super::columns::{Fault, Missing};
use super::npz::{self, Sparse};
use super::plan::{Plan, Planned, Says, Truth, Verdict, Wanted};
use super::records::Records;
use super::sheet::{self, Layout};
use super::times::Clock;
use super::{Format, Input, Job, Table};
use crate::LabError;
use crate::plain::plain;
use crate::tables::read::cannot_read;

pub(super) static FORMAT: Format = Format {
    name: "secuml",
    about: "a data set of SecuML: idents.csv, features (CSV or sparse .npz), annotations, descriptions",
    roles_by_option: false,
    read,
};

const ID: &str = "instance_id";
/// What may stand beside the id, in `idents.csv` or in a file of features.
const FACTS: [&str; 4] = ["ident", "timestamp", "label", "family"];

/// What is known of an instance.
#[derive(Clone, Debug, Default)]
struct Facts {
    ident: Option<String>,
    time_ns: Option<i64>,
    malicious: Option<bool>,
    family: Option<String>,
}

/// The files of a data set by what they hold.
#[derive(Default)]
struct Parts<'a> {
    idents: Vec<&'a Input>,
    annotations: Vec<&'a Input>,
    descriptions: Vec<&'a Input>,
    features: Vec<&'a Input>,
}

fn read(job: &Job<'_>, table: &mut Table<'_>) -> Result<(), LabError> {
    let parts = parts(job)?;
    let [features] = parts.features[..] else { return Err(wrong_features(&parts.features)) };
    let names = parts.descriptions.iter().map(|input| description(input)).collect::<Result<Vec<_>, _>>()?;
    let features = if npz::is_zip(&start(features)?) {
        &sparse(features, &parts.idents, &names, job.ctx.mem_bytes)?
    } else {
        features
    };
    let mut truth = HashMap::new();
    let mut labelled = false;
    for input in &parts.idents {
        labelled |= facts(input, &mut truth, true)?.contains(&"label".to_owned());
    }
    let known = truth.len();
    if labelled && !parts.annotations.is_empty() {
        table.tally.notes.push("labels are those of idents.csv; the annotations were not read".to_owned());
    } else {
        for input in &parts.annotations {
            facts(input, &mut truth, false)?;
        }
    }
    let has_idents = !parts.idents.is_empty();
    let says_label = labelled || !parts.annotations.is_empty();
    let timed = has_idents && !truth.is_empty() && truth.values().all(|facts| facts.time_ns.is_some());
    let source = Source { truth, has_idents, says_label, timed };
    let layout = Layout {
        delimiter: b',',
        header: &|first| Ok((first, false)),
        plan: &|_, header| Ok(plan(header, &source, &names, &job.options.missing)),
    };
    let job = Job { inputs: vec![features.clone()], options: job.options, ctx: job.ctx };
    sheet::import(&job, &layout, table)?;
    let rows = table.tally.rows + table.tally.skipped;
    if has_idents && rows < known as u64 {
        table.tally.notes.push(format!("{} instances of idents.csv have no features", known as u64 - rows));
    }
    Ok(())
}

fn wrong_features(found: &[&Input]) -> LabError {
    let shown: Vec<_> = found.iter().map(|input| plain(&input.name).into_owned()).collect();
    LabError::Request {
        what: "input",
        expected: "one file of features: CSV whose first column is instance_id, or a sparse .npz".to_owned(),
        found: if shown.is_empty() { "none".to_owned() } else { shown.join(", ") },
        advice: "name one file of features beside idents.csv".to_owned(),
    }
}

/// The first bytes of a file.
fn start(input: &Input) -> Result<Vec<u8>, LabError> {
    let mut bytes = Vec::new();
    let unreadable = |source| cannot_read(Path::new(&input.name), source);
    input.open()?.take(4).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// A sparse matrix, whose rows are the instances of `idents.csv` and whose columns those of the description, each in order.
fn sparse(
    input: &Input,
    idents: &[&Input],
    described: &[Vec<(String, String)>],
    most_bytes: u64,
) -> Result<Input, LabError> {
    let matrix = Sparse::read(input, most_bytes)?;
    let misfit = |expected: String, found: usize| {
        LabError::Table {
        place: input.name.clone(),
        expected,
        found: format!("`{found}`"),
        advice: "a sparse matrix has a row per instance of idents.csv and a column per line of its description, in their order"
            .to_owned(),
    }
    };
    let mut ids = Vec::new();
    for input in idents {
        let mut records = Records::open(input, b',')?;
        records.next_row()?;
        while let Some((_, row)) = records.next_row()? {
            ids.push(String::from_utf8_lossy(row.get(0).unwrap_or_default().trim_ascii()).into_owned());
        }
    }
    if ids.len() != matrix.len() {
        return Err(misfit(format!("{} rows, the instances of idents.csv", ids.len()), matrix.len()));
    }
    if !described.is_empty() && !described.iter().any(|list| list.len() == matrix.columns) {
        let lines = described.iter().map(Vec::len).max().unwrap_or_default();
        return Err(misfit(format!("{lines} columns, those of the description"), matrix.columns));
    }
    let list = described.iter().find(|list| list.len() == matrix.columns);
    let name = |place: usize| list.map_or_else(|| place.to_string(), |list| list[place].0.clone());
    let quoted = |name: String| format!(",\"{}\"", name.replace('"', "\"\""));
    let names: String = (0..matrix.columns).map(name).map(quoted).collect();
    Ok(Input::sparse(&input.name, &format!("{ID}{names}\n"), ids, matrix))
}

/// Sorts the files by their headers.
fn parts<'a>(job: &'a Job<'_>) -> Result<Parts<'a>, LabError> {
    let mut parts = Parts::default();
    for input in &job.inputs {
        if npz::is_zip(&start(input)?) {
            parts.features.push(input);
            continue;
        }
        let header = header(input)?;
        let is_fact = |name: &String| FACTS.contains(&name.as_str());
        let described =
            header.first().is_some_and(|name| name == "id") && header.iter().any(|name| name == "name");
        let place = match header.split_first() {
            _ if described => &mut parts.descriptions,
            Some((id, rest)) if id == ID && !rest.is_empty() && rest.iter().all(is_fact) => {
                if rest[0] == "ident" { &mut parts.idents } else { &mut parts.annotations }
            }
            Some((id, rest)) if id == ID && !rest.is_empty() => &mut parts.features,
            _ => {
                return Err(LabError::Table {
                    place: format!("{}, line 1", input.name),
                    expected: "a file of SecuML: its first column is instance_id, or id in a description"
                        .to_owned(),
                    found: format!("`{}`", plain(header.first().map_or("", String::as_str))),
                    advice: "name the files of the data set, or read this one --as csv".to_owned(),
                });
            }
        };
        place.push(input);
    }
    Ok(parts)
}

fn header(input: &Input) -> Result<Vec<String>, LabError> {
    let mut records = Records::open(input, b',')?;
    let row = records.next_row()?.map(|(_, row)| row);
    let cell = |cell: &[u8]| String::from_utf8_lossy(cell.trim_ascii()).into_owned();
    Ok(row.map(|row| row.iter().map(cell).collect()).unwrap_or_default())
}

/// Reads `idents.csv` or annotations into what is known of each instance; returns the header. Annotations add to what is
/// known, idents must be new.
fn facts(input: &Input, known: &mut HashMap<String, Facts>, new: bool) -> Result<Vec<String>, LabError> {
    let names = header(input)?;
    let mut records = Records::open(input, b',')?;
    records.next_row()?;
    while let Some((line, row)) = records.next_row()? {
        let at = |column: &str| format!("{}, line {line}, column {column}", input.name);
        if row.len() != names.len() {
            let fault =
                Fault::new(format!("{} fields as in the header", names.len()), &row.len().to_string());
            return Err(fault
                .advise("check the quotes of this line")
                .at(format!("{}, line {line}", input.name)));
        }
        let cells: Vec<Option<Cow<'_, str>>> = row
            .iter()
            .map(|cell| Some(String::from_utf8_lossy(cell.trim_ascii())).filter(|cell| !cell.is_empty()))
            .collect();
        let id = cells.first().cloned().flatten().unwrap_or_default().into_owned();
        let twice = || Fault::new("each instance once", &id).advise("leave one of the rows out").at(at(ID));
        if new && known.contains_key(&id) {
            return Err(twice());
        }
        let facts = known.entry(id.clone()).or_default();
        fill(facts, &names, &cells).map_err(|(place, fault)| {
            fault.advise("correct the row").at(at(names.get(place).map_or("?", String::as_str)))
        })?;
    }
    Ok(names)
}

fn fill(facts: &mut Facts, names: &[String], cells: &[Option<Cow<'_, str>>]) -> Result<(), (usize, Fault)> {
    for (place, (name, cell)) in names.iter().zip(cells).enumerate() {
        let Some(cell) = cell else { continue };
        match name.as_str() {
            "ident" => facts.ident = Some(cell.clone().into_owned()),
            "timestamp" => {
                facts.time_ns = Some(Clock::default().read(cell).map_err(|fault| (place, fault))?);
            }
            "label" => facts.malicious = Some(truth_of(cell).map_err(|fault| (place, fault))?),
            "family" => facts.family = Some(cell.clone().into_owned()),
            _ => {}
        }
    }
    Ok(())
}

fn truth_of(cell: &str) -> Result<bool, Fault> {
    match cell.to_ascii_lowercase().as_str() {
        "0" | "0.0" | "false" | "benign" => Ok(false),
        "1" | "1.0" | "true" | "malicious" => Ok(true),
        _ => Err(Fault::new("0 for benign or 1 for malicious", cell)),
    }
}

/// Names of features by their ids, in order.
fn description(input: &Input) -> Result<Vec<(String, String)>, LabError> {
    let names = header(input)?;
    let place = names.iter().position(|name| name == "name").unwrap_or_default();
    let mut records = Records::open(input, b',')?;
    records.next_row()?;
    let mut described = Vec::new();
    while let Some((_, row)) = records.next_row()? {
        let cell =
            |place| String::from_utf8_lossy(row.get(place).unwrap_or_default().trim_ascii()).into_owned();
        described.push((cell(0), cell(place)));
    }
    Ok(described)
}

/// Where the truth comes from.
struct Source {
    truth: HashMap<String, Facts>,
    has_idents: bool,
    says_label: bool,
    timed: bool,
}

fn plan(header: &[String], source: &Source, described: &[Vec<(String, String)>], missing: &[String]) -> Plan {
    let facts: Vec<String> =
        header.iter().skip(1).take_while(|name| FACTS.contains(&name.as_str())).cloned().collect();
    let first = 1 + facts.len();
    let features = &header[first.min(header.len())..];
    let mut notes = Vec::new();
    let by_id = |list: &&Vec<(String, String)>| list.iter().map(|(id, _)| id).eq(features.iter());
    let by_name = |list: &&Vec<(String, String)>| list.iter().map(|(_, name)| name).eq(features.iter());
    let list = described.iter().find(by_id);
    if list.is_none() && !described.is_empty() && !described.iter().any(|list| by_name(&list)) {
        notes.push("the description is not of these features: they keep the names of the header".to_owned());
    }
    let name = |place: usize| match list.map(|list| list[place].1.as_str()) {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => features[place].clone(),
    };
    let identity =
        Planned { place: 0, name: ID.to_owned(), unit: "", role: Role::Identity, wanted: Wanted::Seen };
    let columns = std::iter::once(identity).chain((0..features.len()).map(|place| Planned {
        place: first + place,
        name: name(place),
        unit: "",
        role: Role::Feature,
        wanted: Wanted::Numbers,
    }));
    let columns = columns.collect();
    let has = |wanted: &str| facts.iter().any(|name| name == wanted);
    let says =
        Says { family: true, class: false, ident: source.has_idents || has("ident"), time: source.timed };
    let truth = (source.has_idents || source.says_label || has("label")).then(|| Truth {
        places: (0..first).collect(),
        says,
        judge: judge(source, facts),
    });
    Plan { truth, missing: Missing::usual(missing), notes, ..Plan::of(columns) }
}

fn judge(source: &Source, names: Vec<String>) -> super::plan::Judge {
    let truth = source.truth.clone();
    let (must_be_known, says_label) = (source.has_idents, source.says_label);
    let names: Vec<String> = std::iter::once(ID.to_owned()).chain(names).collect();
    Box::new(move |cells| {
        let id = cells.first().and_then(Option::as_deref).unwrap_or_default();
        let mut facts = Facts::default();
        fill(&mut facts, &names, cells)?;
        match truth.get(id) {
            Some(known) => {
                facts.ident = known.ident.clone().or(facts.ident);
                if says_label {
                    facts.malicious = known.malicious;
                    facts.family.clone_from(&known.family);
                }
                facts.time_ns = known.time_ns;
            }
            None if must_be_known => return Err((0, Fault::new("an instance of idents.csv", id))),
            None if says_label => facts.malicious = None,
            None => {}
        }
        Ok(Verdict {
            malicious: facts.malicious,
            family: facts.family.map(Cow::Owned),
            class: None,
            ident: facts.ident,
            time_ns: facts.time_ns.unwrap_or_default(),
        })
    })
}
