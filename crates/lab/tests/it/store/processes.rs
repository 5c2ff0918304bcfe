//! Processes that write one SQLite store: killed at any moment, side by side, and on a disk that fails.
//!
//! The test program starts itself again as the process that annotates; it tells each acknowledged annotation by a line. `CORMORANT_KILLS`
//! and `CORMORANT_FAULTS` make the runs longer than an everyday test may be.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use std::time::Instant;

use cormorant_lab::store::{Engine, Store};
use tempfile::TempDir;

use super::ann;
use super::annotations::malicious;
use super::records::dataset;
use super::servers::TestDatabase;

/// What tells this program that it is the annotating process: address, dataset, prefix of keys, pause in ms.
const TOLD: &str = "CORMORANT_ANNOTATE";

/// The annotating process; an empty test when nobody told it to be.
#[test]
fn annotating_process() {
    let Ok(told) = std::env::var(TOLD) else { return };
    let told: Vec<&str> = told.split('|').collect();
    let [url, dataset, prefix, pause, count] = told[..] else { panic!("{told:?}") };
    let (dataset, pause) = (dataset.parse().unwrap(), Duration::from_millis(pause.parse().unwrap()));
    say("\n");
    let store = until_it_works(|| Store::open(url, 1));
    for at in 0..count.parse().unwrap() {
        let key = format!("{prefix}{at}");
        let annotation = malicious(&key, &format!("r{at}"), "dos");
        until_it_works(|| store.annotate(dataset, &annotation, &ann(at)));
        say(&format!("ack {key}\n"));
        thread::sleep(pause);
    }
    store.close();
    say("closed\n");
}

/// Tries again after an error, as a client does that has read it.
fn until_it_works<T>(work: impl Fn() -> cormorant_lab::store::Result<T>) -> T {
    for _ in 0..1000 {
        match work() {
            Ok(done) => return done,
            Err(error) => say(&format!("error {error}\n")),
        }
    }
    panic!("it never works");
}

/// A line at once, past the test harness.
pub(super) fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    output.write_all(line.as_bytes()).unwrap();
    output.flush().unwrap();
}

/// Starts the annotating process, under `wrapper` if there is one.
fn annotate(
    wrapper: &[String],
    database: &TestDatabase,
    dataset: i64,
    prefix: &str,
    pace: (u64, u64),
) -> Child {
    let (pause, count) = pace;
    let program = std::env::current_exe().unwrap();
    let mut line = wrapper.to_vec();
    line.push(program.display().to_string());
    line.extend(["--exact", "store::processes::annotating_process", "--nocapture"].map(ToOwned::to_owned));
    line.push("--test-threads=1".to_owned());
    Command::new(&line[0])
        .args(&line[1..])
        .env(TOLD, format!("{}|{dataset}|{prefix}|{pause}|{count}", database.url))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The keys that a process said were acknowledged.
fn acknowledged(output: &str) -> Vec<String> {
    // A line that the kill cut off was not said.
    let whole = output.rfind('\n').map_or("", |end| &output[..end]);
    whole.lines().filter_map(|line| line.strip_prefix("ack ")).map(ToOwned::to_owned).collect()
}

pub(super) fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Delays that look random and are the same at every run: xorshift64 (Marsaglia 2003, "Xorshift RNGs").
pub(super) fn shuffled(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn a_killed_process_loses_and_doubles_nothing_that_it_acknowledged() {
    let database = TestDatabase::new(Engine::Sqlite).unwrap();
    let store = database.open();
    let (_, dataset) = dataset(&store);
    store.close();
    let (mut state, mut seq, mut all, mut slowest) = (0x2545_f491_4f6c_dd1d, 0, 0, Duration::ZERO);
    let kills = setting("CORMORANT_KILLS", 25);
    for kill in 0..kills {
        let mut process = annotate(&[], &database, dataset, &format!("{kill}/"), (3, u64::MAX >> 1));
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut said = String::new();
        // Most are killed while they annotate, some while they start or open the store.
        if kill % 5 != 0 {
            while !said.ends_with("0\n") {
                assert!(output.read_line(&mut said).unwrap() > 0, "it ended by itself: {said}");
            }
        }
        thread::sleep(Duration::from_micros(shuffled(&mut state) % 100_000));
        process.kill().unwrap();
        output.read_to_string(&mut said).unwrap();
        process.wait().unwrap();
        let started = now();
        let store = database.open();
        slowest = slowest.max(started.elapsed());
        let acknowledged = acknowledged(&said);
        let events = store.annotation_events(dataset, seq, u32::MAX).unwrap();
        let kept: BTreeSet<&str> = events.iter().map(|event| event.key.as_str()).collect();
        assert_eq!(kept.len(), events.len(), "kill {kill}: something is there twice");
        let lost: Vec<_> = acknowledged.iter().filter(|key| !kept.contains(key.as_str())).collect();
        assert!(lost.is_empty(), "kill {kill}: lost {lost:?}");
        // At most one was committed whose acknowledgement was not heard.
        assert!(events.len() <= acknowledged.len() + 1, "kill {kill}: {events:?} {said}");
        assert!(events.iter().zip(seq + 1..).all(|(event, seq)| event.seq == seq));
        seq += i64::try_from(events.len()).unwrap();
        all += acknowledged.len();
        store.close();
    }
    let store = database.open();
    let verified = store.verify().unwrap();
    assert_eq!(verified.annotations, u64::try_from(seq).unwrap());
    say(&format!("{kills} kills: {all} acknowledged, {seq} kept, slowest opening {slowest:?}\n"));
    assert!(slowest < Duration::from_secs(20), "opening took {slowest:?}");
}

#[expect(clippy::disallowed_methods, reason = "how long a store takes to open is what is asked here")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn two_processes_on_one_file_neither_corrupt_nor_starve_each_other() {
    const TOGETHER: usize = 600;
    let database = TestDatabase::new(Engine::Sqlite).unwrap();
    let store = database.open();
    let (_, dataset) = dataset(&store);
    let mut processes: Vec<_> = ["a", "b"]
        .map(|prefix| annotate(&[], &database, dataset, prefix, (0, u64::MAX >> 1)))
        .into_iter()
        .collect();
    let (sender, lines) = mpsc::channel();
    for (which, process) in processes.iter_mut().enumerate() {
        let output = process.stdout.take().unwrap();
        let sender = sender.clone();
        thread::spawn(move || tell(which, output, &sender));
    }
    // Both are there before it is counted.
    let (mut started, mut counts) = ([false; 2], [0; 2]);
    while counts.iter().sum::<usize>() < TOGETHER {
        let (which, line) = lines.recv().unwrap();
        assert!(!line.starts_with("error"), "{line}");
        started[which] |= line.starts_with("ack");
        counts[which] += usize::from(started == [true; 2] && line.starts_with("ack"));
    }
    for process in &mut processes {
        process.kill().unwrap();
        process.wait().unwrap();
    }
    say(&format!("two processes: {counts:?} of {TOGETHER} annotations\n"));
    assert!(counts.iter().all(|count| *count >= TOGETHER / 20), "{counts:?}");
    assert!(store.verify().unwrap().annotations >= TOGETHER as u64);
}

/// Sends each line of a process on.
fn tell(which: usize, output: ChildStdout, sender: &mpsc::Sender<(usize, String)>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if sender.send((which, line)).is_err() {
            return;
        }
    }
}

/// What a full disk, a used-up quota and a broken disk say.
const FAULTS: [(&str, i32); 3] = [("ENOSPC", 28), ("EDQUOT", 122), ("EIO", 5)];
const ANNOTATIONS: u64 = 2;

#[test]
fn a_disk_that_fails_at_any_write_is_one_clear_error_and_no_more() {
    let Some(disk) = FailingDisk::new() else { return };
    let (calls, said) = disk.annotate("none", 0, 0, 0);
    assert!(calls > 20 && !said.contains("error"), "{calls}: {said}");
    // Every call with CORMORANT_FAULTS=1; each error takes other calls otherwise.
    let step = usize::try_from(setting("CORMORANT_FAULTS", 9)).unwrap();
    let mut met = 0;
    for (first, (fault, number)) in (1..).zip(FAULTS) {
        for call in (first..=calls).step_by(step) {
            let (_, said) = disk.annotate(&format!("{fault} at call {call}"), call, 1, number);
            let errors = said.lines().filter(|line| line.starts_with("error")).count();
            assert!(errors <= 1, "{fault} at call {call}: {said}");
            met += errors;
        }
    }
    // A disk that stays full for a while: an error for each try, and then it goes on.
    let (_, said) = disk.annotate("a full disk", 5, 30, 28);
    met += said.lines().filter(|line| line.starts_with("error")).count();
    say(&format!("a failing disk: {calls} calls, every {step}, {met} errors told\n"));
    assert!(met > 10, "{met}");
}

/// A prepared store, and the shim that lets calls to its files fail.
struct FailingDisk {
    shim: TempDir,
    prepared: TestDatabase,
    dataset: i64,
}

impl FailingDisk {
    /// `None` after saying aloud that there is no C compiler.
    fn new() -> Option<Self> {
        let shim = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/store/failing_disk.c");
        let mut compiler = Command::new("cc");
        compiler
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(shim.path().join("disk.so"))
            .arg(source)
            .arg("-ldl");
        match compiler.status() {
            Ok(status) => assert!(status.success()),
            Err(error) => {
                assert!(
                    std::env::var_os("CORMORANT_NO_SKIP").is_none(),
                    "skipping is forbidden: cc: {error}"
                );
                say("skipped: there is no C compiler\n");
                return None;
            }
        }
        let prepared = TestDatabase::new(Engine::Sqlite).unwrap();
        let store = prepared.open();
        let (_, dataset) = dataset(&store);
        store.close();
        Some(Self { shim, prepared, dataset })
    }

    /// Annotates on a fresh copy while calls from `first` on fail; how many calls there were, and what was said.
    /// Whatever failed, in the end everything is there once and the store is whole.
    fn annotate(&self, case: &str, first: usize, calls: usize, number: i32) -> (usize, String) {
        let database = TestDatabase::new(Engine::Sqlite).unwrap();
        database.load(&self.prepared.path());
        let count = self.shim.path().join("count");
        let setting = |name: &str, value: String| format!("{name}={value}");
        let wrapper = [
            "env".to_owned(),
            setting("LD_PRELOAD", self.shim.path().join("disk.so").display().to_string()),
            setting("FAIL_AT", first.to_string()),
            setting("FAIL_CALLS", calls.to_string()),
            setting("FAIL_ERRNO", number.to_string()),
            setting("FAIL_COUNT", count.display().to_string()),
        ];
        let process = annotate(&wrapper, &database, self.dataset, "k", (0, ANNOTATIONS));
        let output = process.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let clear = |error: &str| error.contains("could not write") || error.contains("cannot be opened");
        let errors = said.lines().filter(|line| line.starts_with("error"));
        assert!(errors.into_iter().all(clear), "{case}: {said}");
        assert_eq!(acknowledged(&said).len() as u64, ANNOTATIONS, "{case}: {said}");
        let store = database.open();
        assert_eq!(store.verify().unwrap().annotations, ANNOTATIONS, "{case}");
        (std::fs::read_to_string(count).unwrap().trim().parse().unwrap(), said)
    }
}
