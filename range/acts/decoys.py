"""Honest acts that look like attacks; the note of their rows says which family they resemble."""

import time

import tls
from acts import files
from attacks import probes

API = "/app/state"


def home(me, block: str) -> str:
    """The site this host's program of that name always talks to."""
    return me.world.rng(me.host.name, block).choice(me.sites())


def poller(me) -> None:
    """Asks for news every few seconds, like a beacon, on new connections, for a while."""
    site, path = home(me, "poller"), f"{API}?size={me.rng.randint(60, 1500)}"
    poll(me, "poller", site, "GET", path, lambda: b"", me.rng.randint(2, 5))


def telemetry(me) -> None:
    """Reports small measurements, like a beacon."""
    site, path = home(me, "telemetry"), "/app/report?size=%d" % me.rng.randint(2, 200)
    poll(
        me,
        "telemetry",
        site,
        "POST",
        path,
        lambda: me.rng.randbytes(me.rng.randint(40, 700)),
        me.rng.randint(1, 3),
    )


def poll(me, block: str, site: str, verb: str, path: str, body, times: int) -> None:
    """The common clockwork of honest programs: own ports, python or curl by host."""
    tls.mark_site(me, block, site, block, "decoy-of:beacon")
    by_curl = me.world.rng(me.host.name, block, "stack").random() < 0.5
    period = me.rng.choice((4, 6, 9))
    for _ in range(times):
        call(me, block, site, verb, path, body(), by_curl)
        if not me.sleep(period * me.rng.uniform(0.9, 1.15)):
            return


def call(me, block: str, site: str, verb: str, path: str, body: bytes, by_curl: bool) -> None:
    """One exchange on one connection, by either stack."""
    if not by_curl:
        return tls.exchange(me, block, site, verb, path, body)
    version, _ = tls.address_of(me, site)
    data = ["--data-binary", "@-"] if body else []
    me.run(
        tls.curl(me, version, "--local-port", str(me.port(block)), *data, f"https://{site}{path}"), input=body
    )


def backup(me) -> None:
    """Copies changed files to a store over HTTPS at a polite rate, like exfiltration."""
    stores = [site for site in me.sites() if site.split(".")[0] in ("files", "share", "store", "vault")]
    site = me.rng.choice(stores)
    tls.mark_site(me, "backup", site, "backup", "decoy-of:exfil")
    for _ in range(me.rng.randint(1, 3)):
        size, path = int(me.rng.lognormvariate(9.9, 0.7)), f"/put/{me.host.name}{me.rng.randrange(9)}"
        if me.rng.random() < 0.5:
            tls.upload(me, "backup", site, path, size, me.rng.uniform(1, 15))
        else:
            curl_put(me, "backup", site, path, size, size / me.rng.uniform(2, 15))


def curl_put(me, block: str, site: str, path: str, size: int, rate: float) -> None:
    """PUT random bytes from curl, limited to `rate` bytes per second."""
    version, _ = tls.address_of(me, site)
    me.run(
        tls.curl(
            me,
            version,
            "--local-port",
            str(me.port(block)),
            "--limit-rate",
            str(int(max(500, rate))),
            "-T",
            "-",
            f"https://{site}{path}",
        ),
        input=me.rng.randbytes(size),
    )


def photos(me) -> None:
    """A camera or a phone sends a picture up: a single, faster upload, like exfiltration."""
    site = home(me, "photos")
    tls.mark_site(me, "photos", site, "photos", "decoy-of:exfil")
    size = int(me.rng.lognormvariate(9.7, 0.6))
    tls.upload(me, "photos", site, f"/put/{me.host.name}-{me.rng.randrange(9)}", size, me.rng.uniform(0.5, 9))


def mistyped(me) -> None:
    """A person gets an SSH password wrong once or twice, then right, or gives up; like bruteforce."""
    server, version = files.choose(me)
    words = [files.wrong(me) for _ in range(me.rng.choice((1, 1, 2)))]
    if me.rng.random() < 0.7:
        words.append(me.world.settings["password"])
    with me.hold("tcp", server, version, 22, "mistyped", "decoy-of:bruteforce"):
        files.ask(me, words, server, version, me.rng.choice(files.COMMANDS))


def wrong_login(me) -> None:
    """A stale or mistyped password in a browser: refused once or twice, then in; like bruteforce."""
    site = home(me, "wrong_login")
    tls.mark_site(me, "wrong_login", site, "wrong-login", "decoy-of:bruteforce")
    user, right = me.world.settings["user"], me.world.settings["password"]
    for word in [files.wrong(me) for _ in range(me.rng.choice((1, 2)))] + [right]:
        login(me, "wrong_login", site, user, word)
        me.sleep(me.rng.uniform(1, 5))


def login(me, block: str, site: str, user: str, word: str) -> None:
    """Try one password on a site's members area."""
    version, _ = tls.address_of(me, site)
    me.run(
        tls.curl(
            me,
            version,
            "--local-port",
            str(me.port(block)),
            "-u",
            f"{user}:{word}",
            f"https://{site}/members/s{me.rng.randrange(12)}",
        )
    )


def health_check(me) -> None:
    """Are the services up? Connects to each in turn and hangs up, like a scan; some are down."""
    block = "health_check"
    for host in me.rng.sample(sorted(me.world.hosts.values(), key=lambda host: host.name), 3):
        if host.name == me.host.name:
            continue
        me.mark("tcp", block, host.v4, "*", "health-check", "decoy-of:scan")
        for port in me.rng.sample([22, 25, 80, 443, 587, 1883, 3306, 5432, 8443, 9100], 3):
            probes.connect(me, block, host.v4, port, me.rng.choice((1.2, 3)))
            me.sleep(me.rng.uniform(0.05, 0.8))


def inventory(me) -> None:
    """Looks for printers or hosts over part of a segment, most addresses empty: like a sweep."""
    segment = me.world.segments[me.rng.choice(me.world.names["inside"])]["v4"]
    me.mark("tcp", "inventory", segment, "*", "inventory", "decoy-of:sweep")
    port, stem = me.rng.choice((22, 443, 9100)), segment.rsplit(".", 1)[0]
    first = me.rng.randint(2, 60)
    for last in range(first, first + me.rng.randint(12, 22)):
        if f"{stem}.{last}" not in me.host.addresses():
            probes.connect(me, "inventory", f"{stem}.{last}", port, 1.2)
            me.sleep(me.rng.uniform(0.05, 0.5))


def dead_service(me) -> None:
    """A program keeps calling a service that has moved away: openings without answer, like half-open."""
    rng = me.world.rng(me.host.name, "dead_service")
    segment = me.world.segments[rng.choice(me.world.names["inside"])]["v4"]
    gone = f"{segment.rsplit('.', 1)[0]}.{rng.randint(225, 250)}"
    filtered = [host.v4 for host in me.world.hosts.values() if host.filtered and host.name != me.host.name]
    address, port = rng.choice(((gone, 443), (gone, 8080), (rng.choice(filtered), 3306)))
    me.mark("tcp", "dead_service", address, port, "dead-service", "decoy-of:half-open")
    for _ in range(me.rng.randint(1, 4)):
        probes.connect(me, "dead_service", address, port, me.rng.choice((2, 4, 8)))
        me.sleep(me.rng.uniform(0.2, 2))


def port_trial(me) -> None:
    """Someone tries by hand which ports of a new machine answer: a small, slow scan."""
    host = me.rng.choice(
        [host for host in me.world.hosts.values() if host.services and host.name != me.host.name]
    )
    me.mark("tcp", "port_trial", host.v4, "*", "port-trial", "decoy-of:scan")
    for port in me.rng.sample(
        [21, 22, 23, 80, 110, 143, 443, 445, 993, 3000, 3389, 5900, 8000, 8080, 8443], 8
    ):
        probes.connect(me, "port_trial", host.v4, port, 2)
        me.sleep(me.rng.uniform(0.2, 1.5))


def cdn_names(me) -> None:
    """Asks for the long random host names of a content network, like a DNS tunnel."""
    resolver = me.world.with_service("dns")[0]
    me.mark("udp", "cdn_names", resolver.v4, 53, "cdn-names", "decoy-of:dns-tunnel")
    for _ in range(me.rng.randint(1, 5)):
        shard = me.rng.randbytes(me.rng.randint(6, 26)).hex()[: me.rng.randint(8, 50)]
        name = f"{me.rng.choice(('r', 'img', 'v'))}{me.rng.randrange(20)}---{shard}.{me.world.names['cdn']}"
        probes.question(me, "cdn_names", resolver.v4, name, me.rng.choice((1, 1, 28)))
        me.sleep(me.rng.uniform(0, 1.2))


def slow_client(me) -> None:
    """A weak device or a phone in a tunnel writes its request in pieces, like slow headers."""
    site = home(me, "slow_client")
    port = me.rng.choice((443, 443, 80))
    tls.mark_site(me, "slow_client", site, "slow-client", "decoy-of:slow-headers", port=port)
    open_to = tls.connect if port == 443 else lambda me, block, site: tls.connect_plain(me, block, site, 80)
    with open_to(me, "slow_client", site) as sock:
        cookies = {f"X-State-{index}": me.rng.randbytes(8).hex() for index in range(me.rng.randint(0, 5))}
        request = tls.head(
            me, "GET", f"{API}?size={me.rng.randint(40, 4000)}", site, cookies | {"Connection": "close"}
        )
        while request:
            cut = me.rng.randint(15, 120)
            sock.sendall(request[:cut])
            request = request[cut:]
            time.sleep(me.rng.uniform(0.2, 4))
        tls.finish_response(sock)


def long_poll(me) -> None:
    """Waits long for an answer on an idle connection, like slow headers."""
    site = home(me, "long_poll")
    tls.mark_site(me, "long_poll", site, "long-poll", "decoy-of:slow-headers")
    wait = int(min(me.rng.uniform(8, 45), max(2, me.left())) * 1000)
    tls.exchange(me, "long_poll", site, "GET", f"/app/wait?size={me.rng.randint(20, 900)}&delay={wait}")


ACTS = [
    poller,
    telemetry,
    backup,
    photos,
    mistyped,
    wrong_login,
    health_check,
    inventory,
    dead_service,
    port_trial,
    cdn_names,
    slow_client,
    long_poll,
]
