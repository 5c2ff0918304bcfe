//! Any bytes as a foreign table of every format: a report or one error, never a panic, and no row is lost silently.

#![no_main]

use cormorant_lab::Ctx;
use cormorant_lab::tasks::import::{FORMATS, Options, look};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // The first byte chooses format and options, so that seeds stay readable behind it.
    let Some((&choice, table)) = data.split_first() else { return };
    let format = FORMATS[choice as usize % FORMATS.len()];
    let column = |name: &str| format.roles_by_option.then(|| name.to_owned());
    let options = Options {
        no_header: format.roles_by_option && choice & 0x20 != 0,
        time: column("time").filter(|_| choice & 0x40 != 0),
        group: column("group").filter(|_| choice & 0x40 != 0),
        skip_bad: if choice & 0x80 == 0 { 0 } else { u64::MAX },
        ..Options::default()
    };
    if let Ok(report) = look(format.name, table, &options, &Ctx::new(0, 1)) {
        assert!(report.rows > 0);
        assert_eq!(report.rows, report.labels.values().sum::<u64>());
        assert!(report.missing.values().all(|column| column.missing + column.infinite <= report.rows));
    }
});
