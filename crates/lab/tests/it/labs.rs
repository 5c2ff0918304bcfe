//! A whole lab: backed up while others write, restored into any of the three databases, cleaned, and searched for changed
//! bits.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use cormorant_lab::jobs::{Plan, Queue, SafeName, Until, Wish, Worker};
use cormorant_lab::lab::Lab;
use cormorant_lab::store::{Engine, Input, Label, NewAnnotation, NewRun, Said, Stamp};
use cormorant_lab::{Ctx, LabError};
use serde_json::json;
use tempfile::TempDir;

use crate::store::servers::TestDatabase;

const NOW_NS: i64 = 1_800_000_000_000_000_000;
const DAY_NS: i64 = 86_400_000_000_000;

struct Bench {
    lab: Lab,
    folder: TempDir,
    database: TestDatabase,
}

impl Bench {
    fn new(engine: Engine) -> Option<Self> {
        let (folder, database) = (tempfile::tempdir().unwrap(), TestDatabase::new(engine)?);
        let lab = Lab::open(&folder.path().join("lab"), Some(&database.url), NOW_NS).unwrap();
        Some(Self { lab, folder, database })
    }

    /// A lab with something of most kinds in it.
    fn filled(engine: Engine) -> Option<Self> {
        let bench = Self::new(engine)?;
        let (store, stamp) = (bench.lab.store(), ann());
        let project = store.create_project("Ünïcode \u{1f980}", "it's \"quoted\"\n", &stamp).unwrap();
        let dataset = store.create_dataset(project.id, "d", "", &stamp).unwrap();
        for number in 0..700 {
            store.annotate(dataset.id, &annotation(number), &stamp).unwrap();
        }
        let worm = store.family(project.id, Label::Malicious, "worm").unwrap();
        let wyrm = store.family(project.id, Label::Malicious, "wyrm").unwrap();
        // A family that refers to one with a greater number, and an event that refers to another.
        let merged = store.merge_families(&[worm.id], wyrm.id, &stamp).unwrap();
        store.undo_family_event(merged.id, &stamp).unwrap();
        store.merge_families(&[worm.id], wyrm.id, &stamp).unwrap();
        bench.do_a_job(1);
        Some(bench)
    }

    fn do_a_job(&self, number: u64) {
        let table = format!("a,b,label\n1,{number},benign\n2,3,malicious\n");
        let object = self.lab.objects().put_bytes(table.as_bytes(), NOW_NS).unwrap();
        let plan = Plan {
            task: "import".to_owned(),
            spec: json!({ "format": "csv", "inputs": ["a.csv"], "output": "rows.parquet" }),
            inputs: [(SafeName::try_from("a.csv".to_owned()).unwrap(), object.digest)].into(),
            seed: u64::MAX,
            mem_bytes: 1 << 30,
        };
        Queue::add(&self.lab, &plan, &Wish::new("cormorant import .."), &ann()).unwrap();
        let worker = Worker::new(&self.lab, "w", 1, std::sync::Arc::new(|| NOW_NS), Default::default());
        assert_eq!(worker.run(Until::Drained, &mut |_| ()).unwrap().done, 1);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Every row of every table, as a backup has it.
    fn rows(&self, name: &str) -> BTreeMap<String, String> {
        let output = self.path(name);
        assert_eq!(self.lab.backup(&output, NOW_NS, &quiet()).unwrap().faults, vec![]);
        rows_of(&output)
    }
}

fn rows_of(backup: &Path) -> BTreeMap<String, String> {
    let files = fs::read_dir(backup.join("rows")).unwrap().flatten();
    files
        .map(|file| {
            let name = file.file_name().into_string().unwrap();
            (name, fs::read_to_string(file.path()).unwrap())
        })
        .collect()
}

fn annotation(number: u64) -> NewAnnotation {
    NewAnnotation {
        key: format!("key {number}"),
        row: format!("row {}", number % 50),
        said: match number % 3 {
            0 => Said::Label(Label::Benign, None),
            1 => Said::Label(Label::Malicious, Some("worm".to_owned())),
            _ => Said::Label(Label::Malicious, Some("wyrm".to_owned())),
        },
        version: None,
        campaign: None,
        origin: "expert".to_owned(),
        note: number.is_multiple_of(2).then(|| "tab\t and \u{202e} and ''".to_owned()),
    }
}

fn ann() -> Stamp {
    Stamp::new("ann", NOW_NS)
}

fn quiet() -> Ctx {
    Ctx::new(0, 1)
}

const ENGINES: [Engine; 3] = [Engine::Sqlite, Engine::Postgres, Engine::MySql];

#[test]
fn a_backup_is_restored_into_any_database() {
    for from in ENGINES {
        let Some(bench) = Bench::filled(from) else { continue };
        let backup = bench.path("backup");
        let report = bench.lab.backup(&backup, NOW_NS, &quiet()).unwrap();
        assert_eq!((report.objects, report.rows["annotation_events"]), (3, 700));
        for to in ENGINES {
            let Some(other) = Bench::new(to) else { continue };
            let restored = other.lab.restore(&backup, false, &ann(), &quiet()).unwrap();
            assert_eq!((restored.objects, &restored.rows), (3, &report.rows), "{from:?} to {to:?}");
            assert!(other.lab.verify(NOW_NS, &quiet()).unwrap().is_sound(), "{from:?} to {to:?}");
            let mut rows = other.rows("again");
            let audit = rows.get_mut("audit_log.ndjson").unwrap();
            *audit = audit
                .lines()
                .filter(|line| !line.contains("lab.restore"))
                .map(|line| format!("{line}\n"))
                .collect();
            assert!(rows == rows_of(&backup), "{from:?} to {to:?}: rows differ");
            // Numbers go on where they were, and the labels are read as they were written.
            let project = other.lab.store().projects().unwrap().remove(0);
            other.lab.store().create_project("another", "", &ann()).unwrap();
            let dataset = other.lab.store().dataset(project.id, "d").unwrap();
            other.lab.store().annotate(dataset.id, &annotation(700), &ann()).unwrap();
            other.do_a_job(2);
        }
    }
}

#[test]
fn a_backup_while_others_write_is_of_one_moment() {
    for engine in ENGINES {
        let Some(bench) = Bench::new(engine) else { continue };
        let project = bench.lab.store().create_project("p", "", &ann()).unwrap();
        let dataset = bench.lab.store().create_dataset(project.id, "d", "", &ann()).unwrap();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    bench.lab.store().annotate(dataset.id, &annotation(number), &ann()).unwrap();
                    let object = bench.lab.objects().put_bytes(&number.to_le_bytes(), NOW_NS).unwrap();
                    let input = Input { name: "x".to_owned(), digest: object.digest.to_string() };
                    bench.lab.store().start_run(&run(input), &ann()).unwrap();
                    number += 1;
                }
            });
            for number in 0..6 {
                std::thread::sleep(std::time::Duration::from_millis(60));
                let backup = bench.path(&format!("backup {number}"));
                let report = bench.lab.backup(&backup, NOW_NS, &quiet());
                if report.is_err() {
                    stop.store(true, Ordering::Relaxed);
                }
                let report = report.unwrap();
                let rows = |table: &str| report.rows.get(table).copied().unwrap_or_default();
                // Each change is two lines of two tables, so half a change would show.
                let (events, runs) = (rows("annotation_events"), rows("runs"));
                assert!(events == runs || events == runs + 1, "{engine:?}: {events} events, {runs} runs");
                assert_eq!((rows("run_inputs"), report.objects), (runs, runs), "{engine:?}");
                assert_eq!(report.faults, vec![]);
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}

fn run(input: Input) -> NewRun {
    NewRun {
        project: None,
        job: None,
        task: "train".to_owned(),
        spec: json!({}),
        command: "cormorant train".to_owned(),
        seed: 0,
        program: "cormorant".to_owned(),
        inputs: vec![input],
    }
}

#[test]
fn a_lab_that_has_rows_is_replaced_only_when_asked() {
    for engine in ENGINES {
        let Some(bench) = Bench::filled(engine) else { continue };
        let before = bench.rows("backup");
        bench.lab.store().create_project("later", "", &ann()).unwrap();
        let error =
            bench.lab.restore(&bench.path("backup"), false, &ann(), &quiet()).unwrap_err().to_string();
        assert!(error.contains("an empty lab") && error.contains("--replace"), "{error}");
        assert!(bench.lab.store().project("later").is_ok());
        bench.lab.restore(&bench.path("backup"), true, &ann(), &quiet()).unwrap();
        assert!(bench.lab.store().project("later").is_err());
        let after = bench.rows("after");
        assert!(
            before.iter().all(|(name, rows)| name == "audit_log.ndjson" || after[name] == *rows),
            "{engine:?}"
        );
    }
}

/// Whatever is changed in a backup, restoring it changes nothing.
#[test]
fn a_damaged_backup_is_refused_before_anything_is_changed() {
    let bench = Bench::filled(Engine::Sqlite).unwrap();
    let backup = bench.path("backup");
    bench.lab.backup(&backup, NOW_NS, &quiet()).unwrap();
    let target = Bench::filled(Engine::Sqlite).unwrap();
    let before = target.rows("before");
    let mut files = Vec::new();
    collect(&backup, &mut files);
    assert!(files.len() > 20);
    for file in files {
        let whole = fs::read(&file).unwrap();
        let mut damages = vec![None];
        if !whole.is_empty() {
            damages.extend([0, whole.len() / 2, whole.len() - 2].map(|at| {
                let mut bytes = whole.clone();
                bytes[at.min(whole.len() - 1)] ^= 4;
                Some(bytes)
            }));
            damages.push(Some(whole[..whole.len() - 1].to_vec()));
        }
        for damage in damages {
            match &damage {
                Some(bytes) => fs::write(&file, bytes).unwrap(),
                None => fs::remove_file(&file).unwrap(),
            }
            let error = target.lab.restore(&backup, true, &ann(), &quiet()).unwrap_err();
            assert!(!error.is_bug(), "{}: {error}", file.display());
        }
        fs::write(&file, whole).unwrap();
    }
    assert!(target.rows("after") == before);
    target.lab.restore(&backup, true, &ann(), &quiet()).unwrap();
    let error = target.lab.restore(&bench.path("lab"), true, &ann(), &quiet()).unwrap_err().to_string();
    assert!(error.contains("a directory that `cormorant lab backup` made"), "{error}");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

#[test]
fn a_backup_leaves_out_what_is_damaged_and_says_so() {
    let bench = Bench::filled(Engine::Sqlite).unwrap();
    let (objects, _) = bench.lab.objects().list().unwrap();
    let name = objects[0].digest.to_string();
    fs::remove_file(bench.path("lab/objects").join(&name[..2]).join(&name)).unwrap();
    let verified = bench.lab.verify(NOW_NS, &quiet()).unwrap();
    assert!(verified.faults.iter().any(|fault| fault.what.contains(&name)), "{:?}", verified.faults);
    let report = bench.lab.backup(&bench.path("backup"), NOW_NS, &quiet()).unwrap();
    assert_eq!((report.objects, report.faults.len()), (2, 1));
    assert_eq!(report.faults[0].path, name);
    let error = bench.lab.backup(&bench.path("backup"), NOW_NS, &quiet()).unwrap_err().to_string();
    assert!(error.contains("a name that is free"), "{error}");
}

#[test]
fn cleaning_waits_for_a_backup_and_keeps_what_rows_refer_to() {
    for engine in ENGINES {
        let Some(bench) = Bench::filled(engine) else { continue };
        let garbage = bench.lab.objects().put_bytes(b"garbage", NOW_NS).unwrap();
        let held = bench.lab.objects().put_bytes(b"young", NOW_NS + 9 * DAY_NS).unwrap();
        let keepers = fs::File::open(bench.path("lab/keepers.lock"))
            .or_else(|_| fs::File::create(bench.path("lab/keepers.lock")));
        let keepers = keepers.unwrap();
        keepers.lock_shared().unwrap();
        let refused = bench.lab.gc(NOW_NS + 10 * DAY_NS, DAY_NS, &quiet()).unwrap_err();
        assert!(matches!(refused, LabError::Request { .. }), "{refused}");
        drop(keepers);
        let report = bench.lab.gc(NOW_NS + 10 * DAY_NS, 2 * DAY_NS, &quiet()).unwrap();
        assert_eq!((report.swept.removed, report.swept.kept, report.swept.young), (1, 3, 1), "{engine:?}");
        assert!(!bench.lab.objects().has(garbage.digest) && bench.lab.objects().has(held.digest));
        assert!(bench.lab.verify(NOW_NS, &quiet()).unwrap().is_sound());
    }
}

/// Bits of `lab.db` are flipped one at a time, all over the file. Each is found, or changes no label. `CORMORANT_FLIPS`
/// says how many; the figures are printed for whoever asks for them with `--nocapture`.
#[test]
#[allow(clippy::print_stdout)]
fn a_flipped_bit_never_becomes_another_label() {
    let bench = Bench::filled(Engine::Sqlite).unwrap();
    let project = bench.lab.store().projects().unwrap().remove(0);
    let dataset = bench.lab.store().dataset(project.id, "d").unwrap().id;
    let labels = |lab: &Lab| lab.store().annotation_events(dataset, 0, u32::MAX);
    let truth = labels(&bench.lab).unwrap();
    let Bench { lab, folder, database } = bench;
    drop(folder);
    // The log is folded into the file.
    lab.close();
    let whole = fs::read(database.path()).unwrap();
    let flips = std::env::var("CORMORANT_FLIPS").map_or(60, |text| text.parse().unwrap());
    let (mut found, mut harmless) = (0, 0);
    for flip in 0..flips {
        // A step that is prime to the size visits bits all over the file.
        let bit = (flip * 1_000_003 + 77) % (whole.len() * 8);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lab.db");
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, bytes).unwrap();
        let opened = Lab::open(folder.path(), None, NOW_NS);
        let Ok(lab) = opened else {
            found += 1;
            continue;
        };
        // Objects were left behind: only what is said of the database counts.
        let store = lab.store().faults();
        if store.is_err() || store.is_ok_and(|faults| !faults.is_empty()) {
            found += 1;
        } else {
            harmless += 1;
            assert_eq!(labels(&lab).unwrap(), truth, "bit {bit} changed a label and was not found");
        }
        // Whatever is found or not: what is read is right, or refused.
        if let Ok(events) = labels(&lab) {
            let right = events.iter().all(|event| truth.contains(event));
            assert!(right, "bit {bit} became another label");
        }
    }
    println!("{flips} bits of {} bytes flipped: {found} found, {harmless} changed no label", whole.len());
    assert!(found > flips / 4);
}
