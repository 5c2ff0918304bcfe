//! Layers between the link layer and IP, which move where everything after them looks: VLAN, MPLS, PPPoE, Geneve;
//! and what else frames of some link types say: direction, interface, 802.2 control fields, extension headers.

use super::kinds;
use super::{Generator, Link, Place, Refusal};
use crate::filter::condition::Condition;
use crate::filter::expression::Protocol;
use crate::filter::headers::{Headers, Size};
use crate::filter::program::Instruction;
use crate::filter::program::code::{
    ADD_K, ADD_X, AND_K, JEQ_K, LD_B, LD_IMM, LD_IND_B, LD_IND_H, LD_MEM, LDX_MEM, LDX_MSH, MUL_K, ST, STX,
    TXA,
};

const VLAN_TAGS: [u32; 3] = [0x8100, 0x88a8, 0x9100];
const GENEVE_PORT: u16 = 6081;
const UDP_BYTES: u32 = 8;
const IP6_BYTES: u32 = 40;
/// EtherType of an Ethernet frame inside Geneve ("Transparent Ethernet Bridging").
const BRIDGED_ETHERNET: u32 = 0x6558;
/// Packet type of sent frames in cooked captures.
const SENT: u32 = 4;
/// Extension headers that `protochain` follows in one packet. A program cannot loop.
const MOST_HEADERS: u32 = 8;
const AUTHENTICATION: u32 = 51;
const IP6_EXTENSIONS: [u32; 4] = [0, 60, 43, 44];

fn step(code: u16, k: u32) -> Instruction {
    Instruction::new(code, k)
}

impl Generator {
    pub(super) fn vlan(&mut self, id: Option<u32>) -> Result<Condition, Refusal> {
        if self.headers.labels > 0 {
            return Err("behind MPLS labels there is no VLAN to look for".to_owned());
        }
        if self.headers.link != Link::Ethernet && !self.headers.is_wlan() {
            return Err("they have no VLAN tags that could be looked at".to_owned());
        }
        let tags: Result<Vec<_>, Refusal> = VLAN_TAGS.iter().map(|tag| self.kind(*tag)).collect();
        let mut tagged = Condition::any(tags?);
        if let Some(id) = id {
            tagged = tagged.and(self.masked(self.headers.payload, Size::Half, id, 0x0fff));
        }
        self.headers.payload = self.headers.payload.plus(4);
        self.headers.kind = self.headers.kind.plus(4);
        Ok(tagged)
    }

    pub(super) fn mpls(&mut self, label: Option<u32>) -> Result<Condition, Refusal> {
        let network = self.headers.network();
        let mut labelled = if self.headers.labels > 0 {
            self.masked(network.plus(2_u32.wrapping_neg()), Size::Byte, 0, 1)
        } else {
            match self.headers.link {
                Link::Ethernet => self.kind(kinds::MPLS)?,
                Link::Ppp => self.kind(kinds::PPP_MPLS)?,
                _ => return Err("only Ethernet and PPP have MPLS that could be looked at".to_owned()),
            }
        };
        if let Some(label) = label {
            labelled = labelled.and(self.masked(network, Size::Word, label << 12, 0xffff_f000));
        }
        self.headers.network += 4;
        self.headers.network_llc += 4;
        self.headers.labels += 1;
        Ok(labelled)
    }

    pub(super) fn pppoe_session(&mut self, id: Option<u32>) -> Result<Condition, Refusal> {
        let mut session = self.kind(kinds::PPPOE_SESSION)?;
        if let Some(id) = id {
            session = session.and(self.masked(self.headers.payload, Size::Word, id, 0xffff));
        }
        let header = self.headers.network().plus(6);
        self.headers = Headers {
            link: Link::Ppp,
            header,
            kind: header,
            payload: header.plus(2),
            network: 0,
            network_llc: 0,
            in_geneve: false,
            ..self.headers
        };
        Ok(session)
    }

    /// Geneve of version 0 over UDP (RFC 8926); from here on the inner frame is meant, with or without Ethernet.
    pub(super) fn geneve(&mut self, network: Option<u32>) -> Result<Condition, Refusal> {
        let [base, kind, header, payload] =
            [self.take_word()?, self.take_word()?, self.take_word()?, self.take_word()?];
        let over_ip = self.geneve_over_ip(network, base)?;
        let over_ip6 = self.geneve_over_ip6(network, base)?;
        let found = over_ip.or(over_ip6).and(Condition::Do(inner_places(base, kind, header, payload)));
        self.headers = Headers {
            link: Link::Ethernet,
            header: Place::word(header),
            kind: Place::word(kind),
            payload: Place::word(payload),
            network: 0,
            in_geneve: true,
            ..self.headers
        };
        Ok(found)
    }

    /// Over IPv4; writes the place of the Geneve header to the word `base`.
    fn geneve_over_ip(&mut self, network: Option<u32>, base: u32) -> Result<Condition, Refusal> {
        let mut found = self.udp_to(GENEVE_PORT, false)?;
        let mut version = self.load_transport(UDP_BYTES, Size::Byte);
        version.push(step(AND_K, 0xc0));
        found = found.and(Condition::test(version, JEQ_K, 0));
        if let Some(network) = network {
            let mut identifier = self.load_transport(UDP_BYTES + 4, Size::Word);
            identifier.push(step(AND_K, 0xffff_ff00));
            found = found.and(Condition::test(identifier, JEQ_K, network << 8));
        }
        let (mut place, constant) = self.index_transport();
        place.extend([step(TXA, 0), step(ADD_K, constant + UDP_BYTES), step(ST, base)]);
        Ok(found.and(Condition::Do(place)))
    }

    fn geneve_over_ip6(&mut self, network: Option<u32>, base: u32) -> Result<Condition, Refusal> {
        let header = self.headers.network().plus(IP6_BYTES + UDP_BYTES);
        let mut found = self.udp_to(GENEVE_PORT, true)?;
        found = found.and(self.masked(header, Size::Byte, 0, 0xc0));
        if let Some(network) = network {
            found = found.and(self.masked(header.plus(4), Size::Word, network << 8, 0xffff_ff00));
        }
        let mut place = match self.used(header).word {
            None => vec![step(LD_IMM, header.constant)],
            Some(word) => vec![step(LD_MEM, word), step(ADD_K, header.constant)],
        };
        place.push(step(ST, base));
        Ok(found.and(Condition::Do(place)))
    }

    /// Whether a cooked frame was sent by the capturing machine.
    pub(super) fn outbound(&mut self) -> Result<Condition, Refusal> {
        match self.headers.link {
            Link::Cooked => Ok(self.equal(Place::at(0), Size::Half, SENT)),
            Link::Cooked2 => Ok(self.equal(Place::at(10), Size::Byte, SENT)),
            _ => Err("they do not say which way they went; cooked captures (SLL) do".to_owned()),
        }
    }

    pub(super) fn interface_index(&mut self, index: u32) -> Result<Condition, Refusal> {
        match self.headers.link {
            Link::Cooked2 => Ok(self.equal(Place::at(4), Size::Word, index)),
            _ => Err("they do not name an interface; cooked captures of version 2 (SLL2) do".to_owned()),
        }
    }

    /// Whether a frame has an 802.2 header, and what its control field says.
    pub(super) fn llc(&mut self, control: Option<(u32, u32)>) -> Result<Condition, Refusal> {
        let llc = self.headers.payload;
        let has_llc = match self.headers.link {
            Link::Ethernet => self.has_length().and(self.equal(llc, Size::Half, 0xffff).negated()),
            Link::Wlan | Link::WlanWithRadio => self.is_data_frame(),
            _ => return Err("they have no 802.2 header that could be looked at".to_owned()),
        };
        Ok(match control {
            None => has_llc,
            Some((0, bit)) => has_llc.and(self.any_bit(llc.plus(2), bit).negated()),
            Some((value, mask)) => has_llc.and(self.masked(llc.plus(2), Size::Byte, value, mask)),
        })
    }

    /// Whether a chain of up to [`MOST_HEADERS`] extension headers leads to a protocol.
    pub(super) fn protochain(
        &mut self,
        protocol: Option<Protocol>,
        number: u32,
    ) -> Result<Condition, Refusal> {
        let Some(protocol) = protocol else {
            let over_ip = self.protochain(Some(Protocol::Ip), number)?;
            return Ok(over_ip.or(self.protochain(Some(Protocol::Ip6), number)?));
        };
        let network = self.headers.network();
        if network.word.is_some() {
            return Err(
                "`protochain` cannot start behind a header of variable length: use `proto`".to_owned()
            );
        }
        let (next, place) = (self.take_word()?, self.take_word()?);
        let at = network.constant;
        let (kind, extensions, start) = match protocol {
            Protocol::Ip6 => {
                let start =
                    [step(LD_B, at + 6), step(ST, next), step(LD_IMM, IP6_BYTES), step(ST, place)].to_vec();
                (kinds::IP6, &IP6_EXTENSIONS[..], start)
            }
            _ => {
                let start =
                    [step(LD_B, at + 9), step(ST, next), step(LDX_MSH, at), step(STX, place)].to_vec();
                (kinds::IP, &[][..], start)
            }
        };
        let is = |number: u32| Condition::test(vec![step(LD_MEM, next)], JEQ_K, number);
        let advance = |more: u32, unit: u32| {
            Condition::Do(
                [
                    step(LDX_MEM, place),
                    step(LD_IND_B, at),
                    step(ST, next),
                    step(LD_IND_B, at + 1),
                    step(ADD_K, more),
                    step(MUL_K, unit),
                    step(ADD_X, 0),
                    step(ST, place),
                ]
                .to_vec(),
            )
        };
        let chain = (0..MOST_HEADERS).fold(is(number), |behind, _| {
            let extension = Condition::any(extensions.iter().map(|known| is(*known))).and(advance(1, 8));
            let authentication = is(AUTHENTICATION).and(advance(2, 4));
            is(number).or(extension.or(authentication).and(behind))
        });
        Ok(self.kind(kind)?.and(Condition::Do(start)).and(chain))
    }
}

/// From the place of a Geneve header in `base`, the places of the field that names what it carries, of the inner link
/// layer and of what that carries. Without Ethernet inside, the last two are the same.
fn inner_places(base: u32, kind: u32, header: u32, payload: u32) -> Vec<Instruction> {
    let not_bridged = Instruction { code: JEQ_K, jt: 0, jf: 5, k: BRIDGED_ETHERNET };
    vec![
        step(LDX_MEM, base),
        step(TXA, 0),
        step(ADD_K, 2),
        step(ST, kind),
        // Eight bytes and the options.
        step(LD_IND_B, 0),
        step(AND_K, 0x3f),
        step(MUL_K, 4),
        step(ADD_K, 8),
        step(ADD_X, 0),
        step(ST, header),
        step(ST, payload),
        step(LD_IND_H, 2),
        not_bridged,
        step(LD_MEM, header),
        step(ADD_K, 12),
        step(ST, kind),
        step(ADD_K, 2),
        step(ST, payload),
    ]
}
