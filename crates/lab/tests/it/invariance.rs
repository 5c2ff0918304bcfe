//! The same capture gives the same bytes, however it arrives and however many threads work.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use cormorant_lab::Ctx;
use cormorant_lab::tasks::extract;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::made::{folder, sample, spec, talk};

#[test]
fn any_number_of_threads_gives_the_same_bytes_in_every_format() {
    let folder = folder();
    for format in ["parquet", "csv", "ndjson", "arrow"] {
        let mut outputs = Vec::new();
        for threads in [1, 2, 7] {
            let output = folder.path().join(format!("{threads}.{format}"));
            let mut spec = spec(&[sample("learn.pcapng")], &output);
            spec.sets = vec!["flow".to_owned(), "splt".to_owned()];
            spec.labels = Some(sample("learn.labels.csv"));
            extract::run(&spec, &Ctx::new(1, threads)).unwrap();
            outputs.push(fs::read(output).unwrap());
        }
        assert!(outputs.iter().all(|output| *output == outputs[0]), "{format} differs between threads");
    }
}

#[test]
fn compressed_captures_give_the_same_bytes() {
    let folder = folder();
    let plain = sample("hunt.pcapng");
    let bytes = fs::read(&plain).unwrap();
    let gzip = folder.path().join("hunt.pcapng.gz");
    let mut encoder = GzEncoder::new(fs::File::create(&gzip).unwrap(), Compression::fast());
    encoder.write_all(&bytes).unwrap();
    encoder.finish().unwrap();
    let rows = |capture: PathBuf, name: &str| {
        let output = folder.path().join(name);
        extract::run(&spec(&[capture], &output), &Ctx::new(1, 2)).unwrap();
        fs::read(output).unwrap()
    };
    assert!(rows(plain, "plain.csv") == rows(gzip, "gzip.csv"));
}

#[test]
fn many_captures_side_by_side_leave_in_the_order_of_their_names() {
    let folder = folder();
    let captures = folder.path().join("captures");
    fs::create_dir_all(captures.join("inner")).unwrap();
    for place in 0..23 {
        let name = if place % 3 == 0 { format!("inner/{place:02}.pcap") } else { format!("{place:02}.pcap") };
        talk(place * 40 + 1).write(&captures.join(name));
    }
    let rows = |threads| {
        let output = folder.path().join(format!("{threads}.csv"));
        let report =
            extract::run(&spec(std::slice::from_ref(&captures), &output), &Ctx::new(1, threads)).unwrap();
        assert_eq!(report.captures, 23);
        assert_eq!(report.rows, (0..23).map(|place| place * 40 + 1).sum::<u64>());
        fs::read_to_string(output).unwrap()
    };
    let one = rows(1);
    assert!(one == rows(2) && one == rows(7));
    let mut names: Vec<&str> = one.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    assert!(names.is_sorted());
    names.dedup();
    assert_eq!(names.len(), 23);
}
