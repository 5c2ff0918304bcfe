//! Foreign tables become the program's own: small ones made here, whose every value is known, and the real ones where
//! they are at hand.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, UInt64Type};
use cormorant_lab::output::Output;
use cormorant_lab::tasks::import::{Missing, Options, Report, Spec, look, run};
use cormorant_lab::tasks::train;
use cormorant_lab::{Ctx, LabError};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

use crate::made::folder;
use crate::real_labels::{skip, tables};

/// A row of the KDD Cup up to the label.
const KDD: &str = "0,tcp,http,SF,181,5450,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,8,8,0.00,0.00,0.00,0.00,1.00,0.00,0.00,9,9,\
                   1.00,0.00,0.11,0.00,0.00,0.00,0.00,0.00";

fn import(format: &str, inputs: &[PathBuf], options: Options, output: &Path) -> Result<Report, LabError> {
    let output = Output::parse(&output.display().to_string()).unwrap();
    let spec = Spec { format: format.to_owned(), inputs: inputs.to_vec(), options, output };
    run(&spec, &Ctx::new(1, 1))
}

fn looked(format: &str, text: impl AsRef<[u8]>, options: &Options) -> Result<Report, LabError> {
    look(format, text.as_ref(), options, &Ctx::new(1, 1))
}

fn refused(format: &str, text: impl AsRef<[u8]>, options: &Options) -> String {
    looked(format, text, options).expect_err("it is refused").to_string()
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a arrow::array::ArrayRef {
    batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"))
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    column(batch, name).as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
}

fn floats(batch: &RecordBatch, name: &str) -> Vec<Option<f64>> {
    column(batch, name).as_primitive::<Float64Type>().iter().collect()
}

fn some(words: &[&str]) -> Vec<Option<String>> {
    words.iter().map(|word| (!word.is_empty()).then(|| (*word).to_owned())).collect()
}

fn read_back(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap();
    let mut batches = reader.build().unwrap();
    let first = batches.next().unwrap().unwrap();
    assert!(batches.next().is_none(), "one batch");
    first
}

fn role_and_unit(batch: &RecordBatch, name: &str) -> (String, String) {
    let schema = batch.schema();
    let metadata = schema.field_with_name(name).unwrap().metadata().clone();
    (metadata["role"].clone(), metadata["unit"].clone())
}

fn counts(report: &Report) -> (u64, u64, u64) {
    let of = |label: &str| report.labels.get(label).copied().unwrap_or_default();
    (of("benign"), of("malicious"), of("unlabelled"))
}

#[test]
fn kdd_rows_have_label_family_class_and_the_difficulty_is_no_feature() {
    let folder = folder();
    let (input, output) = (folder.path().join("t.txt"), folder.path().join("t.parquet"));
    fs::write(&input, format!("{KDD},normal,20\n{KDD},smurf,5\r\n{KDD},saint,0\n")).unwrap();
    let report = import("nsl-kdd", &[input], Options::default(), &output).unwrap();
    assert_eq!((report.rows, report.columns, report.roles["feature"]), (3, 45, 41));
    assert_eq!(counts(&report), (1, 2, 0));
    assert_eq!(report.classes.keys().collect::<Vec<_>>(), ["dos", "normal", "probe"]);
    let batch = read_back(&output);
    assert_eq!(texts(&batch, "label"), some(&["benign", "malicious", "malicious"]));
    assert_eq!(texts(&batch, "family"), some(&["", "smurf", "saint"]));
    assert_eq!(texts(&batch, "class"), some(&["normal", "dos", "probe"]));
    assert_eq!(column(&batch, "difficulty").as_primitive::<UInt64Type>().values(), &[20, 5, 0]);
    assert_eq!(role_and_unit(&batch, "difficulty").0, "identity");
    assert_eq!(role_and_unit(&batch, "class").0, "identity");
    assert_eq!(role_and_unit(&batch, "src_bytes"), ("feature".to_owned(), "bytes".to_owned()));
    assert_eq!(floats(&batch, "dst_host_same_src_port_rate"), [Some(0.11); 3]);
}

#[test]
fn a_bad_row_is_told_with_file_line_and_column_or_left_out_when_allowed() {
    let good = format!("{KDD},normal.\n");
    for (bad, parts) in [
        (format!("{},normal.", KDD.replace("181", "18x1")), ["line 2", "column src_bytes", "`18x1`"]),
        (
            format!("{},normal.", KDD.replace("0.11", "1.5")),
            ["line 2", "dst_host_same_src_port_rate", "`1.5`"],
        ),
        (format!("{},normal.", KDD.replace(",SF,", ",S9,")), ["line 2", "column flag", "one of SF"]),
        (format!("{KDD},mirai."), ["line 2", "column label", "39 attacks"]),
        (KDD.to_owned(), ["line 2", "42 fields", "`41`"]),
        (format!("{},normal.", KDD.replace("181", "")), ["line 2", "column src_bytes", "whole number"]),
    ] {
        let text = format!("{good}{bad}\n{good}");
        let message = refused("kdd99", &text, &Options::default());
        for part in parts.iter().chain(&["--skip-bad"]) {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
        let report = looked("kdd99", &text, &Options { skip_bad: 1, ..Options::default() }).unwrap();
        assert_eq!((report.rows, report.rows_skipped, report.skipped.len()), (2, 1, 1));
        assert!(report.skipped[0].contains("line 2"), "{:?}", report.skipped);
        let twice = format!("{text}{bad}\n");
        assert!(looked("kdd99", twice, &Options { skip_bad: 1, ..Options::default() }).is_err());
    }
    assert!(refused("kdd99", "", &Options::default()).contains("empty"));
    assert!(refused("kdd99", "a,b\n1,2\n", &Options::default()).contains("--as csv"));
}

#[test]
fn faults_of_published_flow_tables_are_mended_and_counted() {
    let header = "Flow ID, Source IP, Source Port, Timestamp, Flow Duration, Fwd Header Length, Flow Bytes/s, Fwd Header Length, Label";
    let mut text = format!("{header}\n").into_bytes();
    text.extend_from_slice(b"a,10.0.0.1,1,7/7/2017 1:05,5,20,Infinity,20,BENIGN\n");
    text.extend_from_slice(b",,,,,,,,\n");
    text.extend_from_slice(b"b,10.0.0.2,2,7/7/2017 9:05,6,20,NaN,20,Web Attack \x96 XSS\n");
    text.extend_from_slice(format!("{header}\n").as_bytes());
    text.extend_from_slice("c,10.0.0.3,3,7/7/2017 9:06,7,20,2.5,20,Web Attack \u{fffd} XSS\n".as_bytes());
    text.extend_from_slice(b"d,10.0.0.4,4,7/7/2017 9:06,8,20,2.5,20,DoS Hulk - Attempted\n");
    let folder = folder();
    let (input, output) = (folder.path().join("friday.csv"), folder.path().join("t.parquet"));
    fs::write(&input, text).unwrap();
    let report = import("cic", &[input], Options::default(), &output).unwrap();
    assert_eq!((report.rows, report.rows_blank, report.rows_of_headers), (4, 1, 1));
    assert_eq!(report.families, [("Web Attack - XSS".to_owned(), 2)].into());
    assert_eq!(report.missing["Flow Bytes/s"], Missing { missing: 1, infinite: 1 });
    let batch = read_back(&output);
    assert_eq!(texts(&batch, "label"), some(&["benign", "malicious", "malicious", "benign"]));
    assert_eq!(floats(&batch, "Flow Bytes/s"), [None, None, Some(2.5), Some(2.5)]);
    let hours: Vec<i64> = column(&batch, "first_ns")
        .as_primitive::<Int64Type>()
        .values()
        .iter()
        .map(|ns| ns / 3_600_000_000_000 % 24)
        .collect();
    assert_eq!(hours, [13, 9, 9, 9]);
    assert_eq!(report.roles["feature"], 3, "duration, header length once, bytes/s");
    for name in ["Flow ID", "Source IP", "Source Port"] {
        assert_eq!(role_and_unit(&batch, name).0, "identity");
    }
    assert_eq!(role_and_unit(&batch, "Flow Duration").1, "us");
    assert!(
        report.notes.iter().any(|note| note.contains("second `Fwd Header Length`")),
        "{:?}",
        report.notes
    );
}

#[test]
fn any_csv_has_types_of_its_whole_length_and_roles_by_option() {
    let text = "id;when;n;mixed;late;ok;word;kind\n\
                a;2020-01-01T00:00:01Z;1;1;;True;x;good\n\
                b;1577836802500;18446744073709551615;2.5;-;false;-;bad\n\
                c;1577836803;3;;7;TRUE;\"y;z\";unsure\n";
    let folder = folder();
    let (input, output) = (folder.path().join("t.csv"), folder.path().join("t.parquet"));
    fs::write(&input, text).unwrap();
    let options = Options {
        label: Some("kind".to_owned()),
        benign: vec!["good".to_owned()],
        unlabelled: vec!["unsure".to_owned()],
        time: Some("when".to_owned()),
        group: Some("word".to_owned()),
        identity: vec!["id".to_owned()],
        ..Options::default()
    };
    let report = import("csv", &[input], options, &output).unwrap();
    assert_eq!(counts(&report), (1, 1, 1));
    let batch = read_back(&output);
    let times = column(&batch, "first_ns").as_primitive::<Int64Type>();
    assert_eq!(
        times.values(),
        &[1_577_836_801_000_000_000, 1_577_836_802_500_000_000, 1_577_836_803_000_000_000]
    );
    assert_eq!(column(&batch, "n").as_primitive::<UInt64Type>().values(), &[1, u64::MAX, 3]);
    assert_eq!(floats(&batch, "mixed"), [Some(1.0), Some(2.5), None]);
    let late: Vec<_> = column(&batch, "late").as_primitive::<UInt64Type>().iter().collect();
    assert_eq!(late, [None, None, Some(7)]);
    assert_eq!(column(&batch, "ok").as_primitive::<UInt64Type>().values(), &[1, 0, 1]);
    assert_eq!(texts(&batch, "capture"), some(&["x", "", "y;z"]));
    assert_eq!(texts(&batch, "family"), some(&["", "bad", ""]));
    assert_eq!(role_and_unit(&batch, "capture").0, "group");
}

#[test]
fn one_word_in_a_column_of_numbers_is_told_and_an_error_when_numbers_are_asked_for() {
    let rows: String =
        (0..50).map(|n| if n == 30 { "many,benign\n".into() } else { format!("{n},benign\n") }).collect();
    let text = format!("x,label\n{rows}");
    let report = looked("csv", &text, &Options::default()).unwrap();
    assert!(report.notes.iter().any(|note| note.contains("`many` at bytes, line 32")), "{:?}", report.notes);
    let numeric = Options { numeric: vec!["x".to_owned()], ..Options::default() };
    let message = refused("csv", &text, &numeric);
    assert!(message.contains("line 32, column x") && message.contains("`many`"), "{message}");
    let skipping = Options { skip_bad: 3, ..numeric };
    assert_eq!(looked("csv", &text, &skipping).unwrap().rows, 49);
}

#[test]
fn files_stack_by_name_in_any_order_and_compressed() {
    let folder = folder();
    let below = folder.path().join("data/deeper");
    fs::create_dir_all(&below).unwrap();
    fs::write(folder.path().join("data/a.csv"), "x,y,label\n1,2,benign\n").unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"label,y,x\nmalicious,4.5,3\n").unwrap();
    fs::write(below.join("b.csv.gz"), gzip.finish().unwrap()).unwrap();
    fs::write(below.join("c.tsv.zst"), zstd::encode_all(&b"x,y,label\n5,6,0\n"[..], 1).unwrap()).unwrap();
    fs::write(folder.path().join("data/README"), "not a table").unwrap();
    let output = folder.path().join("t.parquet");
    let data = folder.path().join("data");
    let report = import("csv", std::slice::from_ref(&data), Options::default(), &output).unwrap();
    let batch = read_back(&output);
    assert_eq!(column(&batch, "x").as_primitive::<UInt64Type>().values(), &[1, 3, 5]);
    assert_eq!(floats(&batch, "y"), [Some(2.0), Some(4.5), Some(6.0)]);
    assert!(report.notes.iter().any(|note| note.contains("1 files")), "{:?}", report.notes);
    fs::write(below.join("d.csv"), "x,label\n1,benign\n").unwrap();
    let message = import("csv", &[data], Options::default(), &output).unwrap_err().to_string();
    assert!(message.contains("d.csv") && message.contains("`y`"), "{message}");
    let cut = &fs::read(below.join("b.csv.gz")).unwrap()[..20];
    fs::write(below.join("b.csv.gz"), cut).unwrap();
    let message =
        import("csv", &[below.join("b.csv.gz")], Options::default(), &output).unwrap_err().to_string();
    assert!(message.contains("cut or damaged"), "{message}");
}

#[test]
fn parquet_of_others_is_given_roles() {
    let folder = folder();
    let (csv, first, second) =
        (folder.path().join("t.csv"), folder.path().join("1.parquet"), folder.path().join("2.parquet"));
    fs::write(
        &csv,
        "ts,x,word,Class\n1500000000,1,a,Malicious\n1500000001,,b,Benign\n1500000002,inf,c,Malicious\n",
    )
    .unwrap();
    let drop_roles = Options {
        label_all: Some("benign".to_owned()),
        feature: vec!["ts".to_owned()],
        ..Options::default()
    };
    import("csv", &[csv], drop_roles, &first).unwrap();
    // What the first import wrote has a label of its own, which the second leaves out.
    let options = Options {
        label: Some("Class_column".to_owned()),
        drop: vec!["label".to_owned(), "family".to_owned()],
        time: Some("ts".to_owned()),
        ..Options::default()
    };
    let message =
        import("parquet", std::slice::from_ref(&first), options.clone(), &second).unwrap_err().to_string();
    assert!(message.contains("`Class_column`") && message.contains("its columns are"), "{message}");
    let options = Options { label: Some("class".to_owned()), ..options };
    let report = import("parquet", &[first], options, &second).unwrap();
    assert_eq!(counts(&report), (1, 2, 0));
    assert_eq!(report.missing["x"].missing, 2);
    let batch = read_back(&second);
    assert_eq!(column(&batch, "first_ns").as_primitive::<Int64Type>().value(1), 1_500_000_001_000_000_000);
    assert!(column(&batch, "x").is_null(1));
}

#[test]
fn a_data_set_of_secuml_is_joined_by_its_ids() {
    let folder = folder();
    let root = folder.path().join("set");
    for below in ["features", "annotations"] {
        fs::create_dir_all(root.join(below)).unwrap();
    }
    fs::write(root.join("idents.csv"), "instance_id,ident,timestamp\n1,one,2020-01-01 00:00:00\n2,two,2020-01-01T00:00:01\n3,three,2020-01-02 00:00:00\n").unwrap();
    fs::write(root.join("annotations/some.csv"), "instance_id,label,family\n2,1,spam\n3,0,ham\n").unwrap();
    fs::write(root.join("features/f.csv"), "instance_id,0,1\n3,0.5,7\n2,1.5,8\n1,2.5,9\n").unwrap();
    fs::write(root.join("features/f_description.csv"), "id,name\n0,label\n1,words\n").unwrap();
    let output = folder.path().join("t.parquet");
    let report = import("secuml", std::slice::from_ref(&root), Options::default(), &output).unwrap();
    assert_eq!(counts(&report), (1, 1, 1));
    let batch = read_back(&output);
    assert_eq!(texts(&batch, "ident"), some(&["three", "two", "one"]));
    assert_eq!(texts(&batch, "label"), some(&["benign", "malicious", ""]));
    assert_eq!(texts(&batch, "family"), some(&["ham", "spam", ""]));
    assert_eq!(floats(&batch, "label_column"), [Some(0.5), Some(1.5), Some(2.5)]);
    assert_eq!(column(&batch, "words").as_primitive::<UInt64Type>().values(), &[7, 8, 9]);
    let times = column(&batch, "first_ns").as_primitive::<Int64Type>();
    assert_eq!(times.value(1) - times.value(2), 1_000_000_000);
    fs::write(root.join("features/f.csv"), "instance_id,0,1\n9,0.5,7\n").unwrap();
    let message = import("secuml", &[root], Options::default(), &output).unwrap_err().to_string();
    assert!(message.contains("line 2, column instance_id") && message.contains("`9`"), "{message}");
}

/// 2 x 3 with 0.5 at (0, 1) and 7 at (1, 2), as `scipy.sparse.save_npz` writes compressed rows.
fn npz() -> Vec<u8> {
    let npy = |kind: &str, shape: &str, items: &[u8]| {
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let start = [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes()].concat();
        [start, header.into_bytes(), items.to_vec()].concat()
    };
    let ints = |values: &[i32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, array) in [
        ("format.npy", npy("|S3", "", b"csr")),
        ("shape.npy", npy("<i4", "2,", &ints(&[2, 3]))),
        ("data.npy", npy("<f8", "2,", &[0.5f64, 7.0].map(f64::to_le_bytes).concat())),
        ("indices.npy", npy("<i4", "2,", &ints(&[1, 2]))),
        ("indptr.npy", npy("<i4", "3,", &ints(&[0, 1, 2]))),
    ] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        Write::write_all(&mut archive, &array).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn a_sparse_matrix_of_secuml_is_the_same_table() {
    let folder = folder();
    let root = folder.path().join("set");
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("idents.csv"), "instance_id,ident,label\n8,one,0\n9,two,1\n").unwrap();
    fs::write(root.join("d_description.csv"), "id,name\n0,a\n1,b\n2,c\n").unwrap();
    fs::write(root.join("f.csv"), "instance_id,0,1,2\n8,0,0.5,0\n9,0,0,7\n").unwrap();
    let (dense, sparse) = (folder.path().join("dense.parquet"), folder.path().join("sparse.parquet"));
    import("secuml", std::slice::from_ref(&root), Options::default(), &dense).unwrap();
    fs::remove_file(root.join("f.csv")).unwrap();
    fs::write(root.join("f.npz"), npz()).unwrap();
    let report = import("secuml", std::slice::from_ref(&root), Options::default(), &sparse).unwrap();
    assert_eq!(counts(&report), (1, 1, 0));
    assert_eq!(read_back(&dense), read_back(&sparse));
    fs::write(root.join("idents.csv"), "instance_id,ident,label\n8,one,0\n").unwrap();
    let message = import("secuml", &[root], Options::default(), &sparse).unwrap_err().to_string();
    assert!(message.contains("1 rows, the instances of idents.csv") && message.contains("`2`"), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever the bytes and the format: a report whose counts add up, or one error.
    #[test]
    fn no_bytes_make_an_import_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), skip_bad in 0_u64..4) {
        for format in ["kdd99", "nsl-kdd", "cic", "secuml", "csv", "parquet"] {
            let options = Options { skip_bad, ..Options::default() };
            if let Ok(report) = looked(format, &bytes, &options) {
                prop_assert!(report.rows > 0 && report.rows_skipped <= skip_bad);
            }
        }
    }

    /// Cells that spread over commas, quotes and lines: every row is imported or counted.
    #[test]
    fn every_row_is_imported_or_counted(rows in proptest::collection::vec("[0-9a-z\\.,\"\\-]{0,9}", 1..20)) {
        let text = format!("x,y,label\n{}", rows.iter().map(|row| format!("{row},benign\n")).collect::<String>());
        if !text.contains('"') {
            let options = Options { skip_bad: 100, ..Options::default() };
            let counted = looked("csv", &text, &options).map(|report| report.rows + report.rows_skipped + report.rows_blank);
            prop_assert!(counted.map_or(true, |counted| counted == rows.len() as u64));
        }
    }

    /// Numbers come out as they went in.
    #[test]
    fn numbers_survive(values in proptest::collection::vec(proptest::num::f64::NORMAL, 1..40)) {
        let folder = folder();
        let (input, output) = (folder.path().join("t.csv"), folder.path().join("t.parquet"));
        let rows: String = values.iter().map(|value| format!("{value:?},benign\n")).collect();
        fs::write(&input, format!("x,label\n0.5,benign\n{rows}")).unwrap();
        import("csv", &[input], Options::default(), &output).unwrap();
        let found: Vec<_> = floats(&read_back(&output), "x").into_iter().skip(1).flatten().collect();
        prop_assert_eq!(found, values);
    }
}

#[test]
fn what_was_imported_can_be_learnt_from() {
    let folder = folder();
    let (input, output) = (folder.path().join("t.txt"), folder.path().join("t.parquet"));
    let row = |n: usize| {
        let attack = ["normal.", "neptune.", "satan."][n % 3];
        format!("{},{attack}\n", KDD.replace("181", &(1000 * (n % 3) + n).to_string()))
    };
    fs::write(&input, (0..90).map(row).collect::<String>()).unwrap();
    import("kdd99", &[input], Options::default(), &output).unwrap();
    let spec = serde_json::json!({
        "inputs": [&output], "model": "decision-tree", "params": {"target": "class"}, "output": folder.path().join("m.corm")
    });
    let report = train::run(&serde_json::from_value(spec).unwrap(), &Ctx::new(1, 1)).unwrap();
    assert_eq!((report.rows_in, report.model.features), (90, 41));
    assert_eq!(report.importances[0].feature, "src_bytes");
}

#[test]
fn the_real_tables_come_out_with_their_published_counts() {
    let Some(tables) = tables() else {
        return skip("../shared/data is not there (CORMORANT_SHARED names it)");
    };
    let folder = folder();
    let output = folder.path().join("t.parquet");
    let option = |label: &str| Options { label: Some(label.to_owned()), ..Options::default() };
    let iot = Options {
        family: Some("detailed-label".to_owned()),
        time: Some("ts:s".to_owned()),
        ..option("label")
    };
    for (format, name, options, rows, labels) in [
        ("nsl-kdd", "nsl-kdd/KDDTrain+.txt", Options::default(), 125_973, (67_343, 58_630, 0)),
        ("kdd99", "kddcup99/kddcup.data_10_percent.gz", Options::default(), 494_021, (97_278, 396_743, 0)),
        ("cic", "cicids2017-improved", Options::default(), 25_127, (2500, 22_627, 0)),
        ("csv", "iot-23", iot, 38_583, (9123, 29_460, 0)),
        ("secuml", "lingspam", Options::default(), 2893, (2412, 481, 0)),
        ("parquet", "pdf-malware-2022/PDFMalware2022.parquet", option("Class"), 10_023, (4468, 5555, 0)),
    ] {
        if !tables.join(name).exists() {
            skip(&format!("{name} is not among the shared tables"));
            continue;
        }
        let report = import(format, &[tables.join(name)], options, &output).unwrap();
        assert_eq!(
            (report.rows, counts(&report), report.rows_skipped),
            (rows, labels, 0),
            "{name}: {report:#?}"
        );
        if format.ends_with("kdd") || format == "kdd99" {
            let dos = if rows == 494_021 { 391_458 } else { 45_927 };
            assert_eq!((report.classes["dos"], report.classes["u2r"]), (dos, 52));
            assert!(report.missing.is_empty());
        }
    }
}
