//! Trains on a file of KDD'99 records (41 features and the attack's name, comma-separated, no head) with whole attack
//! types held out, and prints the confusion and the mean cost by the contest's matrix.
//!
//! Usage: `kdd_cost FILE MODEL [dedup=POWER] [split=SPLIT] [calibration=HOW] [prior.CLASS=SHARE]... [name=value]...`

use std::collections::BTreeMap;
use std::error::Error;
use std::{env, fs};

use cormorant_learn::ctx::Ctx;
use cormorant_learn::eval::cost::CostMatrix;
use cormorant_learn::pipeline::{Pipeline, PipelineSpec, Target, ThresholdRule};
use cormorant_learn::table::{BENIGN, Column, Field, MALICIOUS, Role, Table, TextColumn};

/// Attack names by class.
const CLASSES: [(&str, &[&str]); 4] = [
    ("dos", &["back", "land", "neptune", "pod", "smurf", "teardrop"]),
    ("probe", &["ipsweep", "nmap", "portsweep", "satan"]),
    ("r2l", &["ftp_write", "guess_passwd", "imap", "multihop", "phf", "spy", "warezclient", "warezmaster"]),
    ("u2r", &["buffer_overflow", "loadmodule", "perl", "rootkit"]),
];
const FEATURES: usize = 41;
/// protocol, service, flag
const TEXTS: [usize; 3] = [1, 2, 3];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let usage = "expected FILE MODEL [name=value]...";
    let table = read(&fs::read_to_string(args.next().ok_or(usage)?)?)?;
    let mut spec = PipelineSpec::new(args.next().ok_or(usage)?);
    spec.target = Target::Class;
    spec.costs = Some(CostMatrix::kdd99());
    spec.threshold = ThresholdRule::F1;
    spec.split = Some("leave-families-out:5".parse()?);
    let mut threads = 1;
    for arg in args {
        let (name, value) = arg.split_once('=').ok_or(usage)?;
        match name {
            "dedup" => spec.dedup = Some(value.parse()?),
            "split" => spec.split = Some(value.parse()?),
            "calibration" => spec.calibration = value.parse()?,
            "threads" => threads = value.parse()?,
            _ => match name.strip_prefix("prior.") {
                Some(class) => {
                    let priors = spec.priors.get_or_insert_with(BTreeMap::new);
                    priors.insert(class.to_owned(), value.parse()?);
                }
                None => spec = spec.with(name, value),
            },
        }
    }
    report(&Pipeline::fit(&spec, &table, &Ctx::new(0, threads))?)
}

#[expect(clippy::print_stdout, reason = "an example's output")]
fn report(pipeline: &Pipeline) -> Result<(), Box<dyn Error>> {
    let held_out = &pipeline.trained().held_out;
    let report = held_out.classes.as_ref().ok_or("fewer than three classes")?;
    let costs = CostMatrix::kdd99().of_classes(&report.classes)?;
    println!("split {} folds {} rows {}", held_out.split, held_out.folds, held_out.rows);
    println!("mean cost {:?}, accuracy {:?}", held_out.mean_cost, report.accuracy);
    println!("true class of decided {:?}", report.classes);
    for ((name, row), cost) in report.classes.iter().zip(&report.confusion).zip(costs.costs()) {
        let rows: u64 = row.iter().sum();
        let total: f64 = row.iter().zip(cost).map(|(&count, cost)| count as f64 * cost).sum();
        println!("{name}: {row:?} mean cost {:.4}", total / rows as f64);
    }
    Ok(())
}

fn read(text: &str) -> Result<Table, Box<dyn Error>> {
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    if rows.iter().any(|row| row.len() != FEATURES + 1) {
        return Err("expected 41 features and a name in each line".into());
    }
    let attacks: Vec<&str> = rows.iter().map(|row| row[FEATURES].trim_end_matches('.')).collect();
    let class = |attack: &str| {
        let known = CLASSES.iter().find(|(_, attacks)| attacks.contains(&attack));
        if attack == "normal" { Some(BENIGN) } else { known.map(|(class, _)| *class) }
    };
    let classes: Vec<&str> = attacks
        .iter()
        .map(|attack| class(attack).ok_or_else(|| format!("no attack is called {attack}")))
        .collect::<Result<_, _>>()?;
    let mut table = Table::default();
    for place in 0..FEATURES {
        let cells = rows.iter().map(|row| row[place]);
        let column = if TEXTS.contains(&place) {
            Column::Text(TextColumn::from_texts(cells.map(Some)))
        } else {
            Column::F64(cells.map(str::parse).collect::<Result<_, _>>()?)
        };
        table.push(Field::new(format!("f{place}"), "", Role::Feature), column)?;
    }
    let attack = |name: &&str| *name != "normal";
    let labels = attacks.iter().map(|name| Some(if attack(name) { MALICIOUS } else { BENIGN }));
    let families = attacks.iter().map(|name| Some(*name).filter(attack));
    let text = |texts: Vec<Option<&str>>| Column::Text(TextColumn::from_texts(texts));
    table.push(Field::new("label", "", Role::Label), text(labels.collect()))?;
    table.push(Field::new("family", "", Role::Family), text(families.collect()))?;
    table.push(Field::new("class", "", Role::Identity), text(classes.into_iter().map(Some).collect()))?;
    Ok(table)
}
