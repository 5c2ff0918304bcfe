"""Name lookups, time and ping."""

import socket
import struct
import tempfile

TYPES = ["A", "AAAA", "MX", "TXT", "NS", "SOA", "PTR"]


def lookups(me) -> None:
    """Some questions by hand; the resolver's rows cover them."""
    for _ in range(me.rng.randint(1, 3)):
        kind = me.rng.choice(TYPES)
        name = (
            me.rng.choice(sorted(me.world.records())) if kind in ("A", "AAAA") else me.rng.choice(zones(me))
        )
        extra = ["-x", me.rng.choice(list(me.world.hosts.values())).v4] if kind == "PTR" else [name, kind]
        me.run(["dig", "+tries=1", "+time=3", *(["+tcp"] if me.rng.random() < 0.08 else []), *extra])


def zones(me) -> list:
    inside, outside = me.world.names["internal"], me.world.names["outside"]
    return [inside, outside, f"nothere.{outside}", f"wpad.{inside}"]


def ntp(me) -> None:
    """Ask the time: chrony once, or one packet as small devices do."""
    server = me.rng.choice(me.others("ntp"))
    with me.hold("udp", server, 4, 123, "ntp"):
        if me.rng.random() < 0.5:
            by_chrony(me, server.v4)
        else:
            one_packet(server.v4)


def by_chrony(me, address: str) -> None:
    """Measure the clock's offset without setting it. The pid file must be one that chrony may remove."""
    with tempfile.TemporaryDirectory() as folder:
        conf = f"{folder}/chrony.conf"
        with open(conf, "w") as file:
            file.write(
                f"pidfile {folder}/pid\ncmdport 0\nbindcmdaddress /\nserver {address} iburst maxsamples 3\n"
            )
        me.run(["chronyd", "-Q", "-t", "8", "-u", "root", "-f", conf], 12)


def one_packet(address: str) -> None:
    """SNTP, RFC 4330."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(3)
        sock.sendto(struct.pack("!B47x", 0x23), (address, 123))
        sock.recv(128)


def ping(me) -> None:
    """Is it there? Outside only: what is inside may be swept, and ICMP has no ports to tell them apart."""
    hosts = [host for host in me.world.hosts.values() if host.segment not in me.world.names["inside"]]
    host = me.rng.choice(hosts)
    version = me.version(host)
    with me.hold("icmp", host, version, 0, "ping"):
        me.run(
            [
                "ping",
                f"-{version}",
                "-c",
                str(me.rng.randint(1, 5)),
                "-i",
                "0.5",
                "-W",
                "2",
                me.address(host, version),
            ],
            12,
        )


ACTS = [lookups, ntp, ping]
