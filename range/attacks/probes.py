"""Single openings and questions: shared by attacks and by the decoys that look like them."""

import socket
import struct


def connect(me, block: str, address: str, port: int, timeout_s: float) -> bool:
    """Open a TCP connection and hang up; False when refused or not answered in time."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind((me.host.v6 if ":" in address else me.host.v4, me.port(block)))
        sock.settimeout(timeout_s)
        return sock.connect_ex((address, port)) == 0


def question(me, block: str, resolver: str, name: str, kind: int) -> bytes:
    """Ask a resolver for one name over UDP, with EDNS as modern stubs do; b"" without an answer."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    head = struct.pack("!HHHHHH", me.rng.randrange(65536), 0x0100, 1, 0, 0, 1)
    query = head + labels + b"\0" + struct.pack("!HH", kind, 1) + b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((me.host.v4, me.port(block)))
        sock.settimeout(3)
        try:
            sock.sendto(query, (resolver, 53))
            return sock.recv(2048)
        except OSError:
            return b""
