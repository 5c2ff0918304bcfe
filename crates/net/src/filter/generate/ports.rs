//! Tests of transport headers: ports and ranges of ports, in first fragments only.

use super::hosts::by_direction;
use super::kinds;
use super::{Generator, Place, Refusal};
use crate::filter::condition::Condition;
use crate::filter::expression::{Direction, Ports};
use crate::filter::headers::{Size, add_to_index};
use crate::filter::program::Instruction;
use crate::filter::program::code::{AND_K, JEQ_K, JGE_K, JGT_K, JSET_K, LDX_MSH, LSH_K};

const SCTP: u8 = 132;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// The fragment offset in an IPv4 header.
const FRAGMENT_OFFSET: u32 = 0x1fff;
/// Length of an IPv6 header without extensions.
const IP6_BYTES: u32 = 40;

impl Generator {
    pub(super) fn ports(
        &mut self,
        transport: Option<u8>,
        direction: Direction,
        ports: Ports,
    ) -> Result<Condition, Refusal> {
        let transports: &[u8] = match &transport {
            Some(one) => std::slice::from_ref(one),
            None => &[SCTP, TCP, UDP],
        };
        let network = self.headers.network();
        let ip6 = self.kind(kinds::IP6)?;
        let over_ip6 = transports.iter().map(|transport| {
            let is_transport = self.equal(network.plus(6), Size::Byte, u32::from(*transport));
            let atoms = by_direction(direction, |from_source| {
                let load = self.load(network.plus(IP6_BYTES + if from_source { 0 } else { 2 }), Size::Half);
                Ok(has_port(load, ports))
            })?;
            Ok(is_transport.and(atoms))
        });
        let over_ip6 = Condition::any(over_ip6.collect::<Result<Vec<_>, Refusal>>()?);
        let ip = self.kind(kinds::IP)?;
        let over_ip = transports.iter().map(|transport| {
            let is_transport = self.equal(network.plus(9), Size::Byte, u32::from(*transport));
            let is_first = self.is_first_fragment();
            let atoms = by_direction(direction, |from_source| {
                let load = self.load_transport(if from_source { 0 } else { 2 }, Size::Half);
                Ok(has_port(load, ports))
            })?;
            Ok(is_transport.and(is_first).and(atoms))
        });
        let over_ip = Condition::any(over_ip.collect::<Result<Vec<_>, Refusal>>()?);
        Ok(ip6.and(over_ip6).or(ip.and(over_ip)))
    }

    /// Whether an IPv4 packet is whole or the first fragment of one.
    pub(super) fn is_first_fragment(&mut self) -> Condition {
        let load = self.load(self.headers.network().plus(6), Size::Half);
        Condition::test(load, JSET_K, FRAGMENT_OFFSET).negated()
    }

    /// Makes the place of the transport header over IPv4 the index register, but for the constant part of the network
    /// header's place, which this returns. Overwrites the accumulator if that place is variable.
    pub(super) fn index_transport(&mut self) -> (Vec<Instruction>, u32) {
        let network: Place = self.headers.network();
        let code = match network.word {
            None => vec![Instruction::new(LDX_MSH, network.constant)],
            Some(_) => {
                let mut code = self.load(network, Size::Byte);
                code.extend([Instruction::new(AND_K, 0x0f), Instruction::new(LSH_K, 2)]);
                code.extend(add_to_index());
                code
            }
        };
        (code, network.constant)
    }

    /// Loads from the transport header over IPv4.
    pub(super) fn load_transport(&mut self, offset: u32, size: Size) -> Vec<Instruction> {
        let (mut code, constant) = self.index_transport();
        code.push(Instruction::new(size.indirect(), constant.wrapping_add(offset)));
        code
    }

    /// Whether UDP goes to this port, over IPv4 or over IPv6.
    pub(super) fn udp_to(&mut self, port: u16, over_ip6: bool) -> Result<Condition, Refusal> {
        let network = self.headers.network();
        let udp = u32::from(UDP);
        if over_ip6 {
            let load = self.load(network.plus(IP6_BYTES + 2), Size::Half);
            let is_udp = self.equal(network.plus(6), Size::Byte, udp);
            return Ok(self.kind(kinds::IP6)?.and(is_udp).and(has_port(load, Ports::One(port))));
        }
        let load = self.load_transport(2, Size::Half);
        let is_udp = self.equal(network.plus(9), Size::Byte, udp);
        let is_first = self.is_first_fragment();
        Ok(self.kind(kinds::IP)?.and(is_udp).and(is_first).and(has_port(load, Ports::One(port))))
    }
}

fn has_port(load: Vec<Instruction>, ports: Ports) -> Condition {
    match ports {
        Ports::One(port) => Condition::test(load, JEQ_K, u32::from(port)),
        Ports::Range(low, high) => {
            let not_below = Condition::test(load.clone(), JGE_K, u32::from(low));
            not_below.and(Condition::test(load, JGT_K, u32::from(high)).negated())
        }
    }
}
