//! Small conversations written by hand, for tests whose arithmetic is done by hand.

use cormorant_net::flow::FlowConfig;
use cormorant_net::meter::{MeterReport, MeterSpec};

use super::traffic::{Made, Transport, frames};
use super::{Row, meter_bytes, pcap, rows};

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const ACK: u8 = 0x10;
pub(super) const SYN_ACK: u8 = SYN | ACK;

/// Who sends a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Server,
}

/// A segment between 10.0.0.1:40000 and 10.0.0.2:443, 0.1 s after the one before it, window 1000.
pub(super) fn segment(from: Sender, flags: u8, seq: u32, ack: u32, payload_bytes: u16) -> Made {
    let client = from == Sender::Client;
    Made {
        wait_ns: 100_000_000,
        vlan: None,
        ipv6: false,
        hosts: if client { (1, 2) } else { (2, 1) },
        ports: if client { (40_000, 443) } else { (443, 40_000) },
        transport: Transport::Tcp { flags, seq, ack, window: 1_000 },
        payload_bytes,
        fragment: None,
        ttl: 64,
    }
}

/// What the client sends.
pub(super) fn client(flags: u8, seq: u32, ack: u32, payload_bytes: u16) -> Made {
    segment(Sender::Client, flags, seq, ack, payload_bytes)
}

/// What the server sends.
pub(super) fn server(flags: u8, seq: u32, ack: u32, payload_bytes: u16) -> Made {
    segment(Sender::Server, flags, seq, ack, payload_bytes)
}

impl Made {
    /// The same after another time.
    pub(super) fn after(self, seconds: f64) -> Made {
        Made { wait_ns: (seconds * 1e9) as i64, ..self }
    }

    /// The same with another window.
    pub(super) fn window(self, window: u16) -> Made {
        let transport = match self.transport {
            Transport::Tcp { flags, seq, ack, .. } => Transport::Tcp { flags, seq, ack, window },
            other => other,
        };
        Made { transport, ..self }
    }
}

/// SYN 100, SYN-ACK 500, ACK: the next numbers are 101 and 501.
pub(super) fn handshake() -> Vec<Made> {
    vec![client(SYN, 100, 0, 0), server(SYN_ACK, 500, 101, 0), client(ACK, 101, 501, 0)]
}

/// A handshake and what follows it.
pub(super) fn opened(rest: impl IntoIterator<Item = Made>) -> Vec<Made> {
    handshake().into_iter().chain(rest).collect()
}

/// The `flow` rows of these packets and the report.
pub(super) fn metered_with(made: &[Made], flow: FlowConfig) -> (Vec<Row>, MeterReport) {
    let spec = MeterSpec { sets: vec!["flow".into(), "splt".into()], flow, ..MeterSpec::default() };
    let (batches, report) = meter_bytes(&pcap(&frames(made)), &spec);
    (rows(&batches), report)
}

/// The `flow` rows of these packets with the default timeouts.
pub(super) fn metered(made: &[Made]) -> Vec<Row> {
    metered_with(made, FlowConfig::default()).0
}

/// The only row.
pub(super) fn single(made: &[Made]) -> Row {
    let mut rows = metered(made);
    assert_eq!(rows.len(), 1, "rows of {made:#?}");
    rows.remove(0)
}
