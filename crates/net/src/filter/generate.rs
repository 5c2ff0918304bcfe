//! What a filter asks of frames of one link type: the expression becomes a [`Condition`].
//!
//! Primitives are taken in the order of the text, because some move the headers for all that come after them, and
//! every test loads the bytes that libpcap's code would load, in the same order: that decides about packets that
//! were cut too short.

mod arithmetic;
mod hosts;
mod kinds;
mod layers;
mod ports;
mod wlan;

use super::condition::Condition;
use super::expression::{Expression, Part, Primitive};
use super::headers::{self, FREE_WORD, Headers, Link, Place, RADIO_WORD, Size, WLAN_PAYLOAD_WORD};
use super::program::code::{AND_K, JEQ_K, JGE_K, JGT_K, JSET_K, LD_LEN};
use super::program::{Instruction, MEMORY_WORDS};
use crate::capture::LinkType;

/// Why a primitive means nothing here.
type Refusal = String;

/// The condition of a filter on one link type, with the preparation that its tests need.
///
/// On refusal, the part of the text that is refused, and why.
pub(super) fn condition(expression: &Expression, link: LinkType) -> Result<Condition, (Part, String)> {
    let headers = Headers::of(link);
    let mut generator = Generator { headers, outermost: headers.link, free_word: FREE_WORD, uses: 0 };
    let tests = generator.expression(expression)?;
    Ok(headers::prologue(generator.outermost, generator.uses).and(tests))
}

/// Memory words that are written once, before every test.
pub(super) const FIXED_WORDS: &[u32] = &[RADIO_WORD, WLAN_PAYLOAD_WORD];

struct Generator {
    headers: Headers,
    outermost: Link,
    /// The first memory word that no header's place is kept in.
    free_word: u32,
    /// Memory words that must be written before the tests, one bit each.
    uses: u16,
}

impl Generator {
    fn expression(&mut self, expression: &Expression) -> Result<Condition, (Part, String)> {
        match expression {
            Expression::Not(inner) => Ok(self.expression(inner)?.negated()),
            Expression::Chain(first, further) => {
                let first = self.expression(first)?;
                further.iter().try_fold(first, |chain, (junction, operand)| {
                    Ok(chain.joined(*junction, self.expression(operand)?))
                })
            }
            Expression::Primitive(primitive, part) => self.primitive(primitive).map_err(|why| (*part, why)),
        }
    }

    fn primitive(&mut self, primitive: &Primitive) -> Result<Condition, Refusal> {
        match primitive {
            Primitive::Protocol(protocol) => self.protocol(*protocol),
            Primitive::Host { protocol, direction, address, mask } => {
                self.host(*protocol, *direction, *address, *mask)
            }
            Primitive::Host6 { direction, address, mask } => self.host6(*direction, *address, *mask),
            Primitive::Station { direction, address } => self.station(*direction, *address),
            Primitive::Decnet { direction, address } => self.decnet(*direction, *address),
            Primitive::Ports { transport, direction, ports } => self.ports(*transport, *direction, *ports),
            Primitive::Proto { protocol, number } => self.proto(*protocol, *number),
            Primitive::Protochain { protocol, number } => self.protochain(*protocol, *number),
            Primitive::Broadcast(protocol) => self.broadcast(*protocol),
            Primitive::Multicast(protocol) => self.multicast(*protocol),
            Primitive::LengthAtMost(bytes) => Ok(length(JGT_K, *bytes).negated()),
            Primitive::LengthAtLeast(bytes) => Ok(length(JGE_K, *bytes)),
            Primitive::Inbound => Ok(self.outbound()?.negated()),
            Primitive::Outbound => self.outbound(),
            Primitive::InterfaceIndex(index) => self.interface_index(*index),
            Primitive::Vlan(id) => self.vlan(*id),
            Primitive::Mpls(label) => self.mpls(*label),
            Primitive::PppoeDiscovery => self.kind(kinds::PPPOE_DISCOVERY),
            Primitive::PppoeSession(id) => self.pppoe_session(*id),
            Primitive::Geneve(network) => self.geneve(*network),
            Primitive::FrameType { value, mask } => self.frame_type(*value, *mask),
            Primitive::FrameDirection(direction) => self.frame_direction(*direction),
            Primitive::Llc(control) => self.llc(*control),
            Primitive::Relation { left, relation, right } => self.relation(left, *relation, right),
        }
    }

    /// Notes that a place is used, so that its memory word is written before the tests; returns it.
    fn used(&mut self, place: Place) -> Place {
        if let Some(word) = place.word {
            self.uses |= 1 << word;
        }
        place
    }

    fn load(&mut self, place: Place, size: Size) -> Vec<Instruction> {
        self.used(place).load(size)
    }

    /// Whether what lies at a place has this value.
    fn equal(&mut self, place: Place, size: Size, value: u32) -> Condition {
        Condition::test(self.load(place, size), JEQ_K, value)
    }

    /// Whether the bits of `mask` of what lies at a place have this value.
    fn masked(&mut self, place: Place, size: Size, value: u32, mask: u32) -> Condition {
        if mask == 0 {
            return Condition::Always(value == 0);
        }
        let mut load = self.load(place, size);
        if mask != u32::MAX {
            load.push(Instruction::new(AND_K, mask));
        }
        Condition::test(load, JEQ_K, value)
    }

    /// Whether any bit of `mask` is set in the byte at a place.
    fn any_bit(&mut self, place: Place, mask: u32) -> Condition {
        Condition::test(self.load(place, Size::Byte), JSET_K, mask)
    }

    /// Whether these six bytes lie at a place, the last four looked at first.
    fn six_bytes(&mut self, place: Place, bytes: [u8; 6]) -> Condition {
        let [a, b, rest @ ..] = bytes;
        let last = self.equal(place.plus(2), Size::Word, u32::from_be_bytes(rest));
        let first = self.equal(place, Size::Half, u32::from(u16::from_be_bytes([a, b])));
        last.and(first)
    }

    /// Whether an 802.2 header with a SNAP extension of this organisation and protocol lies at a place.
    fn snap(&mut self, place: Place, organisation: u32, protocol: u32) -> Condition {
        let last = self.equal(place.plus(4), Size::Word, organisation << 16 | protocol);
        last.and(self.equal(place, Size::Word, 0xaaaa_0300 | organisation >> 16))
    }

    /// Takes a memory word for the place of a header.
    fn take_word(&mut self) -> Result<u32, Refusal> {
        if self.free_word as usize >= MEMORY_WORDS {
            return Err("a program has not the memory for so many nested headers".to_owned());
        }
        self.free_word += 1;
        Ok(self.free_word - 1)
    }
}

fn length(jump: u16, bytes: u32) -> Condition {
    Condition::test(vec![Instruction::new(LD_LEN, 0)], jump, bytes)
}
