#!/usr/bin/env python3
"""How far cormorant's TCP flows agree with Wireshark's `tcp.stream`: python3 benches/agree.py [FOLDER] [--limit N | --all]

Each capture is read by tshark and by cormorant, whose timeouts are set so that no flow is cut, and compared packet by packet sum:
packets of the capture; TCP conversations by their first packet, with packets and IP bytes of each; what Wireshark's sequence analysis
flags against the columns of the same meaning. Differences are explained by what is in the packets concerned, and what is not is listed.
Needs tshark and a cormorant binary (--cormorant). Without --all every n-th capture of each kind of traffic is taken.
"""

import argparse
import csv
import json
import pathlib
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict

FIELDS = [
    "frame.number", "frame.len", "frame.cap_len", "frame.encap_type", "frame.protocols", "tcp.stream", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst",
    "tcp.srcport", "tcp.dstport", "ip.len", "ipv6.plen", "vlan.id", "ip.flags.mf", "ip.frag_offset", "ipv6.fraghdr.nxt", "_ws.malformed",
    "tcp.analysis.retransmission", "tcp.analysis.fast_retransmission", "tcp.analysis.spurious_retransmission",
    "tcp.analysis.out_of_order", "tcp.analysis.lost_segment", "tcp.analysis.duplicate_ack", "tcp.analysis.keep_alive",
    "tcp.analysis.zero_window", "tcp.analysis.zero_window_probe",
]
# Fragments are packets of their flow for us; reassembly in tshark would move a conversation to the last of them.
PREFERENCES = ["ip.defragment:FALSE", "ipv6.defragment:FALSE", "tcp.desegment_tcp_streams:FALSE", "tcp.analyze_sequence_numbers:TRUE"]
FOREVER = [f"--{name}=1e9" for name in ("idle-timeout", "active-timeout", "close-delay", "half-open-timeout")]
# Our columns (summed over both directions) and Wireshark's flags of the same meaning.
ANALYSIS = [
    ("late: retransmissions + out_of_order", ["retransmissions", "out_of_order"],
     ["retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order"]),
    ("retransmissions", ["retransmissions"], ["retransmission", "fast_retransmission", "spurious_retransmission"]),
    ("out_of_order", ["out_of_order"], ["out_of_order"]),
    ("gaps", ["gaps"], ["lost_segment"]),
    ("duplicate_acks", ["duplicate_acks"], ["duplicate_ack"]),
    ("keep_alives", ["keep_alives"], ["keep_alive"]),
    ("zero_windows", ["zero_windows"], ["zero_window"]),
    ("window_probes", ["window_probes"], ["zero_window_probe"]),
]


def main():
    arguments = parse()
    captures = choose(arguments)
    total = Totals()
    for done, path in enumerate(captures, 1):
        compare(path, arguments.cormorant, total)
        if sys.stderr.isatty():
            print(f"\r{done} of {len(captures)}", end="", file=sys.stderr, flush=True)
    total.show(len(captures))
    return 1 if total.unexplained or total.failed else 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=pathlib.Path.home() / ".cache/cormorant-data/pcaps")
    parser.add_argument("--limit", type=int, default=300, help="captures to compare (default: 300)")
    parser.add_argument("--all", action="store_true", help="compare every capture")
    parser.add_argument("--cormorant", default="target/release/cormorant", help="the binary to compare")
    return parser.parse_args()


def choose(arguments):
    """Well-formed captures: as a list beside the folder says, else every file with the name of one."""
    listing = arguments.folder.parent / "captures.csv"
    if listing.exists():
        rows = [row for row in csv.DictReader(listing.open()) if row["status"] == "ok"]
        named = [(row["protocols"], arguments.folder / row["path"]) for row in rows]
    else:
        names = ("*.pcap", "*.pcapng", "*.cap", "*.pcap.gz", "*.pcapng.gz")
        named = [("", path) for name in names for path in arguments.folder.rglob(name)]
    # Sorted by what is in them, so that every n-th is of another kind.
    paths = [path for _, path in sorted(named)]
    step = 1 if arguments.all else max(1, -(-len(paths) // arguments.limit))
    return paths[::step]


class Totals:
    def __init__(self):
        self.captures_equal = 0
        self.refused = 0
        self.packets = [0, 0]
        self.conversations = [0, 0]
        self.same = 0
        self.tcp_packets = [0, 0]
        self.tcp_bytes = [0, 0]
        self.explained = Counter()
        self.unexplained = []
        self.failed = []
        self.analysis = {name: [0, 0, 0, 0] for name, _, _ in ANALYSIS}

    def show(self, captures):
        compared = captures - self.refused - len(self.failed)
        print(f"captures compared: {compared}; equal in packets and conversations: {share(self.captures_equal, compared)}")
        print(f"refused by tshark: {self.refused}; failed: {len(self.failed)}")
        print(f"{'':40} {'tshark':>12} {'cormorant':>12}")
        for name, (theirs, ours) in [("packets", self.packets), ("TCP conversations", self.conversations),
                                     ("packets in them", self.tcp_packets), ("IP bytes in them", self.tcp_bytes)]:
            print(f"{name:40} {theirs:12} {ours:12}")
        print(f"conversations with the same first packet, packets and bytes: {share(self.same, self.conversations[0])}")
        print("differing endpoint pairs, by what explains them:")
        for reason, pairs in sorted(self.explained.items(), key=lambda item: -item[1]):
            print(f"  {pairs:8} {reason}")
        print(f"  {len(self.unexplained):8} unexplained")
        print(f"\n{'sequence analysis (packets)':40} {'tshark':>12} {'cormorant':>12} {'equal captures':>20}")
        for name, (theirs, ours, same, seen) in self.analysis.items():
            print(f"{name:40} {theirs:12} {ours:12} {share(same, seen):>20}")
        for line in self.failed + self.unexplained:
            print(line)


def share(part, whole):
    return f"{part} of {whole}" + (f" ({100 * part / whole:.2f} %)" if whole else "")


def compare(path, cormorant, total):
    try:
        frames = read_tshark(path)
        rows, inspected = read_cormorant(path, cormorant)
    except subprocess.CalledProcessError:
        total.refused += 1
        return
    except (subprocess.TimeoutExpired, OSError, ValueError) as error:
        total.failed.append(f"failed: {path}: {error}")
        return
    packets = [len(frames), inspected["packets"]]
    add(total.packets, packets)
    theirs, about = their_conversations(frames)
    ours = our_conversations(rows)
    equal = packets[0] == packets[1]
    for pair in theirs.keys() | ours.keys():
        left, right = theirs.get(pair, {}), ours.get(pair, {})
        same = sum(1 for first, sizes in left.items() if right.get(first) == sizes)
        total.same += same
        for side, table in enumerate((left, right)):
            total.conversations[side] += len(table)
            total.tcp_packets[side] += sum(packets for packets, _ in table.values())
            total.tcp_bytes[side] += sum(bytes_ for _, bytes_ in table.values())
        if left != right:
            equal = False
            undecoded = not right and any(capture["undecoded_links"] for capture in inspected["captures"])
            if undecoded:
                total.explained["a link type that cormorant names but does not decode"] += 1
            else:
                explain(path, pair, left, right, about, total)
    if packets[0] != packets[1]:
        total.unexplained.append(f"unexplained: {path}: tshark has {packets[0]} packets, cormorant {packets[1]}")
    total.captures_equal += equal
    if equal:
        compare_analysis(frames, rows, total)


def add(sums, more):
    for place, value in enumerate(more):
        sums[place] += value


def read_tshark(path):
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=;"]
    command += [part for preference in PREFERENCES for part in ("-o", preference)]
    command += [part for field in FIELDS for part in ("-e", field)]
    text = subprocess.run(command, capture_output=True, timeout=900, check=True).stdout.decode(errors="replace")
    frames = [dict(zip(FIELDS, line.split("\t"))) for line in text.splitlines()]
    # tshark numbers pcapng's custom blocks among the packets; capinfos and we do not.
    packets = [frame for frame in frames if frame["frame.encap_type"]]
    for number, frame in enumerate(packets, 1):
        frame["frame.number"] = str(number)
    return packets


def read_cormorant(path, cormorant):
    with tempfile.TemporaryDirectory() as folder:
        table = pathlib.Path(folder) / "flows.csv"
        run([cormorant, "extract", str(path), "--features", "flow", "--threads", "1", "-o", str(table), *FOREVER])
        rows = list(csv.DictReader(table.open()))
    inspected = json.loads(run([cormorant, "inspect", "--json", str(path)]))
    return rows, inspected


def run(command):
    done = subprocess.run(command, capture_output=True, timeout=900)
    if done.returncode:
        raise ValueError(f"{' '.join(command[:2])}: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return done.stdout


def their_conversations(frames):
    """Per pair of endpoints: {first packet: (packets, IP bytes)}, and what the frames of the pair are like."""
    streams, about = {}, defaultdict(Traits)
    for frame in frames:
        stack = frame["frame.protocols"].split(":")
        if "tcp" not in stack:
            continue
        pair = endpoints(frame)
        about[pair].add(frame, stack)
        if not frame["tcp.stream"] or is_quoted(stack):
            continue
        stream = frame["tcp.stream"].split(";")[-1]
        first, packets, bytes_ = streams.get((pair, stream), (int(frame["frame.number"]), 0, 0))
        streams[pair, stream] = (first, packets + 1, bytes_ + ip_bytes(frame, stack))
    pairs = defaultdict(dict)
    for (pair, _), (first, packets, bytes_) in streams.items():
        pairs[pair][first] = (packets, bytes_)
    return pairs, about


def is_quoted(stack):
    """Whether the TCP header is one that an ICMP message quotes."""
    return "tcp" in stack and any(quoting in stack[:stack.index("tcp")] for quoting in ("icmp", "icmpv6"))


def network(stack):
    """The IP version below the innermost TCP header."""
    below = stack[:len(stack) - 1 - stack[::-1].index("tcp")]
    return next((layer for layer in reversed(below) if layer in ("ip", "ipv6")), "ip")


def last(frame, field):
    return frame[field].split(";")[-1] if frame[field] else ""


def endpoints(frame):
    version = network(frame["frame.protocols"].split(":"))
    ends = [(last(frame, f"{version}.{side}"), last(frame, f"tcp.{side}port")) for side in ("src", "dst")]
    return tuple(sorted(ends))


def ip_bytes(frame, stack):
    if network(stack) == "ip":
        return int(last(frame, "ip.len") or 0)
    return int(last(frame, "ipv6.plen") or 0) + 40


class Traits:
    """What is in the packets of one pair of endpoints that a difference can come from."""

    def __init__(self):
        self.found = {}
        self.vlans = set()

    def add(self, frame, stack):
        self.vlans.add(last(frame, "vlan.id"))
        tunnels = [layer for layer in stack if layer in TUNNELS]
        for reason, holds in [
            ("TCP header quoted by ICMP, in a conversation for tshark alone", is_quoted(stack)),
            ("fragments: all of them are packets of the flow", frame["ipv6.fraghdr.nxt"] or is_fragment(frame)),
            ("packet cut by the snapshot length", int(frame["frame.cap_len"]) < int(frame["frame.len"])),
            ("IP length 0 (offload): cormorant takes the frame's", last(frame, "ip.len") == "0"),
            ("tshark calls the packet malformed", frame["_ws.malformed"]),
            (f"encapsulation: {'+'.join(tunnels)}", tunnels),
        ]:
            if holds:
                self.found.setdefault(reason)

    def reasons(self):
        vlans = ["VLANs: equal addresses in two are two conversations"] if len(self.vlans) > 1 else []
        return vlans + list(self.found)


TUNNELS = {
    "gre", "vxlan", "gtp", "teredo", "ipip", "6in4", "geneve", "mpls", "pppoes", "ppp", "l2tp", "capwap.data", "erspan", "nvgre",
    "wlan", "esp", "ah", "ipcomp", "lwapp", "fr", "chdlc", "pflog", "openvpn", "udpencap", "sflow", "bt", "nsh", "lisp-data", "cisco-metadata",
}


def is_fragment(frame):
    return "1" in frame["ip.flags.mf"].replace("True", "1") or any(offset not in ("", "0") for offset in frame["ip.frag_offset"].split(";"))


def our_conversations(rows):
    pairs = defaultdict(dict)
    for row in rows:
        if row["protocol"] == "6":
            ends = [(row["source"], row["source_port"]), (row["destination"], row["destination_port"])]
            pairs[tuple(sorted(ends))][int(row["first_packet"])] = (int(row["packets"]), int(row["bytes"]))
    return pairs


def explain(path, pair, theirs, ours, about, total):
    reasons = about[pair].reasons() if pair in about else ["TCP for cormorant alone"]
    if reasons:
        total.explained[reasons[0]] += 1
    else:
        ends = " - ".join(":".join(end) for end in pair)
        only = lambda one, other: dict(list(sorted(set(one.items()) - set(other.items())))[:3])
        total.unexplained.append(f"unexplained: {path}: {ends}: tshark {only(theirs, ours)}, cormorant {only(ours, theirs)}")


def compare_analysis(frames, rows, total):
    frames = [frame for frame in frames if frame["tcp.stream"] and not is_quoted(frame["frame.protocols"].split(":"))]
    for name, columns, flags in ANALYSIS:
        theirs = sum(1 for frame in frames if any(frame[f"tcp.analysis.{flag}"] for flag in flags))
        ours = sum(int(row.get(prefix + column) or 0) for row in rows for column in columns for prefix in ("", "fwd_", "bwd_"))
        entry = total.analysis[name]
        add(entry, [theirs, ours, theirs == ours, bool(theirs or ours)])
        if theirs == ours and not theirs:
            entry[2] -= 1


if __name__ == "__main__":
    sys.exit(main())
