//! Numbers for tunnels, so that packets and flows carry four bytes instead of addresses: a bounded table that only
//! grows, filled in capture order.

use super::Tunnel;

/// Distinct tunnels told apart; packets in later ones share one number.
pub const MAX_TUNNELS: u32 = 65_536;
/// The number of every tunnel beyond the table.
const UNLISTED: u32 = MAX_TUNNELS + 1;

/// The tunnels of a capture, numbered from 1 in the order of their first packets.
#[derive(Debug, Default)]
pub struct Tunnels {
    numbers: hashbrown::HashMap<Tunnel, u32>,
    listed: Vec<Tunnel>,
    unlisted_packets: u64,
}

impl Tunnels {
    /// The number of a packet's tunnel, never 0; one number for all that come when the table is full.
    #[cold]
    pub fn number(&mut self, tunnel: &Tunnel) -> u32 {
        let next = self.listed.len() as u32 + 1;
        match self.numbers.get(tunnel) {
            Some(number) => *number,
            None if next <= MAX_TUNNELS => {
                self.listed.push(*tunnel);
                self.numbers.insert(*tunnel, next);
                next
            }
            None => {
                self.unlisted_packets = self.unlisted_packets.saturating_add(1);
                UNLISTED
            }
        }
    }

    /// Appends a tunnel as text: nothing for 0, `unlisted` for one beyond the table.
    pub fn write(&self, number: u32, out: &mut Vec<u8>) {
        let Some(place) = number.checked_sub(1) else { return };
        let _ = match self.listed.get(place as usize) {
            // Writing to a vector cannot fail.
            Some(tunnel) => std::io::Write::write_fmt(out, format_args!("{tunnel}")),
            None => std::io::Write::write_all(out, b"unlisted"),
        };
    }

    /// Tunnels in the table.
    pub fn len(&self) -> usize {
        self.listed.len()
    }

    /// Whether no packet was in a tunnel so far.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Packets whose tunnel found no place in the table.
    pub fn unlisted_packets(&self) -> u64 {
        self.unlisted_packets
    }
}

#[cfg(test)]
mod tests {
    use super::super::TunnelKind;
    use super::*;

    fn tunnel(id: u32, depth: u8) -> Tunnel {
        let (source, destination) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        Tunnel { kind: TunnelKind::Vxlan, source, destination, id, depth }
    }

    fn text(tunnels: &Tunnels, number: u32) -> String {
        let mut out = Vec::new();
        tunnels.write(number, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn numbers_follow_the_order_of_arrival_and_read_as_text() {
        let mut tunnels = Tunnels::default();
        assert_eq!(tunnels.number(&tunnel(42, 1)), 1);
        assert_eq!(tunnels.number(&tunnel(0, 2)), 2);
        assert_eq!(tunnels.number(&tunnel(42, 1)), 1);
        assert_eq!(text(&tunnels, 0), "");
        assert_eq!(text(&tunnels, 1), "vxlan 10.0.0.1>10.0.0.2 id=42");
        assert_eq!(text(&tunnels, 2), "vxlan 10.0.0.1>10.0.0.2 depth=2");
    }

    #[test]
    fn a_full_table_still_knows_what_it_holds() {
        let mut tunnels = Tunnels::default();
        for id in 0..MAX_TUNNELS + 3 {
            tunnels.number(&tunnel(id, 1));
        }
        assert_eq!((tunnels.len(), tunnels.unlisted_packets()), (MAX_TUNNELS as usize, 3));
        assert_eq!(tunnels.number(&tunnel(0, 1)), 1);
        let beyond = tunnels.number(&tunnel(MAX_TUNNELS, 1));
        assert_eq!(text(&tunnels, beyond), "unlisted");
    }
}
