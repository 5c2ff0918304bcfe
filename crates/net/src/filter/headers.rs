//! Where the headers of a frame lie: what `vlan`, `mpls`, `pppoes` and `geneve` move for everything after them.

use super::condition::Condition;
use super::program::Instruction;
use super::program::code::{
    ADD_K, ADD_X, AND_K, JSET_K, LD_B, LD_H, LD_IMM, LD_IND_B, LD_IND_H, LD_IND_W, LD_MEM, LD_W, LDX_IMM,
    LDX_MEM, LSH_K, OR_X, ST, TAX, TXA,
};
use crate::capture::LinkType;

/// Memory word with the length of the radiotap header.
pub(super) const RADIO_WORD: u32 = 0;
/// Memory word with the offset of what an 802.11 header carries.
pub(super) const WLAN_PAYLOAD_WORD: u32 = 1;
/// The first memory word that is free for other uses.
pub(super) const FREE_WORD: u32 = 2;
/// An offset beyond every frame: what a header's place is until the header has been found.
const NOWHERE: u32 = 0x7fff_ffff;

/// Bytes to load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Byte,
    Half,
    Word,
}

/// The kinds of link layer that tests depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Ethernet,
    Null,
    Loop,
    RawIp,
    RawIp4,
    RawIp6,
    Ppp,
    /// PPP with HDLC framing, from serial lines.
    PppSerial,
    Cooked,
    Cooked2,
    Wlan,
    WlanWithRadio,
    /// Any other: only its length and its bytes can be asked for.
    Unknown,
}

/// An offset into the frame: a constant, and what a memory word holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) word: Option<u32>,
    pub(super) constant: u32,
}

/// The places of headers, as far as the text before a primitive has moved them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Headers {
    pub(super) link: Link,
    /// The link layer's header.
    pub(super) header: Place,
    /// Its field that names the protocol; unused where there is none.
    pub(super) kind: Place,
    /// What it carries.
    pub(super) payload: Place,
    /// From there to the network layer: with an EtherType, and with a plain 802.2 header.
    pub(super) network: u32,
    pub(super) network_llc: u32,
    /// MPLS labels passed.
    pub(super) labels: u32,
    /// Whether the link layer is inside Geneve, where it may be missing.
    pub(super) in_geneve: bool,
}

impl Place {
    pub(super) const fn at(constant: u32) -> Self {
        Self { word: None, constant }
    }

    pub(super) const fn word(word: u32) -> Self {
        Self { word: Some(word), constant: 0 }
    }

    pub(super) const fn plus(self, bytes: u32) -> Self {
        Self { word: self.word, constant: self.constant.wrapping_add(bytes) }
    }

    /// Loads what lies here into the accumulator.
    pub(super) fn load(self, size: Size) -> Vec<Instruction> {
        match self.word {
            None => vec![Instruction::new(size.absolute(), self.constant)],
            Some(word) => {
                vec![Instruction::new(LDX_MEM, word), Instruction::new(size.indirect(), self.constant)]
            }
        }
    }
}

impl Size {
    fn absolute(self) -> u16 {
        [LD_B, LD_H, LD_W].get(self as usize).copied().unwrap_or_default()
    }

    /// The load from the index register on.
    pub(super) fn indirect(self) -> u16 {
        [LD_IND_B, LD_IND_H, LD_IND_W].get(self as usize).copied().unwrap_or_default()
    }
}

impl Headers {
    /// The outermost headers of a frame.
    pub(super) fn of(link_type: LinkType) -> Self {
        let (link, kind, payload, network, network_llc) = match link_type {
            LinkType::ETHERNET => (Link::Ethernet, 12, 14, 0, 3),
            LinkType::NULL => (Link::Null, 0, 4, 0, 0),
            LinkType::LOOP => (Link::Loop, 0, 4, 0, 0),
            LinkType::RAW | LinkType::DLT_RAW | LinkType::DLT_RAW_OPENBSD => (Link::RawIp, 0, 0, 0, 0),
            LinkType::IPV4 => (Link::RawIp4, 0, 0, 0, 0),
            LinkType::IPV6 => (Link::RawIp6, 0, 0, 0, 0),
            LinkType::LINUX_SLL => (Link::Cooked, 14, 16, 0, 0),
            LinkType::LINUX_SLL2 => (Link::Cooked2, 0, 20, 0, 0),
            LinkType(9) => (Link::Ppp, 2, 4, 0, 0),
            LinkType(50) => (Link::PppSerial, 2, 4, 0, 0),
            LinkType(105) => (Link::Wlan, 0, 0, 8, 3),
            LinkType(127) => (Link::WlanWithRadio, 0, 0, 8, 3),
            _ => (Link::Unknown, 0, 0, 0, 0),
        };
        let mut headers = Self {
            link,
            header: Place::at(0),
            kind: Place::at(kind),
            payload: Place::at(payload),
            network,
            network_llc,
            labels: 0,
            in_geneve: false,
        };
        if headers.is_wlan() {
            headers.payload = Place::word(WLAN_PAYLOAD_WORD);
        }
        if link == Link::WlanWithRadio {
            headers.header = Place::word(RADIO_WORD);
        }
        headers
    }

    pub(super) fn is_wlan(&self) -> bool {
        matches!(self.link, Link::Wlan | Link::WlanWithRadio)
    }

    /// The network layer's header.
    pub(super) fn network(&self) -> Place {
        self.payload.plus(self.network)
    }
}

/// What must be computed before the tests, by the memory words that these read: the places of headers after headers
/// of variable length, and for those that only some tests find, a place where nothing is.
pub(super) fn prologue(link: Link, uses: u16) -> Condition {
    let mut code = Vec::new();
    let uses_word = |word: u32| uses & 1 << word != 0;
    for word in (FREE_WORD..16).filter(|word| uses_word(*word)) {
        code.extend([Instruction::new(LD_IMM, NOWHERE), Instruction::new(ST, word)]);
    }
    let with_radio = link == Link::WlanWithRadio;
    if with_radio && (uses_word(RADIO_WORD) || uses_word(WLAN_PAYLOAD_WORD)) {
        code.extend(radiotap_length());
    }
    if uses_word(WLAN_PAYLOAD_WORD) {
        code.extend(wlan_payload(with_radio));
    }
    if code.is_empty() { Condition::Always(true) } else { Condition::Do(code) }
}

/// The length of the radiotap header, little-endian at its third byte, into its word and the index register.
fn radiotap_length() -> [Instruction; 7] {
    [(LD_B, 3), (LSH_K, 8), (TAX, 0), (LD_B, 2), (OR_X, 0), (ST, RADIO_WORD), (TAX, 0)]
        .map(|(code, k)| Instruction::new(code, k))
}

/// The offset behind an 802.11 header into its word: 24 bytes, 2 more in QoS data frames, and rounded up to a
/// multiple of 4 when the radiotap header says that the card padded it. Only data frames carry anything.
fn wlan_payload(with_radio: bool) -> Vec<Instruction> {
    let step = |code, k| Instruction::new(code, k);
    let jset = |k, jt, jf| Instruction { code: JSET_K, jt, jf, k };
    let mut code = vec![step(TXA, 0), step(ADD_K, 24), step(ST, WLAN_PAYLOAD_WORD), step(LD_IND_B, 0)];
    if !with_radio {
        code.insert(0, step(LDX_IMM, 0));
    }
    let padding: u8 = if with_radio { 12 } else { 0 };
    code.extend([
        jset(0x08, 0, 5 + padding),
        jset(0x04, 4 + padding, 0),
        jset(0x80, 0, 3),
        step(LD_MEM, WLAN_PAYLOAD_WORD),
        step(ADD_K, 2),
        step(ST, WLAN_PAYLOAD_WORD),
    ]);
    if with_radio {
        // Flags present? Behind a timestamp? Padded?
        code.extend([
            step(LD_W, 4),
            jset(0x0200_0000, 0, 10),
            jset(0x0000_0080, 9, 0),
            jset(0x0100_0000, 0, 2),
            step(LD_B, 16),
            jset(0x20, 2, 6),
            step(LD_B, 8),
            jset(0x20, 0, 4),
            step(LD_MEM, WLAN_PAYLOAD_WORD),
            step(ADD_K, 3),
            step(AND_K, !3),
            step(ST, WLAN_PAYLOAD_WORD),
        ]);
    }
    code
}

/// Adds the index register to the accumulator and makes the sum the index.
pub(super) fn add_to_index() -> [Instruction; 2] {
    [Instruction::new(ADD_X, 0), Instruction::new(TAX, 0)]
}
