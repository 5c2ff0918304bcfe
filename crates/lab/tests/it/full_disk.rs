//! A disk that is full, over quota or failing at each call that changes it: one clear error, nothing corrupted, everything
//! that was acknowledged still there, and the same process goes on once there is space.
//!
//! `full_disk.c` is compiled and loaded into this test program run anew, once for each operation. There the operation is
//! tried with the first such call failing, then the second, and so on until it comes through.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use cormorant_lab::jobs::{Event, Plan, Queue, SafeName, State, Until, Wish, Worker};
use cormorant_lab::lab::{Digest, Lab};
use cormorant_lab::store::{Input, Label, NewAnnotation, NewRun, Said, Stamp, StoreError};
use cormorant_lab::{Ctx, LabError};

/// ENOSPC, EDQUOT and EIO as Linux numbers them.
const FULL: i32 = 28;
const QUOTA: i32 = 122;
const FAILING: i32 = 5;
/// All errors at all calls, staying or not, take three times as long as what is tried without it.
const ALL: &str = "CORMORANT_FAULTS";
/// Tells the program run anew which operation to try.
const OPERATION: &str = "CORMORANT_TEST_OPERATION";
const DISK: &str = "CORMORANT_DISK";
const NOW_NS: i64 = 1_800_000_000_000_000_000;
const DAY_NS: i64 = 86_400_000_000_000;

/// What is tried.
const OPERATIONS: [&str; 7] = ["put", "annotate", "open", "gc", "backup", "add job", "work"];

#[test]
fn every_call_that_changes_the_disk_may_fail() {
    if let Ok(operation) = std::env::var(OPERATION) {
        return suffer(&operation);
    }
    let folder = tempfile::tempdir().unwrap();
    let disk = compiled(folder.path());
    let (folder, disk) = (folder.path(), &disk);
    let suffered = move |operation: &str| {
        let own = folder.join(operation);
        fs::create_dir(&own).unwrap();
        let ran = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "full_disk::every_call_that_changes_the_disk_may_fail", "--nocapture"])
            .env(OPERATION, operation)
            .env(DISK, &own)
            .env("LD_PRELOAD", disk)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{operation}\n{said}");
        // A shim that was not loaded would let everything pass.
        assert!(said.contains(&format!("{operation}: struck at up to ")), "{operation}\n{said}");
    };
    std::thread::scope(|scope| {
        for operation in OPERATIONS {
            scope.spawn(move || suffered(operation));
        }
    });
}

fn compiled(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/full_disk.c");
    let library = folder.join("full_disk.so");
    let done = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .args(["-ldl", "-lpthread"])
        .output()
        .expect("cc, which is there wherever Rust links");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    library
}

fn arm(call: u32, error: i32, stays: bool) {
    fs::rename("/disk/arm", format!("/disk/{call}/{error}/{}", u8::from(stays))).expect("the shim");
}

fn disarm() -> bool {
    let struck = fs::rename("/disk/struck", "/disk/").is_ok();
    fs::rename("/disk/off", "/disk/").expect("the shim");
    struck
}

fn quiet() -> Ctx {
    Ctx::new(0, 1)
}

/// One lab through all failures of one operation. What it prints is read by the program that ran it.
#[allow(clippy::print_stdout)]
fn suffer(operation: &str) {
    let folder = PathBuf::from(std::env::var_os(DISK).unwrap()).join("lab");
    let mut known = Known::new(&folder);
    let mut failures = 0;
    // A new lab takes hundreds of calls for its tables.
    let step = if operation == "open" && std::env::var_os(ALL).is_none() { 4 } else { 1 };
    for (errors, stays) in passes() {
        let mut call = 1;
        loop {
            assert!(call < 5000, "{operation} never comes through");
            known.prepare(operation);
            arm(call, errors[call as usize % errors.len()], stays);
            let outcome = known.attempt(operation);
            let struck = disarm();
            if let Err(message) = &outcome {
                assert!(struck, "{operation} failed by itself: {message}");
                clear(message);
                failures += 1;
            }
            known.check(operation, call, outcome.is_ok());
            if outcome.is_err() {
                // The same process, and the space is back.
                known
                    .attempt(operation)
                    .unwrap_or_else(|error| panic!("{operation} after call {call}: {error}"));
                known.check(operation, call, true);
            }
            if !struck {
                break;
            }
            call += step;
        }
        println!("{operation}: struck at up to {call} calls with errors {errors:?}, stays: {stays}");
    }
    known.check_backup();
    assert!(failures > 0, "{operation} never failed");
}

/// The errors that calls fail with in turn, and whether the disk then stays as it is.
fn passes() -> Vec<(Vec<i32>, bool)> {
    if std::env::var_os(ALL).is_none() {
        return vec![(vec![FULL, QUOTA], true), (vec![FAILING], false)];
    }
    let each = [FULL, QUOTA, FAILING].into_iter();
    each.flat_map(|error| [(vec![error], true), (vec![error], false)]).collect()
}

/// One sentence, which says what to do.
fn clear(message: &str) {
    let advice = ["space", "disk", "try again", "directory"];
    assert!(message.len() < 600 && !message.contains('\n'), "{message}");
    assert!(advice.iter().any(|word| message.contains(word)), "{message}");
}

/// A lab, and all that it has acknowledged.
struct Known {
    folder: PathBuf,
    lab: Option<Lab>,
    dataset: i64,
    objects: Vec<(Digest, Vec<u8>)>,
    labels: BTreeSet<String>,
    backups: Vec<PathBuf>,
    jobs: Vec<i64>,
    number: u64,
    hours: AtomicI64,
}

impl Known {
    fn new(folder: &Path) -> Self {
        let lab = Lab::open(folder, None, NOW_NS).unwrap();
        let stamp = Stamp::new("ann", NOW_NS);
        let project = lab.store().create_project("p", "", &stamp).unwrap();
        let dataset = lab.store().create_dataset(project.id, "d", "", &stamp).unwrap();
        Self {
            folder: folder.to_owned(),
            dataset: dataset.id,
            lab: Some(lab),
            objects: Vec::new(),
            labels: BTreeSet::new(),
            backups: Vec::new(),
            jobs: Vec::new(),
            number: 0,
            hours: AtomicI64::new(0),
        }
    }

    fn lab(&self) -> &Lab {
        self.lab.as_ref().unwrap()
    }

    /// What the next attempt needs, on a disk with space.
    fn prepare(&mut self, operation: &str) {
        self.number += 1;
        let (lab, stamp) = (self.lab(), Stamp::new("ann", NOW_NS));
        match operation {
            "put" if self.number.is_multiple_of(10) => {
                lab.gc(NOW_NS + 2 * DAY_NS, DAY_NS, &quiet()).unwrap();
                self.objects.clear();
            }
            "gc" => {
                lab.objects()
                    .put_bytes(format!("garbage {}", self.number).as_bytes(), NOW_NS - 2 * DAY_NS)
                    .unwrap();
                self.keep(b"kept".to_vec());
            }
            "backup" if self.backups.is_empty() => {
                let bytes = b"in the backup".to_vec();
                let object = lab.objects().put_bytes(&bytes, NOW_NS).unwrap();
                let input = Input { name: "x".to_owned(), digest: object.digest.to_string() };
                lab.store().start_run(&run_of(vec![input]), &stamp).unwrap();
                self.keep(bytes);
            }
            "work" => {
                self.jobs.push(add_job(lab, self.number, &stamp).unwrap());
            }
            _ => {}
        }
    }

    fn keep(&mut self, bytes: Vec<u8>) {
        self.lab().objects().put_bytes(&bytes, NOW_NS).unwrap();
        self.objects.push((Digest::of(&bytes), bytes));
    }

    /// Does it; what it acknowledged is remembered.
    fn attempt(&mut self, operation: &str) -> Result<(), String> {
        let (lab, stamp) = (self.lab(), Stamp::new("ann", NOW_NS));
        let said = |error: &dyn std::fmt::Display| error.to_string();
        match operation {
            "put" => {
                let bytes = format!("object {} ", self.number).repeat(30_000).into_bytes();
                let object = lab.objects().put_bytes(&bytes, NOW_NS).map_err(|error| said(&error))?;
                self.objects.push((object.digest, bytes));
            }
            "annotate" => {
                let key = format!("event {}", self.number);
                let annotation = NewAnnotation {
                    key: key.clone(),
                    row: format!("row {}", self.number % 7),
                    said: Said::Label(Label::Malicious, Some("worm".to_owned())),
                    version: None,
                    campaign: None,
                    origin: "expert".to_owned(),
                    note: Some("why ".repeat(500)),
                };
                lab.store().annotate(self.dataset, &annotation, &stamp).map_err(|error| said(&error))?;
                self.labels.insert(key);
            }
            "open" => {
                let folder = self.folder.with_file_name(format!("new {}", self.number));
                let new = Lab::open(&folder, None, NOW_NS).map_err(|error| said(&error))?;
                match new.store().create_project("p", "", &stamp) {
                    // What was written whole, but could not be synced, was no success and may be there all the same.
                    Ok(_) | Err(StoreError::Taken { .. }) => {}
                    Err(error) => return Err(said(&error)),
                }
            }
            "gc" => {
                lab.gc(NOW_NS, DAY_NS, &quiet()).map_err(|error| said(&error))?;
            }
            "backup" => {
                let output = self.folder.with_file_name(format!("backup {}", self.number));
                lab.backup(&output, NOW_NS, &quiet()).map_err(|error| said(&error))?;
                self.backups.push(output);
            }
            "add job" => {
                self.jobs.push(add_job(lab, self.number, &stamp).map_err(|error| said(&error))?);
            }
            _ => self.work()?,
        }
        Ok(())
    }

    /// A worker does the job that is there, an hour later with each attempt.
    fn work(&self) -> Result<(), String> {
        let now = self.hours.fetch_add(1, Ordering::Relaxed);
        let clock = Arc::new(move || NOW_NS + now * 3_600_000_000_000);
        let worker = Worker::new(self.lab(), "w", 1, clock, Arc::default());
        let mut refused = None;
        let mut tell = |event: &Event<'_>| {
            if let Event::Failed(_, reason) = event {
                refused = Some((*reason).to_owned());
            }
        };
        worker.run(Until::Once, &mut tell).map_err(|error| error.to_string())?;
        refused.map_or(Ok(()), Err)
    }

    /// All is sound, and what was acknowledged is there, once.
    fn check(&self, operation: &str, call: u32, through: bool) {
        let place = format!("{operation}, call {call}");
        let report = self.lab().verify(NOW_NS, &quiet()).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert!(report.is_sound(), "{place}: {:?}", report.faults);
        for (digest, bytes) in &self.objects {
            assert!(self.lab().objects().read(*digest).unwrap() == *bytes, "{place}");
        }
        let events = self.lab().store().annotation_events(self.dataset, 0, u32::MAX).unwrap();
        for key in &self.labels {
            let found = events.iter().filter(|event| event.key == *key).count();
            assert_eq!(found, 1, "{place}: {key}");
        }
        if operation == "backup" && !through {
            let beside = fs::read_dir(self.folder.parent().unwrap()).unwrap().flatten();
            let names: Vec<_> = beside.map(|entry| entry.file_name().into_string().unwrap()).collect();
            assert!(!names.contains(&format!("backup {}", self.number)), "{place}: half a backup");
            assert!(!names.iter().any(|name| name.ends_with(".part")), "{place}: {names:?}");
        }
        if operation == "work" && through {
            let job = Queue::of(self.lab()).job(*self.jobs.last().unwrap()).unwrap();
            assert_eq!(job.state, State::Done, "{place}: {:?}", job.reason);
        }
    }

    /// The newest backup is all of the lab.
    fn check_backup(&self) {
        let Some(backup) = self.backups.last() else { return };
        let folder = tempfile::tempdir().unwrap();
        let other = Lab::open(folder.path(), None, NOW_NS).unwrap();
        other.restore(backup, false, &Stamp::new("ann", NOW_NS), &quiet()).unwrap();
        assert!(other.verify(NOW_NS, &quiet()).unwrap().is_sound());
        for (digest, bytes) in &self.objects {
            assert_eq!(other.objects().read(*digest).unwrap(), *bytes);
        }
    }
}

fn run_of(inputs: Vec<Input>) -> NewRun {
    NewRun {
        project: None,
        job: None,
        task: "train".to_owned(),
        spec: serde_json::json!({}),
        command: "cormorant train".to_owned(),
        seed: 0,
        program: "cormorant".to_owned(),
        inputs,
    }
}

/// A small import, whose input is an object of the lab.
fn add_job(lab: &Lab, number: u64, stamp: &Stamp) -> Result<i64, LabError> {
    let table = format!("a,b,label\n1,{number},benign\n2,3,malicious\n");
    let object = lab.objects().put_bytes(table.as_bytes(), NOW_NS)?;
    let plan = Plan {
        task: "import".to_owned(),
        spec: serde_json::json!({ "format": "csv", "inputs": ["a.csv"], "output": "rows.parquet" }),
        inputs: [(SafeName::try_from("a.csv".to_owned()).unwrap(), object.digest)].into(),
        seed: 0,
        mem_bytes: 1 << 30,
    };
    Ok(Queue::add(lab, &plan, &Wish::new("cormorant import a.csv --as=csv -o rows.parquet"), stamp)?.id)
}
