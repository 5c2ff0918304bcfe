//! Label files that real tools wrote are read whole; the sample traffic, which is none of theirs, stays unlabelled.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::made::{extract, folder, sample, spec};

#[test]
fn files_of_cic_suricata_and_zeek_are_understood() {
    let Some(tables) = tables() else {
        return skip("../shared/data is not there (CORMORANT_SHARED names it)");
    };
    for (name, labels) in [
        ("cicids2017-improved/Botnet_736.csv", 736),
        ("slips-flows/test6-malicious.suricata.json", 745),
        ("zeek-wrccdc/notice.log.gz", 1),
    ] {
        let file = tables.join(name);
        if !file.exists() {
            skip(&format!("{name} is not among the shared tables"));
            continue;
        }
        let folder = folder();
        let mut spec = spec(&[sample("hunt.pcapng")], &folder.path().join("rows.csv"));
        spec.labels = Some(file);
        let counts = extract(&spec).unwrap().labels.unwrap();
        assert!(counts.rules >= labels && counts.rules == counts.rules_unused, "{name}: {counts:?}");
        assert_eq!((counts.matched, counts.ambiguous), (0, 0), "{name}");
    }
}

/// Where the shared tables are unpacked.
pub(crate) fn tables() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("CORMORANT_SHARED").map_or(beside, PathBuf::from);
    let unpack = shared.join("data/unpack.sh");
    let output = unpack.exists().then(|| Command::new(&unpack).output().ok()).flatten()?;
    let folder = String::from_utf8(output.stdout).ok()?.lines().last()?.trim().to_owned();
    Some(Path::new(&folder).join("tables")).filter(|folder| folder.is_dir())
}

pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("CORMORANT_NO_SKIP").is_none(), "skipping is forbidden: {why}");
    // Past the test harness, which keeps what passing tests print to itself.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}
