//! `doctor`: whether this machine and this build can do the job, as a list of checks.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use cormorant_learn::pipeline::{Pipeline, PipelineSpec};
use cormorant_learn::table::{BENIGN, Column, Field, MALICIOUS, Role, Table, TextColumn};
use serde::{Deserialize, Serialize};

use crate::extraction::Recipe;
use crate::output::{Format, Output, write_whole};
use crate::sources::Sources;
use crate::tables::read::TableReader;
use crate::tables::write::TableWriter;
use crate::{Ctx, LabError};

/// What to check.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Directory that outputs will be written to; none = the current one.
    #[serde(default)]
    pub directory: Option<PathBuf>,
}

/// What was checked.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of the program.
    pub version: String,
    /// Whether nothing failed.
    pub healthy: bool,
    /// The checks, in order.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked, in a few words.
    pub name: String,
    /// How it went.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do, when there is something to do.
    pub advice: Option<String>,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Pass,
    /// Works, but could be better.
    Warn,
    /// Does not work.
    Fail,
}

/// Runs every check. A check that fails is part of the report and no error.
///
/// # Errors
/// None today; the signature is that of every task.
pub fn run(spec: &Spec, ctx: &Ctx) -> Result<Report, LabError> {
    let directory = spec.directory.clone().unwrap_or_else(|| PathBuf::from("."));
    let checks =
        vec![processor(), memory(ctx), outputs(&directory), decoding(ctx), tables(ctx), learning(ctx)];
    let healthy = checks.iter().all(|check| check.state != State::Fail);
    Ok(Report { version: env!("CARGO_PKG_VERSION").to_owned(), healthy, checks })
}

fn check(name: &str, state: State, found: impl Into<String>, advice: Option<&str>) -> Check {
    Check { name: name.to_owned(), state, found: found.into(), advice: advice.map(str::to_owned) }
}

fn processor() -> Check {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    check(
        "processor",
        State::Pass,
        format!("{} with {cores} cores for this program", std::env::consts::ARCH),
        None,
    )
}

fn memory(ctx: &Ctx) -> Check {
    let wanted = ctx.mem_bytes >> 20;
    match available_memory() {
        None => {
            check("memory", State::Pass, format!("{wanted} MiB budget; what is free is not known here"), None)
        }
        Some(free) if free >> 20 < wanted => check(
            "memory",
            State::Warn,
            format!("{} MiB free, {wanted} MiB budget", free >> 20),
            Some("lower the budget with --mem, or close other programs"),
        ),
        Some(free) => {
            check("memory", State::Pass, format!("{} MiB free, {wanted} MiB budget", free >> 20), None)
        }
    }
}

/// `MemAvailable` of Linux.
fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
}

fn outputs(directory: &std::path::Path) -> Check {
    let path = directory.join(format!(".cormorant-doctor-{}", std::process::id()));
    let written = write_whole(&path, b"written by cormorant doctor");
    let removed = fs::remove_file(&path);
    match (written, removed) {
        (Ok(()), Ok(())) => {
            check("output directory", State::Pass, format!("{} can be written to", directory.display()), None)
        }
        (Err(error), _) => {
            check("output directory", State::Fail, error.to_string(), Some("write outputs somewhere else"))
        }
        (_, Err(error)) => {
            check("output directory", State::Warn, error.to_string(), Some("remove the file by hand"))
        }
    }
}

/// One Ethernet frame with an ICMP echo request, as a pcap file.
fn tiny_capture() -> Vec<u8> {
    let mut file =
        vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0];
    let ethernet = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let ip = [0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 192, 0, 2, 1, 198, 51, 100, 1];
    let icmp = [8, 0, 0, 0, 0, 1, 0, 1];
    let length = (ethernet.len() + ip.len() + icmp.len()) as u32;
    for word in [1_700_000_000, 0, length, length] {
        file.extend_from_slice(&u32::to_le_bytes(word));
    }
    [ethernet.as_slice(), &ip, &icmp].iter().for_each(|part| file.extend_from_slice(part));
    file
}

fn tiny_rows(ctx: &Ctx) -> Result<Vec<RecordBatch>, LabError> {
    let recipe = Recipe { sets: vec!["flow".to_owned()], ..Recipe::default() };
    let sources = Sources::memory("doctor", Arc::from(tiny_capture()));
    let mut rows = Vec::new();
    // The checks are no progress of anything.
    let quiet = Ctx::new(ctx.seed, ctx.threads);
    recipe.run(&sources, None, &quiet, &mut |chunk| {
        rows.push(chunk.rows);
        Ok(())
    })?;
    Ok(rows)
}

fn decoding(ctx: &Ctx) -> Check {
    match tiny_rows(ctx) {
        Ok(rows) if rows.iter().map(RecordBatch::num_rows).sum::<usize>() == 1 => {
            check("capture to rows", State::Pass, "one packet became one flow", None)
        }
        Ok(rows) => check(
            "capture to rows",
            State::Fail,
            format!("one packet became {} batches", rows.len()),
            Some(BROKEN),
        ),
        Err(error) => check("capture to rows", State::Fail, error.to_string(), Some(BROKEN)),
    }
}

const BROKEN: &str = "this build is broken: install it again, or report it";

fn tables(ctx: &Ctx) -> Check {
    let folder = std::env::temp_dir().join(format!("cormorant-doctor-{}", std::process::id()));
    let result = fs::create_dir(&folder)
        .map_err(|source| crate::output::write_error(&folder, source))
        .and_then(|()| Format::ALL.into_iter().try_for_each(|format| round_trip(&folder, format, ctx)));
    let _ = fs::remove_dir_all(&folder);
    match result {
        Ok(()) => check(
            "tables",
            State::Pass,
            "rows came back from Parquet, CSV, NDJSON and Arrow as they were",
            None,
        ),
        Err(error) => {
            check("tables", State::Fail, error.to_string(), Some("check the temporary directory (TMPDIR)"))
        }
    }
}

fn round_trip(folder: &std::path::Path, format: Format, ctx: &Ctx) -> Result<(), LabError> {
    let rows = tiny_rows(ctx)?;
    let path = folder.join(format!("rows.{}", format.name()));
    let Some(first) = rows.first() else { return Err(LabError::Internal("no rows to write".to_owned())) };
    let mut writer = TableWriter::create(&Output::File(path.clone(), format), &first.schema())?;
    rows.iter().try_for_each(|batch| writer.write(batch))?;
    writer.finish()?;
    let back: Vec<RecordBatch> = TableReader::open(&path)?.collect::<Result<_, _>>()?;
    let same = back.len() == rows.len() && back.iter().zip(&rows).all(|(a, b)| a.columns() == b.columns());
    if same {
        Ok(())
    } else {
        Err(LabError::Internal(format!("{} rows differ after reading them back", format.name())))
    }
}

fn learning(ctx: &Ctx) -> Check {
    match learn_twice(ctx) {
        Ok(true) => {
            check("learning", State::Pass, "a model came out the same on one thread and on several", None)
        }
        Ok(false) => {
            check("learning", State::Fail, "a model differs between one thread and several", Some(BROKEN))
        }
        Err(error) => check("learning", State::Fail, error.to_string(), Some(BROKEN)),
    }
}

fn learn_twice(ctx: &Ctx) -> Result<bool, LabError> {
    let wrong = || LabError::learn("self-test");
    let values: Vec<f64> = (0..64).map(f64::from).collect();
    let label = |&value: &f64| Some(if value < 32.0 { BENIGN } else { MALICIOUS });
    let labels = TextColumn::from_texts(values.iter().map(label));
    let fields = vec![Field::new("x", "", Role::Feature), Field::new("label", "", Role::Label)];
    let table = Table::new(fields, vec![Column::F64(values), Column::Text(labels)]).map_err(wrong())?;
    let fit = |threads| -> Result<Vec<u8>, LabError> {
        let spec = PipelineSpec::new("decision-tree");
        let pipeline = Pipeline::fit(&spec, &table, &Ctx::new(ctx.seed, threads)).map_err(wrong())?;
        pipeline.to_bytes().map_err(wrong())
    };
    let (one, several) = (fit(1)?, fit(ctx.threads.max(2))?);
    Pipeline::from_bytes(&one).map_err(wrong())?;
    Ok(one == several)
}
