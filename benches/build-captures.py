#!/usr/bin/env python3
"""Builds the captures that `make bench` measures on: mix100.pcap and mix500.pcap.

Hundreds of real captures become one busy quarter of an hour: IP packets on Ethernet, every capture
rebased into one 15-minute window, as many copies as the size asks for, merged in time order into
one classic pcap (microseconds, little-endian). Each copy of each capture gets addresses of its
own, so that flows never run into each other; header and transport checksums are patched by
RFC 1624, so that what was right stays right and what was wrong stays wrong. The same data and seed
give the same bytes.

Only the standard library is needed. Usage: build-captures.py [--data DIR] [--out DIR]
[--sizes 100,500]; a capture that is already there is left alone.
"""

import argparse
import csv
import gzip
import hashlib
import json
import os
import random
import struct
import subprocess
import sys
import time
from pathlib import Path

RECIPE = 2  # goes into the record: raise it when the bytes change
SEED = 20260101
# Left out: collections of rule and parser tests, whose flows are shorter than traffic's.
PUBLISHERS = [
    "chrissanders", "corelight", "elcabezzonn", "iot-sentinel", "markofu", "ndpi",
    "netml", "networkml", "nfstream", "nprint", "slips",
]  # fmt: skip
EPOCH_US = 1_767_225_600 * 1_000_000  # 2026-01-01T00:00:00Z
WINDOW_US = 900 * 1_000_000
LONGEST_GAP_US = 60 * 1_000_000
ETHERNET = 1


def main():
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    missing = [mb for mb in args.sizes if not recorded(args.out, mb)]
    if missing:
        began = time.monotonic()
        sources = load_sources(args.data)
        packets = sum(len(s) for s in sources)
        print(f"{len(sources)} captures, {packets} IP packets read in {time.monotonic() - began:.1f} s")
        for megabytes in missing:
            build(sources, args.out, megabytes)
    for megabytes in args.sizes:
        print((args.out / f"mix{megabytes}.txt").read_text().strip())


def arguments():
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    default_out = os.environ.get("CORMORANT_BENCH_CACHE", cache / "cormorant-bench")
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--data", type=Path, help="folder with pcaps/ and captures.csv (default: ask ../shared)")
    p.add_argument("--out", type=Path, default=Path(default_out))
    p.add_argument("--sizes", type=lambda s: [int(x) for x in s.split(",")], default=[100, 500])
    args = p.parse_args()
    args.data = args.data or unpacked_data()
    return args


def unpacked_data():
    root = Path(__file__).resolve().parent.parent
    shared = Path(os.environ.get("CORMORANT_SHARED", root.parent / "shared"))
    script = shared / "data" / "unpack.sh"
    if not script.exists():
        sys.exit(f"no capture data: {script} is not there; give a folder with --data")
    return Path(subprocess.run([script], check=True, capture_output=True, text=True).stdout.split()[-1])


# ---- one capture in, its IP packets out ------------------------------------------------------


class Packet:
    """A frame, its time in the window, and where its addresses and checksums lie (0 = none)."""

    __slots__ = ("at_us", "frame", "length", "ip", "version", "l4_checksum", "udp")

    def __init__(self, at_us, frame, length, ip, version, l4_checksum, udp):
        self.at_us, self.frame, self.length = at_us, frame, length
        self.ip, self.version, self.l4_checksum, self.udp = ip, version, l4_checksum, udp


def load_sources(data):
    """The IP packets of every usable capture, in the order of captures.csv."""
    sources = []
    with open(data / "captures.csv", newline="") as f:
        for row in csv.DictReader(f):
            if row["path"].split("/")[0] not in PUBLISHERS:
                continue
            if row["link"] != "EN10MB" or row["status"] != "ok" or row["use"] == "malformed":
                continue
            packets = rebased([p for p in map(located, records(data / "pcaps" / row["path"])) if p])
            if packets:
                sources.append(packets)
    return sources


def rebased(packets):
    """Times from zero, never backwards, long silences shortened, all within the window."""
    now, last = 0, None
    for p in packets:
        if last is not None:
            now += min(max(p.at_us - last, 0), LONGEST_GAP_US)
        last, p.at_us = p.at_us, now
    if now >= WINDOW_US:
        for p in packets:
            p.at_us = p.at_us * (WINDOW_US - 1) // now
    return packets


def records(path):
    """(time in microseconds, captured bytes, length on the wire) of each Ethernet packet."""
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return pcapng_records(data) if data[:4] == b"\x0a\x0d\x0d\x0a" else pcap_records(data)


def pcap_records(data):
    magic = {
        b"\xd4\xc3\xb2\xa1": ("<", 1), b"\xa1\xb2\xc3\xd4": (">", 1),
        b"\x4d\x3c\xb2\xa1": ("<", 1000), b"\xa1\xb2\x3c\x4d": (">", 1000),
    }  # fmt: skip
    order, per_us = magic[data[:4]]
    header, at = struct.Struct(order + "IIII"), 24
    while at + 16 <= len(data):
        seconds, fraction, captured, length = header.unpack_from(data, at)
        yield seconds * 1_000_000 + fraction // per_us, data[at + 16 : at + 16 + captured], length
        at += 16 + captured


def pcapng_records(data):
    order, at, interfaces = "<", 0, []
    while at + 12 <= len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            interfaces = []
        kind, size = struct.unpack_from(order + "II", data, at)
        body = data[at + 8 : at + size - 4]
        if kind == 1:
            interfaces.append((struct.unpack_from(order + "H", body)[0], ticks_per_s(body[8:], order)))
        elif kind == 6:
            interface, high, low, captured, length = struct.unpack_from(order + "IIIII", body)
            link, ticks = interfaces[interface]
            if link == ETHERNET:
                yield (high << 32 | low) * 1_000_000 // ticks, body[20 : 20 + captured], length
        at += size


def ticks_per_s(options, order):
    while len(options) >= 4:
        code, size = struct.unpack_from(order + "HH", options)
        if code == 9:
            return 2 ** (options[4] & 0x7F) if options[4] & 0x80 else 10 ** options[4]
        options = options[4 + (size + 3) // 4 * 4 :]
    return 1_000_000


def located(record):
    """The packet with its places found, or None when it is not IP on Ethernet."""
    at_us, frame, length = record
    ip = 14
    ethertype = frame[12:14]
    while ethertype in (b"\x81\x00", b"\x88\xa8", b"\x91\x00"):
        ethertype, ip = frame[ip + 2 : ip + 4], ip + 4
    if ethertype == b"\x08\x00" and len(frame) >= ip + 20 and frame[ip] >> 4 == 4:
        protocol, l4 = frame[ip + 9], ip + (frame[ip] & 15) * 4
        if (frame[ip + 6] & 0x1F) << 8 | frame[ip + 7]:
            protocol = None  # a later fragment has no transport header
        version, sums = 4, {6: 16, 17: 6}
    elif ethertype == b"\x86\xdd" and len(frame) >= ip + 40 and frame[ip] >> 4 == 6:
        protocol, l4 = ipv6_transport(frame, ip)
        version, sums = 6, {6: 16, 17: 6, 58: 2}
    else:
        return None
    place = l4 + sums[protocol] if protocol in sums else 0
    if place + 2 > len(frame):
        place = 0
    return Packet(at_us, frame, length, ip, version, place, protocol == 17)


def ipv6_transport(frame, ip):
    """Protocol and offset behind hop-by-hop, routing, destination and first-fragment headers."""
    protocol, at = frame[ip + 6], ip + 40
    while protocol in (0, 43, 60, 44) and at + 8 <= len(frame):
        if protocol == 44 and struct.unpack_from(">H", frame, at + 2)[0] & 0xFFF8:
            return None, at
        step = 8 if protocol == 44 else 8 + frame[at + 1] * 8
        protocol, at = frame[at], at + step
    return protocol, at


# ---- copies ----------------------------------------------------------------------------------


class Addresses(dict):
    """Old address -> (new address, what it adds to a checksum), for one copy of one capture.

    Private stays private, link-local stays link-local, multicast, loopback and broadcast stay as
    they are; inside its range an address is xored with a key, so subnets remain subnets.
    """

    def __init__(self, rng):
        super().__init__()
        self.key = rng.getrandbits(128).to_bytes(16, "big")

    def __missing__(self, old):
        kept = kept_bits4(old) if len(old) == 4 else kept_bits6(old)
        bits = len(old) * 8
        mask = (1 << (bits - kept)) - 1
        key = int.from_bytes(self.key[: len(old)], "big") & mask
        new = (int.from_bytes(old, "big") ^ key).to_bytes(len(old), "big")
        shape = f">{len(old) // 2}H"
        added = sum(~m & 0xFFFF for m in struct.unpack(shape, old)) + sum(struct.unpack(shape, new))
        self[old] = new, added
        return self[old]


def kept_bits4(a):
    if a[0] in (0, 127) or a[0] >= 224:
        return 32
    if a[0] == 192 and a[1] == 168 or a[0] == 169 and a[1] == 254:
        return 16
    return 12 if a[0] == 172 and a[1] & 0xF0 == 16 else 8


def kept_bits6(a):
    if a[0] == 0xFF or a[:15] == bytes(15):
        return 128
    return 64 if a[0] == 0xFE else 16


def patched(old_sum, added):
    """RFC 1624, equation 3: HC' = ~(~HC + ~m + m'), `added` being the sum of all ~m + m'."""
    total = (~old_sum & 0xFFFF) + added
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def copied(p, addresses):
    """The frame with its two addresses exchanged and its checksums patched."""
    frame = bytearray(p.frame)
    width, src = (4, p.ip + 12) if p.version == 4 else (16, p.ip + 8)
    dst = src + width
    frame[src:dst], added_src = addresses[p.frame[src:dst]]
    frame[dst : dst + width], added_dst = addresses[p.frame[dst : dst + width]]
    added = added_src + added_dst
    if p.version == 4:
        patch(frame, p.ip + 10, added)
    if p.l4_checksum and not (p.udp and frame[p.l4_checksum : p.l4_checksum + 2] == b"\0\0"):
        patch(frame, p.l4_checksum, added)
        if p.udp and frame[p.l4_checksum : p.l4_checksum + 2] == b"\0\0":
            frame[p.l4_checksum : p.l4_checksum + 2] = b"\xff\xff"
    return frame


def patch(frame, at, added):
    struct.pack_into(">H", frame, at, patched(frame[at] << 8 | frame[at + 1], added))


def chosen_copies(sources, target_bytes, rng):
    """(copy, source) pairs that fill the size: whole copies, then whatever still fits."""
    weights = [sum(16 + len(p.frame) for p in s) for s in sources]
    left, copy, chosen = target_bytes - 24, 0, []
    while left >= min(weights):
        order = list(range(len(sources)))
        rng.shuffle(order)
        for i in order:
            if weights[i] <= left:
                chosen.append((copy, i))
                left -= weights[i]
        copy += 1
    return sorted(chosen)


# ---- the file and its record -----------------------------------------------------------------


def build(sources, out, megabytes):
    began = time.monotonic()
    rng = random.Random(f"{SEED}/{megabytes}")
    chosen = chosen_copies(sources, megabytes * 1_000_000, rng)
    merged = []
    for copy, i in chosen:
        source, addresses = sources[i], Addresses(rng)
        start = EPOCH_US + rng.randrange(WINDOW_US - source[-1].at_us)
        for p in source:
            merged.append((start + p.at_us, len(merged), copied(p, addresses), p.length))
    merged.sort()
    path = out / f"mix{megabytes}.pcap"
    digest, size = write_pcap(path, merged)
    captured = sum(len(m[2]) for m in merged)
    record = {
        "file": path.name, "recipe": RECIPE, "seed": SEED, "bytes": size, "packets": len(merged),
        "mean_captured_bytes": round(captured / len(merged), 1),
        "captures": len({i for _, i in chosen}), "copies": round(len(chosen) / len(sources), 2),
        "seconds": round((merged[-1][0] - merged[0][0]) / 1e6, 1), "sha256": digest,
    }  # fmt: skip
    (out / f"mix{megabytes}.json").write_text(json.dumps(record, indent=1) + "\n")
    (out / f"mix{megabytes}.txt").write_text(
        f"{path.name}: {len(merged)} packets, {size} bytes, mean captured {captured / len(merged):.0f} B, "
        f"{record['seconds']} s, {record['captures']} captures, copies: {len(chosen) / len(sources):.2f}, "
        f"seed {SEED}\nsha256 {digest}\n"
    )
    print(f"{path} built in {time.monotonic() - began:.1f} s")


def write_pcap(path, merged):
    """Writes beside the target and renames, so that a half-written file is never taken for one."""
    part, digest = path.with_suffix(".part"), hashlib.sha256()
    with open(part, "wb") as f:
        chunk = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, ETHERNET)]
        for n, (at_us, _, frame, length) in enumerate(merged):
            chunk.append(struct.pack("<IIII", at_us // 1_000_000, at_us % 1_000_000, len(frame), max(length, len(frame))))
            chunk.append(frame)
            if n % 16_384 == 16_383:
                flush(f, digest, chunk)
        flush(f, digest, chunk)
    part.rename(path)
    return digest.hexdigest(), path.stat().st_size


def flush(f, digest, chunk):
    block = b"".join(chunk)
    chunk.clear()
    digest.update(block)
    f.write(block)


def recorded(out, megabytes):
    """True when this very recipe is already built."""
    pcap, record = out / f"mix{megabytes}.pcap", out / f"mix{megabytes}.json"
    if not (pcap.exists() and record.exists()):
        return False
    known = json.loads(record.read_text())
    return (known["recipe"], known["seed"], known["bytes"]) == (RECIPE, SEED, pcap.stat().st_size)


if __name__ == "__main__":
    main()
