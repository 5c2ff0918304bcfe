//! One ring as a sequence of whole frames, from the first to the orderly end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cormorant_afpacket::block::{Address, VlanTag};
use cormorant_afpacket::{Counts, Error, Ring};

use super::RETIRE_MS;
use crate::capture::LinkType;

/// Milliseconds to wait for frames before saying that there are none; also the longest a stop goes unnoticed.
const WAIT_MS: u32 = 100;
/// Times the kernel is waited for to hand over its last block, [`RETIRE_MS`] each: far more than it takes.
const LAST_WAITS: u32 = 100;
/// A VLAN tag comes after the two addresses of an Ethernet frame.
const TAG_AT: usize = 12;
/// `sll_pkttype` of frames that this machine sent, and `ARPHRD_LOOPBACK`.
const OUTGOING: u8 = 4;
const LOOPBACK: u16 = 772;

/// What a ring had to say.
pub(super) enum Heard {
    /// A frame; its bytes are lent separately, until the next call.
    Frame(Heading),
    /// Nothing now.
    Quiet,
    /// Nothing any more, as it was told to stop.
    End,
}

/// What is known of a frame beside its bytes.
#[derive(Clone, Copy)]
pub(super) struct Heading {
    /// Capture time in nanoseconds since the UNIX epoch.
    pub(super) ts_ns: i64,
    /// Length on the wire.
    pub(super) wire_bytes: u32,
    /// Length of what was captured of it.
    pub(super) captured_bytes: usize,
}

/// A ring whose frames are as they were on the wire.
pub(super) struct Tap {
    ring: Ring,
    link: LinkType,
    snaplen_bytes: usize,
    stop: Arc<AtomicBool>,
    stopping: bool,
    last_waits: u32,
    wait_ms: u32,
    told_quiet: bool,
    /// A frame that is not in the ring as it was on the wire.
    rebuilt: Vec<u8>,
    captured: Captured,
}

/// Where the frame at hand is.
enum Captured {
    InRing { bytes: usize },
    Rebuilt,
}

impl Tap {
    pub(super) fn new(ring: Ring, link: LinkType, snaplen_bytes: usize, stop: Arc<AtomicBool>) -> Self {
        Self {
            ring,
            link,
            snaplen_bytes,
            stop,
            stopping: false,
            last_waits: LAST_WAITS,
            wait_ms: WAIT_MS,
            told_quiet: false,
            rebuilt: Vec::new(),
            captured: Captured::Rebuilt,
        }
    }

    /// Says more often that it is quiet.
    pub(super) fn with_wait_ms(self, wait_ms: u32) -> Self {
        Self { wait_ms, ..self }
    }

    /// The next frame. `Quiet` comes as soon as the ring is empty, and then each time waiting was in vain.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Heard, Error> {
        loop {
            if !self.stopping && self.stop.load(Ordering::Relaxed) {
                self.ring.stop()?;
                self.stopping = true;
            }
            while self.ring.advance()? {
                if let Some(heading) = self.take() {
                    self.told_quiet = false;
                    return Ok(Heard::Frame(heading));
                }
            }
            if let Some(heard) = self.at_rest()? {
                return Ok(heard);
            }
        }
    }

    /// The bytes of the frame that came last.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        match self.captured {
            Captured::InRing { bytes } => self.ring.frame().1.get(..bytes).unwrap_or_default(),
            Captured::Rebuilt => &self.rebuilt,
        }
    }

    /// The kernel's counters.
    pub(super) fn counts(&mut self) -> Counts {
        self.ring.counts()
    }

    /// The ring is empty: ends if asked to, says so, or waits. `None` when it may hold frames again.
    fn at_rest(&mut self) -> Result<Option<Heard>, Error> {
        if self.stopping {
            if self.last_waits == 0 || self.ring.counts().is_drained() {
                return Ok(Some(Heard::End));
            }
            self.last_waits -= 1;
            self.ring.wait(RETIRE_MS)?;
            return Ok(None);
        }
        if std::mem::replace(&mut self.told_quiet, true) && self.ring.wait(self.wait_ms)? {
            return Ok(None);
        }
        Ok(Some(Heard::Quiet))
    }

    /// Looks at the frame that the ring is at; `None` for the second copy of a frame on the loopback.
    #[inline]
    fn take(&mut self) -> Option<Heading> {
        let (place, data) = self.ring.frame();
        let (ts_ns, wire_bytes, vlan) = (place.ts_ns, place.wire_bytes, place.vlan);
        let in_ring = data.len().min(self.snaplen_bytes);
        let added = match self.link {
            LinkType::ETHERNET if vlan.is_none() => 0,
            LinkType::ETHERNET => restore_tag(&mut self.rebuilt, data, vlan),
            LinkType::LINUX_SLL2 => {
                let address = self.ring.address().filter(|from| !is_second_copy(from))?;
                cook(&mut self.rebuilt, data, &address, vlan)
            }
            _ => 0,
        };
        self.rebuilt.truncate(self.snaplen_bytes);
        self.captured = if added > 0 { Captured::Rebuilt } else { Captured::InRing { bytes: in_ring } };
        let captured_bytes = if added > 0 { self.rebuilt.len() } else { in_ring };
        Some(Heading { ts_ns, wire_bytes: wire_bytes.saturating_add(added), captured_bytes })
    }
}

/// Among all interfaces, the loopback shows each frame when it is sent and when it is received: the latter counts.
fn is_second_copy(from: &Address) -> bool {
    from.kind == OUTGOING && from.hardware == LOOPBACK
}

/// Puts an Ethernet frame's outer VLAN tag back between addresses and type; returns the bytes added.
fn restore_tag(frame: &mut Vec<u8>, data: &[u8], vlan: Option<VlanTag>) -> u32 {
    let (Some(VlanTag { tpid, tci }), Some((addresses, rest))) = (vlan, data.split_at_checked(TAG_AT)) else {
        return 0;
    };
    frame.clear();
    frame.extend_from_slice(addresses);
    frame.extend_from_slice(&tpid.to_be_bytes());
    frame.extend_from_slice(&tci.to_be_bytes());
    frame.extend_from_slice(rest);
    4
}

/// Puts a Linux cooked header, version 2, before a frame without link layer (tcpdump.org, LINKTYPE_LINUX_SLL2);
/// returns the bytes added. A VLAN tag stands as it would in any other frame: its number as the protocol, then the
/// tag, then the protocol.
fn cook(frame: &mut Vec<u8>, data: &[u8], from: &Address, vlan: Option<VlanTag>) -> u32 {
    frame.clear();
    frame.extend_from_slice(&vlan.map_or(from.protocol, |tag| tag.tpid).to_be_bytes());
    frame.extend_from_slice(&[0, 0]);
    frame.extend_from_slice(&from.interface.to_be_bytes());
    frame.extend_from_slice(&from.hardware.to_be_bytes());
    frame.extend_from_slice(&[from.kind, from.length]);
    frame.extend_from_slice(&from.address);
    if let Some(VlanTag { tci, .. }) = vlan {
        frame.extend_from_slice(&tci.to_be_bytes());
        frame.extend_from_slice(&from.protocol.to_be_bytes());
    }
    let added = frame.len() as u32;
    frame.extend_from_slice(data);
    added
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: VlanTag = VlanTag { tpid: 0x88a8, tci: 0x2005 };

    #[test]
    fn a_tag_comes_back_between_addresses_and_type() {
        let (mut frame, data) = (Vec::new(), [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 8, 0, 0x45]);
        assert_eq!(restore_tag(&mut frame, &data, Some(TAG)), 4);
        assert_eq!(frame, [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 0x88, 0xa8, 0x20, 0x05, 8, 0, 0x45]);
        assert_eq!(restore_tag(&mut frame, &data[..11], Some(TAG)), 0, "too short to have had one");
    }

    #[test]
    fn a_cooked_header_says_who_sent_what_on_which_interface() {
        let from = Address {
            protocol: 0x0800,
            interface: 7,
            hardware: 512,
            kind: 4,
            length: 6,
            address: [1, 2, 3, 4, 5, 6, 0, 0],
        };
        let mut frame = Vec::new();
        assert_eq!(cook(&mut frame, &[0x45], &from, None), 20);
        let header = [8, 0, 0, 0, 0, 0, 0, 7, 2, 0, 4, 6, 1, 2, 3, 4, 5, 6, 0, 0];
        assert_eq!(frame, [&header[..], &[0x45]].concat());
        assert_eq!(cook(&mut frame, &[0x45], &from, Some(TAG)), 24);
        assert_eq!(frame[..2], [0x88, 0xa8]);
        assert_eq!(frame[20..], [0x20, 0x05, 8, 0, 0x45]);
    }

    #[test]
    fn only_the_loopback_shows_a_frame_twice() {
        let from = Address { protocol: 0, interface: 1, hardware: 772, kind: 4, length: 0, address: [0; 8] };
        assert!(is_second_copy(&from));
        assert!(!is_second_copy(&Address { kind: 0, ..from }));
        assert!(!is_second_copy(&Address { hardware: 1, ..from }));
    }
}
