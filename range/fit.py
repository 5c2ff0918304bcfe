#!/usr/bin/env python3
"""Cuts a raw capture down to a size, keeping every packet, its time and its original length.

`fit.py RAW.pcapng OUT.pcapng --bytes N`. All that is not TCP stays whole, and so do all headers. Of a TCP
connection stays the first payload of each side (a TLS hello, a banner, a request) up to some bytes, and
little or nothing of the rest. How much is the most generous step of `STEPS` that fits.
"""

import argparse
import os
import sys
from typing import NamedTuple

import frames
import pcapng


class Step(NamedTuple):
    """Bytes of payload kept: of the opener's first packet with any, of the other side's, of all others."""

    opener: int
    answerer: int
    rest: int


STEPS = [
    Step(1500, 1500, 64),
    Step(1500, 600, 16),
    Step(600, 330, 0),
    Step(600, 140, 0),
    Step(600, 0, 0),
    Step(330, 0, 0),
    Step(0, 0, 0),
]


class Cutter:
    """Cuts the packets of a capture, in order."""

    def __init__(self, step: Step):
        self.step = step
        self.opened = {}
        self.spoken = set()

    def cut(self, record: pcapng.Record) -> pcapng.Record:
        """The packet with as much of its payload as the step allows."""
        parsed = frames.parse(record.data)
        if parsed is None or parsed.flow.protocol != "tcp":
            return record
        opener = self.opened.setdefault(parsed.flow.key(), parsed.flow)
        if not parsed.payload_bytes:
            return record
        keep = self.step.rest
        if parsed.flow not in self.spoken:
            self.spoken.add(parsed.flow)
            keep = self.step.opener if parsed.flow == opener else self.step.answerer
        return record._replace(data=record.data[: parsed.payload_at + keep])


def size(records: list, step: Step) -> int:
    """Bytes of the file that a step would give."""
    cutter = Cutter(step)
    return 200 + sum(32 + (len(cutter.cut(record).data) + 3) // 4 * 4 for record in records)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("raw")
    parser.add_argument("out")
    parser.add_argument("--bytes", type=int, default=4_000_000, help="largest size of OUT (default 4000000)")
    options = parser.parse_args()
    with open(options.raw, "rb") as file:
        records = list(pcapng.read(file))
    step = next((step for step in STEPS if size(records, step) <= options.bytes), None)
    if step is None:
        needed = size(records, STEPS[-1])
        print(f"fit: {len(records)} packets need {needed} bytes with headers alone", file=sys.stderr)
        print("fit: run the world for fewer --seconds, or allow more --bytes", file=sys.stderr)
        return 1
    cutter = Cutter(step)
    with open(options.out, "wb") as file:
        writer = pcapng.Writer(file, "router")
        for record in records:
            writer.write(cutter.cut(record))
    print(f"fit: {len(records)} packets in {os.path.getsize(options.out)} bytes; payload bytes kept: {step}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
