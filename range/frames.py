"""The little of Ethernet, IP, TCP, UDP, ICMP, ARP and neighbour discovery the range must understand.

`flow_of` names the conversation a frame belongs to; the rest serves the router.
"""

import ipaddress
import struct
from typing import NamedTuple, Optional

IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
NAMES = {ICMP: "icmp", ICMP6: "icmp", TCP: "tcp", UDP: "udp"}


class Flow(NamedTuple):
    """Protocol name, source address and port, destination address and port (text addresses)."""

    protocol: str
    source: str
    source_port: int
    destination: str
    destination_port: int

    def key(self) -> tuple:
        """The same for both directions."""
        ends = sorted([(self.source, self.source_port), (self.destination, self.destination_port)])
        return (self.protocol, *ends)


class Parsed(NamedTuple):
    """A flow, where its transport payload starts in the frame, and the payload's original length."""

    flow: Flow
    payload_at: int
    payload_bytes: int


def ethertype(frame: bytes) -> int:
    return struct.unpack_from("!H", frame, 12)[0]


def parse(frame: bytes) -> Optional[Parsed]:
    """Name the flow of an IPv4 or IPv6 frame; None for anything else."""
    kind = ethertype(frame)
    if kind == IPV4:
        header = (frame[14] & 15) * 4
        source, destination, protocol = frame[26:30], frame[30:34], frame[23]
        end = 14 + struct.unpack_from("!H", frame, 16)[0]
        at = 14 + header
    elif kind == IPV6:
        source, destination, protocol = frame[22:38], frame[38:54], frame[20]
        end = 54 + struct.unpack_from("!H", frame, 18)[0]
        at = 54
        if protocol == 0:  # hop-by-hop options, as multicast listener reports carry
            protocol, at = frame[54], 54 + 8 + frame[55] * 8
    else:
        return None
    ports, at = transport(frame, protocol, at)
    flow = Flow(NAMES.get(protocol, str(protocol)), text(source), ports[0], text(destination), ports[1])
    return Parsed(flow, at, max(0, end - at))


def transport(frame: bytes, protocol: int, at: int) -> tuple:
    """Ports and start of payload; ICMP has no ports."""
    if protocol == TCP:
        return struct.unpack_from("!HH", frame, at), at + (frame[at + 12] >> 4) * 4
    if protocol == UDP:
        return struct.unpack_from("!HH", frame, at), at + 8
    return (0, 0), at + 8


def text(address: bytes) -> str:
    return str(ipaddress.ip_address(address))


def checksum(data: bytes) -> int:
    """The Internet checksum, RFC 1071."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def arp_reply(frame: bytes, mac: bytes) -> Optional[bytes]:
    """Answer any ARP request but a probe for the asker's own address (proxy ARP, RFC 1027)."""
    if struct.unpack_from("!H", frame, 20)[0] != 1 or frame[28:32] == frame[38:42]:
        return None
    asker = frame[22:32]
    return frame[6:12] + mac + frame[12:20] + b"\x00\x02" + mac + frame[38:42] + asker


def neighbour_reply(frame: bytes, mac: bytes) -> Optional[bytes]:
    """Answer a neighbour solicitation (RFC 4861 4.3) with an advertisement for the asked address."""
    if frame[20] != ICMP6 or frame[54] != 135 or frame[22:38] == bytes(16):
        return None
    target, asker = frame[62:78], frame[22:38]
    body = b"\x88\x00\x00\x00\xe0\x00\x00\x00" + target + b"\x02\x01" + mac
    pseudo = target + asker + struct.pack("!II", len(body), ICMP6)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    header = struct.pack("!IHBB", 0x60000000, len(body), ICMP6, 255) + target + asker
    return frame[6:12] + mac + struct.pack("!H", IPV6) + header + body


def hop(frame: bytearray) -> bool:
    """Take one from the TTL or hop limit, as every router does; False when it is used up."""
    if ethertype(frame) == IPV6:
        frame[21] -= 1
        return frame[21] > 0
    frame[22] -= 1
    frame[24:26] = b"\x00\x00"
    header = bytes(frame[14 : 14 + (frame[14] & 15) * 4])
    struct.pack_into("!H", frame, 24, checksum(header))
    return frame[22] > 0
