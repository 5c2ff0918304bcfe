//! Every check of the linter on a table made to have its fault, and on one that has none.

use cormorant_learn::LearnError;
use cormorant_learn::ctx::Ctx;
use cormorant_learn::lint::{CHECKS, Finding, Severity, lint};
use cormorant_learn::rng;
use cormorant_learn::table::{BENIGN, Column, Field, MALICIOUS, Role, Table, TextColumn};
use rand::RngExt;

use crate::data::traffic;

fn findings(table: &Table, test: Option<&Table>) -> Vec<Finding> {
    let found = lint(table, test, &Ctx::new(1, 1)).unwrap();
    assert_eq!(found, lint(table, test, &Ctx::new(9, 3)).unwrap(), "for any seed and number of threads");
    assert!(found.is_sorted_by(|a, b| a.severity >= b.severity));
    for finding in &found {
        assert!(CHECKS.iter().any(|check| check.name == finding.check));
        assert!(!finding.message.is_empty() && !finding.advice.is_empty() && finding.rows.len() <= 10);
        assert!(finding.figures.iter().all(|(_, value)| value.is_finite()), "{finding:?}");
    }
    found
}

/// Kinds and columns of one check's findings, in order.
fn of(check: &str, found: &[Finding]) -> Vec<(String, Severity, Vec<String>)> {
    let own = found.iter().filter(|finding| finding.check == check);
    own.map(|finding| (finding.kind.clone(), finding.severity, finding.columns.clone())).collect()
}

fn only<'f>(found: &'f [Finding], kind: &str) -> &'f Finding {
    let mut of_kind = found.iter().filter(|finding| finding.kind == kind);
    let first = of_kind.next().unwrap_or_else(|| panic!("no {kind} in {found:?}"));
    assert!(of_kind.next().is_none(), "one {kind}: {found:?}");
    first
}

fn text<'a>(words: impl IntoIterator<Item = Option<&'a str>>) -> Column {
    Column::Text(TextColumn::from_texts(words))
}

fn table(columns: Vec<(&str, Role, Column)>) -> Table {
    let (fields, columns) =
        columns.into_iter().map(|(name, role, column)| (Field::new(name, "", role), column)).unzip();
    Table::new(fields, columns).unwrap()
}

/// Numbers that look like nothing: no two equal, no order.
fn noise(rows: usize, index: u64) -> Column {
    let mut rng = rng::stream(7, "noise", index);
    Column::F64((0..rows).map(|_| rng.random::<f64>() + 0.5).collect())
}

fn label(rows: usize, malicious: impl Fn(usize) -> Option<bool>) -> Column {
    let word = |label: bool| if label { MALICIOUS } else { BENIGN };
    text((0..rows).map(|row| malicious(row).map(word)))
}

/// Nothing is wrong with it.
fn sound(rows: usize) -> Table {
    table(vec![
        ("a", Role::Feature, noise(rows, 0)),
        ("b", Role::Feature, noise(rows, 1)),
        ("label", Role::Label, label(rows, |row| Some(row % 7 % 3 == 1))),
    ])
}

fn with(mut table: Table, name: &str, role: Role, column: Column) -> Table {
    table.push(Field::new(name, "", role), column).unwrap();
    table
}

fn numbers(rows: usize, value: impl Fn(usize) -> f64) -> Column {
    Column::F64((0..rows).map(value).collect())
}

#[test]
fn a_sound_table_has_no_findings() {
    assert_eq!(findings(&sound(210), None), []);
    assert_eq!(findings(&Table::default(), None), []);
    assert_eq!(findings(&sound(210).take_rows(&[]), None), []);
}

#[test]
fn balance() {
    let of_labels = |malicious: &dyn Fn(usize) -> Option<bool>| {
        let labelled = label(1000, malicious);
        findings(&table(vec![("a", Role::Feature, noise(1000, 0)), ("label", Role::Label, labelled)]), None)
    };
    let found = of_labels(&|row| if row % 4 == 0 { None } else { Some(row % 3 == 0) });
    assert_eq!(only(&found, "unlabelled").value("share"), Some(0.25));
    assert_eq!(of("balance", &of_labels(&|_| Some(false)))[0].0, "one-class");
    let found = of_labels(&|row| Some(row % 200 == 17));
    let rare = only(&found, "imbalance");
    assert_eq!((rare.severity, rare.value("malicious share")), (Severity::Warning, Some(0.005)));
    let most = of_labels(&|row| Some(row % 5 != 1));
    assert!(only(&most, "imbalance").advice.contains("hardly ever mostly malicious"));
    let family = text((0..210).map(|row| match row {
        5 | 9 => Some("rare"),
        row if row % 7 % 3 == 1 => Some("common"),
        _ => None,
    }));
    let found = findings(&with(sound(210), "family", Role::Family, family), None);
    let small = only(&found, "small-families");
    assert_eq!(
        (small.value("rare"), small.value("common"), small.rows.clone()),
        (Some(2.0), None, vec![5, 9])
    );
}

#[test]
fn order() {
    let sorted = table(vec![
        ("a", Role::Feature, noise(200, 0)),
        ("label", Role::Label, label(200, |row| Some(row >= 120))),
        ("time", Role::Time, Column::I64((0..200).collect())),
    ]);
    let found = findings(&sorted, None);
    let kinds: Vec<_> = of("order", &found).into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(kinds, ["time-tells-label", "sorted-by-label", "in-time-order"]);
    let runs = only(&found, "sorted-by-label");
    // 2 x 120 x 80 / 200 + 1
    assert_eq!((runs.value("runs"), runs.value("runs when shuffled")), (Some(2.0), Some(97.0)));
}

#[test]
fn duplicates() {
    let value = |row: usize| (row % 60) as f64 / 8.0;
    let repeated = table(vec![
        ("a", Role::Feature, numbers(80, value)),
        ("b", Role::Feature, text((0..80).map(|row| if row % 60 == 3 { None } else { Some("x") }))),
        ("label", Role::Label, label(80, |row| Some(row % 2 == 0 || row == 75))),
        (
            "family",
            Role::Family,
            text((0..80).map(|row| match row {
                62 => Some("g"),
                row if row % 2 == 0 => Some("f"),
                _ => None,
            })),
        ),
    ]);
    let found = findings(&repeated, None);
    let again = only(&found, "repeated-rows");
    assert_eq!(again.rows, (60..70).collect::<Vec<_>>(), "row 63 too: its word is missing as in row 3");
    assert_eq!(
        (again.value("rows"), again.value("distinct"), again.value("share")),
        (Some(80.0), Some(60.0), Some(0.25))
    );
    assert_eq!(again.severity, Severity::Error);
    // 9 of 39 benign rows, 9 of 39 of family f, and g whole; row 75 is malicious without a family
    assert_eq!(again.value("share in g"), Some(1.0));
    assert_eq!(again.value("share in benign"), Some(9.0 / 39.0));
    assert_eq!(again.value("share in f"), Some(9.0 / 39.0));
    assert_eq!(only(&found, "contradicting-labels").rows, [15, 75]);
    assert_eq!(only(&found, "contradicting-families").rows, [2, 62]);
}

#[test]
fn overlap() {
    let learn = with(traffic(300, 1), "x", Role::Feature, noise(300, 3));
    let other = with(traffic(200, 2), "x", Role::Feature, noise(200, 4));
    let mut test = other.clone();
    test.append(&learn.take_rows(&[4, 5, 6])).unwrap();
    let found = findings(&learn, Some(&test));
    let rows = only(&found, "shared-rows");
    assert_eq!((rows.rows.clone(), rows.value("rows")), (vec![200, 201, 202], Some(3.0)));
    assert_eq!(only(&found, "shared-groups").value("groups"), Some(10.0));
    assert_eq!(only(&found, "shared-families").value("families"), Some(3.0));
    assert_eq!(of("overlap", &findings(&learn, Some(&sound(50))))[0].0, "other-columns");
    assert!(!findings(&learn, Some(&other)).iter().any(|finding| finding.kind == "shared-rows"));
}

#[test]
fn identity_by_name() {
    let names = [
        ("Src IP", "address"),
        ("id.orig_h", "address"),
        ("dstaddr", "address"),
        ("Flow ID", "id"),
        ("uid", "id"),
        ("Timestamp", "time"),
        ("ts", "time"),
        ("Dst Port", "port"),
        ("difficulty", "verdict"),
        ("Attempted Category", "verdict"),
    ];
    let innocent = [
        "dst_host_same_src_port_rate",
        "duration",
        "Total TCP Flow Time",
        "dst_host_count",
        "is_host_login",
        "zip",
    ];
    let mut made = sound(210);
    for (index, name) in names.iter().map(|(name, _)| *name).chain(innocent).enumerate() {
        made = with(made, name, Role::Feature, noise(210, 10 + index as u64));
    }
    let mut found = of("identity", &findings(&made, None));
    found.sort_by_key(|(_, _, columns)| names.iter().position(|(name, _)| *name == columns[0]));
    let expected: Vec<_> =
        names.iter().map(|(name, kind)| ((*kind).to_owned(), vec![(*name).to_owned()])).collect();
    assert_eq!(found.into_iter().map(|(kind, _, columns)| (kind, columns)).collect::<Vec<_>>(), expected);
}

#[test]
fn identity_by_behaviour() {
    let words: Vec<String> = (0..210).map(|row| format!("w{}", row % 150)).collect();
    let mut made = sound(210);
    made = with(made, "up", Role::Feature, numbers(210, |row| row as f64 * 1.5));
    made = with(made, "unique", Role::Feature, Column::U64((0..210).map(|row| row * 101 % 211).collect()));
    made = with(made, "names", Role::Feature, text(words.iter().map(|word| Some(word.as_str()))));
    made = with(made, "few", Role::Feature, text(words.iter().map(|word| Some(&word[..2]))));
    let found = of("identity", &findings(&made, None));
    let kinds: Vec<_> = found.iter().map(|(kind, _, columns)| (kind.as_str(), columns[0].as_str())).collect();
    assert_eq!(kinds, [("runs-with-rows", "up"), ("unique", "unique"), ("many-words", "names")]);
}

#[test]
fn giveaway() {
    let bad = |row: usize| row % 7 % 3 == 1;
    let mut made = sound(210);
    made = with(
        made,
        "number",
        Role::Feature,
        numbers(210, |row| if bad(row) { 5.0 } else { (row % 5) as f64 }),
    );
    made = with(
        made,
        "word",
        Role::Feature,
        text((0..210).map(|row| Some(if bad(row) { "x" } else { ["y", "z"][row % 2] }))),
    );
    made = with(made, "hint", Role::Feature, numbers(210, |row| f64::from(bad(row) && row % 5 > 0)));
    made =
        with(made, "family", Role::Family, text((0..210).map(|row| bad(row).then_some(["p", "q"][row % 2]))));
    made = with(made, "of_p", Role::Feature, numbers(210, |row| f64::from(bad(row) && row % 2 == 0)));
    let found = findings(&made, None);
    let told: Vec<_> =
        of("giveaway", &found).into_iter().map(|(kind, _, columns)| (kind, columns[0].clone())).collect();
    let expect = |kind: &str, column: &str| (kind.to_owned(), column.to_owned());
    assert_eq!(
        told,
        [expect("tells-label", "number"), expect("tells-label", "word"), expect("tells-family", "of_p")]
    );
    let number = found.iter().find(|finding| finding.columns == ["number"]).unwrap();
    assert_eq!((number.value("auc"), number.value("threshold")), (Some(1.0), Some(4.0)));
    assert!(found.iter().any(|finding| finding.columns == ["word"] && finding.message.contains("`x`")));
    assert_eq!(only(&found, "tells-family").value("auc of p"), Some(1.0));
}

#[test]
fn constant() {
    let mut made = sound(2000);
    made = with(made, "zero", Role::Feature, Column::I64(vec![0; 2000]));
    made = with(made, "none", Role::Feature, text(vec![None; 2000]));
    made = with(made, "once", Role::Feature, numbers(2000, |row| f64::from(row == 77)));
    made = with(
        made,
        "rarely",
        Role::Feature,
        numbers(2000, |row| if row % 4 == 0 { row as f64 / 3.0 } else { f64::NAN }),
    );
    let found = findings(&made, None);
    let kinds: Vec<_> =
        of("constant", &found).into_iter().map(|(kind, _, columns)| (kind, columns[0].clone())).collect();
    let expect = |kind: &str, column: &str| (kind.to_owned(), column.to_owned());
    assert_eq!(
        kinds,
        [
            expect("constant", "zero"),
            expect("constant", "none"),
            expect("nearly-constant", "once"),
            expect("mostly-missing", "rarely")
        ]
    );
    assert_eq!(only(&found, "nearly-constant").value("share"), Some(0.9995));
    assert_eq!(only(&found, "mostly-missing").value("missing share"), Some(0.75));
}

#[test]
fn correlated() {
    let made = sound(400);
    let a = |row: usize| made.columns()[0].number(row);
    let b = |row: usize| made.columns()[1].number(row);
    let mut more = with(made.clone(), "a again", Role::Feature, made.columns()[0].clone());
    more = with(more, "minus a", Role::Feature, numbers(400, |row| 3.0 - 2.0 * a(row)));
    more = with(more, "a and b", Role::Feature, numbers(400, |row| a(row) + b(row)));
    let found = findings(&more, None);
    assert_eq!(
        of("correlated", &found),
        [
            ("identical".to_owned(), Severity::Warning, vec!["a".to_owned(), "a again".to_owned()]),
            ("nearly-identical".to_owned(), Severity::Note, vec!["a".to_owned(), "minus a".to_owned()]),
        ]
    );
    assert!((only(&found, "nearly-identical").value("r of minus a").unwrap() + 1.0).abs() < 1e-12);
}

#[test]
fn impossible() {
    let odd = |value: f64| {
        numbers(210, move |row| if row == 8 || row == 13 { value } else { 1.0 + row as f64 / 7.0 })
    };
    let mut made = sound(210);
    for (name, value) in
        [("rate_x", f64::INFINITY), ("Flow Duration x", -3.0), ("Init Win Bytes x", -1.0), ("balance", -5.0)]
    {
        made = with(made, name, Role::Feature, odd(value));
    }
    made.push(Field::new("wait", "s", Role::Feature), odd(-0.5)).unwrap();
    let found = findings(&made, None);
    let kinds: Vec<_> =
        of("impossible", &found).into_iter().map(|(kind, _, columns)| (kind, columns[0].clone())).collect();
    let expect = |kind: &str, column: &str| (kind.to_owned(), column.to_owned());
    assert_eq!(
        kinds,
        [
            expect("infinite", "rate_x"),
            expect("negative", "Flow Duration x"),
            expect("negative", "wait"),
            expect("minus-one", "Init Win Bytes x")
        ]
    );
    assert!(
        found.iter().filter(|finding| finding.check == "impossible").all(|finding| finding.rows == [8, 13])
    );
    assert_eq!(only(&found, "infinite").value("rows"), Some(2.0));
}

#[test]
fn published_faults_of_kdd() {
    let mut made = sound(2000);
    let columns: [(&str, fn(usize) -> f64); 7] = [
        ("src_bytes", |row| (row * 37 % 101) as f64),
        ("num_outbound_cmds", |_| 0.0),
        ("is_host_login", |_| 0.0),
        ("su_attempted", |row| (row % 50 % 3) as f64),
        ("land", |row| f64::from(row == 5)),
        ("count", |row| if row % 3 == 0 { 511.0 } else { (row % 90) as f64 }),
        ("dst_host_srv_count", |row| (row % 256) as f64),
    ];
    for (name, value) in columns {
        made = with(made, name, Role::Feature, numbers(2000, value));
    }
    let kinds: Vec<_> = of("published", &findings(&made, None))
        .into_iter()
        .map(|(kind, _, columns)| (kind, columns.join(" ")))
        .collect();
    let expect = |kind: &str, columns: &str| (kind.to_owned(), columns.to_owned());
    assert_eq!(
        kinds,
        [
            expect("kdd-never-filled", "num_outbound_cmds is_host_login"),
            expect("kdd-flag-not-binary", "su_attempted"),
            expect("kdd-land", "land"),
            expect("kdd-capped", "count"),
        ]
    );
}

#[test]
fn published_faults_of_cicflowmeter() {
    let mut made = sound(210);
    let columns: [(&str, fn(usize) -> f64); 20] = [
        (" Flow Duration", |row| (row * 50_021) as f64 - 1.0),
        ("Total Fwd Packets", |row| (1 + row % 9) as f64),
        ("Flow Bytes/s", |row| if row == 4 { f64::INFINITY } else { 1.0 + row as f64 }),
        (" Flow IAT Mean", |row| (row % 17) as f64),
        (" Bwd PSH Flags", |_| 0.0),
        (" Fwd URG Flags", |_| 0.0),
        (" Fwd Header Length", |row| if row == 3 { -32.0 } else { (20 * row) as f64 }),
        (" Fwd Header Length.1", |row| if row == 3 { -32.0 } else { (20 * row) as f64 }),
        (" Packet Length Mean", |row| (row % 23) as f64),
        (" Average Packet Size", |row| (row % 23) as f64 * 1.5),
        (" Fwd Packet Length Mean", |row| (row % 31) as f64),
        (" Avg Fwd Segment Size", |row| (row % 31) as f64),
        (" PSH Flag Count", |row| (row % 2) as f64),
        (" Down/Up Ratio", |row| (row % 3) as f64),
        ("Init_Win_bytes_forward", |row| if row % 5 == 0 { -1.0 } else { (row * 31) as f64 }),
        ("Subflow Fwd Packets", |row| (1 + row % 9) as f64),
        (" Subflow Bwd Packets", |row| (row % 2) as f64),
        ("Idle Max", |row| (row * 100_000) as f64),
        ("Active Max", |row| (row % 13) as f64),
        ("Fwd Avg Bytes/Bulk", |_| 0.0),
    ];
    for (name, value) in columns {
        made = with(made, name, Role::Feature, numbers(210, value));
    }
    let mut kinds: Vec<_> = of("published", &findings(&made, None))
        .into_iter()
        .map(|(kind, _, columns)| (kind, columns.join(",")))
        .collect();
    kinds.sort();
    let expect = |kind: &str, columns: &str| (kind.to_owned(), columns.to_owned());
    assert_eq!(
        kinds,
        [
            expect("cic-flags-of-first-packet", " PSH Flag Count"),
            expect("cic-header-twice", " Fwd Header Length.1"),
            expect("cic-infinite-rate", "Flow Bytes/s"),
            expect("cic-integer-ratio", " Down/Up Ratio"),
            expect("cic-microseconds", " Flow Duration,Idle Max"),
            expect("cic-negative", " Flow Duration, Fwd Header Length, Fwd Header Length.1"),
            expect("cic-never-filled", " Bwd PSH Flags, Fwd URG Flags,Fwd Avg Bytes/Bulk"),
            expect("cic-no-window", "Init_Win_bytes_forward"),
            expect("cic-packet-counted-twice", " Average Packet Size"),
            expect("cic-segment-is-mean", " Avg Fwd Segment Size"),
            expect("cic-subflows", "Subflow Fwd Packets, Subflow Bwd Packets"),
        ]
    );
}

#[test]
fn a_cancelled_lint_stops() {
    let ctx = Ctx::new(1, 2);
    ctx.cancel_flag().store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(lint(&sound(30), None, &ctx), Err(LearnError::Cancelled)));
}

/// `CORMORANT_KDD` names the unpacked 10 % set of KDD'99 or a file of NSL-KDD.
#[test]
fn faults_of_the_real_kdd_are_found() {
    let Some(path) = std::env::var_os("CORMORANT_KDD") else {
        eprintln!("skipped: CORMORANT_KDD names no file");
        return;
    };
    let found = findings(&kdd(&std::fs::read_to_string(path).unwrap()), None);
    for finding in &found {
        eprintln!("{:?} {}/{}: {}", finding.severity, finding.check, finding.kind, finding.message);
    }
    for kind in
        ["kdd-never-filled", "kdd-flag-not-binary", "kdd-land", "kdd-capped", "constant", "nearly-identical"]
    {
        assert!(found.iter().any(|finding| finding.kind == kind), "{kind}");
    }
}

fn kdd(text: &str) -> Table {
    const NAMES: &str = "duration protocol_type service flag src_bytes dst_bytes land wrong_fragment urgent hot \
        num_failed_logins logged_in num_compromised root_shell su_attempted num_root num_file_creations num_shells \
        num_access_files num_outbound_cmds is_host_login is_guest_login count srv_count serror_rate srv_serror_rate \
        rerror_rate srv_rerror_rate same_srv_rate diff_srv_rate srv_diff_host_rate dst_host_count dst_host_srv_count \
        dst_host_same_srv_rate dst_host_diff_srv_rate dst_host_same_src_port_rate dst_host_srv_diff_host_rate \
        dst_host_serror_rate dst_host_srv_serror_rate dst_host_rerror_rate dst_host_srv_rerror_rate attack difficulty";
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let mut made = Table::default();
    for (place, name) in NAMES.split_whitespace().take(rows[0].len()).enumerate() {
        let words = || rows.iter().map(|row| row[place].trim_end_matches('.'));
        if name == "attack" {
            let benign = |word: &str| word == "normal";
            made = with(
                made,
                "label",
                Role::Label,
                text_of(words().map(|word| Some(if benign(word) { BENIGN } else { MALICIOUS }))),
            );
            made = with(
                made,
                "family",
                Role::Family,
                text_of(words().map(|word| (!benign(word)).then_some(word))),
            );
            continue;
        }
        let column = match words().map(str::parse).collect::<Result<Vec<f64>, _>>() {
            Ok(numbers) => Column::F64(numbers),
            Err(_) => text_of(words().map(Some)),
        };
        made = with(made, name, Role::Feature, column);
    }
    made
}

fn text_of<'a>(words: impl Iterator<Item = Option<&'a str>>) -> Column {
    text(words)
}
