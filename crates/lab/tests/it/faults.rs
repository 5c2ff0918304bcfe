//! What goes wrong: damaged captures, outputs that cannot be written, cancelled work.

use std::fs;
use std::sync::atomic::Ordering;

use cormorant_lab::tables::Naming;
use cormorant_lab::tasks::{extract, flows, inspect};
use cormorant_lab::{Ctx, LabError};

use crate::made::{Made, cells, extract, folder, spec, talk};

#[test]
fn a_capture_that_breaks_off_keeps_its_rows_and_the_others_go_on() {
    let folder = folder();
    let captures = folder.path().join("captures");
    fs::create_dir(&captures).unwrap();
    talk(10).write(&captures.join("a.pcap"));
    let mut cut = talk(10);
    cut.0.truncate(cut.0.len() - 5);
    cut.write(&captures.join("b.pcap"));
    talk(10).write(&captures.join("c.pcap"));
    for threads in [1, 3] {
        let output = folder.path().join("rows.csv");
        let report =
            extract::run(&spec(std::slice::from_ref(&captures), &output), &Ctx::new(1, threads)).unwrap();
        assert_eq!((report.rows, report.counts.packets), (30, 59));
        assert_eq!(report.faults.len(), 1);
        let fault = &report.faults[0];
        assert_eq!((fault.capture.as_str(), fault.packets), ("b.pcap", 19));
        assert!(fault.error.contains("19 packets before it were kept"), "{}", fault.error);
        assert_eq!(cells(&output).len(), 31);
    }
}

#[test]
fn what_cannot_be_opened_is_a_fault_beside_others_and_an_error_alone() {
    let folder = folder();
    let junk = folder.path().join("junk.pcap");
    fs::write(&junk, "this is no capture at all").unwrap();
    let good = folder.path().join("good.pcap");
    talk(3).write(&good);
    let output = folder.path().join("rows.csv");
    let report = extract(&spec(&[junk.clone(), good.clone()], &output)).unwrap();
    assert_eq!((report.rows, report.faults.len()), (3, 1));
    fs::remove_file(&output).unwrap();
    let error = extract(&spec(std::slice::from_ref(&junk), &output)).unwrap_err();
    assert!(error.to_string().contains("is not a capture") && !error.is_bug(), "{error}");
    assert!(
        !output.exists() && fs::read_dir(folder.path()).unwrap().count() == 2,
        "something was left behind"
    );
    let report =
        inspect::run(&inspect::Spec { captures: vec![junk, good], ..Default::default() }, &Ctx::new(1, 1))
            .unwrap();
    assert_eq!((report.packets, report.faults.len(), report.captures.len()), (6, 1, 2));
}

#[test]
fn packets_are_accounted_for_and_flows_have_counters() {
    let folder = folder();
    let capture = folder.path().join("talk.pcap");
    let (client, server) = (("10.0.0.1", 4000), ("10.0.0.2", 80));
    let mut made = Made::new()
        .tcp(0, client, server, 0x02, 0)
        .tcp(10, server, client, 0x12, 0)
        .tcp(20, client, server, 0x10, 5);
    // An ARP frame belongs to no flow.
    let arp = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1, 8, 6], &[0; 28]].concat();
    for word in [crate::made::START_S, 30, arp.len() as u32, arp.len() as u32] {
        made.0.extend_from_slice(&word.to_le_bytes());
    }
    made.0.extend_from_slice(&arp);
    made.write(&capture);
    let output = folder.path().join("flows.csv");
    let extraction = spec(&[capture], &output);
    let spec = flows::Spec {
        captures: extraction.captures,
        reading: extraction.reading,
        flow: extraction.flow,
        names: Naming::default(),
        output: extraction.output,
    };
    let report = flows::run(&spec, &Ctx::new(1, 1)).unwrap();
    assert_eq!((report.counts.packets, report.counts.packets_in_flows, report.rows), (4, 3, 1));
    assert_eq!(report.counts.packets_without_flow.values().sum::<u64>(), 1);
    assert_eq!(crate::made::column(&output, "packets"), ["3"]);
    assert_eq!(report.counts.flows_by_expiry.get("end"), Some(&1));
}

#[test]
fn a_missing_directory_and_an_unknown_set_are_told_before_any_work() {
    let folder = folder();
    let capture = folder.path().join("talk.pcap");
    talk(1).write(&capture);
    let error =
        extract(&spec(std::slice::from_ref(&capture), &folder.path().join("no/such/rows.csv"))).unwrap_err();
    assert!(error.to_string().contains("create the directory first"), "{error}");
    let mut unknown = spec(&[capture], &folder.path().join("rows.csv"));
    unknown.sets = vec!["flwo".to_owned()];
    let error = extract(&unknown).unwrap_err();
    assert!(error.to_string().contains("flwo") && error.to_string().contains("splt"), "{error}");
}

#[test]
fn cancelled_work_leaves_nothing_behind() {
    let folder = folder();
    let capture = folder.path().join("talk.pcap");
    talk(60_000).write(&capture);
    let ctx = Ctx::new(1, 2);
    ctx.cancel_flag().store(true, Ordering::Relaxed);
    let error = extract::run(&spec(&[capture], &folder.path().join("rows.parquet")), &ctx).unwrap_err();
    assert!(matches!(error, LabError::Cancelled), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn progress_ends_at_the_size_of_the_captures() {
    use std::sync::{Arc, Mutex};
    let folder = folder();
    let capture = folder.path().join("talk.pcap");
    talk(40_000).write(&capture);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let ctx = Ctx::new(1, 1).with_progress(Arc::new(move |_: &str, done: u64, total: u64| {
        sink.lock().unwrap().push((done, total));
    }));
    extract::run(&spec(std::slice::from_ref(&capture), &folder.path().join("rows.csv")), &ctx).unwrap();
    let seen = seen.lock().unwrap();
    let size = fs::metadata(capture).unwrap().len();
    assert!(seen.len() > 2 && seen.is_sorted() && seen.iter().all(|(_, total)| *total == size));
    assert_eq!(seen.last().unwrap().0, size);
}
