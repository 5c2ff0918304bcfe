#!/usr/bin/env python3
"""Runs one world from start to end: builds it, serves, acts, captures, labels, and cleans up.

`run.py WORLD [--seed N] [--seconds N] [--out FOLDER]`; needs root. Leaves WORLD.raw.pcapng and
WORLD.labels.csv in FOLDER. Ends by itself, at the latest two minutes after the acting time, and
removes what it built also when it fails or is interrupted. `--clean` only removes leftovers.
"""

import argparse
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import certs
import fabric
import labels
from actor import LEAD_S
from labels import Row
from services import Services
from world import World

HERE = Path(__file__).parent
GRACE_S = 120
PROGRAMS = (
    "chronyd curl dig dnsmasq ethtool ip mosquitto mosquitto_pub nc nginx openssl ping rsync ssh".split()
)
PROGRAMS += ["sshd", "wget"]


def main() -> int:
    options = arguments()
    world = World(options.world, options.seed)
    world.seconds = options.seconds or world.seconds
    lock = Path(f"/run/range-{world.name}.lock")
    if problem := obstacle():
        print(f"range: {problem}", file=sys.stderr)
        return 2
    with open(lock, "w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"range: world {world.name} is running already; wait for it or end it", file=sys.stderr)
            return 2
        return from_clean_to_clean(world, options)


def obstacle() -> str:
    """Why no world can run on this machine; empty when one can."""
    if os.geteuid():
        return "must be root to make network namespaces; run it with sudo"
    absent = [program for program in PROGRAMS if not shutil.which(program)]
    return f"not found: {', '.join(absent)}; install the packages of range/packages.txt" if absent else ""


def from_clean_to_clean(world: World, options: argparse.Namespace) -> int:
    """Run a world, and remove it whatever happens; an interrupt unwinds like any error."""
    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, lambda number, _: sys.exit(128 + number))
    fabric.remove(world)
    if options.clean:
        return 0
    folder = Path(tempfile.mkdtemp(prefix=f"range-{world.name}-"))
    folder.chmod(0o755)
    try:
        return run(world, folder, options.out)
    finally:
        fabric.remove(world)
        if not options.keep:
            shutil.rmtree(folder)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("world", help="name of a file in worlds/, without .toml")
    parser.add_argument(
        "--seed", type=int, default=1, help="drives everything that can be seeded (default 1)"
    )
    parser.add_argument("--seconds", type=int, help="acting time instead of the world's own")
    parser.add_argument("--out", type=Path, default=Path("."), help="where to put the results (default here)")
    parser.add_argument("--clean", action="store_true", help="remove what an earlier run left, then stop")
    parser.add_argument("--keep", action="store_true", help="keep the folder with configurations and logs")
    return parser.parse_args()


def run(world: World, folder: Path, out: Path) -> int:
    """Everything between building and removing."""
    say(world, f"building {len(world.hosts)} hosts in {folder}")
    prepare(world, folder)
    fabric.build(world, folder)
    capture = folder / "raw.pcapng"
    router = subprocess.Popen(
        fabric.inside(
            world,
            fabric.ROUTER,
            sys.executable,
            str(HERE / "router.py"),
            str(folder / "router.json"),
            str(capture),
        )
    )
    services = Services(world, folder)
    services.start()
    time.sleep(LEAD_S - 6)
    if dead := services.dead():
        say(
            world,
            f"did not start: {', '.join(dead)}; see the logs (--keep) and the packages in range/README.md",
        )
        return 1
    begin = time.time() + 3
    failed = act(world, folder, begin)
    time.sleep(3)
    router.terminate()
    router.wait(20)
    if failed:
        say(world, f"failed to act on {', '.join(failed)}: no labels written")
        return 1
    rows = labels.merge(host_rows(world, folder) + world_rows(world, begin))
    labels.write(rows, out / f"{world.name}.labels.csv")
    shutil.copy(capture, out / f"{world.name}.raw.pcapng")
    say(
        world,
        f"wrote {capture.stat().st_size} bytes and {len(rows)} rules to {out}; "
        f"ended early: {services.dead() or 'nothing'}",
    )
    return 0


def prepare(world: World, folder: Path) -> None:
    """Keys and passwords that services and actors share."""
    settings = world.settings
    certs.make(world, folder / "certs")
    fabric.sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key"))
    secret = fabric.sh("openssl", "passwd", "-apr1", settings["password"]).strip()
    (folder / "members").write_text(f"{settings['user']}:{secret}\n")


def act(world: World, folder: Path, begin: float) -> list:
    """Run every host's actor until all are done or time is up; give the hosts that failed."""
    actors = {}
    for host in world.clients():
        log = open(folder / f"{host.name}.actor.log", "wb")
        command = [
            sys.executable,
            str(HERE / "actor.py"),
            world.name,
            str(world.seed),
            host.name,
            str(folder),
            f"{begin}",
            str(world.seconds),
        ]
        actors[host.name] = subprocess.Popen(
            fabric.inside(world, host.name, *command), stdout=log, stderr=log
        )
    say(world, f"{len(actors)} hosts act for {world.seconds} s")
    deadline = begin + world.seconds + GRACE_S
    for actor in actors.values():
        try:
            actor.wait(max(1, deadline - time.time()))
        except subprocess.TimeoutExpired:
            actor.kill()
    failed = [name for name, actor in actors.items() if actor.returncode]
    for name in actors:
        if problem := (folder / f"{name}.actor.log").read_text().strip():
            say(world, f"{name}: {problem[-1500:]}")
    return failed


def host_rows(world: World, folder: Path) -> list:
    """What the actors wrote down."""
    return [row for host in world.clients() for row in labels.read(folder / f"{host.name}.rows.csv")]


def world_rows(world: World, begin: float) -> list:
    """What nobody acts out: the resolver's own questions, multicast, and IPv6 neighbours."""
    whole = (begin - 60, begin + world.seconds + 180)
    resolver, upstream = world.with_service("dns")[0], world.with_service("tunnel")[0]
    asks = [
        (upstream.v4, ("benign", "dns", "")),
        (upstream.extra_v4[0], ("malicious", "dns-tunnel", "asked by the resolver")),
    ]
    rows = [
        Row(*whole, protocol, resolver.v4, "1024-65535", address, "53", *what)
        for address, what in asks
        for protocol in ("udp", "tcp")
    ]
    rows += [
        Row(*whole, "icmp", resolver.v4, "*", address, "*", "benign", "icmp-error", "") for address, _ in asks
    ]
    return rows + [
        Row(*whole, "icmp", prefix, "*", "*", "*", "benign", "neighbours", "")
        for prefix in ("fe80::/10", "ff00::/8")
    ]


def say(world: World, text: str) -> None:
    print(f"range {world.name}: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
