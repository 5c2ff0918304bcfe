//! Made-up problems with known answers, the same on every machine.

use cormorant_learn::matrix::Matrix;
use cormorant_learn::rng;
use cormorant_learn::table::{BENIGN, Column, Field, MALICIOUS, Role, Table, TextColumn};
use rand::RngExt;

/// Rows around one centre per class, with 4 columns of which the last says nothing; classes in turn.
pub(crate) fn blobs(rows: usize, classes: usize, seed: u64) -> (Matrix, Vec<u32>) {
    let mut rng = rng::stream(seed, "blobs", classes as u64);
    let mut noise = || (0..6).map(|_| rng.random::<f64>()).sum::<f64>() - 3.0;
    let (mut values, mut y) = (Vec::new(), Vec::new());
    for row in 0..rows {
        let class = row % classes;
        let centre = |column: usize| if column == class % 3 { 2.0 } else { 0.0 };
        values.extend((0..3).map(|column| centre(column) + noise()));
        values.push(noise());
        y.push(class as u32);
    }
    (Matrix::from_values(rows, 4, values), y)
}

/// Benign and malicious flows of ten hosts over an hour: `bytes` spans powers of ten and is missing now and then,
/// `service` is text, `constant` is constant. Scans send little, exfiltration sends much, beacons are regular.
pub(crate) fn traffic(rows: usize, seed: u64) -> Table {
    let mut rng = rng::stream(seed, "traffic", 0);
    let mut made = Made::default();
    for row in 0..rows {
        let malicious = row % 3 == 0;
        let family = ["scan", "exfil", "beacon"][row / 3 % 3];
        let spread = rng.random::<f64>();
        made.bytes.push(match (malicious, family) {
            _ if row % 29 == 28 => f64::NAN,
            (true, "scan") => 40.0 + 40.0 * spread,
            (true, "exfil") => 1e6 * (1.0 + 9.0 * spread),
            _ => 10f64.powf(2.0 + 4.0 * spread),
        });
        made.gaps.push(match (malicious, family) {
            (true, "beacon") => 0.01 * rng.random::<f64>(),
            _ => 0.05 + rng.random::<f64>(),
        });
        made.packets.push(1 + (spread * 50.0) as u64);
        made.services.push(["https", "dns", "ssh", "ntp"][(rng.random::<f64>() * 4.0) as usize]);
        made.hosts.push(format!("host-{}", rng.random_range(0..10)));
        made.times.push(1_700_000_000_000_000_000 + row as i64 * 1_000_000_000);
        made.labels.push(if malicious { MALICIOUS } else { BENIGN });
        made.families.push(malicious.then_some(family));
    }
    made.table()
}

#[derive(Default)]
struct Made {
    bytes: Vec<f64>,
    gaps: Vec<f64>,
    packets: Vec<u64>,
    services: Vec<&'static str>,
    hosts: Vec<String>,
    times: Vec<i64>,
    labels: Vec<&'static str>,
    families: Vec<Option<&'static str>>,
}

impl Made {
    fn table(self) -> Table {
        let field = Field::new;
        let fields = vec![
            field("host", "", Role::Group),
            field("time", "ns", Role::Time),
            field("bytes", "bytes", Role::Feature),
            field("gap_variation", "", Role::Feature),
            field("packets", "packets", Role::Feature),
            field("service", "", Role::Feature),
            field("constant", "", Role::Feature),
            field("label", "", Role::Label),
            field("family", "", Role::Family),
        ];
        let text =
            |texts: &[&str]| Column::Text(TextColumn::from_texts(texts.iter().map(|text| Some(*text))));
        let rows = self.bytes.len();
        let columns = vec![
            Column::Text(TextColumn::from_texts(self.hosts.iter().map(|host| Some(host.as_str())))),
            Column::I64(self.times),
            Column::F64(self.bytes),
            Column::F64(self.gaps),
            Column::U64(self.packets),
            text(&self.services),
            Column::I64(vec![7; rows]),
            text(&self.labels),
            Column::Text(TextColumn::from_texts(self.families)),
        ];
        Table::new(fields, columns).unwrap()
    }
}
