//! What a filter's text says, before any link type is known.

/// A filter as a tree. Chains are kept flat, because a list of a thousand hosts is no reason to nest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    /// One test, and the part of the text that it comes from.
    Primitive(Primitive, Part),
    Not(Box<Expression>),
    /// The first operand and then, from left to right with equal precedence, each further one.
    Chain(Box<Expression>, Vec<(Junction, Expression)>),
}

/// How an operand is joined to everything before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Junction {
    And,
    Or,
}

/// Where in the text something stands: byte offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Part {
    pub(super) fn until(self, end: Part) -> Part {
        Part { start: self.start, end: end.end }
    }
}

/// Protocols that the language has words for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Link,
    Ip,
    Arp,
    Rarp,
    Sctp,
    Tcp,
    Udp,
    Icmp,
    Igmp,
    Igrp,
    Pim,
    Vrrp,
    Carp,
    Atalk,
    Aarp,
    Decnet,
    Lat,
    Sca,
    Moprc,
    Mopdl,
    Ip6,
    Icmp6,
    Ah,
    Esp,
    Iso,
    Esis,
    Isis,
    IsisL1,
    IsisL2,
    IsisIih,
    IsisLsp,
    IsisSnp,
    IsisCsnp,
    IsisPsnp,
    Clnp,
    Stp,
    Ipx,
    Netbeui,
    Radio,
}

/// Which of two or more address fields is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Direction {
    /// Nothing was said: either.
    #[default]
    Any,
    Source,
    Destination,
    Either,
    Both,
    Address1,
    Address2,
    Address3,
    Address4,
    Receiver,
    Transmitter,
}

/// One test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Primitive {
    /// A protocol's name alone.
    Protocol(Protocol),
    /// `host` and `net` of IPv4: of IP, ARP or RARP, or, without a protocol, of any of them.
    Host {
        protocol: Option<Protocol>,
        direction: Direction,
        address: u32,
        mask: u32,
    },
    /// `host` and `net` of IPv6.
    Host6 {
        direction: Direction,
        address: u128,
        mask: u128,
    },
    /// `ether host`.
    Station {
        direction: Direction,
        address: [u8; 6],
    },
    /// `decnet host`.
    Decnet {
        direction: Direction,
        address: u16,
    },
    /// `port` and `portrange`, of one transport protocol or of TCP, UDP and SCTP.
    Ports {
        transport: Option<u8>,
        direction: Direction,
        ports: Ports,
    },
    /// `proto`: of IPv4 or IPv6, or, without a protocol, of both; or of the link layer, of OSI, of IS-IS.
    Proto {
        protocol: Option<Protocol>,
        number: u32,
    },
    /// `protochain`: of IPv4 or IPv6, or, without a protocol, of both.
    Protochain {
        protocol: Option<Protocol>,
        number: u32,
    },
    Broadcast(Option<Protocol>),
    Multicast(Option<Protocol>),
    /// `less`.
    LengthAtMost(u32),
    /// `greater`.
    LengthAtLeast(u32),
    Inbound,
    Outbound,
    InterfaceIndex(u32),
    Vlan(Option<u32>),
    Mpls(Option<u32>),
    PppoeDiscovery,
    PppoeSession(Option<u32>),
    Geneve(Option<u32>),
    /// `type` and `subtype` of 802.11: of the first byte.
    FrameType {
        value: u32,
        mask: u32,
    },
    /// `dir` of 802.11.
    FrameDirection(u32),
    /// `llc`, and with a type value and mask of the control field.
    Llc(Option<(u32, u32)>),
    Relation {
        left: Arithmetic,
        relation: Relation,
        right: Arithmetic,
    },
}

/// One port, or the lowest and the highest of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ports {
    One(u16),
    Range(u16, u16),
}

/// A comparison of unsigned 32-bit numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// A number computed from constants and the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Number(u32),
    /// `len`.
    Length,
    /// `protocol[index:size]`.
    Field {
        protocol: Protocol,
        index: Box<Arithmetic>,
        size: FieldSize,
    },
    Negative(Box<Arithmetic>),
    Operation {
        operator: Operator,
        left: Box<Arithmetic>,
        right: Box<Arithmetic>,
    },
}

/// Bytes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldSize {
    One,
    Two,
    Four,
}

/// Operators on unsigned 32-bit numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
}
