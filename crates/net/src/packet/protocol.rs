//! Names for what frames hold and for what can be wrong with them: the vocabulary of the counters.

macro_rules! named {
    ($(#[$meta:meta])* $kind:ident { $($(#[doc = $doc:literal])* $variant:ident = $name:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $kind { $($(#[doc = $doc])* $variant,)+ }

        impl $kind {
            /// Every variant in declaration order: `ALL[x as usize] == x`.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name used in reports and counters.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

named! {
    /// The deepest protocol recognised in a frame.
    Protocol {
        /// Nothing recognised: undecoded link type, cut link header, unknown ethertype.
        Unknown = "unknown",
        /// IEEE 802.2 LLC that carries no ethertype (spanning tree, NetBEUI, IS-IS).
        Llc = "llc",
        /// Address resolution.
        Arp = "arp",
        /// Reverse address resolution.
        Rarp = "rarp",
        /// Link layer discovery.
        Lldp = "lldp",
        /// IEEE 802.1X authentication.
        Eapol = "eapol",
        /// MPLS that carries no IP, or nothing that can be told.
        Mpls = "mpls",
        /// PPPoE discovery.
        PppoeDiscovery = "pppoe-discovery",
        /// PPPoE session frames of an unknown version or code.
        PppoeSession = "pppoe-session",
        /// PPP that carries no plain IP (multilink, compressed, encrypted).
        Ppp = "ppp",
        /// Control protocols of PPP: link, authentication, network.
        PppControl = "ppp-control",
        /// Cisco's serial line address resolution and keepalive.
        Slarp = "slarp",
        /// OSI network layer (IS-IS, ES-IS, CLNP).
        Osi = "osi",
        /// Wireless management (beacons, probes, association).
        WlanManagement = "wlan-management",
        /// Wireless control (acknowledgements, requests to send).
        WlanControl = "wlan-control",
        /// Wireless data that is encrypted.
        WlanEncrypted = "wlan-encrypted",
        /// Wireless data frames without data, or a later fragment of one.
        WlanData = "wlan-data",
        /// Wireless frames of the extension type.
        WlanExtension = "wlan-extension",
        /// Ethernet configuration testing (loopback) frames.
        EthernetLoopback = "ethernet-loopback",
        /// Novell IPX.
        Ipx = "ipx",
        /// MAC control (pause frames).
        MacControl = "mac-control",
        /// Slow protocols (link aggregation, OAM).
        SlowProtocols = "slow-protocols",
        /// Precision time over Ethernet.
        Ptp = "ptp",
        /// Homeplug power line management.
        Homeplug = "homeplug",
        /// PROFINET real time.
        Profinet = "profinet",
        /// IEEE 802.1AE encryption.
        Macsec = "macsec",
        /// Wake on LAN.
        WakeOnLan = "wake-on-lan",
        /// Realtek remote control and loop detection.
        Realtek = "realtek",
        /// IPv4 whose header is damaged or cut.
        Ipv4 = "ipv4",
        /// IPv6 whose header is damaged or cut.
        Ipv6 = "ipv6",
        /// Transmission control.
        Tcp = "tcp",
        /// User datagrams.
        Udp = "udp",
        /// Control messages of IPv4.
        Icmp = "icmp",
        /// Control messages of IPv6.
        Icmpv6 = "icmpv6",
        /// Group management.
        Igmp = "igmp",
        /// IPv4 in IP that holds no packet.
        IpInIp = "ip-in-ip",
        /// IPv6 in IP that holds no packet.
        Ipv6InIp = "ipv6-in-ip",
        /// Datagram congestion control.
        Dccp = "dccp",
        /// Resource reservation.
        Rsvp = "rsvp",
        /// Generic routing encapsulation that holds no packet (keepalives).
        Gre = "gre",
        /// Encrypted payload.
        Esp = "esp",
        /// IPv6 without a next header.
        NoNext = "no-next-header",
        /// Enhanced interior gateway routing.
        Eigrp = "eigrp",
        /// Open shortest path first.
        Ospf = "ospf",
        /// Protocol independent multicast.
        Pim = "pim",
        /// Virtual router redundancy.
        Vrrp = "vrrp",
        /// Layer 2 tunnelling, version 3.
        L2tp = "l2tp",
        /// Stream control transmission.
        Sctp = "sctp",
        /// User datagrams with partial checksums.
        UdpLite = "udp-lite",
        /// Any other protocol above IP.
        OtherIp = "other-ip",
    }
}

impl Protocol {
    /// The protocol that an ethertype names; below 0x0600 the number is a length, so LLC follows.
    pub(crate) fn of_ethertype(ethertype: u16) -> Self {
        match ethertype {
            0x0800 => Self::Ipv4,
            0x86dd => Self::Ipv6,
            0x0806 => Self::Arp,
            0x8035 => Self::Rarp,
            0x88cc => Self::Lldp,
            0x888e => Self::Eapol,
            0x8847 | 0x8848 => Self::Mpls,
            0x8863 => Self::PppoeDiscovery,
            0x8864 => Self::PppoeSession,
            0x9000 => Self::EthernetLoopback,
            0x8137 => Self::Ipx,
            0x8808 => Self::MacControl,
            0x8809 => Self::SlowProtocols,
            0x88f7 => Self::Ptp,
            0x887b | 0x88e1 | 0x8912 => Self::Homeplug,
            0x8892 => Self::Profinet,
            0x88e5 => Self::Macsec,
            0x0842 => Self::WakeOnLan,
            0x8899 => Self::Realtek,
            1..0x0600 => Self::Llc,
            _ => Self::Unknown,
        }
    }

    /// The protocol that an IANA number names above IP.
    pub(crate) fn of_ip(number: u8) -> Self {
        match number {
            1 => Self::Icmp,
            2 => Self::Igmp,
            4 => Self::IpInIp,
            6 => Self::Tcp,
            17 => Self::Udp,
            33 => Self::Dccp,
            41 => Self::Ipv6InIp,
            46 => Self::Rsvp,
            47 => Self::Gre,
            50 => Self::Esp,
            58 => Self::Icmpv6,
            59 => Self::NoNext,
            88 => Self::Eigrp,
            89 => Self::Ospf,
            103 => Self::Pim,
            112 => Self::Vrrp,
            115 => Self::L2tp,
            132 => Self::Sctp,
            136 => Self::UdpLite,
            _ => Self::OtherIp,
        }
    }
}

named! {
    /// An encapsulation of packets in packets.
    TunnelKind {
        /// Generic routing encapsulation (RFC 2784).
        Gre = "gre",
        /// Mirrored traffic in GRE (draft-foschiano-erspan).
        Erspan = "erspan",
        /// PPP in GRE version 1 (RFC 2637).
        Pptp = "pptp",
        /// IPv4 in IP (RFC 2003).
        IpInIp = "ip-in-ip",
        /// IPv6 in IP: 6in4, 6to4, 6rd, ISATAP (RFC 4213), and in IPv6 (RFC 2473).
        Ipv6InIp = "ipv6-in-ip",
        /// MPLS in IP (RFC 4023).
        MplsInIp = "mpls-in-ip",
        /// Ethernet in IP (RFC 3378).
        EtherIp = "etherip",
        /// Virtual extensible LAN (RFC 7348).
        Vxlan = "vxlan",
        /// Generic network virtualisation (RFC 8926).
        Geneve = "geneve",
        /// User plane of mobile networks (3GPP TS 29.281).
        Gtp = "gtp-u",
        /// IPv6 over UDP through address translators (RFC 4380).
        Teredo = "teredo",
    }
}

impl TunnelKind {
    /// Whether an IP protocol number declares the tunnel; otherwise a UDP port only suggests it.
    pub(crate) fn is_declared(self) -> bool {
        !matches!(self, Self::Vxlan | Self::Geneve | Self::Gtp | Self::Teredo)
    }

    /// Whether its identifier names a virtual network: equal addresses in two of them are two hosts.
    pub(crate) fn has_networks(self) -> bool {
        matches!(self, Self::Vxlan | Self::Geneve)
    }
}

named! {
    /// What stopped decoding, or contradicted the frame.
    Fault {
        /// The link type is not decoded by this version: counted and named, no failure.
        UndecodedLink = "undecoded link type",
        /// The frame ends inside its link header.
        ShortLink = "link header cut",
        /// More VLAN tags, or MPLS labels, than any network stacks.
        TooManyTags = "too many VLAN tags or labels",
        /// A radio or per-packet header of another version, or of an impossible length.
        BadRadioHeader = "impossible radio header",
        /// More packets in packets than any network nests: the flow is the innermost that was reached.
        TooManyTunnels = "too many nested tunnels",
        /// The frame ends inside its IP header.
        ShortIp = "IP header cut",
        /// The version nibble contradicts the ethertype, or is neither 4 nor 6.
        BadIpVersion = "wrong IP version",
        /// The IPv4 header claims fewer than 20 bytes.
        BadIpHeaderLength = "IP header length below 20",
        /// The IP length is shorter than the IP header.
        BadIpLength = "IP length shorter than its header",
        /// The IP length is longer than the frame was on the wire.
        IpLengthBeyondFrame = "IP length beyond the frame",
        /// The frame ends inside an extension header.
        ShortExtension = "extension header cut",
        /// More extension headers than any host sends.
        TooManyExtensions = "too many extension headers",
        /// The packet ends inside its transport header.
        ShortTransport = "transport header cut",
        /// The TCP header claims fewer than 20 bytes, or more than the packet has.
        BadTcpHeaderLength = "impossible TCP header length",
        /// The UDP length is below 8 or beyond the packet.
        BadUdpLength = "impossible UDP length",
    }
}

impl Fault {
    /// Whether the place of the transport header is unknown.
    pub(crate) fn hides_transport(self) -> bool {
        matches!(self, Self::BadIpLength | Self::ShortExtension | Self::TooManyExtensions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_index_their_own_tables() {
        assert!(Protocol::ALL.iter().enumerate().all(|(at, x)| *x as usize == at));
        assert!(Fault::ALL.iter().enumerate().all(|(at, x)| *x as usize == at));
        assert!(TunnelKind::ALL.iter().enumerate().all(|(at, x)| *x as usize == at));
    }

    #[test]
    fn ethertypes_below_0x600_are_lengths() {
        assert_eq!(Protocol::of_ethertype(0x05ff), Protocol::Llc);
        assert_eq!(Protocol::of_ethertype(0x0600), Protocol::Unknown);
    }
}
