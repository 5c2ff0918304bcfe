"""Builds and removes the network of a world: namespaces, veth pairs, addresses, kernel settings.

Only namespaces named `cr-<world>-*` and files under /etc/netns of the same names are touched.
Nothing is connected to the machine's own network.
"""

import ipaddress
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from world import Host, Ports, World

ROUTER = "router"
SYSCTLS = {
    "net.ipv4.tcp_synack_retries": "2",
    "net.ipv4.tcp_no_metrics_save": "1",
    "net.ipv6.conf.all.accept_ra": "0",
    "net.ipv6.conf.default.accept_ra": "0",
    "net.ipv4.icmp_ratelimit": "0",
}


def sh(*command: str) -> str:
    """Run a command that must succeed; give what it printed."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"failed to run {' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def inside(world: World, host: str, *command: str) -> list:
    """The command line that runs a command on a host."""
    return ["ip", "netns", "exec", world.namespace(host), *command]


def mac_of(world: World, host: Host) -> str:
    return random_mac(world, host.name)


def router_mac(world: World) -> str:
    """The router has one address on all its links."""
    return random_mac(world, ROUTER)


def random_mac(world: World, name: str) -> str:
    """A locally administered address drawn from the seed."""
    rng = world.rng("mac", name)
    return ":".join(f"{byte:02x}" for byte in (2, *(rng.randrange(256) for _ in range(5))))


def device_of(world: World, host: Host) -> str:
    """The router's end of a host's link (interface names hold 15 characters)."""
    return f"l{list(world.hosts).index(host.name)}"


def build(world: World, folder: Path) -> None:
    """Create every namespace and link, and write the router's plan."""
    sh("ip", "netns", "add", world.namespace(ROUTER))
    for host in world.hosts.values():
        write_etc(world, host, folder)
        sh("ip", "netns", "add", world.namespace(host.name))
        connect(world, host)
    plan = {
        "seed": f"{world.name}:{world.seed}:router",
        "links": [link_plan(world, h) for h in world.hosts.values()],
    }
    (folder / "router.json").write_text(json.dumps(plan))


def link_plan(world: World, host: Host) -> dict:
    return {
        "device": device_of(world, host),
        "mac": mac_of(world, host),
        "addresses": host.addresses(),
        "profile": world.links[host.link],
        "filtered": host.filtered,
        "ports": host.ports(),
    }


def connect(world: World, host: Host) -> None:
    """One veth pair between a host and the router, with addresses and routes on the host's end."""
    device, router = device_of(world, host), world.namespace(ROUTER)
    sh(
        "ip",
        "link",
        "add",
        device,
        "netns",
        router,
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        world.namespace(host.name),
    )
    for name, value in SYSCTLS.items():
        sh(*inside(world, host.name, "sysctl", "-qw", f"{name}={value}"))
    sh(*inside(world, ROUTER, "sysctl", "-qw", f"net.ipv6.conf.{device}.disable_ipv6=1"))
    offload = ["tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off"]
    sh(*inside(world, ROUTER, "ethtool", "-K", device, *offload))
    sh(*inside(world, ROUTER, "ip", "link", "set", device, "address", router_mac(world), "up"))
    sh(*inside(world, host.name, "ethtool", "-K", "eth0", *offload))
    set_stack(world, host)
    set_addresses(world, host)


def set_stack(world: World, host: Host) -> None:
    low, high = Ports(world, host).kernel
    for setting in (
        f"net.ipv4.ip_local_port_range={low} {high}",
        f"net.ipv4.ip_default_ttl={host.ttl}",
        f"net.ipv6.conf.all.hop_limit={host.ttl}",
        f"net.ipv6.conf.eth0.hop_limit={host.ttl}",
    ):
        sh(*inside(world, host.name, "sysctl", "-qw", setting))


def set_addresses(world: World, host: Host) -> None:
    segment = world.segments[host.segment]
    network = ipaddress.ip_network(segment["v4"])
    commands = ["link set lo up", f"link set eth0 address {mac_of(world, host)}", "link set eth0 up"]
    commands += [f"addr add {address}/{network.prefixlen} dev eth0" for address in (host.v4, *host.extra_v4)]
    commands += [f"route add default via {network[1]}"]
    if host.v6:
        commands += [f"-6 addr add {host.v6}/128 dev eth0 nodad", "-6 route add default via fe80::1 dev eth0"]
    for command in commands:
        sh(*inside(world, host.name, "ip", *command.split()))


def write_etc(world: World, host: Host, folder: Path) -> None:
    """Files that `ip netns exec` lays over /etc on this host: resolver, names, one account."""
    etc = Path("/etc/netns") / world.namespace(host.name)
    etc.mkdir(parents=True)
    resolver = world.with_service("dns")[0]
    (etc / "resolv.conf").write_text(f"nameserver {resolver.v4}\noptions timeout:3 attempts:2\n")
    (etc / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n")
    if "ssh" in host.services:
        write_account(world, etc, folder / "home" / host.name)


def write_account(world: World, etc: Path, home: Path) -> None:
    """The account of this host's ssh server: it exists in its namespace only."""
    user, password = world.settings["user"], world.settings["password"]
    secret = sh("openssl", "passwd", "-6", password).strip()
    home.mkdir(parents=True)
    os.chown(home, 6001, 6001)
    for name, line in (
        ("passwd", f"{user}:x:6001:6001::{home}:/bin/sh"),
        ("shadow", f"{user}:{secret}:19000:0:99999:7:::"),
        ("group", f"{user}:x:6001:"),
    ):
        (etc / name).write_text(Path("/etc", name).read_text() + line + "\n")
        (etc / name).chmod(0o600 if name == "shadow" else 0o644)


def processes(world: World) -> list:
    """Ids of everything that still runs inside the world's namespaces."""
    found = []
    for name in [ROUTER, *world.hosts]:
        done = subprocess.run(["ip", "netns", "pids", world.namespace(name)], capture_output=True, text=True)
        found += [int(line) for line in done.stdout.split()]
    return [pid for pid in found if pid != os.getpid()]


def remove(world: World) -> None:
    """End what runs in the world's namespaces, then remove them and their files."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        for pid in processes(world):
            try:
                os.kill(pid, kind)
            except ProcessLookupError:
                pass
        time.sleep(0.5)
    for name in [*world.hosts, ROUTER]:
        subprocess.run(["ip", "netns", "del", world.namespace(name)], capture_output=True)
        shutil.rmtree(Path("/etc/netns") / world.namespace(name), ignore_errors=True)
