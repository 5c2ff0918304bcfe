"""Loads a world: the hosts of one run, their addresses, links, services, habits and attacks.

Worlds are the TOML files under `worlds/`. Everything else in the range asks this module.
"""

import random
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

PORTS = {
    "web": [80, 443, 8443],
    "ssh": [22],
    "smtp": [25, 587],
    "dns": [53],
    "ntp": [123],
    "mqtt": [1883, 8883],
    "syslog": [514],
    "tunnel": [53],
}
BLOCK = 500
BLOCKS = 12


@dataclass
class Host:
    """One host: its namespace is `cr-<world>-<name>`."""

    name: str
    segment: str
    v4: str
    link: str
    v6: str = ""
    extra_v4: list = field(default_factory=list)
    ttl: int = 64
    filtered: bool = False
    services: list = field(default_factory=list)
    sites: list = field(default_factory=list)
    habits: dict = field(default_factory=dict)

    def addresses(self) -> list:
        return [self.v4, *self.extra_v4] + ([self.v6] if self.v6 else [])

    def ports(self) -> list:
        return sorted({port for service in self.services for port in PORTS[service]})


class World:
    """All of one run that is known before it starts."""

    def __init__(self, name: str, seed: int):
        path = Path(__file__).parent / "worlds" / f"{name}.toml"
        with open(path, "rb") as file:
            data = tomllib.load(file)
        self.name, self.seed = name, seed
        self.seconds = data["seconds"]
        self.segments = data["segments"]
        self.links = data["links"]
        self.names = data["names"]
        self.sites = data["sites"]
        self.habits = data["habits"]
        self.attacks = data["attacks"]
        self.settings = data["settings"]
        self.hosts = {host["name"]: Host(**host) for host in data["hosts"]}

    def rng(self, *parts) -> random.Random:
        """An own stream of randomness for each purpose."""
        return random.Random(":".join(map(str, (self.name, self.seed, *parts))))

    def namespace(self, host: str) -> str:
        return f"cr-{self.name}-{host}"

    def with_service(self, service: str) -> list:
        return [host for host in self.hosts.values() if service in host.services]

    def owner(self, site: str) -> Host:
        """The host that serves a site."""
        return next(host for host in self.hosts.values() if site in host.sites)

    def port(self, site: str) -> int:
        """Sites that only speak TLS 1.2 have a port of their own."""
        return 8443 if self.sites[site]["tls"] == "TLSv1.2" else 443

    def outside_web(self) -> Host:
        """The web server that stands for a content network."""
        return next(host for host in self.with_service("web") if host.segment not in self.names["inside"])

    def fqdn(self, host: Host) -> str:
        zone = "internal" if host.segment in self.names["inside"] else "outside"
        return f"{host.name}.{self.names[zone]}"

    def records(self) -> dict:
        """Every DNS name of the world and the host it points to."""
        table = {self.fqdn(host): host for host in self.hosts.values()}
        table.update({site: host for host in self.hosts.values() for site in host.sites})
        return table

    def clients(self) -> list:
        """Hosts that act, and so need an actor process."""
        attackers = {attack["host"] for attack in self.attacks}
        return [host for host in self.hosts.values() if host.habits or host.name in attackers]


class Ports:
    """Shares out a host's ephemeral ports: one range for the kernel, blocks for our own clients.

    Every acting host is shared out in the same way, so a block says nothing about intent.
    """

    def __init__(self, world: World, host: Host):
        rng = world.rng("ports", host.name)
        low, high = (49152, 65535) if host.ttl == 128 else (32768, 60999)
        base = rng.randrange(low, high - BLOCK * BLOCKS)
        top = base + BLOCK * BLOCKS
        self.kernel = (top, high) if high - top > base - low else (low, base - 1)
        self.free = [base + BLOCK * index for index in range(BLOCKS)]
        rng.shuffle(self.free)

    def block(self) -> tuple:
        """Take the next free block: first and last port."""
        if not self.free:
            raise RuntimeError(f"all {BLOCKS} source port blocks of this host are taken: raise BLOCKS")
        first = self.free.pop()
        return first, first + BLOCK - 1
