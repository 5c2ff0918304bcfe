#!/usr/bin/env python3
"""Tests of what the range computes: formats, labels, cutting, checking. Needs neither root nor packages.

`python3 range/tests.py`
"""

import io
import socket
import struct
import tempfile
import unittest
from pathlib import Path

import fit
import frames
import labels
import pcapng
import verify
from world import Ports, World

BENIGN, BEACON = ("benign", "web", ""), ("malicious", "beacon", "")


def segment(
    source: str, port: int, destination: str, to: int, payload: bytes = b"", flags: int = 0x18
) -> bytes:
    """An Ethernet frame with IPv4 and TCP."""
    tcp = struct.pack("!HHIIBBHHH", port, to, 1, 1, 5 << 4, flags, 500, 0, 0) + payload
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 7, 0, 64, 6, 0)
    ends = socket.inet_aton(source) + socket.inet_aton(destination)
    total = frames.checksum(ip + ends)
    return bytes(12) + b"\x08\x00" + ip[:10] + struct.pack("!H", total) + ends + tcp


def row(start: float, end: float, port: str, what: tuple) -> labels.Row:
    return labels.Row(start, end, "tcp", "10.0.0.1", port, "10.0.0.0/24", "443", *what)


def capture(*records: tuple) -> Path:
    """A file with frames at given seconds."""
    path = Path(tempfile.mkstemp(suffix=".pcapng")[1])
    with open(path, "wb") as file:
        writer = pcapng.Writer(file, "test")
        for seconds, frame in records:
            writer.write(pcapng.Record(int(seconds * 1e6), frame, len(frame)))
    return path


class Formats(unittest.TestCase):
    def test_pcapng_gives_back_what_was_written(self):
        file, record = io.BytesIO(), pcapng.Record(1_700_000_000_123_456, b"abcde", 1500)
        pcapng.Writer(file, "x").write(record)
        file.seek(0)
        self.assertEqual(list(pcapng.read(file)), [record])

    def test_a_hop_keeps_the_header_checksum_right(self):
        frame = bytearray(segment("10.0.0.1", 4000, "10.0.0.2", 443))
        self.assertTrue(frames.hop(frame))
        self.assertEqual((frame[22], frames.checksum(bytes(frame[14:34]))), (63, 0))

    def test_both_directions_have_one_key(self):
        there = frames.parse(segment("10.0.0.1", 4000, "10.0.0.2", 443)).flow
        back = frames.parse(segment("10.0.0.2", 443, "10.0.0.1", 4000)).flow
        self.assertEqual(there.key(), back.key())

    def test_label_file_round_trip(self):
        rows = [row(1.5, 2.25, "4000-4999", BENIGN)]
        with tempfile.NamedTemporaryFile() as file:
            labels.write(rows, file.name)
            self.assertEqual(labels.read(file.name), rows)


class Rules(unittest.TestCase):
    def test_merge_does_not_reach_over_another_kind(self):
        rows = [
            row(1, 2, "*", BENIGN),
            row(3, 4, "*", BENIGN),
            row(5, 6, "*", BEACON),
            row(7, 8, "*", BENIGN),
        ]
        self.assertEqual([(r.start, r.end) for r in labels.merge(rows)], [(1, 4), (5, 6), (7, 8)])

    def test_a_held_destination_refuses_another_family(self):
        ledger, who = labels.Ledger(), ("tcp", "10.0.0.1", "*", "10.0.0.2", "22")
        ledger.take(who, BENIGN, 0)
        ledger.take(who, BENIGN, 0)
        self.assertRaises(labels.Busy, ledger.take, who, BEACON, 0)

    def test_port_blocks_and_the_kernels_range_are_apart(self):
        world = World("learn", 5)
        for host in world.clients():
            ports = Ports(world, host)
            low, high = ports.kernel
            taken = [ports.block() for _ in range(len(ports.free))]
            self.assertEqual(len(set(taken)), len(taken))
            self.assertTrue(all(last < low or first > high for first, last in taken))


class Checking(unittest.TestCase):
    def kinds(self, *rows):
        path = capture(
            (10, segment("10.0.0.1", 4000, "10.0.0.2", 443)), (11, segment("10.0.0.2", 443, "10.0.0.1", 4000))
        )
        found, wrong, _ = verify.check(path, list(rows))
        path.unlink()
        return list(found), len(wrong)

    def test_one_kind_is_right(self):
        self.assertEqual(self.kinds(row(9, 12, "4000-4010", BENIGN)), ([BENIGN], 0))

    def test_no_rule_is_wrong(self):
        self.assertEqual(self.kinds(row(9, 12, "5000", BENIGN)), ([], 1))

    def test_two_kinds_are_wrong(self):
        self.assertEqual(self.kinds(row(9, 12, "*", BENIGN), row(9, 12, "*", BEACON)), ([], 1))

    def test_a_rule_that_ends_before_the_flow_is_wrong(self):
        self.assertEqual(self.kinds(row(9, 10.5, "*", BENIGN)), ([], 1))


class Cutting(unittest.TestCase):
    def test_headers_and_each_sides_first_payload_stay(self):
        there = segment("10.0.0.1", 4000, "10.0.0.2", 443, b"p" * 900)
        back = segment("10.0.0.2", 443, "10.0.0.1", 4000, b"q" * 900)
        cutter = fit.Cutter(fit.Step(opener=100, answerer=50, rest=0))
        cut = [cutter.cut(pcapng.Record(0, frame, len(frame))) for frame in (there, back, there, back)]
        self.assertEqual([len(record.data) - 54 for record in cut], [100, 50, 0, 0])
        self.assertEqual({record.original for record in cut}, {954})


if __name__ == "__main__":
    unittest.main()
