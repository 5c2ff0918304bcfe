//! KDD Cup 1999: 41 features of a connection, then the name of the attack, as a rule with a dot behind it.
//!
//! Files have no header. Copies with one are understood too (its first name is `duration`); columns that are none of
//! the 41 and no label are left out, among them times that somebody added: rows come in bursts of one label, so the
//! number of a row gives the label away.
//!
//! The names of attacks and their four classes: S. J. Stolfo et al., task description of the KDD Cup 1999
//! (`training_attack_types`), and for those of the test set alone R. Lippmann et al., *The 1999 DARPA Off-Line Intrusion
//! Detection Evaluation* (2000).

use std::borrow::Cow;

use cormorant_learn::table::Role;

use super::columns::{Check, Fault, Kind};
use super::plan::{Plan, Planned, Says, Truth, Verdict, Wanted};
use super::sheet::{self, Layout};
use super::{Format, Job, Table};
use crate::LabError;
use crate::plain::plain;

pub(super) static FORMAT: Format = Format {
    name: "kdd99",
    about: "KDD Cup 1999: 41 features and an attack's name, e.g. kddcup.data_10_percent.gz",
    roles_by_option: false,
    read: |job, table| read(job, table, ""),
};

const PROTOCOLS: &[&str] = &["tcp", "udp", "icmp"];
/// How connections end (RFC 793 states, as Bro named them).
const FLAGS: &[&str] = &["SF", "S0", "S1", "S2", "S3", "REJ", "RSTO", "RSTR", "RSTOS0", "SH", "OTH"];
/// What a label column is called in copies with a header.
const LABELS: [&str; 6] = ["label", "labels", "target", "attack", "attack_type", "class"];

const COUNT: Wanted = Wanted::Fixed(Kind::Unsigned, Check::Any);
const SHARE: Wanted = Wanted::Fixed(Kind::Float, Check::Share);

/// Name, unit and type of each feature, in order.
const FEATURES: [(&str, &str, Wanted); 41] = [
    ("duration", "s", COUNT),
    ("protocol_type", "", Wanted::Fixed(Kind::Text, Check::Words(PROTOCOLS))),
    ("service", "", Wanted::Fixed(Kind::Text, Check::Word)),
    ("flag", "", Wanted::Fixed(Kind::Text, Check::Words(FLAGS))),
    ("src_bytes", "bytes", COUNT),
    ("dst_bytes", "bytes", COUNT),
    ("land", "", COUNT),
    ("wrong_fragment", "fragments", COUNT),
    ("urgent", "packets", COUNT),
    ("hot", "", COUNT),
    ("num_failed_logins", "logins", COUNT),
    ("logged_in", "", COUNT),
    ("num_compromised", "", COUNT),
    ("root_shell", "", COUNT),
    ("su_attempted", "", COUNT),
    ("num_root", "", COUNT),
    ("num_file_creations", "files", COUNT),
    ("num_shells", "shells", COUNT),
    ("num_access_files", "", COUNT),
    ("num_outbound_cmds", "", COUNT),
    ("is_host_login", "", COUNT),
    ("is_guest_login", "", COUNT),
    ("count", "connections", COUNT),
    ("srv_count", "connections", COUNT),
    ("serror_rate", "", SHARE),
    ("srv_serror_rate", "", SHARE),
    ("rerror_rate", "", SHARE),
    ("srv_rerror_rate", "", SHARE),
    ("same_srv_rate", "", SHARE),
    ("diff_srv_rate", "", SHARE),
    ("srv_diff_host_rate", "", SHARE),
    ("dst_host_count", "connections", COUNT),
    ("dst_host_srv_count", "connections", COUNT),
    ("dst_host_same_srv_rate", "", SHARE),
    ("dst_host_diff_srv_rate", "", SHARE),
    ("dst_host_same_src_port_rate", "", SHARE),
    ("dst_host_srv_diff_host_rate", "", SHARE),
    ("dst_host_serror_rate", "", SHARE),
    ("dst_host_srv_serror_rate", "", SHARE),
    ("dst_host_rerror_rate", "", SHARE),
    ("dst_host_srv_rerror_rate", "", SHARE),
];

/// Class and attacks; those of the test set alone stand after those of the training set.
const ATTACKS: [(&str, &[&str]); 4] = [
    (
        "dos",
        &[
            "back",
            "land",
            "neptune",
            "pod",
            "smurf",
            "teardrop", // never in training:
            "apache2",
            "mailbomb",
            "processtable",
            "udpstorm",
        ],
    ),
    ("probe", &["ipsweep", "nmap", "portsweep", "satan", "mscan", "saint"]),
    (
        "r2l",
        &[
            "ftp_write",
            "guess_passwd",
            "imap",
            "multihop",
            "phf",
            "spy",
            "warezclient",
            "warezmaster",
            // never in training:
            "named",
            "sendmail",
            "snmpgetattack",
            "snmpguess",
            "worm",
            "xlock",
            "xsnoop",
        ],
    ),
    (
        "u2r",
        &[
            "buffer_overflow",
            "loadmodule",
            "perl",
            "rootkit", // never in training:
            "httptunnel",
            "ps",
            "sqlattack",
            "xterm",
        ],
    ),
];
const NORMAL: &str = "normal";

/// Reads the files of either release. `beside` names a column after the label that is kept but never learnt from.
pub(super) fn read(job: &Job<'_>, table: &mut Table<'_>, beside: &'static str) -> Result<(), LabError> {
    let layout = Layout {
        delimiter: b',',
        header: &|first| header(first, beside),
        plan: &|_, names| Ok(plan(names, beside)),
    };
    sheet::import(job, &layout, table)
}

/// The names of columns: those of a header, or the known ones for as many fields as there are.
fn header(first: Vec<String>, beside: &str) -> Result<(Vec<String>, bool), Fault> {
    if first.first().is_some_and(|name| name.trim_matches('\'') == FEATURES[0].0) {
        return Ok((first, false));
    }
    let known = FEATURES.iter().map(|(name, ..)| *name).chain(["label"]);
    let known: Vec<&str> = known.chain(Some(beside).filter(|name| !name.is_empty())).collect();
    if (FEATURES.len()..=known.len()).contains(&first.len()) {
        return Ok((known.iter().take(first.len()).map(|name| (*name).to_owned()).collect(), true));
    }
    let expected = format!("{} to {} fields: 41 features, label", FEATURES.len(), known.len());
    let found = if first.first().is_some_and(|cell| cell.starts_with('@')) {
        "an ARFF file".to_owned()
    } else {
        format!("{} fields", first.len())
    };
    let advice = "check --as: nsl-kdd has a difficulty behind the label; other tables are read --as csv";
    Err(Fault::new(expected, &found).advise(advice))
}

fn plan(names: &[String], beside: &str) -> Plan {
    let place = |wanted: &str| names.iter().position(|name| name.trim_matches('\'') == wanted);
    let mut columns = Vec::new();
    let mut notes = Vec::new();
    for (name, unit, wanted) in FEATURES {
        match place(name) {
            Some(place) => {
                columns.push(Planned { place, name: name.to_owned(), unit, role: Role::Feature, wanted });
            }
            None => notes.push(format!("the header has no `{name}`")),
        }
    }
    if !beside.is_empty() && place(beside).is_none() {
        notes.push(format!("there is no {beside} behind the label, as the published files have it"));
    }
    if let Some(place) = place(beside) {
        let (name, role) = (beside.to_owned(), Role::Identity);
        columns.push(Planned {
            place,
            name,
            unit: "",
            role,
            wanted: Wanted::Fixed(Kind::Unsigned, Check::Any),
        });
    }
    let label = LABELS.iter().find_map(|wanted| {
        names.iter().position(|name| name.trim_matches('\'').eq_ignore_ascii_case(wanted))
    });
    let used = |place: usize| columns.iter().any(|column| column.place == place) || label == Some(place);
    let unused: Vec<_> = (0..names.len()).filter(|&place| !used(place)).collect();
    if !unused.is_empty() {
        let names: Vec<_> = unused.iter().map(|&place| plain(&names[place]).into_owned()).collect();
        notes.push(format!("columns that are not of this format were left out: {}", names.join(", ")));
    }
    let says = Says { family: true, class: true, ..Says::default() };
    let truth = label.map(|label| Truth {
        places: vec![label],
        says,
        judge: Box::new(|cells| {
            let text = cells.first().and_then(Option::as_deref).unwrap_or_default();
            verdict(text).map_err(|fault| (0, fault))
        }),
    });
    Plan { truth, notes, ..Plan::of(columns) }
}

/// What the name of an attack says, with or without the dot.
fn verdict(text: &str) -> Result<Verdict, Fault> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name == NORMAL {
        return Ok(Verdict { malicious: Some(false), class: Some(NORMAL), ..Verdict::default() });
    }
    let known = ATTACKS.iter().find_map(|(class, attacks)| {
        attacks.iter().find(|attack| **attack == name).map(|attack| (*class, *attack))
    });
    let (class, attack) = known.ok_or_else(|| {
        Fault::new("normal or one of the 39 attacks of the KDD Cup 1999", text).advise(
            "correct the row, leave out up to N such rows with --skip-bad N, or read the file --as csv",
        )
    })?;
    Ok(Verdict {
        malicious: Some(true),
        family: Some(Cow::Borrowed(attack)),
        class: Some(class),
        ..Verdict::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_39_attacks_each_in_one_class() {
        let mut names: Vec<_> = ATTACKS.iter().flat_map(|(_, attacks)| attacks.iter()).collect();
        assert_eq!(names.len(), 39);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 39);
    }

    #[test]
    fn labels_are_read_with_and_without_the_dot() {
        for (text, class, family) in [
            ("smurf.", "dos", "smurf"),
            ("saint", "probe", "saint"),
            ("xterm.", "u2r", "xterm"),
            ("worm", "r2l", "worm"),
        ] {
            let found = verdict(text).unwrap();
            assert_eq!(
                (found.malicious, found.class, found.family.as_deref()),
                (Some(true), Some(class), Some(family))
            );
        }
        assert_eq!(verdict("normal.").unwrap().class, Some("normal"));
        assert_eq!(verdict("normal.").unwrap().family, None);
        assert!(verdict("smurf..").is_err() && verdict("").is_err() && verdict("Smurf").is_err());
    }

    #[test]
    fn the_difficulty_is_no_feature_and_added_columns_are_left_out() {
        let (names, is_data) = header(vec!["0".to_owned(); 43], "difficulty").unwrap();
        assert!(is_data);
        let found = plan(&names, "difficulty");
        assert_eq!(found.columns.iter().filter(|column| column.role == Role::Feature).count(), 41);
        assert_eq!(found.columns[41].name, "difficulty");
        assert!(found.truth.is_some() && found.notes.is_empty());
        let mut named: Vec<String> = FEATURES.iter().map(|(name, ..)| (*name).to_owned()).collect();
        named.extend(["target", "Attack Type", "time"].map(str::to_owned));
        let (names, is_data) = header(named, "").unwrap();
        assert!(!is_data);
        let found = plan(&names, "");
        assert_eq!(found.truth.unwrap().places, [41]);
        assert_eq!(found.notes, ["columns that are not of this format were left out: Attack Type, time"]);
        assert!(header(vec!["0".to_owned(); 43], "").is_err() && header(vec![String::new(); 3], "").is_err());
    }
}
