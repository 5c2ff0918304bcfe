"""Browsing, plain HTTP, downloads, API calls and idle connections, with several client programs."""

import tls

PATHS = [f"s{index}" for index in range(12)] + [f"m{index}" for index in range(4)]


def browse(me) -> None:
    """Open a page: a few objects from one or two sites."""
    for _ in range(me.rng.choice((1, 1, 2))):
        site = me.rng.choice(me.sites(443, 8443))
        owner, port = me.world.owner(site), me.world.port(site)
        version = me.version(owner)
        urls = [
            f"https://{site}:{port}/{me.rng.choice(PATHS)}" for _ in range(me.rng.choice((1, 1, 1, 2, 4)))
        ]
        with me.hold("tcp", owner, version, port, "web"):
            me.run(me.rng.choice(BROWSERS)(me, version, urls, site, port))


def curl_h2(me, version, urls, *_) -> list:
    return tls.curl(me, version, "--http2", "--compressed", *parallel(urls))


def curl_h1(me, version, urls, *_) -> list:
    return tls.curl(me, version, "--http1.1", *outputs(urls))


def curl_old(me, version, urls, *_) -> list:
    return tls.curl(me, version, "--tls-max", "1.2", *outputs(urls))


def wget(me, version, urls, *_) -> list:
    """GnuTLS instead of OpenSSL."""
    return f"wget -q -O /dev/null -{version} --ca-certificate={me.ca} --tries=1 --timeout=20".split() + urls


def openssl(me, version, urls, site, port) -> list:
    """A bare handshake with one request."""
    path = urls[0].rsplit("/", 1)[1]
    command = f"(printf 'GET /{path} HTTP/1.1\\r\\nHost: {site}\\r\\nConnection: close\\r\\n\\r\\n'; sleep 1)"
    client = f"openssl s_client -quiet -{version} -CAfile {me.ca} -servername {site} -connect {site}:{port}"
    return ["sh", "-c", f"{command} | timeout 15 {client}"]


def outputs(urls: list) -> list:
    return [part for url in urls[1:] for part in ("-o", "/dev/null", url)] + [urls[0]]


def parallel(urls: list) -> list:
    return (["--parallel"] if len(urls) > 1 else []) + outputs(urls)


BROWSERS = [curl_h2, curl_h2, curl_h2, curl_h1, curl_h1, curl_old, wget, wget, openssl]


def plain_web(me) -> None:
    """HTTP without TLS: curl, or netcat and a typed request."""
    site = me.rng.choice(me.sites())
    owner = me.world.owner(site)
    version, path = me.version(owner), me.rng.choice(PATHS)
    with me.hold("tcp", owner, version, 80, "web"):
        if me.rng.random() < 0.75:
            second = f"http://{site}/{me.rng.choice(PATHS)}"
            me.run(tls.curl(me, version, *outputs([f"http://{site}/{path}", second])))
        else:
            request = f"GET /{path} HTTP/1.1\r\nHost: {site}\r\nConnection: close\r\n\r\n"
            me.run(f"nc -{version} -q 2 -w 5 {site} 80".split(), input=request.encode())


def download(me) -> None:
    """One large file."""
    site = me.rng.choice(me.sites())
    owner = me.world.owner(site)
    version = me.version(owner)
    with me.hold("tcp", owner, version, 443, "download"):
        rate = me.rng.choice(("80k", "400k", "4m"))
        me.run(tls.curl(me, version, "--limit-rate", rate, f"https://{site}/l{me.rng.randrange(6)}"))


def api(me) -> None:
    """A few calls of a program to its server."""
    site = me.rng.choice([site for site in me.sites() if site in me.world.settings["apis"]])
    owner = me.world.owner(site)
    version = me.version(owner)
    with me.hold("tcp", owner, version, 443, "api"):
        for _ in range(me.rng.randint(1, 3)):
            size, delay = me.rng.randint(60, 5000), me.rng.randint(0, 300)
            body, path = "x" * me.rng.randint(20, 900), f"app/call?size={size}&delay={delay}"
            me.run(tls.curl(me, version, "--data-binary", body, f"https://{site}/{path}"))


def keepalive(me) -> None:
    """One connection kept open for a minute or more, with little on it."""
    site = me.rng.choice(me.sites())
    tls.mark_site(me, "keepalive", site, "keepalive")
    with tls.connect(me, "keepalive", site) as sock:
        for _ in range(me.rng.randint(2, 7)):
            sock.sendall(tls.head(me, "GET", f"/app/news?size={me.rng.randint(40, 3000)}", site))
            tls.finish_response(sock)
            if not me.sleep(me.rng.uniform(6, 28)):
                return


ACTS = [browse, plain_web, download, api, keepalive]
