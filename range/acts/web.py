"""Browsing, plain HTTP, downloads, API calls and idle connections, with several client programs."""
import tls

PATHS = [f"s{index}" for index in range(12)] + [f"m{index}" for index in range(10)]


def browse(me) -> None:
    """Open a page: a few objects from one or two sites."""
    for _ in range(me.rng.choice((1, 1, 2))):
        site = me.site()
        owner = me.world.owner(site)
        if owner.name == me.host.name:
            return
        version, port = me.version(owner), 8443 if me.world.sites[site]["tls"] == "TLSv1.2" else 443
        urls = [f"https://{site}{':8443' if port == 8443 else ''}/{me.rng.choice(PATHS)}" for _ in range(me.rng.choice((1, 1, 1, 2, 4)))]
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
    return ["wget", "-q", "-O", "/dev/null", f"-{version}", f"--ca-certificate={me.ca}", "--tries=1", "--timeout=20", *urls]


def openssl(me, version, urls, site, port) -> list:
    """A bare handshake with one request."""
    path = urls[0].rsplit("/", 1)[1]
    command = f"(printf 'GET /{path} HTTP/1.1\\r\\nHost: {site}\\r\\nConnection: close\\r\\n\\r\\n'; sleep 1)"
    return ["sh", "-c", f"{command} | timeout 15 openssl s_client -quiet -{version} -CAfile {me.ca} -servername {site} -connect {site}:{port}"]


def outputs(urls: list) -> list:
    return [part for url in urls[1:] for part in ("-o", "/dev/null", url)] + [urls[0]]


def parallel(urls: list) -> list:
    return (["--parallel"] if len(urls) > 1 else []) + outputs(urls)


BROWSERS = [curl_h2, curl_h2, curl_h2, curl_h1, curl_h1, curl_old, wget, wget, openssl]


def plain_web(me) -> None:
    """HTTP without TLS: curl, or netcat and a typed request."""
    site = me.site([site for site, spec in sorted(me.world.sites.items()) if spec["tls"] != "TLSv1.2"])
    owner = me.world.owner(site)
    if owner.name == me.host.name:
        return
    version, path = me.version(owner), me.rng.choice(PATHS)
    with me.hold("tcp", owner, version, 80, "web"):
        if me.rng.random() < 0.75:
            me.run(tls.curl(me, version, f"http://{site}/{path}", "-o", "/dev/null", f"http://{site}/{me.rng.choice(PATHS)}"))
        else:
            me.run(["nc", f"-{version}", "-q", "2", "-w", "5", site, "80"],
                   input=f"GET /{path} HTTP/1.1\r\nHost: {site}\r\nConnection: close\r\n\r\n".encode())


def download(me) -> None:
    """One large file."""
    site = me.site([site for site, spec in sorted(me.world.sites.items()) if spec["tls"] != "TLSv1.2"])
    owner = me.world.owner(site)
    if owner.name == me.host.name:
        return
    version = me.version(owner)
    with me.hold("tcp", owner, version, 443, "download"):
        me.run(tls.curl(me, version, "--limit-rate", me.rng.choice(("80k", "400k", "4m")), f"https://{site}/l{me.rng.randrange(6)}"))


def api(me) -> None:
    """A few calls of a program to its server."""
    site = me.site(me.world.settings["apis"])
    owner = me.world.owner(site)
    if owner.name == me.host.name:
        return
    version = me.version(owner)
    with me.hold("tcp", owner, version, 443, "api"):
        for _ in range(me.rng.randint(1, 3)):
            size, delay = me.rng.randint(60, 5000), me.rng.randint(0, 300)
            me.run(tls.curl(me, version, "--data-binary", "x" * me.rng.randint(20, 900), f"https://{site}/app/call?size={size}&delay={delay}"))


def keepalive(me) -> None:
    """One connection kept open for a minute or more, with little on it."""
    site = me.site([site for site, spec in sorted(me.world.sites.items()) if spec["tls"] != "TLSv1.2"])
    if me.world.owner(site).name == me.host.name:
        return
    tls.mark_site(me, "keepalive", site, "keepalive")
    with tls.connect(me, "keepalive", site) as sock:
        for _ in range(me.rng.randint(2, 7)):
            sock.sendall(tls.head(me, "GET", f"/app/news?size={me.rng.randint(40, 3000)}", site))
            tls.finish_response(sock)
            if not me.sleep(me.rng.uniform(6, 28)):
                return


ACTS = [browse, plain_web, download, api, keepalive]
