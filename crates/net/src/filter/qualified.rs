//! What a name, a number or an address means under its qualifiers: `tcp dst port` and `80`, `net` and `10.1`.

use std::net::Ipv6Addr;

use super::expression::{Arithmetic, Direction, Operator, Ports, Primitive, Protocol};
use super::names;

/// What stands before a name: `tcp`, `dst`, `port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Qualifiers {
    pub(super) protocol: Option<Protocol>,
    pub(super) direction: Direction,
    pub(super) kind: Kind,
}

/// The kind of thing a name names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing was said: a host.
    #[default]
    Unsaid,
    Host,
    Net,
    Port,
    PortRange,
    Proto,
    Protochain,
    Gateway,
}

/// What stands behind qualifiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Id {
    Name(String),
    Number(u32),
    Dotted(String),
    Prefix(String, u32),
    Mask(String, String),
    Ip6(Ipv6Addr),
    Prefix6(Ipv6Addr, u32),
    Mac([u8; 6]),
}

impl Qualifiers {
    /// What the grammar wants behind them.
    pub(super) fn wants(self) -> &'static str {
        match self.kind {
            Kind::Unsaid | Kind::Host => "an address",
            Kind::Net => "a network such as 10.1.0.0/16",
            Kind::Port => "a port or the name of a service",
            Kind::PortRange => "a range of ports such as 6000-6008",
            Kind::Proto | Kind::Protochain => "a protocol's number, or its name behind a backslash (\\tcp)",
            Kind::Gateway => "a host's name",
        }
    }

    fn is_address(self) -> bool {
        matches!(self.kind, Kind::Unsaid | Kind::Host | Kind::Net)
    }
}

/// The test that qualifiers and name ask for; otherwise why there is none.
pub(super) fn primitive(qualifiers: Qualifiers, id: &Id) -> Result<Primitive, String> {
    if qualifiers.kind == Kind::Gateway {
        return Err("it would need the names of this machine's network: \
                    say `ether host MAC and not host ADDRESS`"
            .to_owned());
    }
    match id {
        Id::Name(name) => named(qualifiers, name),
        Id::Number(number) => numbered(qualifiers, *number),
        Id::Dotted(text) if qualifiers.protocol == Some(Protocol::Decnet) => decnet(qualifiers, text),
        Id::Dotted(text) => {
            let (address, bits) = dotted(text)?;
            host(qualifiers, address, ones(bits))
        }
        Id::Prefix(text, length) => {
            let (address, _) = dotted(text)?;
            if *length > 32 {
                return Err(format!("a prefix of IPv4 has at most 32 bits, not {length}"));
            }
            network(qualifiers, address, ones(*length))
        }
        Id::Mask(text, mask) => network(qualifiers, dotted(text)?.0, dotted(mask)?.0),
        Id::Ip6(address) => host6(qualifiers, *address, 128),
        Id::Prefix6(address, length) => host6(qualifiers, *address, *length),
        Id::Mac(address) => station(qualifiers, *address),
    }
}

fn named(qualifiers: Qualifiers, name: &str) -> Result<Primitive, String> {
    match qualifiers.kind {
        Kind::Port => {
            let (port, transports) = service(name)?;
            let transport = transport_of(qualifiers, name, transports)?;
            Ok(ports(qualifiers, transport, Ports::One(port)))
        }
        Kind::PortRange => {
            let (low, high) = name.split_once('-').ok_or("a range has two ports with a hyphen between")?;
            let ((low, of_low), (high, of_high)) = (service(low)?, service(high)?);
            let transport = transport_of(qualifiers, name, of_low & of_high)?;
            Ok(ports(qualifiers, transport, Ports::Range(low.min(high), low.max(high))))
        }
        Kind::Proto => proto(qualifiers.protocol, protocol_number(qualifiers.protocol, name)?),
        Kind::Protochain => protochain(qualifiers.protocol, protocol_number(qualifiers.protocol, name)?),
        Kind::Net => Err("names of networks are not looked up, so that a filter means the same everywhere: \
                          give the network's number"
            .to_owned()),
        Kind::Unsaid | Kind::Host | Kind::Gateway => {
            Err("names of hosts are not looked up, so that a filter means the same everywhere and a capture needs \
                 no network: give the address"
                .to_owned())
        }
    }
}

fn numbered(qualifiers: Qualifiers, number: u32) -> Result<Primitive, String> {
    match qualifiers.kind {
        Kind::Port | Kind::PortRange => {
            let port = u16::try_from(number).map_err(|_| "the highest port is 65535".to_owned())?;
            let transport = transport(qualifiers)?;
            let of = if qualifiers.kind == Kind::Port { Ports::One(port) } else { Ports::Range(port, port) };
            Ok(ports(qualifiers, transport, of))
        }
        Kind::Proto => proto(qualifiers.protocol, number),
        Kind::Protochain => protochain(qualifiers.protocol, number),
        Kind::Net => {
            let missing = if number == 0 { 0 } else { number.leading_zeros() / 8 * 8 };
            host(
                qualifiers,
                number.checked_shl(missing).unwrap_or(0),
                u32::MAX.checked_shl(missing).unwrap_or(0),
            )
        }
        Kind::Unsaid | Kind::Host | Kind::Gateway => host(qualifiers, number, u32::MAX),
    }
}

fn network(qualifiers: Qualifiers, address: u32, mask: u32) -> Result<Primitive, String> {
    if qualifiers.kind != Kind::Net {
        return Err("only a `net` has a mask".to_owned());
    }
    if address & !mask != 0 {
        return Err("the address has bits set outside its mask".to_owned());
    }
    host(qualifiers, address, mask)
}

fn host(qualifiers: Qualifiers, address: u32, mask: u32) -> Result<Primitive, String> {
    let Qualifiers { protocol, direction, .. } = qualifiers;
    if !qualifiers.is_address() {
        return Err(format!("an address is not {}", qualifiers.wants()));
    }
    only_source_and_destination(direction)?;
    match protocol {
        None | Some(Protocol::Ip | Protocol::Arp | Protocol::Rarp) => {
            Ok(Primitive::Host { protocol, direction, address, mask })
        }
        Some(Protocol::Ip6) => Err("`ip6` takes an IPv6 address".to_owned()),
        Some(Protocol::Link) => Err("the link layer has hardware addresses, such as 0:1:2:3:4:5".to_owned()),
        Some(_) => {
            Err("this protocol has no addresses of its own: use ip, ip6, arp, rarp or ether".to_owned())
        }
    }
}

fn host6(qualifiers: Qualifiers, address: Ipv6Addr, length: u32) -> Result<Primitive, String> {
    let Qualifiers { protocol, direction, kind } = qualifiers;
    if !qualifiers.is_address() {
        return Err(format!("an address is not {}", qualifiers.wants()));
    }
    only_source_and_destination(direction)?;
    if length > 128 {
        return Err(format!("a prefix of IPv6 has at most 128 bits, not {length}"));
    }
    if length != 128 && kind != Kind::Net {
        return Err("only a `net` has a mask".to_owned());
    }
    if !matches!(protocol, None | Some(Protocol::Ip6)) {
        return Err("only `ip6` has IPv6 addresses".to_owned());
    }
    let (address, mask) = (u128::from(address), u128::MAX.checked_shl(128 - length).unwrap_or(0));
    if address & !mask != 0 {
        return Err("the address has bits set outside its prefix".to_owned());
    }
    Ok(Primitive::Host6 { direction, address, mask })
}

fn station(qualifiers: Qualifiers, address: [u8; 6]) -> Result<Primitive, String> {
    match (qualifiers.kind, qualifiers.protocol) {
        (Kind::Unsaid | Kind::Host, Some(Protocol::Link)) => {
            Ok(Primitive::Station { direction: qualifiers.direction, address })
        }
        _ => {
            Err("a hardware address goes with `ether host`, `ether src`, `ether dst` or `wlan addr1`"
                .to_owned())
        }
    }
}

fn decnet(qualifiers: Qualifiers, text: &str) -> Result<Primitive, String> {
    only_source_and_destination(qualifiers.direction)?;
    let wrong = || "a DECnet address is AREA.NODE, up to 63.1023".to_owned();
    let (area, node) = text.split_once('.').ok_or_else(wrong)?;
    let (area, node): (u16, u16) = (area.parse().map_err(|_| wrong())?, node.parse().map_err(|_| wrong())?);
    if !qualifiers.is_address() || area > 63 || node > 1023 {
        return Err(wrong());
    }
    Ok(Primitive::Decnet { direction: qualifiers.direction, address: area << 10 | node })
}

fn only_source_and_destination(direction: Direction) -> Result<(), String> {
    match direction {
        Direction::Any | Direction::Source | Direction::Destination | Direction::Either | Direction::Both => {
            Ok(())
        }
        _ => Err("only hardware addresses of 802.11 frames have this direction: `wlan addr1 MAC`".to_owned()),
    }
}

fn ports(qualifiers: Qualifiers, transport: Option<u8>, ports: Ports) -> Primitive {
    Primitive::Ports { transport, direction: qualifiers.direction, ports }
}

/// The transport protocol named before `port`.
fn transport(qualifiers: Qualifiers) -> Result<Option<u8>, String> {
    only_source_and_destination(qualifiers.direction)?;
    match qualifiers.protocol {
        None => Ok(None),
        Some(Protocol::Tcp) => Ok(Some(6)),
        Some(Protocol::Udp) => Ok(Some(17)),
        Some(Protocol::Sctp) => Ok(Some(132)),
        Some(_) => Err("only tcp, udp and sctp have ports".to_owned()),
    }
}

/// The transport protocol of a service, or the one named before `port` when the service has it.
fn transport_of(qualifiers: Qualifiers, name: &str, transports: u8) -> Result<Option<u8>, String> {
    match (transport(qualifiers)?, transports) {
        (None, names::TCP) => Ok(Some(6)),
        (None, names::UDP) => Ok(Some(17)),
        (Some(6), names::UDP) | (Some(132), names::UDP) => {
            Err(format!("{name} is a service of udp: give the number"))
        }
        (Some(17), names::TCP) | (Some(132), names::TCP) => {
            Err(format!("{name} is a service of tcp: give the number"))
        }
        (given, _) => Ok(given),
    }
}

/// Port and transports of a service, or of a number.
fn service(name: &str) -> Result<(u16, u8), String> {
    if name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|digit| digit.is_ascii_digit())
    {
        let port = name.parse().map_err(|_| "the highest port is 65535".to_owned())?;
        return Ok((port, names::TCP | names::UDP));
    }
    let known = names::SERVICES.iter().find(|service| service.0 == name);
    known
        .map(|service| (service.1, service.2))
        .ok_or_else(|| format!("no service is known by the name {name:?}: give the port's number"))
}

fn protocol_number(of: Option<Protocol>, name: &str) -> Result<u32, String> {
    let table = match of {
        None | Some(Protocol::Ip | Protocol::Ip6) => names::IP_PROTOCOLS,
        Some(Protocol::Link) => names::ETHER_PROTOCOLS,
        Some(Protocol::Iso) => names::ISO_PROTOCOLS,
        Some(_) => return Err(NO_PROTO.to_owned()),
    };
    names::number(table, name)
        .ok_or_else(|| format!("no protocol is known by the name {name:?}: give its number"))
}

const NO_PROTO: &str = "`proto` goes with ip, ip6, ether, iso or isis, or stands alone";

fn proto(protocol: Option<Protocol>, number: u32) -> Result<Primitive, String> {
    match protocol {
        None | Some(Protocol::Ip | Protocol::Ip6 | Protocol::Iso | Protocol::Isis) if number > 255 => {
            Err("a protocol's number is at most 255 here".to_owned())
        }
        None | Some(Protocol::Ip | Protocol::Ip6 | Protocol::Link | Protocol::Iso | Protocol::Isis) => {
            Ok(Primitive::Proto { protocol, number })
        }
        Some(_) => Err(NO_PROTO.to_owned()),
    }
}

fn protochain(protocol: Option<Protocol>, number: u32) -> Result<Primitive, String> {
    match protocol {
        None | Some(Protocol::Ip | Protocol::Ip6) if number <= 255 => {
            Ok(Primitive::Protochain { protocol, number })
        }
        None | Some(Protocol::Ip | Protocol::Ip6) => Err("a protocol's number is at most 255".to_owned()),
        Some(_) => Err("`protochain` goes with ip or ip6, or stands alone".to_owned()),
    }
}

/// Why a protocol's name alone is no test, if it is none.
pub(super) fn alone(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        Protocol::Link => {
            Some("every frame has a link layer: say what of it, such as `ether host` or `ether[0] = 1`")
        }
        Protocol::Radio => {
            Some("it is no protocol: say which byte of the radio header, such as `radio[2] > 0`")
        }
        _ => None,
    }
}

/// Why bytes of a protocol cannot be read, if they cannot.
pub(super) fn unreadable(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        Protocol::Ah
        | Protocol::Esp
        | Protocol::Iso
        | Protocol::Esis
        | Protocol::Isis
        | Protocol::Clnp
        | Protocol::IsisL1
        | Protocol::IsisL2
        | Protocol::IsisIih
        | Protocol::IsisLsp
        | Protocol::IsisSnp
        | Protocol::IsisCsnp
        | Protocol::IsisPsnp
        | Protocol::Stp
        | Protocol::Ipx
        | Protocol::Netbeui
        | Protocol::Aarp => {
            Some("libpcap's language has no bytes of this protocol: count from `link[0]` or `ip[0]`")
        }
        _ => None,
    }
}

/// Why an operator has no result with this right operand, if that is known already.
pub(super) fn undefined(operator: Operator, right: &Arithmetic) -> Option<&'static str> {
    match (operator, right) {
        (Operator::Divide | Operator::Remainder, Arithmetic::Number(0)) => Some("it divides by zero"),
        (Operator::ShiftLeft | Operator::ShiftRight, Arithmetic::Number(32..)) => {
            Some("it shifts by more than 31 bits")
        }
        _ => None,
    }
}

/// Why a word of the language is refused.
pub(super) fn refused(word: &str) -> &'static str {
    match word {
        "byte" => "libpcap never documented it: compare a field, such as `link[4] & 3 != 0`",
        "atm" => "it belongs to ATM captures of Solaris, which are not read",
        "ss7" => "it belongs to SS7 captures, which are not decoded",
        _ => "it belongs to firewall logs of the BSDs, which are not decoded",
    }
}

/// An IPv4 address or the first numbers of one, moved to the left, and how many bits were given.
fn dotted(text: &str) -> Result<(u32, u32), String> {
    let (mut address, mut bits) = (0u32, 0);
    for number in text.split('.') {
        let number: u8 = number
            .parse()
            .map_err(|_| format!("{number:?} is no number from 0 to 255 of an IPv4 address"))?;
        address = address << 8 | u32::from(number);
        bits += 8;
    }
    Ok((address.checked_shl(32 - bits).unwrap_or(0), bits))
}

/// A mask of `bits` leading ones.
fn ones(bits: u32) -> u32 {
    u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or(0)
}
