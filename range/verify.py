#!/usr/bin/env python3
"""Checks a capture against its labels: every flow must match rules of exactly one label and family.

`verify.py CAPTURE.pcapng LABELS.csv` prints flows, packets, bytes and durations per family, then what is
wrong, and exits 1 if anything is. A flow here is a 5-tuple (ICMP: a pair of addresses) whose packets are
never 120 s apart, the idle timeout most flow tools use.
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
    """One flow of the capture."""
    flow: frames.Flow
    first: float
    last: float
    packets: int = 0
    octets: int = 0


@dataclass
class Rule:
    """A row with its columns made comparable."""
    row: labels.Row
    ends: tuple = field(init=False)

    def __post_init__(self):
        row = self.row
        self.ends = ((network(row.source), span(row.source_port)), (network(row.destination), span(row.destination_port)))

    def matches(self, seen: Seen, ends: tuple) -> bool:
        """Time, protocol, and both ends in either order."""
        row = self.row
        if not row.start <= seen.first <= row.end or row.protocol not in ("any", seen.flow.protocol):
            return False
        near, far = self.ends
        return (holds(near, ends[0]) and holds(far, ends[1])) or (holds(near, ends[1]) and holds(far, ends[0]))


def network(text: str):
    return None if text == "*" else ipaddress.ip_network(text)


def span(text: str) -> tuple:
    if text == "*":
        return 0, 65535
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def holds(end: tuple, actual: tuple) -> bool:
    prefix, (first, last) = end
    address, port = actual
    return first <= port <= last and (prefix is None or (prefix.version == address.version and address in prefix))


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
            if key in live and time_s - live[key].last > IDLE_S:
                done.append(live.pop(key))
            seen = live.setdefault(key, Seen(parsed.flow, time_s, time_s))
            seen.last = time_s
            seen.packets += 1
            seen.octets += record.original
    return done + list(live.values()), other


def check(path, rows: list) -> tuple:
    """Flows by what they match, and a list of what is wrong."""
    found, wrong = defaultdict(list), []
    rules = [Rule(row) for row in rows]
    seen_flows, other = flows(path)
    for seen in seen_flows:
        ends = tuple((ipaddress.ip_address(address), port) for address, port in
                     ((seen.flow.source, seen.flow.source_port), (seen.flow.destination, seen.flow.destination_port)))
        kinds = {rule.row.what() for rule in rules if rule.matches(seen, ends)}
        if len(kinds) == 1:
            found[kinds.pop()].append(seen)
        else:
            wrong.append(f"{len(kinds)} kinds for {seen.flow} at {seen.first:.6f}: {sorted(kinds) or 'no rule'}")
    return found, wrong, other


def report(found: dict, other: int) -> None:
    """One line per label and family."""
    print(f"{'label':10} {'family':14} {'note':24} {'flows':>6} {'packets':>8} {'bytes':>9} {'median s':>9} {'max s':>7}")
    for what in sorted(found):
        group = found[what]
        times = [seen.last - seen.first for seen in group]
        print(f"{what[0]:10} {what[1]:14} {what[2][:24]:24} {len(group):6} {sum(seen.packets for seen in group):8} "
              f"{sum(seen.octets for seen in group):9} {statistics.median(times):9.2f} {max(times):7.1f}")
    for label in ("benign", "malicious"):
        print(f"{label}: {sum(len(group) for what, group in found.items() if what[0] == label)} flows")
    every = [seen for group in found.values() for seen in group]
    print(f"from {min(seen.first for seen in every):.3f} for {max(seen.last for seen in every) - min(seen.first for seen in every):.1f} s; "
          f"{sum(':' in seen.flow.source for seen in every)} IPv6 flows; {other} frames are not IP")


def main() -> int:
    found, wrong, other = check(sys.argv[1], labels.read(sys.argv[2]))
    report(found, other)
    for line in wrong[:20]:
        print(f"verify: {line}")
    print(f"verify: {len(wrong)} flows do not match exactly one label and family")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
