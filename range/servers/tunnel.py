"""The far end of the DNS tunnel: answers every question under its zone with random bytes as text.

`tunnel.py ADDRESS ZONE`. TXT gets up to 180 bytes, CNAME a name, A an address; nothing is kept.
"""

import base64
import os
import random
import socket
import struct
import sys

ADDRESS, ZONE = sys.argv[1:3]
TXT, CNAME, A = 16, 5, 1


def encode(name: str) -> bytes:
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def answer(kind: int) -> bytes:
    """Data of one answer record."""
    if kind == TXT:
        text = base64.b64encode(os.urandom(random.choice((6, 24, 90, 135))))
        return bytes([len(text)]) + text
    if kind == CNAME:
        return encode(base64.b32encode(os.urandom(30)).decode().lower().rstrip("=") + "." + ZONE)
    return os.urandom(4)


def reply(query: bytes) -> bytes:
    """Echo the question and add one answer record with no time to live."""
    end = query.index(b"\0", 12) + 5
    question = query[12:end]
    kind = struct.unpack("!H", question[-4:-2])[0]
    kind = kind if kind in (TXT, CNAME) else A
    data = answer(kind)
    record = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(data)) + data
    return query[:2] + struct.pack("!HHHHH", 0x8580, 1, 1, 0, 0) + question + record


with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.bind((ADDRESS, 53))
    while True:
        query, peer = sock.recvfrom(2048)
        if len(query) > 16:
            sock.sendto(reply(query), peer)
