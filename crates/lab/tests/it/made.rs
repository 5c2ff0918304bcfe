//! Captures made by hand, packet by packet, and folders to put things in.

use std::path::{Path, PathBuf};

use cormorant_lab::extraction::FlowOptions;
use cormorant_lab::output::Output;
use cormorant_lab::tables::Naming;
use cormorant_lab::tasks::extract::{self, Report, Spec};
use cormorant_lab::{Ctx, LabError};

/// First second of every made capture.
pub(crate) const START_S: u32 = 1_700_000_000;

/// A pcap file in memory.
pub(crate) struct Made(pub(crate) Vec<u8>);

impl Made {
    pub(crate) fn new() -> Self {
        Self(vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0])
    }

    /// A UDP packet at `time_us` after the start.
    pub(crate) fn udp(
        self,
        time_us: u32,
        source: (&str, u16),
        destination: (&str, u16),
        payload: usize,
    ) -> Self {
        let mut segment = Vec::new();
        segment.extend_from_slice(&source.1.to_be_bytes());
        segment.extend_from_slice(&destination.1.to_be_bytes());
        segment.extend_from_slice(&(8 + payload as u16).to_be_bytes());
        segment.extend_from_slice(&[0, 0]);
        segment.extend(std::iter::repeat_n(0x61, payload));
        self.ip(time_us, 17, source.0, destination.0, &segment)
    }

    /// A TCP packet with these flags.
    pub(crate) fn tcp(
        self,
        time_us: u32,
        source: (&str, u16),
        destination: (&str, u16),
        flags: u8,
        payload: usize,
    ) -> Self {
        let mut segment = Vec::new();
        segment.extend_from_slice(&source.1.to_be_bytes());
        segment.extend_from_slice(&destination.1.to_be_bytes());
        segment.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend(std::iter::repeat_n(0x62, payload));
        self.ip(time_us, 6, source.0, destination.0, &segment)
    }

    fn ip(mut self, time_us: u32, protocol: u8, source: &str, destination: &str, segment: &[u8]) -> Self {
        let address = |text: &str| text.parse::<std::net::Ipv4Addr>().unwrap().octets();
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
        frame.extend_from_slice(&(20 + segment.len() as u16).to_be_bytes());
        frame.extend_from_slice(&[0, 1, 0, 0, 64, protocol, 0, 0]);
        frame.extend_from_slice(&address(source));
        frame.extend_from_slice(&address(destination));
        frame.extend_from_slice(segment);
        let length = frame.len() as u32;
        for word in [START_S + time_us / 1_000_000, time_us % 1_000_000, length, length] {
            self.0.extend_from_slice(&word.to_le_bytes());
        }
        self.0.extend_from_slice(&frame);
        self
    }

    pub(crate) fn write(self, path: &Path) {
        std::fs::write(path, self.0).unwrap();
    }
}

/// `flows` request and answer pairs between as many hosts.
pub(crate) fn talk(flows: u32) -> Made {
    (0..flows).fold(Made::new(), |made, flow| {
        let client = format!("10.0.{}.{}", flow / 250, flow % 250 + 1);
        let (client, server) = ((client.as_str(), 40_000 + (flow % 20_000) as u16), ("192.0.2.53", 53));
        made.udp(flow * 1000, client, server, 30 + flow as usize % 50).udp(
            flow * 1000 + 400,
            server,
            client,
            200,
        )
    })
}

pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// An extraction of the default set.
pub(crate) fn spec(captures: &[PathBuf], output: &Path) -> Spec {
    Spec {
        captures: captures.to_vec(),
        reading: Default::default(),
        sets: vec!["flow".to_owned()],
        labels: None,
        label_offset_s: 0,
        label: None,
        flow: FlowOptions::default(),
        resume: false,
        names: Naming::default(),
        output: Output::parse(&output.display().to_string()).unwrap(),
    }
}

pub(crate) fn extract(spec: &Spec) -> Result<Report, LabError> {
    extract::run(spec, &Ctx::new(1, 2))
}

/// The bundled samples.
pub(crate) fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples").join(name)
}

/// The cells of a CSV, header first.
pub(crate) fn cells(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).unwrap();
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// One column of a CSV without its header.
pub(crate) fn column(path: &Path, name: &str) -> Vec<String> {
    let rows = cells(path);
    let place = rows[0].iter().position(|field| field == name).unwrap_or_else(|| panic!("no column {name}"));
    rows[1..].iter().map(|row| row[place].clone()).collect()
}
