//! The queue and its workers, on each of the three databases: nothing lost, nothing done twice in effect, whoever dies.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cormorant_lab::jobs::{
    Done, Event, Plan, Progress, Pulse, Queue, SafeName, State, Tally, Until, Wish, Worker,
};
use cormorant_lab::lab::{Digest, Lab};
use cormorant_lab::store::{Engine, Stamp};
use cormorant_lab::{Ctx, LabError};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::made::talk;
use crate::store::servers::TestDatabase;

const NOW_NS: i64 = 1_800_000_000_000_000_000;
const LEASE_NS: i64 = 10_000_000_000;
/// Tells the program run anew which lab to work in, and which store.
const WORKER: &str = "CORMORANT_TEST_WORKER";
const STORE: &str = "CORMORANT_TEST_STORE";

/// A lab whose rows are in a database of its own.
struct Bench {
    lab: Lab,
    folder: TempDir,
    database: TestDatabase,
}

impl Bench {
    /// `None` where the server is not installed.
    fn new(engine: Engine) -> Option<Self> {
        let (folder, database) = (tempfile::tempdir().unwrap(), TestDatabase::new(engine)?);
        let lab = Lab::open(&folder.path().join("lab"), Some(&database.url), NOW_NS).unwrap();
        Some(Self { lab, folder, database })
    }

    fn add(&self, plan: &Plan) -> i64 {
        Queue::add(&self.lab, plan, &Wish::new("cormorant .."), &ann()).unwrap().id
    }

    fn queue(&self) -> Queue<'_> {
        Queue::of(&self.lab)
    }

    fn work(&self, until: Until) -> Tally {
        self.worker("w").run(until, &mut |_| ()).unwrap()
    }

    fn worker(&self, name: &str) -> Worker<'_> {
        Worker::new(&self.lab, name, 1, Arc::new(|| NOW_NS), Arc::default())
    }

    /// A plan over files in this bench's folder.
    fn plan(&self, task: &str, spec: Value) -> Plan {
        Plan::of_files(&self.lab, task, spec, NOW_NS, &Ctx::new(7, 1)).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn ann() -> Stamp {
    Stamp::new("ann", NOW_NS)
}

/// Does `case` on every database whose server is installed.
fn on_each(case: fn(Bench)) {
    for engine in [Engine::Sqlite, Engine::Postgres, Engine::MySql] {
        if let Some(bench) = Bench::new(engine) {
            case(bench);
        }
    }
}

/// A small import; different numbers are different jobs.
fn import(bench: &Bench, number: u64) -> Plan {
    let table = format!("a,b,label\n1,{number},benign\n2,3,malicious\n");
    let object = bench.lab.objects().put_bytes(table.as_bytes(), NOW_NS).unwrap();
    Plan {
        task: "import".to_owned(),
        spec: json!({ "format": "csv", "inputs": ["a.csv"], "output": "rows.parquet" }),
        inputs: [(name("a.csv"), object.digest)].into(),
        seed: 0,
        mem_bytes: 1 << 30,
    }
}

fn name(text: &str) -> SafeName {
    SafeName::try_from(text.to_owned()).unwrap()
}

#[test]
fn a_job_goes_from_the_queue_to_a_result() {
    on_each(|bench| {
        let id = bench.add(&import(&bench, 1));
        assert_eq!(bench.queue().job(id).unwrap().state, State::Queued);
        let tally = bench.work(Until::Drained);
        assert_eq!((tally.taken, tally.done), (1, 1));
        let job = bench.queue().job(id).unwrap();
        assert_eq!((job.state, job.attempts, job.reason), (State::Done, 1, None));
        let done = job.result.unwrap();
        let report: Value =
            serde_json::from_slice(&bench.lab.objects().read(done.report.digest).unwrap()).unwrap();
        assert_eq!((&report["rows"], &report["output"]), (&json!(2), &json!("rows.parquet")));
        assert_eq!(done.outputs.keys().collect::<Vec<_>>(), ["rows.parquet"]);
        assert!(bench.lab.objects().has(done.outputs["rows.parquet"].digest));
        assert_eq!(
            std::fs::read_dir(bench.path("lab/scratch")).unwrap().count(),
            0,
            "nothing is left behind"
        );
        // What a result refers to is swept by nobody.
        bench.lab.gc(i64::MAX, 0, &Ctx::new(0, 1)).unwrap();
        assert!(bench.lab.verify(NOW_NS, &Ctx::new(0, 1)).unwrap().is_sound());
    });
}

#[test]
fn jobs_come_in_their_order_and_each_to_one_worker() {
    on_each(|bench| {
        let ids: Vec<_> = (0..4).map(|number| bench.add(&import(&bench, number))).collect();
        let urgent = Wish { priority: 5, ..Wish::new("cormorant ..") };
        let urgent = Queue::add(&bench.lab, &import(&bench, 9), &urgent, &ann()).unwrap().id;
        let mut taken = Vec::new();
        for worker in ["a", "b", "c", "d", "e"] {
            taken.push(bench.queue().take(worker, NOW_NS, LEASE_NS).unwrap().unwrap().job.id);
        }
        assert_eq!(taken[0], urgent);
        assert_eq!(taken[1..], ids);
        assert!(bench.queue().take("f", NOW_NS, LEASE_NS).unwrap().is_none());
        let running = bench.queue().list(Some(State::Running), 10).unwrap();
        assert_eq!(
            running.iter().map(|job| job.worker.as_deref().unwrap()).collect::<Vec<_>>(),
            ["a", "e", "d", "c", "b"]
        );
    });
}

#[test]
fn many_takers_at_once_never_take_the_same() {
    on_each(|bench| {
        let ids: BTreeSet<_> = (0..24).map(|number| bench.add(&import(&bench, number))).collect();
        let taken: Vec<i64> = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..6)
                .map(|taker| {
                    let queue = bench.queue();
                    scope.spawn(move || {
                        let name = format!("taker {taker}");
                        std::iter::from_fn(|| queue.take(&name, NOW_NS, LEASE_NS).unwrap())
                            .map(|claim| claim.job.id)
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect()
        });
        assert_eq!(taken.len(), 24);
        assert_eq!(taken.into_iter().collect::<BTreeSet<_>>(), ids);
    });
}

#[test]
fn a_worker_that_was_thought_dead_changes_nothing() {
    on_each(|bench| {
        let id = bench.add(&import(&bench, 1));
        let queue = bench.queue();
        let stale = queue.take("stale", NOW_NS, LEASE_NS).unwrap().unwrap();
        let late = NOW_NS + LEASE_NS + 1;
        let fresh = queue.take("fresh", late, LEASE_NS).unwrap().unwrap();
        assert_eq!((fresh.job.id, fresh.job.attempts), (id, 2));
        assert!(fresh.job.reason.as_ref().unwrap().contains("worker stale vanished"));
        let object = bench.lab.objects().put_bytes(b"{}", NOW_NS).unwrap();
        let done =
            |program: &str| Done { report: object, outputs: BTreeMap::new(), program: program.to_owned() };
        assert!(!queue.finish(&stale, &done("stale"), &[], late).unwrap());
        assert!(!queue.park(&stale, "stale", late).unwrap());
        assert!(!queue.again(&stale, "stale", late).unwrap());
        assert!(!queue.give_back(&stale, late).unwrap());
        let progress = Progress::default();
        assert_eq!(queue.renew(&stale, &progress, late, LEASE_NS).unwrap(), Pulse::Lost);
        assert_eq!(queue.renew(&fresh, &progress, late, LEASE_NS).unwrap(), Pulse::Go);
        assert!(queue.finish(&fresh, &done("fresh"), &[], late).unwrap());
        assert!(
            queue.finish(&fresh, &done("fresh"), &[], late).unwrap(),
            "an answer that was lost is given again"
        );
        assert!(!queue.finish(&stale, &done("stale"), &[], late).unwrap());
        let job = queue.job(id).unwrap();
        assert_eq!((job.state, job.result.unwrap().program.as_str()), (State::Done, "fresh"));
        assert_eq!(bench.lab.store().runs(None, i64::MAX, 9).unwrap().len(), 1, "one result, one run");
    });
}

#[test]
fn a_lease_that_is_renewed_does_not_run_out() {
    on_each(|bench| {
        bench.add(&import(&bench, 1));
        let queue = bench.queue();
        let claim = queue.take("w", NOW_NS, LEASE_NS).unwrap().unwrap();
        let progress = Progress { stage: "reading rows".to_owned(), done: 3, total: 9 };
        queue.renew(&claim, &progress, NOW_NS + LEASE_NS / 2, LEASE_NS).unwrap();
        assert!(queue.take("x", NOW_NS + LEASE_NS + 1, LEASE_NS).unwrap().is_none());
        assert_eq!(queue.job(claim.job.id).unwrap().progress, progress);
        assert!(queue.take("x", NOW_NS + 2 * LEASE_NS, LEASE_NS).unwrap().is_some());
    });
}

#[test]
fn a_job_that_kills_its_workers_is_parked_with_the_reason() {
    on_each(|bench| {
        let id = bench.add(&import(&bench, 1));
        let queue = bench.queue();
        for attempt in 0..3 {
            let now = NOW_NS + attempt * 2 * LEASE_NS;
            assert!(queue.take(&format!("victim {attempt}"), now, LEASE_NS).unwrap().is_some());
        }
        assert!(queue.take("next", NOW_NS + 8 * LEASE_NS, LEASE_NS).unwrap().is_none());
        let job = queue.job(id).unwrap();
        assert_eq!(job.state, State::Parked);
        let reason = job.reason.unwrap();
        assert!(reason.contains("given up after 3 attempts") && reason.contains("victim 2"), "{reason}");
        queue.retry(id, &ann()).unwrap();
        assert_eq!(bench.work(Until::Drained).done, 1);
        assert_eq!(queue.job(id).unwrap().reason, None);
    });
}

#[test]
fn what_cannot_be_done_is_parked_at_once() {
    on_each(|bench| {
        let mut wrong = import(&bench, 1);
        wrong.spec["options"] = json!({ "label": "no such column" });
        let id = bench.add(&wrong);
        let mut told = Vec::new();
        let tally = bench
            .worker("w")
            .run(Until::Drained, &mut |event| {
                if let Event::Failed(_, reason) = event {
                    told.push((*reason).to_owned());
                }
            })
            .unwrap();
        assert_eq!((tally.taken, tally.failed), (1, 1));
        let job = bench.queue().job(id).unwrap();
        assert_eq!((job.state, job.attempts), (State::Parked, 1));
        assert_eq!(job.reason.as_deref(), Some(told[0].as_str()));
        // What is said has nothing to do with where it was tried.
        assert!(told[0].contains("a.csv") && !told[0].contains("scratch"), "{}", told[0]);
        assert!(bench.queue().cancel(id, &ann()).is_err());
    });
}

#[test]
fn a_damaged_input_is_named_and_no_result_comes_of_it() {
    on_each(|bench| {
        let plan = import(&bench, 1);
        let id = bench.add(&plan);
        let digest = plan.inputs[&name("a.csv")].to_string();
        let path = bench.path("lab/objects").join(&digest[..2]).join(&digest);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[10] ^= 1;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        bench.work(Until::Drained);
        let job = bench.queue().job(id).unwrap();
        assert_eq!(job.state, State::Parked);
        assert!(job.reason.unwrap().contains(&digest));
    });
}

#[test]
fn a_queued_job_is_cancelled_at_once_and_a_running_one_by_its_worker() {
    on_each(|bench| {
        let queued = bench.add(&import(&bench, 1));
        assert_eq!(bench.queue().cancel(queued, &ann()).unwrap().state, State::Cancelled);
        let running = bench.add(&import(&bench, 2));
        let claim = bench.queue().take("w", NOW_NS, LEASE_NS).unwrap().unwrap();
        let job = bench.queue().cancel(running, &ann()).unwrap();
        assert_eq!((job.state, job.cancel), (State::Running, true));
        let pulse = bench.queue().renew(&claim, &Progress::default(), NOW_NS, LEASE_NS).unwrap();
        assert_eq!(pulse, Pulse::Cancel);
        assert!(bench.queue().cancelled(&claim, NOW_NS).unwrap());
        assert_eq!(bench.queue().job(running).unwrap().state, State::Cancelled);
        // One whose worker died before it heard of it.
        let orphan = bench.add(&import(&bench, 3));
        bench.queue().take("w", NOW_NS, LEASE_NS).unwrap().unwrap();
        bench.queue().cancel(orphan, &ann()).unwrap();
        assert!(bench.queue().take("x", NOW_NS + 2 * LEASE_NS, LEASE_NS).unwrap().is_none());
        assert_eq!(bench.queue().job(orphan).unwrap().state, State::Cancelled);
        assert!(bench.queue().job(999).unwrap_err().to_string().contains("no job 999"));
    });
}

/// A task that runs for long is told within a fraction of its lease, and leaves nothing.
#[test]
fn a_cancelled_task_stops() {
    let bench = Bench::new(Engine::Sqlite).unwrap();
    talk(60_000).write(&bench.path("long.pcap"));
    let id = bench.add(&bench.plan("extract", extraction(&[bench.path("long.pcap")], "rows.parquet")));
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            bench.worker("w").with_lease(150_000_000).run(Until::Once, &mut |event| {
                if let Event::Taken(claim) = event {
                    bench.queue().cancel(claim.job.id, &ann()).unwrap();
                }
            })
        });
        assert_eq!(worker.join().unwrap().unwrap().cancelled, 1);
    });
    let job = bench.queue().job(id).unwrap();
    assert_eq!((job.state, job.result), (State::Cancelled, None));
}

/// A worker that is told to end gives its job back, as if it had not taken it.
#[test]
fn a_worker_that_ends_gives_its_job_back() {
    let bench = Bench::new(Engine::Sqlite).unwrap();
    talk(60_000).write(&bench.path("long.pcap"));
    let id = bench.add(&bench.plan("extract", extraction(&[bench.path("long.pcap")], "rows.parquet")));
    let stop = Arc::new(AtomicBool::new(false));
    let worker =
        Worker::new(&bench.lab, "w", 1, Arc::new(|| NOW_NS), Arc::clone(&stop)).with_lease(150_000_000);
    let tally = worker
        .run(Until::Stopped, &mut |event| {
            if let Event::Taken(_) = event {
                stop.store(true, Ordering::Relaxed);
            }
        })
        .unwrap();
    assert_eq!((tally.taken, tally.dropped), (1, 1));
    let job = bench.queue().job(id).unwrap();
    assert_eq!((job.state, job.attempts, job.worker), (State::Queued, 0, None));
}

fn extraction(captures: &[PathBuf], output: &str) -> Value {
    json!({ "captures": captures, "sets": ["flow"], "output": output })
}

fn sample(name: &str) -> PathBuf {
    crate::made::sample(name).canonicalize().unwrap()
}

/// Every task twice, in different folders and on different numbers of threads: the same bytes, and those of the plain
/// task.
#[test]
fn two_laps_of_the_same_task_give_the_same_bytes() {
    let lap = |threads| {
        let bench = Bench::new(Engine::Sqlite).unwrap();
        let mut results = Vec::new();
        let mut run = |task: &str, spec: Value| {
            let id = bench.add(&bench.plan(task, spec));
            Worker::new(&bench.lab, "w", threads, Arc::new(|| NOW_NS), Arc::default())
                .run(Until::Drained, &mut |_| ())
                .unwrap();
            let job = bench.queue().job(id).unwrap();
            let done = job.result.unwrap_or_else(|| panic!("{task}: {:?}", job.reason));
            for (name, file) in &done.outputs {
                bench.lab.objects().copy_out(file.digest, &bench.path(name)).unwrap();
            }
            results.push((task.to_owned(), done));
        };
        let path = |name: &str| bench.path(name).display().to_string();
        run("inspect", json!({ "captures": [sample("learn.pcapng")] }));
        run("flows", json!({ "captures": [sample("hunt.pcapng")], "output": "flows.csv" }));
        let mut learn = extraction(&[sample("learn.pcapng")], "learn.parquet");
        learn["labels"] = json!(sample("learn.labels.csv"));
        run("extract", learn);
        run("extract", extraction(&[sample("hunt.pcapng"), sample("learn.pcapng")], "both.csv"));
        run(
            "import",
            json!({ "format": "csv", "inputs": [sample("learn.labels.csv")], "output": "rules.parquet" }),
        );
        run("lint", json!({ "inputs": [path("learn.parquet")] }));
        run(
            "train",
            json!({
                "inputs": [path("learn.parquet")], "model": "random-forest", "params": { "trees": "20" },
                "output": "m.corm"
            }),
        );
        let mut labelled = json!({ "model": path("m.corm"), "inputs": [sample("learn.pcapng")] });
        run(
            "score",
            json!({ "model": path("m.corm"), "inputs": [sample("hunt.pcapng")], "output": "scores.csv" }),
        );
        labelled["labels"] = json!(sample("learn.labels.csv"));
        run("evaluate", labelled);
        let plain = bench.path("plain.csv");
        let captures = [sample("hunt.pcapng"), sample("learn.pcapng")];
        crate::made::extract(&crate::made::spec(&captures, &plain)).unwrap();
        (
            results,
            std::fs::read_to_string(plain).unwrap(),
            std::fs::read_to_string(bench.path("both.csv")).unwrap(),
        )
    };
    let (first, plain, both) = lap(1);
    let (second, ..) = lap(3);
    for ((task, one), (_, two)) in first.iter().zip(&second) {
        assert_eq!(one, two, "{task}");
    }
    // Captures are called by their names, wherever they lie.
    let folder = format!("{}/", sample("hunt.pcapng").parent().unwrap().display());
    assert!(plain.contains(&folder) && both == plain.replace(&folder, ""));
}

#[test]
fn a_plan_names_only_its_own_files() {
    let bench = Bench::new(Engine::Sqlite).unwrap();
    let refused = |change: &dyn Fn(&mut Plan)| {
        let mut plan = import(&bench, 1);
        change(&mut plan);
        let error = Queue::add(&bench.lab, &plan, &Wish::new("x"), &ann()).unwrap_err();
        assert!(!error.is_bug(), "{error}");
        error.to_string()
    };
    assert!(refused(&|plan| plan.spec["inputs"] = json!(["/etc/passwd"])).contains("names of inputs only"));
    assert!(refused(&|plan| plan.spec["inputs"] = json!(["../a.csv"])).contains("names of inputs only"));
    assert!(refused(&|plan| plan.spec["output"] = json!("/tmp/x.csv")).contains("file name"));
    assert!(refused(&|plan| plan.spec["output"] = json!("-")).contains("file name"));
    assert!(refused(&|plan| plan.spec["output"] = json!("a.csv")).contains("name of its own"));
    assert!(refused(&|plan| plan.spec["outptu"] = json!("a.csv")).contains("outptu"));
    assert!(refused(&|plan| plan.task = "hunt".to_owned()).contains("extract"));
    assert!(
        refused(&|plan| {
            plan.inputs.insert(name("b.csv"), Digest::of(b"never put"));
        })
        .contains("restore it from a backup")
    );
    let costs = json!({ "inputs": ["a.csv"], "model": "logistic", "output": "m.corm", "cost": "secret" });
    assert!(
        refused(&|plan| {
            plan.task = "train".to_owned();
            plan.spec = costs.clone();
        })
        .contains("costs that are known by a word")
    );
    assert!(bench.queue().list(None, 9).unwrap().is_empty());
    let two = [sample("hunt.pcapng"), bench.path("hunt.pcapng")];
    std::fs::write(&two[1], "another").unwrap();
    let plan = Plan::of_files(&bench.lab, "inspect", json!({ "captures": two }), NOW_NS, &Ctx::new(0, 1));
    assert!(matches!(plan, Err(LabError::Request { .. })), "two files of one name");
}

#[allow(clippy::disallowed_methods)]
fn now_ns() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// The program run anew as a worker, until it is killed or nothing is left to do.
fn be_a_worker(folder: &Path) {
    let url = std::env::var(STORE).unwrap();
    let lab = Lab::open(folder, Some(&url), now_ns()).unwrap();
    let name = std::process::id().to_string();
    let worker = Worker::new(&lab, &name, 1, Arc::new(now_ns), Arc::default()).with_lease(1_500_000_000);
    worker.run(Until::Drained, &mut |_| ()).unwrap();
}

fn spawn(bench: &Bench) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "jobs::workers_may_be_killed_at_any_moment"])
        .env(WORKER, bench.path("lab"))
        .env(STORE, &bench.database.url)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// `CORMORANT_JOBS` says how many jobs there are, `CORMORANT_KILL_MS` how often a worker is killed.
#[test]
fn workers_may_be_killed_at_any_moment() {
    if let Some(folder) = std::env::var_os(WORKER) {
        return be_a_worker(Path::new(&folder));
    }
    on_each(kill_workers);
}

/// Prints its figures for whoever asks for them with `--nocapture`.
#[allow(clippy::print_stdout)]
fn kill_workers(bench: Bench) {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (jobs, every) = (number("CORMORANT_JOBS", 40), number("CORMORANT_KILL_MS", 300));
    // A few captures under many seeds: jobs of one capture have one result.
    let captures: Vec<PathBuf> = (0..5u32).map(|at| bench.path(&format!("{at}.pcap"))).collect();
    for (at, path) in (0..).zip(&captures) {
        talk(600 + 50 * at).write(path);
    }
    let stamp = Stamp::new("ann", now_ns());
    let ids: Vec<i64> = (0..jobs)
        .map(|job| {
            let capture = captures[job as usize % captures.len()].clone();
            let plan = bench.plan("extract", extraction(&[capture], "rows.csv"));
            let wish = Wish { max_attempts: 50, ..Wish::new("cormorant ..") };
            Queue::add(&bench.lab, &plan, &wish, &stamp).unwrap().id
        })
        .collect();
    let mut workers: Vec<Child> = (0..3).map(|_| spawn(&bench)).collect();
    let mut kills = 0;
    while bench.queue().is_busy().unwrap() {
        std::thread::sleep(Duration::from_millis(every));
        let victim = kills % workers.len();
        workers[victim].kill().unwrap();
        workers[victim].wait().unwrap();
        workers[victim] = spawn(&bench);
        kills += 1;
        assert!(kills < 4000, "it never ends: {:?}", bench.queue().by_state().unwrap());
    }
    for mut worker in workers {
        worker.kill().unwrap();
        worker.wait().unwrap();
    }
    let mut results: BTreeMap<usize, BTreeSet<Digest>> = BTreeMap::new();
    let mut taken = 0;
    for (at, id) in ids.iter().enumerate() {
        let job = bench.queue().job(*id).unwrap();
        assert_eq!(job.state, State::Done, "{:?}", job.reason);
        taken += job.attempts as u64;
        let digest = job.result.unwrap().outputs["rows.csv"].digest;
        results.entry(at % captures.len()).or_default().insert(digest);
    }
    assert!(results.values().all(|digests| digests.len() == 1), "the same job gave different bytes");
    let runs = bench.lab.store().runs(None, i64::MAX, u32::MAX).unwrap();
    let done: BTreeSet<_> = runs.iter().filter_map(|run| run.about.job).collect();
    assert_eq!((runs.len() as u64, done.len() as u64), (jobs, jobs), "each done once in effect");
    let extra = taken - jobs;
    println!(
        "{:?}: {jobs} jobs, {kills} kills, {extra} attempts more ({:.1} %)",
        bench.database.engine,
        100.0 * extra as f64 / jobs as f64
    );
    assert!(extra <= kills as u64, "a kill costs the one job that the worker had");
    bench.lab.gc(now_ns(), 0, &Ctx::new(0, 1)).unwrap();
    assert!(bench.lab.verify(now_ns(), &Ctx::new(0, 1)).unwrap().is_sound());
}
