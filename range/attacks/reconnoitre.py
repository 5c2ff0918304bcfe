"""Families `scan` (many ports of a host) and `sweep` (a port of many addresses)."""

import ipaddress
import threading

from attacks import probes

KNOWN = [
    21,
    22,
    23,
    25,
    53,
    80,
    110,
    111,
    135,
    139,
    143,
    389,
    443,
    445,
    465,
    587,
    636,
    993,
    995,
    1433,
    1883,
    2049,
    3000,
    3306,
    3389,
    5000,
    5432,
    5900,
    6379,
    8000,
    8080,
    8443,
    8883,
    9000,
    9100,
    9200,
    27017,
]


def scan(me, settings: dict) -> None:
    """`ports` ports of each of `targets`, about `rate` per second: known ones first, then random."""
    for name in settings["targets"]:
        host = me.world.hosts[name]
        address = me.address(host, me.version(host))
        me.mark("tcp", "scan", address, "*", "scan", label="malicious")
        others = me.rng.sample(range(1, 10_000), settings["ports"])
        ports = (me.rng.sample(KNOWN, len(KNOWN)) + [port for port in others if port not in KNOWN])[
            : settings["ports"]
        ]
        paced(me, settings["rate"], [(address, port) for port in ports], "scan")


def sweep(me, settings: dict) -> None:
    """Each of `ports` on `addresses` addresses of each segment, and pings to the first `pings`."""
    for name in settings["segments"]:
        me.mark("tcp", "sweep", me.world.segments[name]["v4"], "*", "sweep", label="malicious")
        targets = swept(me, name, settings["addresses"])
        resolver = me.world.with_service("dns")[0].v4
        ping(me, [address for address in targets if address != resolver][: settings["pings"]])
        for port in settings["ports"]:
            paced(me, settings["rate"], [(address, port) for address in targets], "sweep")


def swept(me, name: str, count: int) -> list:
    """`count` addresses of a segment in order: all its hosts, the rest empty."""
    hosts = me.world.hosts.values()
    here = [host.v4 for host in hosts if host.segment == name and host.name != me.host.name]
    stem = me.world.segments[name]["v4"].rsplit(".", 1)[0]
    known = {address for host in hosts for address in host.addresses()}
    empty = [f"{stem}.{last}" for last in range(2, 225) if f"{stem}.{last}" not in known]
    return sorted(here + me.rng.sample(empty, count - len(here)), key=ipaddress.ip_address)


def ping(me, addresses: list) -> None:
    """One echo request each; the rule of each holds its destination."""
    for address in addresses:
        who = ("icmp", me.host.v4, "*", address, "*")
        with me.ledger.hold(who, ("malicious", "sweep", ""), 20):
            me.run(["ping", "-c", "1", "-W", "1", address], 4)


def paced(me, rate: float, targets: list, block: str) -> None:
    """Open each target from a thread of its own, so that unanswered ones delay nobody."""
    threads = []
    for address, port in targets:
        threads.append(threading.Thread(target=quietly, args=(me, block, address, port)))
        threads[-1].start()
        if not me.sleep(me.rng.expovariate(rate)):
            break
    for thread in threads:
        thread.join()


def quietly(me, block: str, address: str, port: int) -> None:
    probes.connect(me, block, address, port, me.rng.choice((1, 2.5)))
