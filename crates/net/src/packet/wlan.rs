//! IEEE 802.11 frames, bare or behind the headers in which drivers report the radio: radiotap, Prism, AVS.
//!
//! A frame check sequence at the end needs no care: it lies behind the IP packet, whose own length decides.

use super::{Fault, Network, Protocol, Stop, ethernet};

/// Reads the frame at `start`. Only data frames carry packets, and only in the clear: a frame of a protected network
/// is named as encrypted, a later fragment of a frame has no header to read. Of an A-MSDU the first subframe counts.
pub(super) fn decode(data: &[u8], start: usize) -> Result<Network, Stop> {
    decode_padded(data, start, 1)
}

const TYPE: u8 = 0x0c;
const DATA: u8 = 0x08;
const CONTROL: u8 = 0x04;
const QOS: u8 = 0x80;
const NULL: u8 = 0x40;

const BOTH_SYSTEMS: u8 = 0x03;
const PROTECTED: u8 = 0x40;
const HT_CONTROL: u8 = 0x80;

const A_MSDU: u8 = 0x80;

/// As [`decode`], the header padded to a multiple of `unit` bytes.
fn decode_padded(data: &[u8], start: usize, unit: usize) -> Result<Network, Stop> {
    let rest = data.get(start..).unwrap_or_default();
    let [kind, flags] = *rest.first_chunk().ok_or(Fault::ShortLink)?;
    match kind & TYPE {
        DATA if kind & NULL != 0 => Err(Stop::Holding(Protocol::WlanData)),
        DATA if flags & PROTECTED != 0 => Err(Stop::Holding(Protocol::WlanEncrypted)),
        DATA => decode_data(data, start, (kind, flags), unit),
        CONTROL => Err(Stop::Holding(Protocol::WlanControl)),
        0 => Err(Stop::Holding(Protocol::WlanManagement)),
        _ => Err(Stop::Holding(Protocol::WlanExtension)),
    }
}

/// A data frame: frame control, duration, three addresses and the sequence (24 bytes), a fourth address between two
/// access points, then QoS and HT control if flagged (IEEE 802.11-2020 section 9.3.2.1).
fn decode_data(data: &[u8], start: usize, (kind, flags): (u8, u8), unit: usize) -> Result<Network, Stop> {
    let byte = |at: usize| data.get(start + at).copied().ok_or(Fault::ShortLink);
    let mut header_bytes = if flags & BOTH_SYSTEMS == BOTH_SYSTEMS { 30 } else { 24 };
    let mut aggregated = false;
    if kind & QOS != 0 {
        aggregated = byte(header_bytes)? & A_MSDU != 0;
        header_bytes += if flags & HT_CONTROL != 0 { 6 } else { 2 };
    }
    if byte(22)? & 0x0f != 0 {
        return Err(Stop::Holding(Protocol::WlanData));
    }
    let start = start + header_bytes.next_multiple_of(unit);
    // Each subframe of an A-MSDU has addresses and length like Ethernet (section 9.3.2.2).
    let start = if aggregated { start + 14 } else { start };
    ethernet::decode_llc(data, start)
        .map(|(ethertype, start)| Network { ethertype, start, vlan: 0 })
        .ok_or(if data.len() < start + 8 { Fault::ShortLink.into() } else { Stop::Holding(Protocol::Llc) })
}

/// Reads a radiotap header (radiotap.org): version 0, length, and bitmaps of the fields present, of which only the
/// flags matter: whether the frame's header was padded to a multiple of 4 bytes.
pub(super) fn decode_radiotap(data: &[u8]) -> Result<Network, Stop> {
    let [version, _, length_low, length_high, present @ ..] =
        *data.first_chunk::<8>().ok_or(Fault::ShortLink)?;
    let header_bytes = usize::from(u16::from_le_bytes([length_low, length_high]));
    if version != 0 || header_bytes < 8 {
        return Err(Fault::BadRadioHeader.into());
    }
    let header = data.get(..header_bytes).ok_or(Fault::ShortLink)?;
    let unit = if radiotap_flags(header, u32::from_le_bytes(present)) & 0x20 == 0 { 1 } else { 4 };
    decode_padded(data, header_bytes, unit)
}

/// The flags field, 0 when absent: behind all bitmaps (each says in its top bit whether another follows) and the
/// time stamp, which is aligned to 8 bytes.
fn radiotap_flags(header: &[u8], present: u32) -> u8 {
    const TIME: u32 = 1;
    const FLAGS: u32 = 1 << 1;
    let bitmaps = header.get(4..).unwrap_or_default().chunks_exact(4);
    let more = bitmaps.take_while(|bitmap| bitmap.last().is_some_and(|top| top & 0x80 != 0)).count();
    let fields = 8 + 4 * more;
    let place = if present & TIME == 0 { fields } else { fields.next_multiple_of(8) + 8 };
    if present & FLAGS == 0 { 0 } else { header.get(place).copied().unwrap_or(0) }
}

/// Reads a Prism header, 144 bytes, or what some drivers put in its place: an AVS header, told by its number.
pub(super) fn decode_prism(data: &[u8]) -> Result<Network, Stop> {
    match *data.first_chunk::<4>().ok_or(Fault::ShortLink)? {
        [0x80, 0x21, 0x10, _] => decode_avs(data),
        _ => decode(data, 144),
    }
}

/// Reads an AVS header: its number, then its length, both big-endian.
pub(super) fn decode_avs(data: &[u8]) -> Result<Network, Stop> {
    let [.., a, b, c, d] = *data.first_chunk::<8>().ok_or(Fault::ShortLink)?;
    match u32::from_be_bytes([a, b, c, d]) {
        header_bytes @ 8..=0xffff => decode(data, header_bytes as usize),
        _ => Err(Fault::BadRadioHeader.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAP: [u8; 8] = [0xaa, 0xaa, 0x03, 0, 0, 0, 0x08, 0x00];

    /// A data frame of this frame control with a header of 24 bytes, then `tail`.
    fn frame(kind: u8, flags: u8, tail: &[u8]) -> Vec<u8> {
        [&[kind, flags][..], &[0; 22], tail, &SNAP, &[0x45; 20]].concat()
    }

    fn found(start: usize) -> Result<Network, Stop> {
        Ok(Network { ethertype: ethernet::IPV4, start, vlan: 0 })
    }

    #[test]
    fn every_shape_of_a_data_header() {
        assert_eq!(decode(&frame(0x08, 0x01, &[]), 0), found(32));
        assert_eq!(decode(&frame(0x08, 0x03, &[0; 6]), 0), found(38));
        assert_eq!(decode(&frame(0x88, 0x02, &[0, 0]), 0), found(34));
        assert_eq!(decode(&frame(0x88, 0x83, &[0; 12]), 0), found(44));
        let aggregated = [&[0x80, 0][..], &[0; 14]].concat();
        assert_eq!(decode(&frame(0x88, 0x02, &aggregated), 0), found(48));
    }

    #[test]
    fn frames_without_a_packet_are_named() {
        for (kind, flags, protocol) in [
            (0x80, 0x00, Protocol::WlanManagement),
            (0xd4, 0x00, Protocol::WlanControl),
            (0x0c, 0x00, Protocol::WlanExtension),
            (0x48, 0x01, Protocol::WlanData),
            (0xc8, 0x41, Protocol::WlanData),
            (0x08, 0x41, Protocol::WlanEncrypted),
        ] {
            assert_eq!(decode(&frame(kind, flags, &[]), 0), Err(Stop::Holding(protocol)), "{kind:#x}");
        }
        let mut later = frame(0x08, 0x01, &[]);
        later[22] = 0x01;
        assert_eq!(decode(&later, 0), Err(Stop::Holding(Protocol::WlanData)));
    }

    #[test]
    fn radiotap_pads_the_frames_header_when_it_says_so() {
        let plain = [&[0, 0, 8, 0, 0, 0, 0, 0][..], &frame(0x08, 0x01, &[])].concat();
        assert_eq!(decode_radiotap(&plain), found(40));
        // A second bitmap, a time stamp aligned to 16, flags with padding (0x20) and a check sequence (0x10).
        let mut header = vec![0, 0, 25, 0, 0x03, 0, 0, 0x80, 0, 0, 0, 0];
        header.extend([&[0xff; 12][..], &[0x30]].concat());
        let padded = [&header[..], &frame(0x88, 0x01, &[0; 4])].concat();
        assert_eq!(decode_radiotap(&padded), found(25 + 28 + 8));
        let mut unpadded = padded.clone();
        unpadded[24] = 0x10;
        assert_eq!(decode_radiotap(&unpadded), Err(Stop::Holding(Protocol::Llc)));
        assert_eq!(decode_radiotap(&padded[..24]), Err(Stop::At(Fault::ShortLink)));
        assert_eq!(decode_radiotap(&[1, 0, 8, 0, 0, 0, 0, 0]), Err(Stop::At(Fault::BadRadioHeader)));
    }

    #[test]
    fn older_radio_headers() {
        let prism = [&[0x44, 0, 0, 0, 144, 0, 0, 0][..], &[0; 136], &frame(0x08, 0x01, &[])].concat();
        assert_eq!(decode_prism(&prism), found(176));
        let avs = [&[0x80, 0x21, 0x10, 0x01, 0, 0, 0, 64][..], &[0; 56], &frame(0x08, 0x01, &[])].concat();
        assert_eq!(decode_prism(&avs), found(96));
        assert_eq!(decode_avs(&avs), found(96));
        assert_eq!(decode_avs(&[0; 8]), Err(Stop::At(Fault::BadRadioHeader)));
    }
}
