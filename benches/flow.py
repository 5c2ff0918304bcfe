#!/usr/bin/env python3
"""Measures capture -> flows -> `flow` features -> Parquet beside capinfos and NFStream, in one run, and its parts.

Rounds are interleaved (A B C D, A B C D, ...), so that what else the machine does falls on all
alike; compare CPU seconds and ratios within one record. Peers that are not installed are named and
left out. Writes results/<date>-flow.{json,txt}.
"""

import argparse
import json
import re
import shutil
import sys
import time
from pathlib import Path

import measure

CPU_TARGET = 3.0  # times capinfos
NFSTREAM_TARGET = 0.04  # of NFStream's CPU
MEMORY_TARGET_MB = 100

# Every other feature set alone, and all sets of flows together.
OTHER_SETS = [
    "context", "nfstream", "cic", "netml-iat", "netml-size", "netml-iat-size", "netml-stats", "netml-samp-num", "netml-samp-size",
    "flow,splt,context,nfstream,cic", "networkml-host", "networkml-session", "kitsune", "nprint",
]

# What `cormorant` is asked for: name, arguments, format of the rows.
RUNS = [
    ("cormorant, 1 thread", ["extract", "--features", "flow", "--threads", 1], "parquet"),
    ("cormorant, 2 threads", ["extract", "--features", "flow", "--threads", 2], "parquet"),
    ("  plain counters", ["flows", "--threads", 1], "parquet"),
    ("  flow as CSV", ["extract", "--features", "flow", "--threads", 1], "csv"),
    ("  splt", ["extract", "--features", "splt", "--threads", 1], "parquet"),
    ("  flow+splt+context", ["extract", "--features", "flow,splt,context", "--threads", 1], "parquet"),
    *((f"  {name}", ["extract", "--features", name, "--threads", 1], "parquet") for name in OTHER_SETS),
]
# What the library does without writing: the examples of the network crate, when they are built.
PARTS = [
    ("  read+decode", "read_speed", lambda pcap: [pcap], {"STAGE": "read+decode", "RUNS": "1"}),
    ("  flow table only", "meter_speed", lambda pcap: [pcap, "", 1, 4096], {}),
    ("  flow rows, no output", "meter_speed", lambda pcap: [pcap, "flow", 1, 4096], {}),
]


def main():
    args = arguments()
    scratch = measure.CACHE / "out"
    scratch.mkdir(exist_ok=True)
    tools = available_tools(args, scratch)
    record = {"machine": measure.machine(), "versions": versions(args), "captures": []}
    for name in args.captures:
        record["captures"].append(measured(name, tools, args))
    for one in record["captures"]:  # last, because what the runner holds when it forks counts as a tool's
        one["made"] = {tool: made(scratch, one["capture"]["file"], tool) for tool in tools}
    record["machine"]["load_after"] = round(measure.os.getloadavg()[0], 2)
    text = report(record)
    print(text)
    if args.results:
        args.results.mkdir(exist_ok=True)
        stem = args.results / f"{time.strftime('%Y-%m-%d')}-flow"
        stem.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
        stem.with_suffix(".txt").write_text(text + "\n")


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--binary", type=Path, default=measure.ROOT / "target/release/cormorant")
    p.add_argument("--captures", type=lambda s: s.split(","), default=["mix100", "mix500"])
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--nfstream-runs", type=lambda s: [int(x) for x in s.split(",")], default=[3, 1],
                   help="runs of NFStream per capture (it needs half a minute of CPU for 500 MB)")  # fmt: skip
    p.add_argument("--no-results", dest="results", action="store_const", const=None,
                   default=Path(__file__).parent / "results")  # fmt: skip
    return p.parse_args()


def available_tools(args, scratch):
    """name -> (capture path -> command and environment). What is missing is said aloud."""
    tools = {}
    if shutil.which("capinfos"):
        tools["capinfos -c"] = lambda pcap: (["capinfos", "-c", pcap], {})
    else:
        print("skipped: capinfos is not installed (benches/setup.sh installs it)")
    if args.binary.exists():
        for name, words, suffix in RUNS:
            tools[name] = lambda pcap, n=name, w=words, s=suffix: (
                [args.binary, w[0], pcap, *w[1:], "-o", scratch / output(pcap.name, n, s)], {}
            )  # fmt: skip
        for name, example, words, env in PARTS:
            program = args.binary.parent / "examples" / example
            if program.exists():
                tools[name] = lambda pcap, p=program, w=words, e=env: ([p, *w(pcap)], e)
            else:
                print(f"skipped:{name}: cargo build --release -p cormorant-net --example {example}")
    else:
        print(f"skipped: {args.binary.name} is not built (cargo build --release)")
    if (measure.CACHE / "venv/bin/python").exists():
        script = Path(__file__).with_name("nfstream_flows.py")
        tools["nfstream, 1 meter"] = lambda pcap: (
            [measure.CACHE / "venv/bin/python", script, pcap, scratch / output(pcap.name, "nfstream", "csv")], {}
        )  # fmt: skip
    else:
        print("skipped: NFStream is not installed (benches/setup.sh installs it)")
    return tools


def versions(args):
    freeze = measure.CACHE / "freeze.txt"
    nfstream = [x for x in freeze.read_text().split() if x.startswith("nfstream")] if freeze.exists() else []
    return {
        "cormorant": measure.first_line([args.binary, "--version"]),
        "capinfos": measure.first_line(["capinfos", "--version"]),
        "nfstream": nfstream[0] if nfstream else None,
    }


def measured(name, tools, args):
    """All rounds on one capture, and what each tool made of it."""
    pcap = measure.CACHE / f"{name}.pcap"
    capture = json.loads(pcap.with_suffix(".json").read_text())
    warm(pcap)
    runs = {tool: [] for tool in tools}
    limits = dict.fromkeys(tools, args.runs)
    limits["nfstream, 1 meter"] = args.nfstream_runs[min(args.captures.index(name), len(args.nfstream_runs) - 1)]
    for number in range(args.runs):
        for tool, command in tools.items():
            if number < limits[tool]:
                done = measure.run(*command(pcap))
                print(f"{name} {number + 1} {tool}: {done['cpu_s']:.2f} CPU s, {done['rss_mb']:.0f} MB", file=sys.stderr)
                runs[tool].append(done)
    return {"capture": capture, "runs": runs}


def warm(path):
    """Reads a file into the page cache, so that the first tool does not pay for the disk."""
    with open(path, "rb") as f:
        while f.read(1 << 20):
            pass


def output(capture, tool, suffix):
    """The name of the file that a tool writes."""
    return f"{capture.removesuffix('.pcap')}-{'-'.join(re.findall('[a-z0-9]+', tool))}.{suffix}"


def made(scratch, capture, tool):
    """Rows, columns and bytes that a tool wrote and the packets they account for, when they can be read."""
    path = next((p for p in (scratch / output(capture, tool, s) for s in ("parquet", "csv")) if p.exists()), None)
    try:
        import pandas as pd
    except ImportError:
        return None
    if path is None:
        return None
    if path.suffix == ".csv":
        table = pd.read_csv(path, low_memory=False)
        packets = "packets" if "packets" in table else "bidirectional_packets"
    else:
        table, packets = pd.read_parquet(path), "packets"
    total = int(table[packets].sum()) if packets in table else None
    return {"rows": len(table), "columns": len(table.columns), "packets": total, "bytes": path.stat().st_size}


# ---- the report ------------------------------------------------------------------------------


def report(record):
    parts = ["capture -> flows -> `flow` features -> Parquet", measure.described(record["machine"])]
    parts.append(", ".join(v for v in record["versions"].values() if v))
    for one in record["captures"]:
        parts += ["", capture_table(one), *verdicts(one)]
    return "\n".join(parts)


def capture_table(one):
    capture = one["capture"]
    cpu = {tool: measure.spread([r["cpu_s"] for r in runs]) for tool, runs in one["runs"].items() if runs}
    base, nfstream = cpu.get("capinfos -c"), cpu.get("nfstream, 1 meter")
    rows = []
    for tool, spread in cpu.items():
        runs, made = one["runs"][tool], one["made"][tool]
        median = spread["median"]
        rows.append([
            tool, len(runs), f"{median:.2f}", f"{spread['min']:.2f}-{spread['max']:.2f}",
            f"{measure.spread([r['wall_s'] for r in runs])['median']:.2f}",
            f"{max(r['rss_mb'] for r in runs):.0f}",
            f"{capture['packets'] / median / 1e6:.2f}", f"{capture['bytes'] / median / 1e6:.0f}",
            f"{median / base['median']:.1f}" if base else "-",
            f"{median / nfstream['median']:.3f}" if nfstream else "-",
            f"{made['rows']} x {made['columns']}" if made else "-", (made["packets"] or "-") if made else "-",
            f"{made['bytes'] / 1e6:.1f}" if made else "-",
        ])  # fmt: skip
    head = ["tool", "runs", "CPU s", "min-max", "wall s", "peak MB", "Mpkt/CPU-s", "MB/CPU-s",
            "x capinfos", "x NFStream", "rows x columns", "packets in rows", "file MB"]  # fmt: skip
    title = f"{capture['file']}: {capture['packets']} packets, {capture['bytes']} bytes, mean {capture['mean_captured_bytes']} B"
    return title + "\n" + measure.table(head, rows)


def verdicts(one):
    """The targets, met or missed, with the figure."""
    def median(tool, key):
        return measure.spread([r[key] for r in one["runs"][tool]])["median"] if one["runs"].get(tool) else None

    ours = "cormorant, 1 thread"
    cpu, memory = median(ours, "cpu_s"), median(ours, "rss_mb")
    if cpu is None:
        return []
    lines = [verdict("peak memory, MB", memory, MEMORY_TARGET_MB)]
    for peer, target in (("capinfos -c", CPU_TARGET), ("nfstream, 1 meter", NFSTREAM_TARGET)):
        if theirs := median(peer, "cpu_s"):
            lines.append(verdict(f"CPU, times that of {peer}", cpu / theirs, target))
    return lines


def verdict(words, figure, target):
    return f"{words}: {figure:.3g} (target at most {target:g}): {'met' if figure <= target else 'MISSED'}"


if __name__ == "__main__":
    main()
