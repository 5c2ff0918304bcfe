#!/usr/bin/env python3
"""How far cormorant's `nfstream` columns agree with NFStream's own: python3 benches/nfstream_agree.py [FOLDER] [--limit N | --all]

Each capture is read by NFStream (its default timeouts and accounting mode, SPLT of 20, no dissection, one meter) and by
`cormorant extract --features flow,nfstream`. Flows of the same two endpoints are put side by side in the order of their first packets
and compared in every column of the set, in who is the source, when first and last packet came and whether the active timeout ended them.
Differences are explained by what is in the packets concerned (as tshark tells it), and what is not is listed.
Needs the pip package nfstream, tshark and a cormorant binary (--cormorant).
"""

import argparse
import ast
import csv
import ipaddress
import json
import math
import pathlib
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict

from agree import TUNNELS, choose, is_fragment, last, run, share

METER = pathlib.Path(__file__).with_name("nfstream_flows.py")
SPLT = ["splt_direction", "splt_ps", "splt_piat_ms"]
FIELDS = [
    "frame.number", "frame.len", "frame.cap_len", "frame.protocols", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "ip.proto", "ip.len", "ip.flags.mf",
    "ip.frag_offset", "ipv6.fraghdr.nxt", "frame.time_epoch", "vlan.id", "vlan.etype",
]
# Half of the nanoseconds that 64 bits hold.
CLOCK_END_S = 2**62 / 1e9
ICMP, WITH_PORTS = ("1", "58"), ("1", "6", "17", "58")


def main():
    arguments = parse()
    columns = [column["name"] for column in our_columns(arguments.cormorant)]
    captures = choose(arguments)
    total = Totals(columns)
    for done, path in enumerate(captures, 1):
        compare(path, arguments.cormorant, total)
        if sys.stderr.isatty():
            print(f"\r{done} of {len(captures)}", end="", file=sys.stderr, flush=True)
    total.show(len(captures))
    return 1 if total.unexplained or total.failed else 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=pathlib.Path.home() / ".cache/cormorant-data/pcaps")
    parser.add_argument("--limit", type=int, default=60, help="captures to compare (default: 60)")
    parser.add_argument("--all", action="store_true", help="compare every capture")
    parser.add_argument("--cormorant", default="target/release/cormorant", help="the binary to compare")
    return parser.parse_args()


def our_columns(cormorant):
    listed = json.loads(run([cormorant, "list", "features", "--json"]))
    return next(found["columns"] for found in listed if found["name"] == "nfstream")


class Totals:
    def __init__(self, listed):
        # A wide column is listed as `name_1..name_20`, and is one list for NFStream.
        self.columns = [name.split("_1..")[0] for name in listed]
        self.captures_equal = 0
        self.refused = 0
        self.flows = [0, 0]
        self.compared = 0
        self.equal = 0
        self.different = Counter()
        self.explained = Counter()
        self.unexplained = []
        self.failed = []

    def show(self, captures):
        compared = captures - self.refused - len(self.failed)
        print(f"captures compared: {compared}; equal in every flow and column: {share(self.captures_equal, compared)}")
        print(f"refused or without flows for NFStream: {self.refused}; failed: {len(self.failed)}")
        print(f"flows: NFStream {self.flows[0]}, cormorant {self.flows[1]}; side by side: {self.compared}")
        print(f"flows equal in all {len(self.columns)} columns (SPLT: 20 places each): {share(self.equal, self.compared)}")
        same = [name for name in self.columns if not self.different[name]]
        print(f"columns without an unexplained difference: {share(len(same), len(self.columns))}")
        for name, flows in self.different.most_common():
            print(f"  {flows:8} flows differ unexplained in {name}")
        print("differing endpoint pairs, by what explains them:")
        for reason, pairs in self.explained.most_common():
            print(f"  {pairs:8} {reason}")
        print(f"  {len(self.unexplained):8} unexplained")
        for line in self.failed + self.unexplained:
            print(line)


def compare(path, cormorant, total):
    with tempfile.TemporaryDirectory() as folder:
        try:
            theirs = read_nfstream(path, pathlib.Path(folder) / "theirs.csv")
            ours = read_cormorant(path, cormorant, pathlib.Path(folder) / "ours.csv")
        except (subprocess.TimeoutExpired, OSError, ValueError) as error:
            total.failed.append(f"failed: {path}: {error}")
            return
    if theirs is None:
        total.refused += 1
        return
    about, equal = None, True
    for pair in theirs.keys() | ours.keys():
        left, right = theirs.get(pair, []), ours.get(pair, [])
        total.flows[0] += len(left)
        total.flows[1] += len(right)
        differing = set()
        if len(left) == len(right):
            for their, our in zip(left, right):
                found = differences(their, our, total.columns)
                total.compared += 1
                total.equal += not found
                differing.update(found)
        if len(left) != len(right) or differing:
            equal = False
            about = about or Traits(path)
            reason = about.explain(pair, right)
            if reason:
                total.explained[reason] += 1
            else:
                total.different.update(differing)
                total.unexplained.append(unexplained(path, pair, left, right, total.columns))
    total.captures_equal += equal


def unexplained(path, pair, left, right, columns):
    example = ""
    for their, our in zip(left, right):
        found = differences(their, our, columns)
        if found:
            example = ", ".join(f"{name} {theirs!r} / {ours!r}" for name, (theirs, ours) in list(found.items())[:4])
            break
    return f"unexplained: {path}: {pair}: {len(left)} / {len(right)} flows: {example}"


def differences(theirs, ours, columns):
    """{column: (theirs, ours)} where they differ. Means and deviations of exact sums and of Welford's differ in the last digits."""
    found = {}
    for name in [*columns, "source", "first_ms", "last_ms", "active"]:
        left, right = theirs[name], ours[name]
        same = math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9) if isinstance(left, float) else left == right
        if not same:
            found[name] = (left, right)
    return found


def read_nfstream(path, table):
    done = subprocess.run([sys.executable, str(METER), str(path), str(table)], capture_output=True, timeout=900)
    if done.returncode or not table.exists():
        return None
    return by_pair(map(their_flow, csv.DictReader(table.open())))


def their_flow(row):
    flow = {name: ast.literal_eval(value) if name in SPLT else number(value) for name, value in row.items() if value != ""}
    ends = [end(row["src_ip"], row["src_port"]), end(row["dst_ip"], row["dst_port"])]
    flow.update(
        pair=(*sorted(ends), row["protocol"], row["vlan_id"]), source=ends[0], first_ms=int(row["bidirectional_first_seen_ms"]),
        last_ms=int(row["bidirectional_last_seen_ms"]), active=row["expiration_id"] == "1",
    )
    return flow


def read_cormorant(path, cormorant, table):
    run([cormorant, "extract", str(path), "--features", "flow,nfstream", "--threads", "1", "-o", str(table)])
    return by_pair(map(our_flow, csv.DictReader(table.open())))


def our_flow(row):
    flow = {name: number(value) for name, value in row.items()}
    for name in SPLT:
        flow[name] = [flow[f"{name}_{place}"] for place in range(1, 21)]
    ends = [end(row["source"], row["source_port"]), end(row["destination"], row["destination_port"])]
    flow.update(
        pair=(*sorted(ends), row["protocol"], row["vlan"]), source=ends[0], first_ms=int(row["first_ns"]) // 1_000_000,
        last_ms=int(row["last_ns"]) // 1_000_000, active=row["expiry_reason"] == "active",
    )
    return flow


def number(text):
    """Whole numbers as such, others as floats, the rest as text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def end(address, port):
    return str(ipaddress.ip_address(address)), port


def by_pair(flows):
    pairs = defaultdict(list)
    for flow in flows:
        pairs[flow["pair"]].append(flow)
    for listed in pairs.values():
        listed.sort(key=lambda flow: flow["first_ms"])
    return pairs


class Traits:
    """What is in the packets of a capture that a difference can come from, by pair of addresses."""

    def __init__(self, path):
        command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=;"]
        command += ["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]
        command += [part for field in FIELDS for part in ("-e", field)]
        text = subprocess.run(command, capture_output=True, timeout=900).stdout.decode(errors="replace")
        self.found, latest = defaultdict(dict), 0.0
        self.backward = self.beyond = self.mixed = False
        for line in text.splitlines():
            frame = dict(zip(FIELDS, line.split("\t")))
            time = float(frame["frame.time_epoch"]) if frame["frame.time_epoch"].replace(".", "").isdigit() else latest
            self.backward |= time < latest
            self.beyond |= time > CLOCK_END_S
            latest = max(time, latest)
            self.add(frame, frame["frame.protocols"].split(":"))

    def add(self, frame, stack):
        tunnels = [layer for layer in stack if layer in TUNNELS or stack.count(layer) > 1 and layer in ("ip", "ipv6")]
        reasons = [
            (f"encapsulation: {'+'.join(dict.fromkeys(tunnels))}", tunnels),
            ("fragments", frame["ipv6.fraghdr.nxt"] or is_fragment(frame)),
            ("packet cut by the snapshot length", int(frame["frame.cap_len"] or 0) < int(frame["frame.len"] or 0)),
            ("IP length 0 (offload)", last(frame, "ip.len") == "0"),
            ("frame of 64 KiB or more", int(frame["frame.len"] or 0) > 65535),
            ("fewer than 28 bytes of IP captured", int(frame["frame.cap_len"] or 0) < 28),
        ]
        for version in ("ip", "ipv6"):
            ends = [address for side in ("src", "dst") for address in frame[f"{version}.{side}"].split(";") if address]
            for one in ends:
                # An IPv4 address is the first half of an IPv6 one there.
                self.mixed |= version == "ipv6" and ipaddress.ip_address(one).packed[4:] == bytes(12)
                for other in ends:
                    for reason, holds in reasons:
                        if holds:
                            self.found[one, other].setdefault(reason)

    def explain(self, pair, ours):
        (one, _), (other, _), protocol, _ = pair
        if protocol in ICMP:
            return "ICMP: type and code tell flows apart, for NFStream two addresses are one"
        if protocol not in WITH_PORTS:
            return "a transport whose ports NFStream does not read"
        found = list(self.found.get((one, other), []))
        if any(flow["tunnel"] for flow in ours):
            return (found or ["encapsulation"])[0]
        if found:
            return found[0]
        if self.mixed:
            return "IPv4 and IPv6 addresses of equal bits, one flow for NFStream"
        if self.beyond:
            return "packet times beyond the year 2116, where cormorant's clock ends"
        return "packet times that go back" if self.backward else None


if __name__ == "__main__":
    sys.exit(main())
