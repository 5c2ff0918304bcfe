//! Labels meet rows: rules and captures, counted and never guessed.

use std::fs;

use crate::made::{Made, START_S, column, extract, folder, sample, spec, talk};

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

/// Made flows: a TCP one at 0 s, a UDP one at 100 s, and the TCP one's ends again at 400 s.
fn joined(labels: &str, offset_s: i32) -> (Vec<String>, cormorant_lab::extraction::LabelCounts) {
    let folder = folder();
    let capture = folder.path().join("made.pcap");
    let (client, server) = (("10.0.0.1", 1000), ("10.0.0.9", 80));
    Made::new()
        .tcp(0, client, server, 0x02, 0)
        .tcp(2_000_000, server, client, 0x12, 0)
        .udp(100_000_000, ("10.0.0.2", 4000), ("10.0.0.9", 53), 8)
        .tcp(400_000_000, client, server, 0x02, 0)
        .write(&capture);
    let file = folder.path().join("labels");
    fs::write(&file, labels).unwrap();
    let output = folder.path().join("rows.csv");
    let mut spec = spec(&[capture], &output);
    spec.labels = Some(file);
    spec.label_offset_s = offset_s;
    let counts = extract(&spec).unwrap().labels.unwrap();
    let mut rows: Vec<_> = column(&output, "first_ns").into_iter().zip(column(&output, "label")).collect();
    let families = column(&output, "family");
    rows.iter_mut().zip(&families).for_each(|((_, label), family)| *label = format!("{label}:{family}"));
    rows.sort();
    (rows.into_iter().map(|(_, words)| words).collect(), counts)
}

/// What is wrong with a label file.
fn refused(labels: impl AsRef<[u8]>) -> String {
    let folder = folder();
    let capture = folder.path().join("made.pcap");
    talk(1).write(&capture);
    let file = folder.path().join("labels.file");
    fs::write(&file, labels).unwrap();
    let mut spec = spec(&[capture], &folder.path().join("rows.csv"));
    spec.labels = Some(file);
    extract(&spec).unwrap_err().to_string()
}

const CIC: &str = "Flow ID, Source IP, Source Port, Destination IP, Destination Port, Protocol, Timestamp, Flow Duration, Label\n";

#[test]
fn labelled_flows_are_joined_by_ends_and_time() {
    // START_S is 2023-11-14 22:13:20 UTC.
    let rows = "a,10.0.0.9,80,10.0.0.1,1000,6,14/11/2023 7:13,2000000,PortScan\n\
                b,10.0.0.2,4000,10.0.0.9,53,17,14/11/2023 7:15:00 PM,-1,BENIGN\n\
                ,,,,,,,,\n\
                c,10.0.0.1,1000,10.0.0.9,80,6,2023-11-14 22:20:00.000000,5,DoS Hulk\n";
    let (words, counts) = joined(&format!("{CIC}{rows}"), -15 * 3600);
    assert_eq!(words, ["malicious:PortScan", ":", ":"]);
    assert_eq!((counts.rules, counts.rules_unused, counts.matched, counts.unmatched), (3, 2, 1, 2));
    let (words, _) = joined(&format!("{CIC}{}", rows.replace("14/11/2023 7:13,", "14/11/2023 22:13,")), 0);
    assert_eq!(words, ["malicious:PortScan", ":", "malicious:DoS Hulk"]);
    let (words, _) = joined(&format!("{CIC}{rows}"), -3 * 3600);
    assert_eq!(words, [":", "benign:", ":"]);
}

#[test]
fn labelled_flows_without_times_are_joined_by_ends_and_may_contradict() {
    let header = "Src IP,Src Port,Dst IP,Dst Port,Protocol,Label\n";
    let one = "10.0.0.1,1000,10.0.0.9,80,6.0,Bot\n";
    let (words, _) = joined(&format!("{header}{one}"), 0);
    assert_eq!(words, ["malicious:Bot", ":", "malicious:Bot"]);
    let (words, counts) = joined(&format!("{header}{one}10.0.0.9,80,10.0.0.1,1000,6,normal\n"), 0);
    assert_eq!((words, counts.ambiguous, counts.rules_unused), (vec![":".to_owned(); 3], 2, 0));
}

fn alert(time: &str, ends: &str, signature: &str, severity: u8) -> String {
    format!(
        "{{\"timestamp\":\"{time}\",\"event_type\":\"alert\",{ends},\
         \"alert\":{{\"signature\":\"{signature}\",\"category\":\"Misc\",\"severity\":{severity}}}}}\n"
    )
}

const TCP_ENDS: &str =
    r#""src_ip":"10.0.0.9","src_port":80,"dest_ip":"10.0.0.1","dest_port":1000,"proto":"TCP""#;

#[test]
fn alerts_make_rows_malicious_and_the_most_severe_names_the_family() {
    let log = [
        "{\"timestamp\":\"2023-11-14T22:13:20.000000+0000\",\"event_type\":\"flow\"}\n".to_owned(),
        alert("2023-11-15T00:13:22.900000+0200", TCP_ENDS, "ET SCAN", 2),
        alert("2023-11-14T22:13:20.500000+0000", TCP_ENDS, "ET TROJAN", 1),
        alert("2023-11-14T22:30:00.500000+0000", TCP_ENDS, "ET LATE", 1),
        alert("2023-11-14T22:30:00.500000+0000", "\"proto\":\"TCP\"", "ET NOBODY", 1),
    ];
    let (words, counts) = joined(&log.concat(), 0);
    assert_eq!(words, ["malicious:ET TROJAN", ":", ":"]);
    assert_eq!((counts.rules, counts.rules_unused, counts.unmatched, counts.ambiguous), (4, 2, 2, 0));
    let flow = format!("{TCP_ENDS},\"flow\":{{\"start\":\"2023-11-14T22:20:00.000000+0000\"}}");
    let (words, _) = joined(&alert("2023-11-14T22:21:00.000000+0000", &flow, "ET SLOW", 1), 0);
    assert_eq!(words, [":", ":", "malicious:ET SLOW"]);
}

#[test]
fn notices_speak_of_connections_or_of_hosts() {
    let text = "#separator \\x09\n#path\tnotice\n\
        #fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tnote\tsrc\tdst\n\
        1700000001.500000\tC1\t10.0.0.1\t1000\t10.0.0.9\t80\ttcp\tSSL::Invalid\t-\t-\n\
        1700000100.000000\t-\t-\t-\t-\t-\t-\tScan::Port_Scan\t10.0.0.2\t-\n\
        1700000300.000000\t-\t-\t-\t-\t-\t-\tScan::Late\t10.0.0.1\t10.0.0.9\n#close\tx\n";
    let (words, counts) = joined(text, 0);
    assert_eq!(words, ["malicious:SSL::Invalid", "malicious:Scan::Port_Scan", ":"]);
    assert_eq!((counts.rules, counts.rules_unused), (3, 1));
    let json = r#"{"ts":1700000100.25,"note":"Scan::Port_Scan","src":"10.0.0.9"}
{"ts":"2023-11-14T22:20:00.5Z","id.orig_h":"10.0.0.1","id.orig_p":1000,"id.resp_h":"10.0.0.9","id.resp_p":80,"proto":"tcp","note":"Weird"}
"#;
    assert_eq!(joined(json, 0).0, [":", "malicious:Scan::Port_Scan", "malicious:Weird"]);
}

#[test]
fn alerts_on_sample_traffic_are_found_by_community_id_alone_and_when_compressed() {
    let folder = folder();
    let output = folder.path().join("rows.csv");
    let mut spec = spec(&[sample("hunt.pcapng")], &output);
    extract(&spec).unwrap();
    let (ids, firsts) = (column(&output, "community_id"), column(&output, "first_ns"));
    let lines = ids.iter().zip(&firsts).step_by(100).map(|(id, first)| {
        let time = cormorant_lab::time::rfc3339(first.parse().unwrap());
        alert(&time, &format!("\"proto\":\"x\",\"community_id\":\"{id}\""), id, 1)
    });
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut writer, lines.collect::<String>().as_bytes()).unwrap();
    let log = folder.path().join("eve.json.gz");
    fs::write(&log, writer.finish().unwrap()).unwrap();
    spec.labels = Some(log);
    let counts = extract(&spec).unwrap().labels.unwrap();
    assert_eq!((counts.rules, counts.rules_unused), (ids.len().div_ceil(100) as u64, 0));
    assert!(counts.matched >= counts.rules && counts.unmatched > counts.matched);
    for (id, family) in column(&output, "community_id").iter().zip(column(&output, "family")) {
        assert!(family.is_empty() || *id == family, "{id} has {family}");
    }
}

#[test]
fn what_is_wrong_in_a_log_is_named_by_line_and_field() {
    let good = alert("2023-11-14T22:13:20Z", TCP_ENDS, "x", 1);
    for (text, parts) in [
        (
            format!("{good}{}", good.replace("10.0.0.9", "10.0.0.999")),
            ["line 2", "field src_ip", "10.0.0.999"],
        ),
        (
            format!("\n{}", good.replace("2023-11-14T", "yesterday ")),
            ["line 2", "field timestamp", "yesterday"],
        ),
        (good.replace("\"signature\":\"x\",", ""), ["line 1", "field alert.signature", "nothing"]),
        (format!("{good}{{\"event_type\":\"alert\""), ["line 2", "one JSON object", "event_type"]),
        ("{\"a\":1}\n".to_owned(), ["line 1", "event_type", "{\"a\":1}"]),
        ("#fields\tts\tuid\n".to_owned(), ["line 1", "notice.log", "uid"]),
        ("#path\tnotice\n1\t2\n".to_owned(), ["line 2", "#fields", "1"]),
        ("#fields\tts\tnote\nx\tN\n".to_owned(), ["line 2", "field ts", "`x`"]),
        (format!("{CIC}a,1,2,10.0.0.2,2,6,14/11/2023 7:13,1,BENIGN\n"), ["line 2", "field Source IP", "`1`"]),
        (
            format!("{CIC}a,::1,2,::2,2,6,11/14/2023 7:13,1,BENIGN\n"),
            ["line 2", "field Timestamp", "11/14/2023"],
        ),
        (
            "Destination Port,Flow Duration,Label\n".to_owned(),
            ["header", "no addresses", "GeneratedLabelledFlows"],
        ),
    ] {
        let message = refused(&text);
        for part in ["labels.file"].iter().chain(&parts) {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
    }
    assert!(refused(format!("{{\"x\":\"{}\"}}", "a".repeat(5 << 20))).contains("a line of at most"));
}

#[test]
fn labels_cut_anywhere_never_panic() {
    let texts = [
        format!("{CIC}a,10.0.0.9,80,10.0.0.1,1000,6,14/11/2023 7:13:01 PM,2,Web é\n"),
        alert("2023-11-14T22:13:20Z", TCP_ENDS, "é", 1),
        "#fields\tts\tid.orig_h\tproto\tnote\n1.5\t::1\ticmp\tA::B\n".to_owned(),
    ];
    let folder = folder();
    let capture = folder.path().join("made.pcap");
    talk(1).write(&capture);
    let mut spec = spec(&[capture], &folder.path().join("rows.csv"));
    let file = folder.path().join("labels.file");
    spec.labels = Some(file.clone());
    for text in texts {
        for end in 0..text.len() {
            fs::write(&file, &text.as_bytes()[..end]).unwrap();
            let _either = extract(&spec);
        }
    }
}
