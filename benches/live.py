#!/usr/bin/env python3
"""The highest rate without loss of a live capture, beside tcpdump, over a pair of virtual interfaces.

One processor sends made-up UDP frames of 10,000 flows at a steady rate (crates/afpacket/examples/send.rs), the
other side receives: ours only counting, ours with decoding, flow table and `flow` rows, each with one ring and with
two (crates/net/examples/live_speed.rs), and `tcpdump -w /dev/null` with as large a ring. The rate rises until a
trial loses a frame or the sender can do no more, then the gap is halved. Last, each is sent to as fast as possible
with a ring of 1 MiB: then frames must be lost, and sent = received + dropped to the frame.

Needs no root: it runs itself in a network namespace of its own (`unshare -Urn`) and says so where it may not.
As root it does without the user namespace, in which tcpdump refuses to run.

    cargo build --release --locked -p cormorant-net -p cormorant-afpacket --examples
    benches/live.py [--examples target/release/examples] [--seconds 2] [--halvings 3] [--no-results]
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import measure

INSIDE = "CORMORANT_BENCH_NAMESPACE"
NAMESPACE_OF_ROOT = "-n"
SENDER, RECEIVER = "v0", "v1"
RING_MIB = 32
SMALL_RING_MIB = 1
FIRST_RATE = 50_000
SETUP = (
    "for f in all default; do echo 1 > /proc/sys/net/ipv6/conf/$f/disable_ipv6 || true; done; "
    f"ip link add {SENDER} type veth peer name {RECEIVER} && ip link set {SENDER} up && ip link set {RECEIVER} up"
)


def main():
    options = arguments()
    if INSIDE not in os.environ:
        return outside()
    receivers = [
        Ours("count, 1 ring", options.examples, "count", 1),
        Ours("count, 2 rings", options.examples, "count", 2),
        Ours("flow rows, 1 ring", options.examples, "flow", 1),
        Ours("flow rows, 2 rings", options.examples, "flow", 2),
    ]
    if not shutil.which("tcpdump"):
        print("skipped: tcpdump (not installed)")
    elif os.environ[INSIDE] != NAMESPACE_OF_ROOT:
        print("skipped: tcpdump (it cannot change its user in a namespace of a plain user's)")
    else:
        receivers.append(Tcpdump())
    bench = Bench(options)
    before = measure.machine()
    rates = [[r.name] + [bench.highest_rate(r, mix) for mix in ("mixed", "small")] for r in receivers]
    beyond = [row for r in receivers for row in bench.overload(r)]
    text = report(before, rates, beyond)
    print(text)
    if options.results:
        path = measure.ROOT / "benches" / "results" / f"{time.strftime('%Y-%m-%d')}-live.txt"
        path.write_text(text + "\n\nevery trial\n" + "\n".join(map(json.dumps, bench.trials)) + "\n")
        print(f"recorded in {path}")
    return 1 if any(row[-1] != "yes" for row in beyond if not row[0].startswith("tcpdump")) else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", default=str(measure.ROOT / "target/release/examples"))
    parser.add_argument("--seconds", type=float, default=2, help="length of a trial")
    parser.add_argument("--halvings", type=int, default=3, help="trials between the last good and the first bad rate")
    parser.add_argument("--no-results", dest="results", action="store_false")
    return parser.parse_args()


def outside():
    """Runs this program again in a namespace where it may create interfaces."""
    namespace = NAMESPACE_OF_ROOT if os.geteuid() == 0 else "-Urn"
    allowed = subprocess.run(["unshare", namespace, "sh", "-c", SETUP], capture_output=True, text=True)
    if allowed.returncode != 0:
        print(f"skipped: live (no namespace with interfaces: {allowed.stderr.strip()})")
        return 1 if os.environ.get("CORMORANT_NO_SKIP") == "1" else 0
    inside = ["unshare", namespace, "sh", "-c", f'{SETUP} && exec "$0" "$@"', sys.executable, *sys.argv]
    return subprocess.run(inside, env={**os.environ, INSIDE: namespace}).returncode


class Ours:
    """Our measuring program; ends when its standard input does."""

    def __init__(self, name, examples, what, rings):
        self.name, self.argv = name, [f"{examples}/live_speed", RECEIVER, what, str(rings)]

    def start(self, ring_mib):
        argv = [*self.argv, str(ring_mib)]
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.child.stdout.readline() == "ready\n", argv

    def finish(self):
        """(packets that came through, packets the kernel received, packets it dropped)"""
        out, _ = self.child.communicate()
        said = json.loads(out)
        return said["packets"], said["received"], said["dropped"]


class Tcpdump:
    """tcpdump into nowhere; says its counts on standard error when interrupted."""

    name = "tcpdump -w /dev/null"

    def start(self, ring_mib):
        argv = ["tcpdump", "-i", RECEIVER, "-n", "-Z", "root", "-B", str(ring_mib << 10), "-w", "/dev/null"]
        self.child = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
        for line in self.child.stderr:
            if "listening" in line:
                return
        raise RuntimeError(f"{argv}: exit {self.child.wait()}")

    def finish(self):
        time.sleep(1.5)  # It waits up to a second for a block to fill.
        self.child.send_signal(signal.SIGINT)
        _, said = self.child.communicate()
        count = lambda what: int(re.search(rf"(\d+) packets? {what}", said).group(1))
        return count("captured"), count("received by filter"), count("dropped by kernel")


class Bench:
    def __init__(self, options):
        self.options, self.trials = options, []

    def trial(self, receiver, mix, rate, ring_mib=RING_MIB):
        receiver.start(ring_mib)
        began = os.times()
        send = [f"{self.options.examples}/send", SENDER, mix, str(rate), str(self.options.seconds)]
        sent = json.loads(subprocess.run(send, check=True, capture_output=True, text=True).stdout)
        packets, received, dropped = receiver.finish()
        ended = os.times()
        trial = {
            "receiver": receiver.name,
            "mix": mix,
            "ring_mib": ring_mib,
            "asked": rate,
            "rate": round(sent["sent"] / sent["seconds"]),
            "sent": sent["sent"],
            "packets": packets,
            "received": received,
            "dropped": dropped,
            "cpu_s": round(sum(ended[2:4]) - sum(began[2:4]), 2),
            "load": round(os.getloadavg()[0], 2),
        }
        self.trials.append(trial)
        return trial

    def highest_rate(self, receiver, mix):
        """The highest rate that was received whole; with `>` when the sender could do no more."""
        good, rate, bad = 0, FIRST_RATE, None
        while bad is None:
            trial = self.trial(receiver, mix, rate)
            if trial["packets"] < trial["sent"]:
                bad = rate
            else:
                good = max(good, trial["rate"])
                if trial["rate"] < 0.9 * rate:
                    return f"> {good:,}"
                rate *= 2
        for _ in range(self.options.halvings):
            rate = (max(good, bad // 4) + bad) // 2
            trial = self.trial(receiver, mix, rate)
            if trial["packets"] < trial["sent"]:
                bad = rate
            else:
                good = max(good, trial["rate"])
        return f"{good:,}"

    def overload(self, receiver):
        """Rows of what became of more frames than the receiver can take."""
        for mix in ("mixed", "small"):
            t = self.trial(receiver, mix, 0, SMALL_RING_MIB)
            adds_up = t["packets"] + t["dropped"] == t["sent"]
            figures = [f"{t[what]:,}" for what in ("rate", "sent", "packets", "dropped")]
            yield [f"{receiver.name}, {mix}", *figures, "yes" if adds_up else "no"]


def report(before, rates, beyond):
    after = measure.machine()
    return "\n".join([
        f"Live capture over a virtual pair, {measure.described(before)}",
        f"load before {before['load']}, after {after['load']}, niceness {os.nice(0)}; the sender shares the processors",
        "",
        f"Highest rate without loss, frames/s, ring of {RING_MIB} MiB",
        measure.table(["receiver", "mixed (350 B)", "small (64 B)"], rates),
        "",
        f"As fast as the sender can, ring of {SMALL_RING_MIB} MiB",
        measure.table(["receiver", "frames/s", "sent", "came through", "dropped", "adds up"], beyond),
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
