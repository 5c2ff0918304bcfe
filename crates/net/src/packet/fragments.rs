//! Gives later fragments the ports of their first one: a bounded memory of recent first fragments.

use std::net::IpAddr;

use super::{Fragment, Packet};

/// Datagrams remembered unless [`FragmentPorts::with_capacity`] says otherwise.
const CAPACITY: usize = 4096;

/// Ports of recently seen first fragments. Fragments carry (source, destination, identification) and, in IPv4,
/// the protocol; that is the key (RFC 791 section 3.2, RFC 8200 section 4.5).
#[derive(Debug)]
pub struct FragmentPorts {
    entries: hashbrown::HashMap<Key, Ports>,
    /// Keys in order of arrival, as a ring: the oldest entry is replaced when the memory is full.
    arrivals: Vec<Key>,
    next: usize,
    capacity: usize,
    unresolved: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    protocol: u8,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    source: u16,
    destination: u16,
    protocol: u8,
}

impl Default for FragmentPorts {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl FragmentPorts {
    /// Remembers at most `capacity` datagrams (at least one).
    pub fn with_capacity(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self { entries: hashbrown::HashMap::new(), arrivals: Vec::new(), next: 0, capacity, unresolved: 0 }
    }

    /// Notes a first fragment's ports; gives a later fragment the ports and the transport protocol of its first.
    /// A later fragment whose first was never seen, came after it or was forgotten stays without ports.
    #[inline]
    pub fn resolve(&mut self, packet: &mut Packet) {
        match packet.fragment {
            Fragment::None => {}
            Fragment::First { id, protocol } => self.remember(key(packet, id, protocol), packet),
            Fragment::Later { id, protocol } => match self.entries.get(&key(packet, id, protocol)) {
                Some(ports) => {
                    packet.source_port = ports.source;
                    packet.destination_port = ports.destination;
                    packet.protocol = ports.protocol;
                }
                None => self.unresolved = self.unresolved.saturating_add(1),
            },
        }
    }

    /// Later fragments that got no ports.
    pub fn unresolved(&self) -> u64 {
        self.unresolved
    }

    /// Datagrams remembered now.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no datagram is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn remember(&mut self, key: Key, packet: &Packet) {
        let ports = Ports {
            source: packet.source_port,
            destination: packet.destination_port,
            protocol: packet.protocol,
        };
        if self.entries.insert(key, ports).is_some() {
            return;
        }
        match self.arrivals.get_mut(self.next) {
            Some(oldest) => {
                self.entries.remove(oldest);
                *oldest = key;
            }
            None => self.arrivals.push(key),
        }
        self.next = (self.next + 1) % self.capacity;
    }
}

/// An IPv6 packet's pieces may name different protocols (RFC 8200 section 4.5), so there the number is no key.
fn key(packet: &Packet, id: u32, protocol: u8) -> Key {
    let protocol = if packet.source.is_ipv4() { protocol } else { 0 };
    Key { source: packet.source, destination: packet.destination, id, protocol }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ipv4, packet_of};
    use super::*;

    /// A piece of datagram `id`: the first with ports `id` and 53, or a later one.
    fn piece(id: u16, first: bool) -> Packet {
        let [high, low] = id.to_be_bytes();
        let mut data = ipv4(17, 28, if first { 0x2000 } else { 1 }, &[high, low, 0, 53, 1, 0, 0, 0]);
        (data[4], data[5]) = (high, low);
        packet_of(&data).0
    }

    fn resolved(ports: &mut FragmentPorts, mut packet: Packet) -> (u16, u16) {
        ports.resolve(&mut packet);
        (packet.source_port, packet.destination_port)
    }

    #[test]
    fn later_pieces_get_the_ports_of_the_first() {
        let mut ports = FragmentPorts::default();
        assert_eq!(resolved(&mut ports, piece(9, false)), (0, 0));
        assert_eq!(resolved(&mut ports, piece(9, true)), (9, 53));
        assert_eq!(resolved(&mut ports, piece(9, false)), (9, 53));
        assert_eq!(resolved(&mut ports, piece(8, false)), (0, 0));
        let mut reversed = piece(9, false);
        std::mem::swap(&mut reversed.source, &mut reversed.destination);
        assert_eq!(resolved(&mut ports, reversed), (0, 0));
        assert_eq!((ports.unresolved(), ports.len()), (3, 1));
    }

    #[test]
    fn the_oldest_datagram_is_forgotten_first_and_the_memory_stays_bounded() {
        let mut ports = FragmentPorts::with_capacity(3);
        for id in [1, 2, 2, 3, 4, 5] {
            resolved(&mut ports, piece(id, true));
            assert!(ports.len() <= 3 && ports.arrivals.len() <= 3);
        }
        let known: Vec<u16> =
            (1..=5).filter(|id| resolved(&mut ports, piece(*id, false)) != (0, 0)).collect();
        assert_eq!(known, [3, 4, 5]);
    }
}
