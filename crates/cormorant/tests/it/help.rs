//! `--help` of every verb: complete, narrow, and with examples that run as printed.

use crate::bench::Bench;

const VERBS: &[&str] = &[
    "demo",
    "capture",
    "inspect",
    "flows",
    "extract",
    "import",
    "lint",
    "train",
    "evaluate",
    "score",
    "explain",
    "hunt",
    "lab",
    "jobs",
    "work",
    "label",
    "list",
    "doctor",
    "completions",
    "man",
];

/// Verbs that have verbs of their own below them.
const NESTED: [&str; 11] = [
    "lab show",
    "lab verify",
    "lab backup",
    "lab restore",
    "lab gc",
    "jobs add",
    "jobs list",
    "jobs show",
    "jobs fetch",
    "jobs cancel",
    "jobs retry",
];

#[test]
fn every_verb_is_listed_and_helps() {
    let bench = Bench::new();
    let overview = bench.fine("--help").stdout;
    for verb in VERBS {
        assert!(
            overview.lines().any(|line| line.trim_start().starts_with(verb)),
            "{verb} is not in\n{overview}"
        );
    }
    for verb in VERBS.iter().copied().chain(NESTED) {
        let help = bench.fine(&format!("{verb} --help")).stdout;
        let wide: Vec<_> = help.lines().filter(|line| line.chars().count() > 80).collect();
        let example = |line: &&str| line.starts_with("  cormorant");
        assert!(wide.iter().all(example), "{verb} --help is wider than 80 columns: {wide:#?}");
    }
}

#[test]
fn examples_run_as_printed() {
    for verb in VERBS.iter().copied().chain(NESTED) {
        let bench = Bench::new();
        for line in examples(&bench, verb) {
            let outcome = bench.shell(&line);
            let expected: &[i32] = if line.starts_with("cormorant hunt") { &[0, 3] } else { &[0] };
            assert!(expected.contains(&outcome.code), "{line}\n{}{}", outcome.stdout, outcome.stderr);
        }
    }
}

#[test]
fn no_verb_is_the_users_mistake() {
    let outcome = Bench::new().run("");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
    assert!(outcome.stderr.contains("Usage"), "{}", outcome.stderr);
}

#[test]
fn the_version_is_the_packages() {
    assert_eq!(Bench::new().fine("--version").stdout, format!("cormorant {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn shells_and_readers_get_their_scripts_and_pages() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = bench.fine(&format!("completions {shell}")).stdout;
        assert!(VERBS.iter().all(|verb| script.contains(verb)), "{shell} lacks a verb");
    }
    assert!(
        bench.fine("man").stdout.starts_with(".ie") || bench.fine("man").stdout.contains(".TH cormorant 1")
    );
    assert!(bench.fine("man hunt").stdout.contains(".TH cormorant-hunt 1"));
    assert!(bench.run("man hnut").stderr.contains("(did you mean `hunt`?)"));
}

#[test]
fn completion_scripts_are_valid_bash() {
    let outcome = Bench::new()
        .shell("command -v bash >/dev/null || exit 9; cormorant completions bash > c && bash -n c");
    match outcome.code {
        9 => crate::bench::skip("bash is not installed"),
        code => assert_eq!(code, 0, "{}", outcome.stderr),
    }
}

fn examples(bench: &Bench, verb: &str) -> Vec<String> {
    let help = bench.fine(&format!("{verb} --help")).stdout;
    let (_, example) =
        help.split_once("Example:\n").unwrap_or_else(|| panic!("{verb} --help has no example"));
    let lines: Vec<_> =
        example.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    assert!(lines.iter().all(|line| line.starts_with("cormorant ")), "{lines:?}");
    lines
}
