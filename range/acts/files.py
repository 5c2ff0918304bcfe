"""SSH sessions and file copies (scp, sftp, rsync) with the OpenSSH client."""

import os
import subprocess
import tempfile
from pathlib import Path

COMMANDS = [
    "ls -la /etc",
    "df",
    "ps aux",
    "cat /etc/services",
    "uptime",
    "id",
    "head -c 6000 /dev/urandom | od -x",
]


def quiet(me) -> str:
    """Options of every call: nothing of the machine's own configuration is read or written."""
    known = f"UserKnownHostsFile={me.folder / 'known_hosts'}"
    return f"-F none -o {known} -o UpdateHostKeys=no -o LogLevel=ERROR -o ConnectTimeout=15"


def key(me) -> str:
    return f"{quiet(me)} -i {me.folder / 'key'} -o BatchMode=yes"


def choose(me) -> tuple:
    server = me.rng.choice(me.others("ssh"))
    return server, me.version(server)


def ssh_session(me) -> None:
    """A person at a prompt: one command after the other, with pauses to read."""
    server, version = choose(me)
    lines = [(me.rng.uniform(0.3, 6), me.rng.choice(COMMANDS)) for _ in range(me.rng.randint(1, 7))]
    script = "".join(f"sleep {pause:.1f}; echo '{line}'; " for pause, line in lines) + "sleep 0.5; echo exit"
    target = f"{me.world.settings['user']}@{me.world.fqdn(server)}"
    with me.hold("tcp", server, version, 22, "ssh"):
        me.run(["sh", "-c", f"({script}) | timeout 60 ssh -tt -{version} {key(me)} {target}"], 70)


def file_copy(me) -> None:
    """One file to or from a server."""
    server, version = choose(me)
    target = f"{me.world.settings['user']}@{me.world.fqdn(server)}"
    with tempfile.TemporaryDirectory() as folder, me.hold("tcp", server, version, 22, "copy"):
        with open(f"{folder}/file", "wb") as file:
            file.write(me.rng.randbytes(int(me.rng.lognormvariate(9.8, 0.9))))
        me.run(me.rng.choice((scp, sftp, rsync))(me, version, file.name, target), 50)


def scp(me, version: int, path: str, target: str) -> list:
    ends = f"{path} {target}:copy{me.rng.randrange(4)}"
    if me.rng.random() < 0.3:
        ends = f"{target}:/etc/services {path}.got"
    return f"scp -q -{version} -l 6000 {key(me)} {ends}".split()


def sftp(me, version: int, path: str, target: str) -> list:
    batch = f"printf 'ls -l\\nput {path} copy{me.rng.randrange(4)}\\nls\\n'"
    return ["sh", "-c", f"{batch} | sftp -q -{version} {key(me)} -b - {target}"]


def rsync(me, version: int, path: str, target: str) -> list:
    shell = f"ssh -{version} {key(me)}"
    return ["rsync", "-q", "--bwlimit=800", "-e", shell, path, f"{target}:copy{me.rng.randrange(4)}"]


def ask(me, words: list, server, version: int, after: str) -> None:
    """Log in by password, offering the given ones in turn on one connection."""
    with tempfile.TemporaryDirectory() as folder:
        helper, queue = Path(folder, "ask"), Path(folder, "words")
        queue.write_text("\n".join(words) + "\n")
        typing_s = me.rng.uniform(0.05, 1.2)
        helper.write_text(f"#!/bin/sh\nsleep {typing_s:.2f}\nhead -n 1 {queue}\nsed -i 1d {queue}\n")
        helper.chmod(0o700)
        environment = os.environ | {"SSH_ASKPASS": str(helper), "SSH_ASKPASS_REQUIRE": "force"}
        options = f"{quiet(me)} -o PubkeyAuthentication=no -o NumberOfPasswordPrompts={len(words)}"
        target = f"{me.world.settings['user']}@{me.world.fqdn(server)}"
        command = f"timeout 45 ssh -{version} {options} {target}".split() + [after]
        me.run(command, env=environment, stdin=subprocess.DEVNULL)


def wrong(me) -> str:
    """A password that is not it."""
    return me.rng.choice(("tulip", "winter", "secret", "alice")) + str(me.rng.randrange(10_000))


ACTS = [ssh_session, file_copy]
