//! Finds the frames in a block of a TPACKET_V3 ring: the layouts of `linux/if_packet.h`, read with every offset and
//! length checked, because memory shared with somebody else is input like any other.
//!
//! A block starts with `tpacket_block_desc`; each frame with `tpacket3_hdr` and `sockaddr_ll`, linked by offsets.

use std::ops::Range;

/// Length of a block's own header, `tpacket_block_desc`.
pub const BLOCK_HEADER_BYTES: usize = 48;
/// Length of `tpacket3_hdr`; the address of the frame, `sockaddr_ll`, follows it.
pub const FRAME_HEADER_BYTES: usize = 48;
/// Length of `sockaddr_ll`.
const ADDRESS_BYTES: usize = 20;
/// `tpacket_versions::TPACKET_V3`, as the block's header carries it.
const VERSION: u32 = 2;

/// `TP_STATUS_VLAN_VALID`: the kernel took an 802.1Q or 802.1ad tag out of the frame.
const VLAN_VALID: u32 = 1 << 4;
/// `TP_STATUS_VLAN_TPID_VALID`: and says which.
const VLAN_TPID_VALID: u32 = 1 << 6;
/// What the tag started with when the kernel does not say.
const TPID_8021Q: u16 = 0x8100;

/// A frame found in a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Capture time in nanoseconds since the UNIX epoch, by the kernel's clock.
    pub ts_ns: i64,
    /// Length on the wire, without a tag the kernel took out.
    pub wire_bytes: u32,
    /// The tag the kernel took out.
    pub vlan: Option<VlanTag>,
    /// Where the kernel's `sockaddr_ll` lies in the block.
    pub address: Range<usize>,
    /// Where the captured bytes lie in the block.
    pub data: Range<usize>,
}

/// A VLAN tag that the kernel keeps beside the frame instead of in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanTag {
    /// 0x8100 (802.1Q), 0x88a8 (802.1ad) or an older number.
    pub tpid: u16,
    /// Priority, drop eligibility and VLAN identifier.
    pub tci: u16,
}

/// What the kernel says of the link layer of a frame: `sockaddr_ll`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// EtherType, or a number below 1536 for what has none.
    pub protocol: u16,
    /// Index of the interface.
    pub interface: u32,
    /// `ARPHRD_` number of the interface.
    pub hardware: u16,
    /// To this machine 0, broadcast 1, multicast 2, to another machine 3, sent by this machine 4.
    pub kind: u8,
    /// Meaningful bytes of `address`.
    pub length: u8,
    /// The sender's link-layer address.
    pub address: [u8; 8],
}

/// What no kernel writes into a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBlock {
    /// The block's header is of another version.
    #[error("a block of version {0}, expected 2")]
    Version(u32),
    /// A header would lie outside the block, or inside the one before it.
    #[error("a header at byte {at} of a block of {bytes} bytes")]
    Header {
        /// Where it should have been.
        at: usize,
        /// Length of the block.
        bytes: usize,
    },
    /// A frame's bytes would lie outside the block, or inside its header.
    #[error("a frame of {length} bytes at byte {at} of a block of {bytes} bytes")]
    Frame {
        /// Where it should have been.
        at: usize,
        /// Its captured length.
        length: usize,
        /// Length of the block.
        bytes: usize,
    },
}

/// Where the walk over a block stands.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// Offset of the next frame's header.
    header: usize,
    /// Frames not yet yielded.
    left: u32,
}

impl Walk {
    /// Reads the header of a block.
    ///
    /// # Errors
    /// A block without a whole header, or of another version.
    pub fn begin(block: &[u8]) -> Result<Self, BadBlock> {
        let short = BadBlock::Header { at: 0, bytes: block.len() };
        let field = |at| u32_at(block, at).ok_or(short);
        let version = field(0)?;
        if version != VERSION {
            return Err(BadBlock::Version(version));
        }
        let (left, header) = (field(12)?, field(16)? as usize);
        if left > 0 && header < BLOCK_HEADER_BYTES {
            return Err(BadBlock::Header { at: header, bytes: block.len() });
        }
        Ok(Self { header, left })
    }

    /// The next frame; `None` after the last. Ends for any content, as each header lies behind the one before.
    ///
    /// # Errors
    /// A header or a frame that is not inside the block. Nothing after it can be found.
    #[inline]
    pub fn next(&mut self, block: &[u8]) -> Result<Option<Place>, BadBlock> {
        if self.left == 0 {
            return Ok(None);
        }
        let (place, behind) = place(block, self.header)?;
        self.left -= 1;
        if self.left > 0 {
            if behind < FRAME_HEADER_BYTES {
                self.left = 0;
                return Err(BadBlock::Header { at: self.header.saturating_add(behind), bytes: block.len() });
            }
            self.header = self.header.saturating_add(behind);
        }
        Ok(Some(place))
    }
}

/// The frame whose header is at `at`, and how far behind it the next one is.
#[inline]
fn place(block: &[u8], at: usize) -> Result<(Place, usize), BadBlock> {
    let outside = BadBlock::Header { at, bytes: block.len() };
    let header = block.get(at..).and_then(|rest| rest.first_chunk::<FRAME_HEADER_BYTES>()).ok_or(outside)?;
    let field = |at| u32_at(header, at).unwrap_or_default();
    let [behind, seconds, nanoseconds, length, wire_bytes, status] = [0, 4, 8, 12, 16, 20].map(field);
    let start = at.saturating_add(usize::from(u16_at(header, 24).unwrap_or_default()));
    let address = at + FRAME_HEADER_BYTES..at + FRAME_HEADER_BYTES + ADDRESS_BYTES;
    let data = start..start.saturating_add(length as usize);
    if start < address.end || data.end > block.len() {
        return Err(BadBlock::Frame { at: start, length: length as usize, bytes: block.len() });
    }
    let vlan = (status & VLAN_VALID != 0).then(|| VlanTag {
        tpid: u16_at(header, 36).filter(|_| status & VLAN_TPID_VALID != 0).unwrap_or(TPID_8021Q),
        tci: field(32) as u16,
    });
    let ts_ns = i64::from(seconds) * 1_000_000_000 + i64::from(nanoseconds);
    let place = Place { ts_ns, wire_bytes: wire_bytes.max(length), vlan, address, data };
    Ok((place, behind as usize))
}

/// Reads the `sockaddr_ll` of a frame; `None` when the bytes are too few.
pub fn address(bytes: &[u8]) -> Option<Address> {
    let bytes = bytes.first_chunk::<ADDRESS_BYTES>()?;
    let [_, _, p0, p1, _, _, _, _, _, _, kind, length, address @ ..] = *bytes;
    Some(Address {
        protocol: u16::from_be_bytes([p0, p1]),
        interface: u32_at(bytes, 4)?,
        hardware: u16_at(bytes, 8)?,
        kind,
        length,
        address,
    })
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|field| u32::from_ne_bytes(*field))
}

#[inline]
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|field| u16::from_ne_bytes(*field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame as the kernel would be asked to store it.
    #[derive(Clone, Debug)]
    struct Stored {
        seconds: u32,
        nanoseconds: u32,
        cut_bytes: u32,
        vlan: Option<VlanTag>,
        data: Vec<u8>,
    }

    /// A block as `tpacket_rcv` in the kernel's `af_packet.c` lays it out.
    fn block(frames: &[Stored]) -> Vec<u8> {
        let mut block = vec![0_u8; BLOCK_HEADER_BYTES];
        put(&mut block, 0, VERSION);
        put(&mut block, 8, 1);
        put(&mut block, 12, frames.len() as u32);
        put(&mut block, 16, BLOCK_HEADER_BYTES as u32);
        for (number, frame) in frames.iter().enumerate() {
            let at = block.len();
            block.resize(at + 80, 0);
            block.extend(&frame.data);
            block.resize(block.len().next_multiple_of(8), 0);
            let behind = if number + 1 == frames.len() { 0 } else { (block.len() - at) as u32 };
            let status = 1 | frame.vlan.map_or(0, |_| VLAN_VALID | VLAN_TPID_VALID);
            let length = frame.data.len() as u32;
            let words = [behind, frame.seconds, frame.nanoseconds, length, length + frame.cut_bytes, status];
            words.iter().enumerate().for_each(|(word, &value)| put(&mut block, at + 4 * word, value));
            block[at + 24..at + 26].copy_from_slice(&80_u16.to_ne_bytes());
            if let Some(VlanTag { tpid, tci }) = frame.vlan {
                put(&mut block, at + 32, u32::from(tci));
                block[at + 36..at + 38].copy_from_slice(&tpid.to_ne_bytes());
            }
        }
        block.resize(block.len() + 64, 0xaa);
        block
    }

    fn put(block: &mut [u8], at: usize, value: u32) {
        block[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    /// Everything a walk yields, with a check of what every place promises.
    fn walk(block: &[u8]) -> (Vec<Place>, Option<BadBlock>) {
        let mut places = Vec::new();
        let mut walk = match Walk::begin(block) {
            Ok(walk) => walk,
            Err(bad) => return (places, Some(bad)),
        };
        loop {
            match walk.next(block) {
                Ok(Some(place)) => {
                    let data = block.get(place.data.clone()).expect("inside the block");
                    assert!(address(&block[place.address.clone()]).is_some());
                    assert!(place.wire_bytes as usize >= data.len());
                    places.push(place);
                    assert!(places.len() * FRAME_HEADER_BYTES <= block.len(), "headers do not overlap");
                }
                Ok(None) => return (places, None),
                Err(bad) => return (places, Some(bad)),
            }
        }
    }

    fn stored() -> impl Strategy<Value = Stored> {
        let vlan = proptest::option::of((any::<u16>(), any::<u16>()));
        let data = proptest::collection::vec(any::<u8>(), 0..200);
        (any::<u32>(), 0..1_000_000_000_u32, 0..3000_u32, vlan, data).prop_map(
            |(seconds, nanoseconds, cut_bytes, vlan, data)| {
                let vlan = vlan.map(|(tpid, tci)| VlanTag { tpid, tci });
                Stored { seconds, nanoseconds, cut_bytes, vlan, data }
            },
        )
    }

    #[test]
    fn an_empty_block_has_no_frames_and_another_version_is_refused() {
        assert_eq!(walk(&block(&[])), (Vec::new(), None));
        let mut other = block(&[]);
        put(&mut other, 0, 1);
        assert_eq!(walk(&other).1, Some(BadBlock::Version(1)));
        assert_eq!(walk(&[0; 7]).1, Some(BadBlock::Version(0)));
        assert_eq!(walk(&[]).1, Some(BadBlock::Header { at: 0, bytes: 0 }));
    }

    #[test]
    fn a_frame_that_claims_more_than_the_block_has_is_refused_after_those_before_it() {
        let frame = Stored { seconds: 1, nanoseconds: 2, cut_bytes: 0, vlan: None, data: vec![7; 60] };
        let mut long = block(&[frame.clone(), frame]);
        let second = BLOCK_HEADER_BYTES + 80 + 64;
        put(&mut long, second + 12, u32::MAX);
        let (places, bad) = walk(&long);
        assert_eq!(places.len(), 1);
        let bytes = long.len();
        assert_eq!(bad, Some(BadBlock::Frame { at: second + 80, length: u32::MAX as usize, bytes }));
    }

    #[test]
    fn a_header_that_points_at_itself_does_not_hold_the_walk_up() {
        let frame = Stored { seconds: 1, nanoseconds: 2, cut_bytes: 0, vlan: None, data: vec![7; 60] };
        let mut circle = block(&[frame.clone(), frame]);
        put(&mut circle, BLOCK_HEADER_BYTES, 0);
        put(&mut circle, 12, u32::MAX);
        assert!(matches!(walk(&circle), (places, Some(BadBlock::Header { .. })) if places.is_empty()));
    }

    #[test]
    fn the_link_layer_address_is_read_as_sent() {
        let bytes = [17, 0, 0x86, 0xdd, 3, 0, 0, 0, 1, 0, 4, 6, 1, 2, 3, 4, 5, 6, 0, 0];
        let expected = Address {
            protocol: 0x86dd,
            interface: u32::from_ne_bytes([3, 0, 0, 0]),
            hardware: u16::from_ne_bytes([1, 0]),
            kind: 4,
            length: 6,
            address: [1, 2, 3, 4, 5, 6, 0, 0],
        };
        assert_eq!(address(&bytes), Some(expected));
        assert_eq!(address(&bytes[..19]), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn offsets_are_those_of_the_system_headers() {
        use std::mem::offset_of;
        assert_eq!(size_of::<libc::tpacket_block_desc>(), BLOCK_HEADER_BYTES);
        assert_eq!(size_of::<libc::tpacket3_hdr>(), FRAME_HEADER_BYTES);
        assert_eq!(size_of::<libc::sockaddr_ll>(), ADDRESS_BYTES);
        let block = offset_of!(libc::tpacket_block_desc, hdr);
        let in_block = [
            offset_of!(libc::tpacket_hdr_v1, num_pkts),
            offset_of!(libc::tpacket_hdr_v1, offset_to_first_pkt),
        ];
        assert_eq!(in_block.map(|at| block + at), [12, 16]);
        let frame = [
            offset_of!(libc::tpacket3_hdr, tp_next_offset),
            offset_of!(libc::tpacket3_hdr, tp_sec),
            offset_of!(libc::tpacket3_hdr, tp_nsec),
            offset_of!(libc::tpacket3_hdr, tp_snaplen),
            offset_of!(libc::tpacket3_hdr, tp_len),
            offset_of!(libc::tpacket3_hdr, tp_status),
            offset_of!(libc::tpacket3_hdr, tp_mac),
            offset_of!(libc::tpacket3_hdr, hv1) + offset_of!(libc::tpacket_hdr_variant1, tp_vlan_tci),
            offset_of!(libc::tpacket3_hdr, hv1) + offset_of!(libc::tpacket_hdr_variant1, tp_vlan_tpid),
        ];
        assert_eq!(frame, [0, 4, 8, 12, 16, 20, 24, 32, 36]);
        let address = [
            offset_of!(libc::sockaddr_ll, sll_protocol),
            offset_of!(libc::sockaddr_ll, sll_ifindex),
            offset_of!(libc::sockaddr_ll, sll_hatype),
            offset_of!(libc::sockaddr_ll, sll_pkttype),
            offset_of!(libc::sockaddr_ll, sll_halen),
            offset_of!(libc::sockaddr_ll, sll_addr),
        ];
        assert_eq!(address, [2, 4, 8, 10, 11, 12]);
        assert_eq!(VLAN_VALID, libc::TP_STATUS_VLAN_VALID);
        assert_eq!(VLAN_TPID_VALID, libc::TP_STATUS_VLAN_TPID_VALID);
        assert_eq!(VERSION, libc::tpacket_versions::TPACKET_V3 as u32);
    }

    proptest! {
        #[test]
        fn every_frame_comes_back_as_it_was_stored(frames in proptest::collection::vec(stored(), 0..20)) {
            let block = block(&frames);
            let (places, bad) = walk(&block);
            prop_assert_eq!(bad, None);
            prop_assert_eq!(places.len(), frames.len());
            for (place, frame) in places.iter().zip(&frames) {
                prop_assert_eq!(&block[place.data.clone()], frame.data.as_slice());
                prop_assert_eq!(place.vlan, frame.vlan);
                prop_assert_eq!(place.wire_bytes as usize, frame.data.len() + frame.cut_bytes as usize);
                let ts_ns = i64::from(frame.seconds) * 1_000_000_000 + i64::from(frame.nanoseconds);
                prop_assert_eq!(place.ts_ns, ts_ns);
            }
        }

        #[test]
        fn arbitrary_bytes_are_walked_to_an_end(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), version in any::<bool>()) {
            if version && bytes.len() > 20 {
                put(&mut bytes, 0, VERSION);
                put(&mut bytes, 16, BLOCK_HEADER_BYTES as u32);
            }
            walk(&bytes);
        }

        #[test]
        fn a_sound_block_with_a_changed_word_is_walked_to_an_end(
            frames in proptest::collection::vec(stored(), 1..6),
            at in any::<proptest::sample::Index>(),
            value in any::<u32>(),
        ) {
            let mut block = block(&frames);
            let at = at.index(block.len() - 4);
            put(&mut block, at, value);
            walk(&block);
        }
    }
}
