//! `lab`, `jobs` and `work` as a user types them.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::bench::Bench;

/// The words of a job's command, as a shell takes them apart.
fn words(bench: &Bench, command: &str) -> String {
    let rest = command.strip_prefix("cormorant ").expect("our program");
    let outcome = bench.shell(&format!("cormorant jobs add --json {rest}"));
    assert_eq!(outcome.code, 0, "{command}\n{}", outcome.stderr);
    outcome.stdout
}

#[test]
fn what_a_job_makes_is_what_its_command_makes() {
    let bench = Bench::new();
    bench.fine(
        "jobs add extract samples/learn.pcapng --labels samples/learn.labels.csv -o learn.parquet --seed 5",
    );
    let told = bench.fine("work --drain");
    assert!(told.stderr.contains("done 1: extract"), "{}", told.stderr);
    let shown = bench.json("jobs show 1");
    assert_eq!(
        (&shown["job"]["state"], &shown["report"]["output"]),
        (&json!("done"), &json!("learn.parquet"))
    );
    bench.fine("jobs fetch 1 -o .");
    let made = fs::read(bench.path("learn.parquet")).unwrap();
    fs::remove_file(bench.path("learn.parquet")).unwrap();
    let command = shown["job"]["command"].as_str().unwrap();
    assert!(command.contains("--seed=5"), "{command}");
    let again = bench.shell(&format!("cd samples && {command} && mv learn.parquet .."));
    assert_eq!(again.code, 0, "{command}\n{}", again.stderr);
    assert!(fs::read(bench.path("learn.parquet")).unwrap() == made, "{command}");
}

/// A command becomes a plan, the plan a command, and that the same plan again.
#[test]
fn every_command_is_understood_as_it_was_meant() {
    let bench = Bench::new();
    for name in ["learn", "hunt"] {
        fs::copy(bench.path(&format!("samples/{name}.pcapng")), bench.path(&format!("{name}.pcapng")))
            .unwrap();
        fs::copy(bench.path(&format!("samples/{name}.labels.csv")), bench.path(&format!("{name}.csv")))
            .unwrap();
    }
    for file in ["a.parquet", "b.parquet", "m.corm", "costs.csv"] {
        bench.write(file, "only its name and digest matter here");
    }
    for command in [
        "inspect learn.pcapng hunt.pcapng --filter 'tcp port 443 and host 10.0.0.1' --packets 7",
        "flows learn.pcapng -o flows.csv --names zeek --idle-timeout 3.5 --close-delay 2",
        "extract learn.pcapng --features flow,splt --labels learn.csv --label-offset=-3h -o x.parquet --resume",
        "extract learn.pcapng --label malicious:worm -o x.arrow --active-timeout 60 --half-open-timeout 1",
        "import a.parquet --as parquet -o x.parquet --label class --benign ok,fine --unlabelled '?' --family kind \
         --time when:ms --group host --identity a --feature b,c --numeric d --drop e,f --missing none --skip-bad 3",
        "import learn.csv --as csv --delimiter tab --no-header -o x.csv --label-all benign",
        "import learn.csv --as cic --attempted malicious -o x.csv",
        "lint a.parquet --test b.parquet",
        "train a.parquet b.parquet -m random-forest -p trees=9,max_depth=3 --split time:0.3 --threshold fpr:0.01 \
         --prep impute,standard --calibrate platt --cost costs.csv --priors benign=0.9,dos=0.1 --dedup 0.5 \
         --search=random:5 --space 'trees=5|9,max_depth=2..9' --objective f1 -o m.corm --seed 18446744073709551615",
        "train a.parquet --cost kdd99 -o m.corm --mem 100MiB --search",
        "evaluate m.corm a.parquet --threshold 0.25",
        "score m.corm hunt.pcapng --filter udp --threshold=-1.5 -o scores.ndjson",
    ] {
        let plan = |text: &str| {
            let job: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
            let plan = ["task", "spec", "inputs", "seed", "mem_bytes"].map(|part| job[part].clone());
            (plan, job["command"].as_str().unwrap().to_owned())
        };
        let (first, typed) = plan(&words(&bench, &format!("cormorant {command}")));
        let (second, again) = plan(&words(&bench, &typed));
        assert_eq!(first, second, "{command}\n{typed}");
        assert_eq!(typed, again);
    }
}

#[test]
fn what_cannot_be_queued_is_said_at_once() {
    let bench = Bench::new();
    for (line, said) in [
        ("jobs add hunt samples/hunt.pcapng -m m.corm", "cannot be put into the queue; these can: inspect"),
        ("jobs add extract missing.pcapng -o x.csv", "missing.pcapng"),
        ("jobs add extract samples/hunt.pcapng -o x.xlsx", "a file that ends in .parquet"),
        ("jobs add extract samples/hunt.pcapng -o -", "output"),
        ("jobs add flows samples/hunt.pcapng -o x.csv --write y.pcapng", "leave --write out"),
        ("jobs add extract samples/hunt.pcapng -o x.csv --fetures flow", "--fetures"),
        ("jobs show 7", "no job 7"),
        ("jobs cancel 7", "no job 7"),
        ("lab restore samples", "a directory that `cormorant lab backup` made"),
        ("lab gc --grace soon", "expected a time such as 90s, 30m, 24h or 7d"),
        ("--store redis://x lab show", "sqlite:PATH"),
    ] {
        let outcome = bench.run(line);
        let text = outcome.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(outcome.code == 1 && text.contains(said), "{line}: {}", outcome.stderr);
    }
    assert_eq!(bench.json("jobs list"), json!([]));
}

#[test]
fn a_failed_job_is_parked_and_retried() {
    let bench = Bench::new();
    bench.write("broken.csv", "a,b\n1\n2,3,4\n").write("rows.csv", "a,label\n1,benign\n");
    bench.fine("jobs add import broken.csv --as csv -o x.parquet");
    let outcome = bench.run("work --drain");
    assert_eq!(outcome.code, 1);
    assert!(outcome.stderr.contains("job 1:") && outcome.stderr.contains("broken.csv"), "{}", outcome.stderr);
    let parked = bench.json("jobs list --state parked");
    assert!(parked[0]["reason"].as_str().unwrap().contains("broken.csv"), "{parked}");
    bench.fine("jobs retry 1");
    bench.fine("jobs cancel 1");
    assert_eq!(bench.json("jobs list --state cancelled")[0]["id"], 1);
    assert!(bench.run("jobs fetch 1").stderr.contains("nothing to fetch"));
}

#[test]
fn a_lab_says_what_is_in_it_and_what_is_wrong() {
    let bench = Bench::new();
    let empty = bench.fine("lab show").stdout;
    assert!(empty.contains("Nothing is in it yet") && empty.contains("cormorant work --drain"), "{empty}");
    bench.fine("jobs add inspect samples/hunt.pcapng");
    bench.fine("work --drain");
    let shown = bench.json("lab show");
    assert_eq!(
        (&shown["jobs"]["done"], &shown["objects"], &shown["rows"]["runs"]),
        (&json!(1), &json!(2), &json!(1))
    );
    assert_eq!(bench.json("lab verify")["faults"], json!([]));
    bench.fine("lab backup -o copy");
    let report = bench.json("jobs show 1")["job"]["result"]["report"]["digest"].as_str().unwrap().to_owned();
    let object = bench.path("cormorant/objects").join(&report[..2]).join(&report);
    let mut bytes = fs::read(&object).unwrap();
    bytes[9] ^= 1;
    fs::remove_file(&object).unwrap();
    fs::write(&object, bytes).unwrap();
    let outcome = bench.run("lab verify");
    assert!(outcome.code == 1 && outcome.stdout.contains(&report), "{}", outcome.stdout);
    assert!(bench.run("jobs show 1").stderr.contains("restore it from a backup"));
    let refused = bench.run("lab restore copy");
    assert!(refused.code == 1 && refused.stderr.contains("--replace"), "{}", refused.stderr);
    bench.fine("lab restore copy --replace");
    bench.fine("lab verify");
    bench.fine("--lab elsewhere lab restore copy");
    assert_eq!(bench.json("--lab elsewhere jobs list")[0]["state"], "done");
    assert_eq!(bench.json("lab gc")["removed"], 0);
}

#[test]
fn a_lab_is_where_the_settings_say() {
    let bench = Bench::new().with("CORMORANT_LAB", "there");
    bench.fine("lab show");
    assert!(bench.path("there/lab.db").exists());
    bench.fine("--store sqlite:rows.db lab show");
    assert!(bench.path("rows.db").exists());
}

#[test]
fn a_worker_that_is_asked_to_end_ends() {
    let bench = Bench::new();
    let worker = bench.spawn("work");
    std::thread::sleep(std::time::Duration::from_millis(700));
    let asked = Command::new("kill").arg(worker.id().to_string()).status().unwrap();
    assert!(asked.success());
    assert_eq!(worker.wait_with_output().unwrap().status.code(), Some(0));
}
