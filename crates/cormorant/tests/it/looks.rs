//! How output looks: plain and narrow when piped, coloured on a terminal, harmless always; and quiet when nobody reads.

use crate::bench::{Bench, skip};

/// Runs a line on a terminal of 80 columns; `None` where `script` is not installed.
fn on_a_terminal(bench: &Bench, line: &str) -> Option<String> {
    let outcome = bench.shell(&format!(
        "command -v script >/dev/null || exit 9; script -qec 'stty cols 80; {line}' /dev/null </dev/null"
    ));
    (outcome.code != 9).then_some(outcome.stdout)
}

#[test]
fn piped_output_is_plain_and_narrow() {
    let bench = Bench::trained();
    for words in [
        "inspect samples/hunt.pcapng",
        "inspect samples",
        "hunt samples/hunt.pcapng -m hunter.corm --labels samples/hunt.labels.csv",
        "evaluate hunter.corm hunt.parquet --shuffle 1",
        "explain hunter.corm hunt.parquet --against learn.parquet --what-if",
        "list models",
        "list features",
        "list features flow",
        "doctor",
    ] {
        let outcome = bench.run(words);
        assert!(
            !outcome.stdout.is_empty() && outcome.stdout.is_ascii() || !outcome.stdout.contains('\u{1b}'),
            "{words}"
        );
        assert!(!outcome.stdout.contains('─'), "rules are for terminals: {words}\n{}", outcome.stdout);
        let wide: Vec<_> = outcome.stdout.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{words}: {wide:#?}");
        assert_eq!(outcome.stderr, "", "no progress where nobody watches: {words}");
    }
}

#[test]
fn a_terminal_gets_colour_unless_it_is_unwanted() {
    let bench = Bench::trained();
    let line = "cormorant inspect samples/hunt.pcapng 2>/dev/null";
    let Some(coloured) = on_a_terminal(bench, line) else {
        return skip("script (util-linux) is not installed");
    };
    assert!(coloured.contains("\u{1b}[") && coloured.contains('─'), "{coloured}");
    let plain = on_a_terminal(bench, &format!("NO_COLOR=1 {line}")).unwrap();
    assert!(!plain.contains('\u{1b}') && plain.contains('─'), "{plain}");
    assert!(plain.lines().all(|line| line.trim_end().chars().count() <= 80), "{plain}");
}

#[test]
fn a_terminal_sees_progress_with_rate_and_time_left() {
    let bench = Bench::trained();
    let line = "cormorant train learn.parquet -p trees=3000 -o progress.corm >/dev/null";
    let Some(shown) = on_a_terminal(bench, line) else { return skip("script (util-linux) is not installed") };
    assert!(shown.contains("/s") && shown.contains("left"), "{shown:?}");
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let bench = Bench::trained();
    for line in [
        "cormorant flows samples/hunt.pcapng -o -",
        "cormorant list features flow",
        "cormorant inspect samples/hunt.pcapng --json",
    ] {
        let outcome = bench.shell(&format!("({line}; echo code $? >&2) | head -n 1"));
        assert!(outcome.stderr.trim_end().ends_with("code 0"), "{line}: {}", outcome.stderr);
        assert!(
            !outcome.stderr.contains("error") && !outcome.stderr.contains("panic"),
            "{line}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn rows_on_standard_output_are_alone_there() {
    let outcome = Bench::trained().fine("flows samples/hunt.pcapng -o -");
    let mut lines = outcome.stdout.lines();
    let columns = lines.next().unwrap().split(',').count();
    assert!(columns > 10 && lines.count() > 10);
    assert!(outcome.stderr.contains("rows to standard output"), "{}", outcome.stderr);
}
