"""Reads and writes the one kind of capture file the range needs: pcapng, Ethernet, microseconds.

The format is described in draft-ietf-opsawg-pcapng. Only three blocks are written: the section
header, one interface description and enhanced packets; the reader skips every other block.
"""

import struct
from typing import BinaryIO, Iterator, NamedTuple

SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
BYTE_ORDER = 0x1A2B3C4D
ETHERNET = 1


class Record(NamedTuple):
    """One captured frame: time in microseconds since 1970, the bytes kept, the length it had."""

    time_us: int
    data: bytes
    original: int


def block(kind: int, body: bytes) -> bytes:
    """Frame a block body with its type and both copies of its length."""
    body += bytes(-len(body) % 4)
    total = len(body) + 12
    return struct.pack("<II", kind, total) + body + struct.pack("<I", total)


def option(code: int, value: bytes) -> bytes:
    """One option, padded to 32 bits."""
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


class Writer:
    """Appends packets to a new pcapng file."""

    def __init__(self, file: BinaryIO, interface: str, snaplen: int = 262144):
        self.file = file
        file.write(block(SECTION, struct.pack("<IHHq", BYTE_ORDER, 1, 0, -1)))
        options = option(2, interface.encode()) + option(9, b"\x06") + option(0, b"")
        file.write(block(INTERFACE, struct.pack("<HHI", ETHERNET, 0, snaplen) + options))

    def write(self, record: Record) -> None:
        """Append one enhanced packet block."""
        head = struct.pack(
            "<IIIII", 0, record.time_us >> 32, record.time_us & 0xFFFFFFFF, len(record.data), record.original
        )
        self.file.write(block(PACKET, head + record.data))


def read(file: BinaryIO) -> Iterator[Record]:
    """Yield the packets of a file that `Writer` wrote."""
    while header := file.read(8):
        kind, total = struct.unpack("<II", header)
        body = file.read(total - 12)
        if file.read(4) != header[4:]:
            raise ValueError(f"pcapng: block lengths differ before offset {file.tell()}")
        if kind == PACKET:
            _, high, low, kept, original = struct.unpack_from("<IIIII", body)
            yield Record(high << 32 | low, body[20 : 20 + kept], original)
