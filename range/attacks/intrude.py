"""Family `bruteforce`: guesses passwords, over SSH or on a site's members area; never the right one."""

import tls
from acts import decoys, files


def bruteforce(me, settings: dict) -> None:
    """`tries` rounds against `target`, by `way` ssh or login, about `gap` seconds apart."""
    if settings["way"] == "login":
        tls.mark_site(me, "bruteforce", settings["target"], "bruteforce", label="malicious")
    for _ in range(settings["tries"]):
        if settings["way"] == "ssh":
            guess_ssh(me, me.world.hosts[settings["target"]])
        else:
            decoys.login(
                me,
                "bruteforce",
                settings["target"],
                me.rng.choice(("admin", "root", me.world.settings["user"])),
                files.wrong(me),
            )
        if not me.sleep(me.rng.expovariate(1 / settings["gap"])):
            return


def guess_ssh(me, server) -> None:
    """One connection with one to four guesses."""
    version = me.version(server)
    words = [files.wrong(me) for _ in range(me.rng.choice((1, 1, 2, 3, 4)))]
    with me.hold("tcp", server, version, 22, "bruteforce", label="malicious", patience_s=30):
        files.ask(me, words, server, version, "id")
