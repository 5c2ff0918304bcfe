//! `label`: campaigns with an oracle, and with a person who types, leaves and comes back.

use serde_json::Value;

use crate::bench::Bench;

const ASK: &str = "--ask uncertain=2 --ask annotations=3";

#[test]
fn an_oracle_reports_every_iteration_and_draws_them() {
    let bench = Bench::trained();
    let run = |more: &str| {
        bench.fine(&format!(
            "--json label learn.parquet --oracle {ASK} --budget 24 --initial 3,4 --benign-families 4 --no-search {more}"
        ))
    };
    let report: Value = serde_json::from_str(&run("--strategy ilab").stdout).unwrap();
    let iterations = report["iterations"].as_array().unwrap();
    assert_eq!(iterations[0]["labels"], 7);
    assert_eq!(iterations.last().unwrap()["labels"], 31, "the budget is asked for in full");
    for one in iterations {
        let number = |name: &str| one[name].as_f64().unwrap_or_else(|| panic!("{name} of {one}"));
        assert!(
            (0.0..=1.0).contains(&number("auc"))
                && (0.0..=1.0).contains(&number("f1"))
                && number("seconds") >= 0.0
        );
        assert!(one["families"]["malicious"].as_u64().unwrap() >= 1);
    }
    let picture = bench.path("curves.svg");
    let two: Value = serde_json::from_str(
        &run(&format!("--strategies ilab,random --seeds 2 --plot {}", picture.display())).stdout,
    )
    .unwrap();
    assert_eq!(two["runs"].as_array().unwrap().len(), 4);
    assert!(two["iterations"].is_null());
    assert!(std::fs::read_to_string(picture).unwrap().starts_with("<svg"));
}

#[test]
fn a_person_answers_leaves_and_comes_back() {
    person("--campaign c.ndjson");
}

/// The same, kept in the lab, which then knows of it and is sound.
#[test]
fn a_person_answers_a_campaign_of_the_lab() {
    let bench = person("--lab here --name morning");
    let shown = bench.json("lab show --lab here");
    assert_eq!(shown["rows"]["campaigns"], 1, "{shown}");
    assert!(shown["rows"]["annotation_events"].as_u64().unwrap() >= 5, "{shown}");
    assert!(bench.json("lab verify --lab here")["faults"].as_array().unwrap().is_empty());
    let other = bench.shell(
        "cormorant extract samples/hunt.pcapng -o learn.parquet >/dev/null; \
         printf 'q\\n' | cormorant label learn.parquet --terminal --lab here --name morning",
    );
    assert_eq!(other.code, 1);
    assert!(other.stderr.contains("morning is about"), "{}", other.stderr);
}

fn person(keep: &str) -> Bench {
    let bench = Bench::new();
    bench.fine("extract samples/learn.pcapng --labels samples/learn.labels.csv -o learn.parquet");
    let typed = |keys: &str| {
        let command = format!(
            "printf '{keys}' | cormorant --json label learn.parquet --terminal {keep} --export all.csv --by ann"
        );
        let outcome = bench.shell(&command);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let (shown, report) =
            outcome.stdout.split_at(outcome.stdout.find("\n{").expect("a report at the end"));
        (shown.to_owned(), serde_json::from_str::<Value>(report).unwrap())
    };
    // nothing is suggested at first, so that enter is no answer; the second answer is taken back, the last row skipped
    let (shown, report) = typed("\\nm scan\\nb web\\nu\\ns\\nq\\n");
    assert!(shown.contains("nothing is suggested") && shown.contains("Asked because"), "{shown}");
    assert_eq!((&report["spent"], &report["labels"]["malicious"]), (&Value::from(1), &Value::from(1)));
    let (shown, report) = typed("b dns\\n");
    assert!(shown.contains("row 3 of 20"), "the first is labelled and the second skipped: {shown}");
    assert_eq!((&report["spent"], &report["labels"]["benign"]), (&Value::from(2), &Value::from(1)));
    let exported = std::fs::read_to_string(bench.path("all.csv")).unwrap();
    assert!(exported.starts_with("instance_id,label,family\n") && exported.contains(",1,scan"), "{exported}");
    let outcome = bench.run("label learn.parquet");
    assert_eq!(outcome.code, 1);
    assert!(outcome.stderr.contains("--oracle"), "{}", outcome.stderr);
    bench
}
