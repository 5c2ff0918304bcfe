//! What the program says when something is wrong: the whole text, as goldens (`INSTA_UPDATE=always` renews them).

use crate::bench::{Bench, golden};

/// The command, its exit code and both its outputs, as one text.
fn transcript(bench: &Bench, words: &str) -> String {
    let outcome = bench.run(words);
    assert_eq!(outcome.stdout, "", "nothing but results belongs on standard output");
    assert!(outcome.stderr.starts_with("error: "), "{}", outcome.stderr);
    format!("$ cormorant {words}\n{}exit code {}\n", outcome.stderr, outcome.code)
}

fn transcripts(bench: &Bench, commands: &[&str]) -> String {
    commands.iter().map(|words| transcript(bench, words)).collect::<Vec<_>>().join("\n")
}

#[test]
fn mistakes_in_arguments() {
    golden(
        "mistakes_in_arguments",
        &transcripts(
            &Bench::new(),
            &[
                "inspekt x.pcap",
                "inspect",
                "hunt samples/hunt.pcapng --modle x.corm",
                "inspect x.pcap --threads none",
                "inspect x.pcap --threads 0",
                "inspect x.pcap --mem plenty",
                "flows samples/hunt.pcapng -o -  --json",
                "flows samples/hunt.pcapng -o flows.xlsx",
                "flows samples/hunt.pcapng -o flows.csv --idle-timeout 0",
                "completions tcsh",
                "man hnut",
            ],
        ),
    );
}

#[test]
fn mistakes_in_inputs() {
    let bench = Bench::new();
    bench
        .write("empty.pcap", "")
        .write("letter.txt", "Dear all,\n")
        .write("labels.csv", "a,b\n1,2\n")
        .write("not.corm", "CORM");
    golden(
        "mistakes_in_inputs",
        &transcripts(
            &bench,
            &[
                "inspect missing.pcap",
                "inspect empty.pcap",
                "inspect letter.txt",
                "flows samples -o /no/such/directory/x.csv",
                "extract samples/hunt.pcapng --labels labels.csv -o x.csv",
                "extract samples/hunt.pcapng --labels missing.csv -o x.csv",
                "evaluate missing.corm x.parquet",
                "evaluate not.corm x.parquet",
                "hunt samples/hunt.pcapng -m samples/README.md",
                "train samples/README.md -o x.corm",
            ],
        ),
    );
}

#[test]
fn mistakes_in_training() {
    let bench = Bench::trained();
    golden(
        "mistakes_in_training",
        &transcripts(
            bench,
            &[
                "train learn.parquet -p trees=none -o x.corm",
                "train learn.parquet -p trees -o x.corm",
                "train learn.parquet -p target=colour -o x.corm",
                "train learn.parquet --threshold high -o x.corm",
            ],
        ),
    );
}

/// Not goldens: a new plug-in changes these lists.
#[test]
fn unknown_names_are_answered_with_the_known() {
    for (words, known) in [
        ("extract samples/hunt.pcapng --features floww -o x.csv", "flow"),
        ("train learn.parquet -m random-forrest -o x.corm", "random-forest"),
        ("train learn.parquet -p tree=3 -o x.corm", "trees"),
        ("train learn.parquet --split half -o x.corm", "time-k-fold"),
        ("list models random-forrest", "(did you mean `random-forest`?)"),
    ] {
        let text = transcript(Bench::trained(), words);
        assert!(text.contains(known) && text.ends_with("exit code 1\n"), "{text}");
    }
}

#[test]
fn mistakes_in_settings() {
    let with = |file: &str, words: &str| {
        let bench = Bench::new();
        bench.write("cormorant.toml", file);
        format!("$ cat cormorant.toml\n{file}\n{}\n", transcript(&bench, words))
    };
    let variable = Bench::new().with("CORMORANT_THREADS", "many");
    golden(
        "mistakes_in_settings",
        &[
            with("thread = 2", "inspect samples/hunt.pcapng"),
            with("[train]\nmodle = 'logistic'", "inspect samples/hunt.pcapng"),
            with("threads 2", "inspect samples/hunt.pcapng"),
            with("threads = 'many'", "inspect samples/hunt.pcapng"),
            with("threads = [1, 2]", "inspect samples/hunt.pcapng"),
            with("", "inspect samples/hunt.pcapng --config missing.toml"),
            format!(
                "$ export CORMORANT_THREADS=many\n{}",
                transcript(&variable, "inspect samples/hunt.pcapng")
            ),
        ]
        .concat(),
    );
}

#[test]
fn a_hostile_name_is_shown_harmless() {
    let outcome = Bench::new().run("inspect \u{1b}[2Jgone\u{202e}pac.exe");
    assert_eq!(outcome.code, 1);
    assert!(!outcome.stderr.contains(['\u{1b}', '\u{202e}']), "{:?}", outcome.stderr);
    let outcome = Bench::new().run("\u{1b}[2Jverb");
    assert!(outcome.code == 1 && !outcome.stderr.contains('\u{1b}'), "{:?}", outcome.stderr);
}
