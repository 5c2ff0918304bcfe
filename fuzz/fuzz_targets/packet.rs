//! Any bytes as a frame of any link type: what decoding yields stays within the frame.

#![no_main]

use cormorant_net::capture::{Frame, LinkType};
use cormorant_net::packet::{self, Fragment};
use libfuzzer_sys::fuzz_target;

const LINKS: [u32; 18] = [1, 1, 1, 0, 12, 14, 101, 108, 113, 228, 229, 276, 9, 50, 51, 105, 127, 192];

fuzz_target!(|data: &[u8]| {
    let [link, beyond_high, beyond_low, data @ ..] = data else { return };
    let link = LINKS.get(usize::from(*link)).copied().unwrap_or(u32::from(*link));
    let wire_bytes = data.len() as u32 + u32::from(u16::from_be_bytes([*beyond_high, *beyond_low]));
    let frame =
        Frame { number: 1, ts_ns: 0, offset: 0, wire_bytes, link: LinkType(link), interface: 0, data };
    let decoded = packet::decode(&frame);
    let Some(packet) = decoded.packet else { return };
    let (start, end) = packet.payload;
    assert!(start <= end && end as usize <= data.len());
    assert!(end - start <= packet.payload_bytes);
    assert!(u32::from(packet.header_bytes) <= packet.ip_bytes || decoded.fault.is_some());
    assert!(
        packet.tcp.is_none() || packet.protocol == 6 && !matches!(packet.fragment, Fragment::Later { .. })
    );
});
