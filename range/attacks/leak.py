"""Families `beacon`, `exfil` and `dns-tunnel`: what an implant sends home."""

import base64

import tls
from acts import decoys
from attacks import probes


def beacon(me, settings: dict) -> None:
    """A small TLS exchange with `site` every `every` seconds, give or take `jitter`, until the end.

    Now and then there is a task: the answer is longer, and so is the next report.
    """
    site, report = settings["site"], 0
    tls.mark_site(me, "beacon", site, "beacon", label="malicious")
    while (
        me.sleep(settings["every"] * me.rng.uniform(1 - settings["jitter"], 1 + settings["jitter"]))
        and me.left() > 4
    ):
        task = me.rng.random() < 0.15
        size = me.rng.randint(400, 6000) if task else me.rng.randint(0, 120)
        body = me.rng.randbytes(report or me.rng.randint(30, 320))
        verb = "POST" if report or me.rng.random() < 0.6 else "GET"
        try:
            decoys.call(
                me,
                "beacon",
                site,
                verb,
                f"/app/state?size={size}",
                body if verb == "POST" else b"",
                settings["stack"] == "curl",
            )
        except OSError:
            pass
        report = me.rng.randint(500, 4000) if task else 0


def exfil(me, settings: dict) -> None:
    """`uploads` slow uploads to `site`, each of some `kilobytes` over some `seconds`."""
    tls.mark_site(me, "exfil", settings["site"], "exfil", label="malicious")
    for index in range(settings["uploads"]):
        size = int(me.rng.uniform(*settings["kilobytes"]) * 1000)
        seconds, path = me.rng.uniform(*settings["seconds"]), f"/put/{me.host.name}.{index}"
        try:
            if settings["stack"] == "curl":
                decoys.curl_put(me, "exfil", settings["site"], path, size, size / seconds)
            else:
                tls.upload(me, "exfil", settings["site"], path, size, seconds)
        except OSError:
            pass
        if not me.sleep(me.rng.expovariate(1 / settings["gap"])):
            return


def dns_tunnel(me, settings: dict) -> None:
    """`questions` names that carry data, through the resolver, in bursts of about `burst`."""
    resolver, zone = me.world.with_service("dns")[0].v4, me.world.names["tunnel"]
    me.mark("udp", "dns_tunnel", resolver, 53, "dns-tunnel", label="malicious")
    sent = 0
    while sent < settings["questions"]:
        for _ in range(me.rng.randint(1, 2 * settings["burst"])):
            probes.question(me, "dns_tunnel", resolver, carrier(me, zone), me.rng.choice((16, 16, 5, 1)))
            sent += 1
            if not me.sleep(me.rng.uniform(*settings["pause"])):
                return
        if not me.sleep(me.rng.expovariate(1 / settings["gap"])):
            return


def carrier(me, zone: str) -> str:
    """A name with 10 to 110 bytes of data in labels of at most 57 characters."""
    text = base64.b32encode(me.rng.randbytes(me.rng.randint(10, 110))).decode().lower().rstrip("=")
    return ".".join([text[at : at + 57] for at in range(0, len(text), 57)] + [zone])
