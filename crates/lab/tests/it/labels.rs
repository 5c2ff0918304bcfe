//! Labels meet rows: rules and captures, counted and never guessed.

use std::fs;

use crate::made::{Made, START_S, column, extract, folder, spec, talk};

const HEADER: &str = "start,end,protocol,source,source_port,destination,destination_port,label,family,note\n";

#[test]
fn rules_label_what_they_match_and_count_the_rest() {
    let folder = folder();
    let capture = folder.path().join("made.pcap");
    let server = ("10.0.0.9", 80);
    Made::new()
        .tcp(0, ("10.0.0.1", 1000), server, 0x02, 0)
        .tcp(1_000_000, ("10.0.0.2", 2000), server, 0x02, 0)
        .tcp(2_000_000, ("10.0.0.3", 3000), server, 0x02, 0)
        .udp(3_000_000, ("10.0.0.4", 4000), ("10.0.0.9", 53), 8)
        .write(&capture);
    let rules = folder.path().join("rules.csv");
    let rows = [
        format!("{START_S}.000000,{START_S}.000000,tcp,10.0.0.1,*,10.0.0.9,80,malicious,scan,first"),
        // The second flow is claimed by two families, the third by one rule seen from the other end.
        "*,*,tcp,10.0.0.2,*,*,*,malicious,scan,".to_owned(),
        "*,*,tcp,10.0.0.2/31,*,*,2000-2001,malicious,beacon,".to_owned(),
        "*,*,any,10.0.0.2,2000,10.0.0.9,*,benign,web,".to_owned(),
        "*,*,tcp,10.0.0.9,80,10.0.0.3,*,benign,web,".to_owned(),
    ];
    fs::write(&rules, format!("{HEADER}{}\n", rows.join("\n"))).unwrap();
    let output = folder.path().join("rows.csv");
    let mut spec = spec(&[capture], &output);
    spec.labels = Some(rules);
    let labels = extract(&spec).unwrap().labels.unwrap();
    assert_eq!((labels.rules, labels.rules_unused), (5, 3));
    assert_eq!((labels.matched, labels.ambiguous, labels.unmatched), (2, 1, 1));
    assert_eq!(labels.families["malicious"]["scan"], 1);
    assert_eq!(labels.families["benign"]["web"], 1);
    let by_source = |name| -> Vec<(String, String)> {
        let mut cells: Vec<_> = column(&output, "source").into_iter().zip(column(&output, name)).collect();
        cells.sort();
        cells
    };
    let words = |name| by_source(name).into_iter().map(|(_, word)| word).collect::<Vec<_>>();
    assert_eq!(words("label"), ["malicious", "", "benign", ""]);
    assert_eq!(words("family"), ["scan", "", "web", ""]);
}

#[test]
fn captures_and_directories_are_labelled_by_the_longest_name() {
    let folder = folder();
    let captures = folder.path().join("captures");
    fs::create_dir_all(captures.join("bad/worse")).unwrap();
    for name in ["good.pcap", "bad/a.pcap", "bad/worse/b.pcap", "other.pcap"] {
        talk(1).write(&captures.join(name));
    }
    let labels = folder.path().join("labels.csv");
    fs::write(
        &labels,
        "capture,label,family\ngood.pcap,benign,\nbad,malicious,trojan\nbad/worse/,malicious,worm\n",
    )
    .unwrap();
    let output = folder.path().join("rows.csv");
    let mut spec = spec(&[captures], &output);
    spec.labels = Some(labels.clone());
    let report = extract(&spec).unwrap();
    assert_eq!(column(&output, "family"), ["trojan", "worm", "", ""]);
    assert_eq!(column(&output, "label"), ["malicious", "malicious", "benign", ""]);
    assert_eq!(report.labels.unwrap().unmatched, 1);
    fs::write(&labels, "capture,label,family\ngood.pcap,benign,\ngood.pcap,malicious,x\n").unwrap();
    let error = extract(&spec).unwrap_err().to_string();
    assert!(error.contains("line 3") && error.contains("field capture"), "{error}");
}

#[test]
fn one_label_for_all_and_a_wrong_header_are_understood() {
    let folder = folder();
    let capture = folder.path().join("made.pcap");
    talk(2).write(&capture);
    let output = folder.path().join("rows.csv");
    let mut spec = spec(&[capture], &output);
    spec.label = Some("malicious:trojan".to_owned());
    extract(&spec).unwrap();
    assert_eq!(column(&output, "family"), ["trojan", "trojan"]);
    spec.label = Some("bad".to_owned());
    assert!(extract(&spec).unwrap_err().to_string().contains("`bad`"));
    spec.label = None;
    let labels = folder.path().join("labels.csv");
    fs::write(&labels, "from,to\n1,2\n").unwrap();
    spec.labels = Some(labels);
    let error = extract(&spec).unwrap_err().to_string();
    assert!(error.contains("labels.csv, header") && error.contains("from,to"), "{error}");
}
