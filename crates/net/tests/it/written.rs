//! Writes captures for tests: pcap and pcapng in both byte orders, and the packets in them.

/// One frame to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) ts_ns: i64,
    pub(crate) wire_bytes: u32,
    pub(crate) data: Vec<u8>,
}

/// The byte order of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    pub(crate) const BOTH: [Self; 2] = [Self::Little, Self::Big];

    pub(crate) fn u16(self, value: u16) -> [u8; 2] {
        if self == Self::Big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub(crate) fn u32(self, value: u32) -> [u8; 4] {
        if self == Self::Big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub(crate) fn u64(self, value: u64) -> [u8; 8] {
        if self == Self::Big { value.to_be_bytes() } else { value.to_le_bytes() }
    }
}

/// A few frames of different lengths, one cut by a snapshot length, microsecond times.
pub(crate) fn frames() -> Vec<Written> {
    let payloads: [&[u8]; 4] = [b"", b"a", b"query", b"a longer answer that needs no padding..."];
    let mut frames: Vec<Written> = payloads
        .iter()
        .zip(0_i64..)
        .map(|(payload, at)| {
            let data = udp([10, 0, 0, 1], [10, 0, 0, 2], 1000, 53, payload);
            let ts_ns = 1_700_000_000_000_000_000 + at * 1_234_000;
            Written { ts_ns, wire_bytes: data.len() as u32, data }
        })
        .collect();
    if let Some(last) = frames.last_mut() {
        last.data.truncate(50);
    }
    frames
}

/// An Ethernet frame with a UDP datagram; checksums are left 0.
pub(crate) fn udp(source: [u8; 4], destination: [u8; 4], from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let length = 8 + payload.len() as u16;
    let datagram =
        [&from.to_be_bytes()[..], &to.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload].concat();
    ethernet(0x0800, &ipv4(17, source, destination, &datagram))
}

/// Twelve address bytes, the type, the payload.
pub(crate) fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], &ethertype.to_be_bytes()[..], payload].concat()
}

/// An IPv4 header without options before `payload`.
pub(crate) fn ipv4(protocol: u8, source: [u8; 4], destination: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let [high, low] = (20 + payload.len() as u16).to_be_bytes();
    let header = [0x45, 0, high, low, 0, 1, 0, 0, 64, protocol, 0, 0];
    [&header[..], &source, &destination, payload].concat()
}

/// How a pcap file counts fractions of a second, and its magic number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pcap {
    Microseconds,
    Nanoseconds,
    /// Microseconds with Kuznetzov's 24-byte record headers.
    Modified,
}

/// A pcap file, with the file offset of each record.
pub(crate) fn pcap(order: Order, kind: Pcap, link: u32, frames: &[Written]) -> (Vec<u8>, Vec<usize>) {
    let magic = match kind {
        Pcap::Microseconds => 0xa1b2_c3d4,
        Pcap::Nanoseconds => 0xa1b2_3c4d,
        Pcap::Modified => 0xa1b2_cd34,
    };
    let mut file =
        [&order.u32(magic)[..], &order.u16(2), &order.u16(4), &[0; 8], &order.u32(65_535)].concat();
    file.extend(order.u32(link));
    let mut offsets = Vec::new();
    for frame in frames {
        offsets.push(file.len());
        let fraction_ns = (frame.ts_ns % 1_000_000_000) as u32;
        let fraction = if matches!(kind, Pcap::Nanoseconds) { fraction_ns } else { fraction_ns / 1_000 };
        file.extend(order.u32((frame.ts_ns / 1_000_000_000) as u32));
        file.extend(order.u32(fraction));
        file.extend(order.u32(frame.data.len() as u32));
        file.extend(order.u32(frame.wire_bytes));
        if matches!(kind, Pcap::Modified) {
            file.extend([0; 8]);
        }
        file.extend(&frame.data);
    }
    (file, offsets)
}

/// A pcapng block of any type around a body, which is padded to 32 bits.
pub(crate) fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
    let length = order.u32((12 + body.len() + padding.len()) as u32);
    [&order.u32(kind)[..], &length, body, &padding, &length].concat()
}

pub(crate) fn section(order: Order) -> Vec<u8> {
    let body = [&order.u32(0x1a2b_3c4d)[..], &order.u16(1), &order.u16(0), &order.u64(u64::MAX)].concat();
    block(order, 0x0a0d_0d0a, &body)
}

/// An interface description with options, each a code and a value.
pub(crate) fn interface(order: Order, link: u16, snaplen: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
    let fields = [&order.u16(link)[..], &[0, 0], &order.u32(snaplen)].concat();
    block(order, 1, &[fields, listed(order, options)].concat())
}

/// Statistics of an interface, each an option's code and a count.
pub(crate) fn statistics(order: Order, interface: u32, counts: &[(u16, u64)]) -> Vec<u8> {
    let values: Vec<(u16, [u8; 8])> = counts.iter().map(|(code, count)| (*code, order.u64(*count))).collect();
    let options: Vec<(u16, &[u8])> = values.iter().map(|(code, value)| (*code, &value[..])).collect();
    let fields = [&order.u32(interface)[..], &[0; 8]].concat();
    block(order, 5, &[fields, listed(order, &options)].concat())
}

/// Options as they stand at the end of a block, with their end mark if there are any.
fn listed(order: Order, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut list = Vec::new();
    for (code, value) in options {
        list.extend(order.u16(*code));
        list.extend(order.u16(value.len() as u16));
        list.extend(*value);
        list.resize(list.len().next_multiple_of(4), 0);
    }
    if !options.is_empty() {
        list.extend([0; 4]);
    }
    list
}

/// An enhanced packet block whose time stamp is `ticks`.
pub(crate) fn packet(order: Order, interface: u32, ticks: u64, frame: &Written) -> Vec<u8> {
    let mut body = order.u32(interface).to_vec();
    body.extend(order.u32((ticks >> 32) as u32));
    body.extend(order.u32(ticks as u32));
    body.extend(order.u32(frame.data.len() as u32));
    body.extend(order.u32(frame.wire_bytes));
    body.extend(&frame.data);
    block(order, 6, &body)
}

/// A pcapng file with one Ethernet interface that counts microseconds, and the file offset of each packet block.
pub(crate) fn pcapng(order: Order, frames: &[Written]) -> (Vec<u8>, Vec<usize>) {
    let mut file = [section(order), interface(order, 1, 65_535, &[])].concat();
    let mut offsets = Vec::new();
    for frame in frames {
        offsets.push(file.len());
        file.extend(packet(order, 0, (frame.ts_ns / 1_000) as u64, frame));
    }
    (file, offsets)
}
