"""Measures one command: CPU, wall and peak memory; and says on what machine and commit.

CPU seconds are user + system of the command and of every child it waited for (wait4). Peak memory
is the larger of two readings: the largest resident set of any one process (wait4), and the sum over
the process tree of proportional set sizes, sampled ten times a second, for peers that spread over
several processes. It cannot read below the runner's own size at the fork (about 15 MB); such
readings are upper bounds.
"""

import os
import platform
import statistics
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(
    os.environ.get("CORMORANT_BENCH_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cormorant-bench"
)


def run(argv, env=None):
    """Runs a command to its end: {wall_s, cpu_s, rss_mb, load}. A failure raises with its stderr."""
    began = time.monotonic()
    child = subprocess.Popen(
        [str(a) for a in argv], env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(CACHE / "stderr.txt", "wb"),
    )  # fmt: skip
    tree = TreeMemory(child.pid)
    _, status, usage = os.wait4(child.pid, 0)
    wall_s = time.monotonic() - began
    tree.stop()
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        tail = (CACHE / "stderr.txt").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{' '.join(map(str, argv))}: exit {child.returncode}\n{tail}")
    return {
        "wall_s": round(wall_s, 4),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 4),
        "rss_mb": round(max(usage.ru_maxrss, tree.peak_kb) / 1024, 1),
        "load": round(os.getloadavg()[0], 2),
    }


class TreeMemory(threading.Thread):
    """Samples the proportional set size of a process and its descendants until stopped."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak_kb, self.over = pid, 0, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.1):
            self.peak_kb = max(self.peak_kb, sum(map(set_size_kb, family(self.pid))))

    def stop(self):
        self.over.set()
        self.join()


def family(pid):
    """A process and all its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return [int(pid)] + [p for child in children for p in family(child)]


def set_size_kb(pid):
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def machine():
    """What the figures depend on and nobody remembers later."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": [round(x, 2) for x in os.getloadavg()],
        "commit": commit(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def commit():
    """Short commit id; `+` when files of the build differ from it."""
    head = first_line(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"])
    changed = first_line(["git", "-C", ROOT, "status", "--porcelain", "--", "crates", "Cargo.toml", "Cargo.lock"])
    return (head or "none") + ("+" if changed else "")


def first_line(argv):
    """First line a command prints, or None when it is not there or fails."""
    try:
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return (done.stdout.strip() or "").splitlines()[0] if done.stdout.strip() else None


def spread(values):
    """Median with the smallest and largest beside it."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def table(header, rows):
    """Columns padded to fit; the first to the left, the rest to the right."""
    cells = [header] + [[str(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = []
    for row in cells:
        first, rest = row[0].ljust(widths[0]), [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
        lines.append("  ".join([first, *rest]).rstrip())
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines)


def described(m):
    """The machine in one line."""
    return (
        f"{m['cpu']}, {m['cores']} cores, {m['memory_gb']} GB, Linux {m['kernel']}, "
        f"load {m['load'][0]}, commit {m['commit']}, {m['time']}"
    )
