#!/usr/bin/env python3
"""Cuts a raw capture down to a size, keeping every packet, its time and its original length.

`fit.py RAW.pcapng OUT.pcapng --bytes N`. All headers stay. Of the payload stays: DNS whole, the first
packets of each direction of a flow up to some bytes (a TLS hello with its server name, an SSH banner), little
of the rest. How much is the most generous step of `STEPS` that fits.
"""

import argparse
import os
import sys

import frames
import pcapng

STEPS = [
    (4, 1500, 64),
    (4, 600, 16),
    (3, 400, 8),
    (2, 330, 0),
    (1, 330, 0),
    (1, 260, 0),
    (1, 200, 0),
    (1, 120, 0),
    (0, 0, 0),
]
WHOLE_UDP = {53, 123}


def kept(record: pcapng.Record, step: tuple, spoken: dict) -> pcapng.Record:
    """One packet after cutting; `spoken` counts the packets with payload per direction."""
    first_packets, first_bytes, rest_bytes = step
    parsed = frames.parse(record.data)
    if (
        parsed is None
        or WHOLE_UDP & {parsed.flow.source_port, parsed.flow.destination_port}
        or not parsed.payload_bytes
    ):
        return record
    spoken[parsed.flow] = count = spoken.get(parsed.flow, 0) + 1
    keep = first_bytes if count <= first_packets else rest_bytes
    return record._replace(data=record.data[: parsed.payload_at + keep])


def size(records: list, step: tuple) -> int:
    spoken = {}
    return 200 + sum(32 + (len(kept(record, step, spoken).data) + 3) // 4 * 4 for record in records)


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
        print(
            f"fit: {len(records)} packets need {size(records, STEPS[-1])} bytes with headers alone; "
            "run for fewer --seconds",
            file=sys.stderr,
        )
        return 1
    spoken = {}
    with open(options.out, "wb") as file:
        writer = pcapng.Writer(file, "router")
        for record in records:
            writer.write(kept(record, step, spoken))
    print(
        f"fit: {len(records)} packets in {os.path.getsize(options.out)} bytes; kept {step[1]} bytes "
        f"of the first {step[0]} payloads of each direction, {step[2]} of the rest"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
