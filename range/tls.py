"""HTTPS by hand for our own clients: chosen source port, TLS version and pace.

Pollers, beacons, backups and uploads all come through here or through curl, so that the client's
stack does not tell them apart.
"""

import socket
import ssl

AGENTS = [
    "python-requests/2.31.0",
    "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/128.0",
    "okhttp/4.12.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
    "agent/2.4",
]


def address_of(me, site: str) -> tuple:
    """Look a site up as any program does; give the version and address chosen for it."""
    owner = me.world.owner(site)
    version = me.version(owner)
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    return version, socket.getaddrinfo(site, 443, family, socket.SOCK_STREAM)[0][4][0]


def connect(me, block: str, site: str, timeout_s: float = 30) -> ssl.SSLSocket:
    """A TLS connection to a site from the block's next source port."""
    plain = connect_plain(me, block, site, 443, timeout_s)
    context = ssl.create_default_context(cafile=me.ca)
    if me.rng.random() < 0.3:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if me.rng.random() < 0.5:
        context.set_alpn_protocols(["http/1.1"])
    return context.wrap_socket(plain, server_hostname=site)


def connect_plain(me, block: str, site: str, port: int, timeout_s: float = 30) -> socket.socket:
    """A TCP connection to a site from the block's next source port."""
    version, address = address_of(me, site)
    return socket.create_connection(
        (address, port), timeout_s, (me.address(me.host, version), me.port(block))
    )


def mark_site(
    me, block: str, site: str, family: str, note: str = "", label: str = "benign", port: int = 443
) -> None:
    """Label a block's flows to a site, over IPv4 and IPv6."""
    owner = me.world.owner(site)
    for address in [owner.v4] + ([owner.v6] if owner.v6 and me.host.v6 else []):
        me.mark("tcp", block, address, port, family, note, label)


def head(me, verb: str, path: str, site: str, extra: dict = None) -> bytes:
    """The head of an HTTP/1.1 request."""
    lines = [
        f"{verb} {path} HTTP/1.1",
        f"Host: {site}",
        f"User-Agent: {me.rng.choice(AGENTS)}",
        "Accept: */*",
    ]
    lines += [f"{name}: {value}" for name, value in (extra or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def finish_response(sock) -> int:
    """Read one response to its end; give the bytes of its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (part := sock.recv(16384)):
            return 0
        data += part
    top, body = data.split(b"\r\n\r\n", 1)
    fields = dict(line.lower().split(b": ", 1) for line in top.split(b"\r\n")[1:])
    length, got = int(fields.get(b"content-length", 0)), len(body)
    while got < length and (part := sock.recv(65536)):
        got += len(part)
    return got


def exchange(me, block: str, site: str, verb: str, path: str, body: bytes = b"") -> None:
    """One request on one connection."""
    with connect(me, block, site) as sock:
        extra = {"Content-Length": len(body)} if body or verb != "GET" else {}
        sock.sendall(head(me, verb, path, site, extra | {"Connection": "close"}) + body)
        finish_response(sock)


def upload(me, block: str, site: str, path: str, size: int, seconds: float) -> None:
    """PUT `size` bytes in uneven chunks spread over about `seconds`."""
    with connect(me, block, site, 60) as sock:
        sock.sendall(head(me, "PUT", path, site, {"Content-Length": size, "Connection": "close"}))
        left = size
        while left:
            part = min(left, me.rng.randint(900, 9000))
            sock.sendall(me.rng.randbytes(part))
            left -= part
            me.sleep(seconds * part / size * me.rng.uniform(0.5, 1.5))
        finish_response(sock)


def curl(me, version: int, *extra: str) -> list:
    """A curl command line that trusts the world's authority."""
    return ["curl", "-s", "-o", "/dev/null", f"-{version}", "--cacert", me.ca, "--max-time", "60", *extra]
