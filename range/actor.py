"""The process that acts on one host: starts its habits and attacks, each in a thread, until the end.

`actor.py WORLD SEED HOST FOLDER BEGIN SECONDS` inside the host's namespace; leaves HOST.rows.csv in FOLDER.
Habits live in `acts/`, attacks in `attacks/`; each is a function of a `Self` and of its settings.
"""

import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import labels
from labels import Busy, Ledger, Row
from world import Host, Ports, World

LEAD_S = 12


class Self:
    """What an act may know of the world and of its own host, and how it labels what it does."""

    def __init__(self, world: World, host: Host, folder: Path, begin: float, activity: str, shared: dict):
        self.world, self.host, self.folder = world, host, folder
        self.begin, self.end = begin, begin + world.seconds
        self.rng = world.rng("act", host.name, activity)
        self.ledger, self.ports = shared["ledger"], shared["ports"]
        self.blocks = shared["blocks"]
        self.lock = shared["lock"]
        self.ca = str(folder / "certs" / "ca.pem")

    def left(self) -> float:
        """Seconds until acts should end."""
        return self.end - time.time()

    def sleep(self, seconds: float) -> bool:
        """Sleep, at most until the end; False when the end has come."""
        time.sleep(max(0.0, min(seconds, self.left())))
        return self.left() > 0

    def address(self, host: Host, version: int) -> str:
        return host.v6 if version == 6 else host.v4

    def version(self, host: Host) -> int:
        """4, or with some luck 6 where both ends can."""
        return 6 if host.v6 and self.host.v6 and self.rng.random() < 0.4 else 4

    def sites(self, *ports: int) -> list:
        """The HTTPS sites of other hosts on one of these ports, 443 unless told."""
        ports = ports or (443,)
        own = self.host.sites
        return [
            site for site in sorted(self.world.sites) if site not in own and self.world.port(site) in ports
        ]

    def others(self, service: str) -> list:
        return [host for host in self.world.with_service(service) if host.name != self.host.name]

    def who(self, protocol: str, host: Host, version: int, port) -> tuple:
        """The match columns of a foreign tool's flows."""
        ports = "*" if protocol == "icmp" else f"{self.ports.kernel[0]}-{self.ports.kernel[1]}"
        target = "*" if protocol == "icmp" else str(port)
        return protocol, self.address(self.host, version), ports, self.address(host, version), target

    def hold(
        self,
        protocol: str,
        host: Host,
        version: int,
        port,
        family: str,
        note: str = "",
        label: str = "benign",
        patience_s: float = 4.0,
    ):
        """Hold a destination while a foreign tool talks to it."""
        return self.ledger.hold(self.who(protocol, host, version, port), (label, family, note), patience_s)

    def block(self, name: str) -> tuple:
        """This host's block of source ports for a purpose: (first, last)."""
        with self.lock:
            if name not in self.blocks:
                self.blocks[name] = (self.ports.block(), [])
            return self.blocks[name][0]

    def port(self, name: str) -> int:
        """The next source port of a block: random order, each once until all were used."""
        first, last = self.block(name)
        with self.lock:
            left = self.blocks[name][1]
            if not left:
                left.extend(self.rng.sample(range(first, last + 1), last - first + 1))
            return left.pop()

    def mark(
        self,
        protocol: str,
        block: str,
        destination: str,
        port,
        family: str,
        note: str = "",
        label: str = "benign",
    ) -> None:
        """Label all that this host's block sends to a destination, for the whole run."""
        first, last = self.block(block)
        source = self.host.v6 if ":" in destination else self.host.v4
        self.ledger.add(
            Row(
                self.begin - LEAD_S,
                self.end + 90,
                protocol,
                source,
                f"{first}-{last}",
                destination,
                str(port),
                label,
                family,
                note,
            )
        )

    def run(self, command: list, timeout_s: float = 60, **settings) -> subprocess.CompletedProcess:
        """Run a tool to its end; a tool that fails or hangs is part of life."""
        try:
            return subprocess.run(command, capture_output=True, timeout=timeout_s, **settings)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 124, b"", b"")


def repeat(me: Self, act, gap_s: float) -> None:
    """Live a habit: an episode, a pause of random length, and again."""
    if not me.sleep(me.begin - time.time() + me.rng.uniform(0, min(gap_s, 40))):
        return
    while me.left() > 6:
        try:
            act(me)
        except Busy:
            pass
        except OSError:
            pass  # refused, reset, timed out: traffic like any other
        me.sleep(me.rng.expovariate(1 / gap_s))


def once(me: Self, act, settings: dict) -> None:
    """Carry out an attack at its time."""
    if me.sleep(me.begin - time.time() + settings["at"]):
        act(me, settings)


def standing_rows(world: World, host: Host, ports: Ports, begin: float) -> list:
    """Rows that hold for the whole run: name lookups, and the ICMP errors they may provoke."""
    resolver = world.with_service("dns")[0]
    whole = (begin - LEAD_S, begin + world.seconds + 90)
    kernel = f"{ports.kernel[0]}-{ports.kernel[1]}"
    rows = [
        Row(*whole, protocol, host.v4, kernel, resolver.v4, "53", "benign", "dns", "")
        for protocol in ("udp", "tcp")
    ]
    return rows + [Row(*whole, "icmp", host.v4, "*", resolver.v4, "*", "benign", "icmp-error", "")]


def main() -> None:
    from acts import HABITS
    from attacks import ATTACKS

    world = World(sys.argv[1], int(sys.argv[2]))
    host, folder, begin = world.hosts[sys.argv[3]], Path(sys.argv[4]), float(sys.argv[5])
    world.seconds = int(sys.argv[6])
    ports = Ports(world, host)
    shared = {"ledger": Ledger(), "ports": ports, "blocks": {}, "lock": threading.Lock()}
    shared["ledger"].rows += standing_rows(world, host, ports, begin)
    jobs = []
    for name, scale in host.habits.items():
        me = Self(world, host, folder, begin, name, shared)
        jobs.append((repeat, me, HABITS[name], world.habits[name] * scale))
    for index, attack in enumerate(world.attacks):
        if attack["host"] == host.name:
            me = Self(world, host, folder, begin, f"{attack['family']}{index}", shared)
            jobs.append((once, me, ATTACKS[attack["family"]], attack))
    threads = [threading.Thread(target=job[0], args=job[1:]) for job in jobs]
    threading.excepthook = lambda failure: traceback.print_exception(failure.exc_value)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    labels.write(labels.merge(shared["ledger"].rows), folder / f"{host.name}.rows.csv")


if __name__ == "__main__":
    main()
