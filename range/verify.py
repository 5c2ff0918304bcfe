#!/usr/bin/env python3
"""Checks a capture against its labels: every flow must match rules of exactly one label and family.

`verify.py CAPTURE.pcapng LABELS.csv` prints flows, packets, bytes and durations per family, then what is
wrong, and exits 1 if anything is. A flow here is a 5-tuple (ICMP: a pair of addresses) whose packets are
never 120 s apart, the idle timeout most flow tools use. The rules must hold at the time of each of its
packets, so that tools which cut flows elsewhere (at a FIN, say) find the same label for every part.
"""

import ipaddress
import statistics
import sys
from collections import defaultdict
from dataclasses import dataclass, field

import frames
import labels
import pcapng

IDLE_S = 120


@dataclass
class Seen:
    """One flow of the capture: the time of each packet, and the bytes on the wire."""

    flow: frames.Flow
    times: list = field(default_factory=list)
    octets: int = 0

    def ends(self) -> tuple:
        """Both ends as (address, port)."""
        flow = self.flow
        pairs = ((flow.source, flow.source_port), (flow.destination, flow.destination_port))
        return tuple((ipaddress.ip_address(address), port) for address, port in pairs)

    def seconds(self) -> float:
        return self.times[-1] - self.times[0]


class Rule:
    """A row with its columns made comparable."""

    def __init__(self, row: labels.Row):
        self.row = row
        self.near = (network(row.source), span(row.source_port))
        self.far = (network(row.destination), span(row.destination_port))

    def joins(self, seen: Seen, ends: tuple) -> bool:
        """Protocol, and both ends in either order."""
        if self.row.protocol not in ("any", seen.flow.protocol):
            return False
        one, other = ends
        straight = holds(self.near, one) and holds(self.far, other)
        return straight or (holds(self.near, other) and holds(self.far, one))


def network(text: str):
    return None if text == "*" else ipaddress.ip_network(text)


def span(text: str) -> tuple:
    """First and last port of a port column."""
    if text == "*":
        return 0, 65535
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def holds(end: tuple, actual: tuple) -> bool:
    prefix, (first, last) = end
    address, port = actual
    return first <= port <= last and (
        prefix is None or (prefix.version == address.version and address in prefix)
    )


def flows(path) -> tuple:
    """All flows of a capture, and how many frames belong to none (ARP)."""
    done, live, other = [], {}, 0
    with open(path, "rb") as file:
        for record in pcapng.read(file):
            parsed = frames.parse(record.data)
            if parsed is None:
                other += 1
                continue
            time_s, key = record.time_us / 1e6, parsed.flow.key()
            if key in live and time_s - live[key].times[-1] > IDLE_S:
                done.append(live.pop(key))
            seen = live.setdefault(key, Seen(parsed.flow))
            seen.times.append(time_s)
            seen.octets += record.original
    return done + list(live.values()), other


def kinds_of(seen: Seen, rules: list) -> list:
    """The set of kinds that hold at each packet of a flow, without repetitions."""
    ends = seen.ends()
    rows = [rule.row for rule in rules if rule.joins(seen, ends)]
    each = [frozenset(row.what() for row in rows if row.start <= time_s <= row.end) for time_s in seen.times]
    return list(dict.fromkeys(each))


def check(path, rows: list) -> tuple:
    """Flows by what they match, what is wrong, and the number of frames outside any flow."""
    found, wrong = defaultdict(list), []
    rules = [Rule(row) for row in rows]
    seen_flows, other = flows(path)
    for seen in seen_flows:
        kinds = kinds_of(seen, rules)
        if len(kinds) == 1 and len(kinds[0]) == 1:
            found[next(iter(kinds[0]))].append(seen)
        else:
            matches = " then ".join(str(sorted(kind)) for kind in kinds)
            wrong.append(f"{seen.flow} at {seen.times[0]:.6f} matches {matches}")
    return found, wrong, other


def report(found: dict, other: int) -> None:
    """One line per label and family, then totals."""
    columns = ("label", "family", "note", "flows", "packets", "bytes", "median s", "max s")
    print("{:10} {:14} {:24} {:>6} {:>8} {:>9} {:>9} {:>7}".format(*columns))
    for what in sorted(found):
        group = found[what]
        lasted = [seen.seconds() for seen in group]
        packets, octets = sum(len(seen.times) for seen in group), sum(seen.octets for seen in group)
        print(
            f"{what[0]:10} {what[1]:14} {what[2][:24]:24} {len(group):6} {packets:8} {octets:9} "
            f"{statistics.median(lasted):9.2f} {max(lasted):7.1f}"
        )
    for label in ("benign", "malicious"):
        print(f"{label}: {sum(len(group) for what, group in found.items() if what[0] == label)} flows")
    every = [seen for group in found.values() for seen in group]
    first, last = min(seen.times[0] for seen in every), max(seen.times[-1] for seen in every)
    six = sum(":" in seen.flow.source for seen in every)
    print(f"from {first:.3f} for {last - first:.1f} s; {six} IPv6 flows; {other} frames are not IP")


def main() -> int:
    found, wrong, other = check(sys.argv[1], labels.read(sys.argv[2]))
    report(found, other)
    for line in wrong[:20]:
        print(f"verify: {line}")
    print(f"verify: {len(wrong)} flows do not match exactly one label and family")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
