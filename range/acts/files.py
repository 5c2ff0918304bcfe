"""SSH sessions and file copies (scp, sftp, rsync) with the OpenSSH client."""
import os
import subprocess
import tempfile

QUIET = ["-F", "none", "-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR",
         "-o", "ConnectTimeout=15"]
COMMANDS = ["ls -la /etc", "df", "ps aux", "cat /etc/services", "uptime", "id", "head -c 6000 /dev/urandom | od -x"]


def key(me) -> list:
    return ["-i", str(me.folder / "key"), "-o", "BatchMode=yes"]


def choose(me) -> tuple:
    server = me.rng.choice(me.others("ssh"))
    return server, me.version(server)


def ssh_session(me) -> None:
    """A person at a prompt: one command after the other, with pauses to read."""
    server, version = choose(me)
    lines = [(me.rng.uniform(0.3, 6), me.rng.choice(COMMANDS)) for _ in range(me.rng.randint(1, 7))]
    script = "".join(f"sleep {pause:.1f}; echo '{line}'; " for pause, line in lines) + "sleep 0.5; echo exit"
    target = f"{me.world.settings['user']}@{me.world.fqdn(server)}"
    command = " ".join(["ssh", "-tt", f"-{version}", *QUIET, *key(me), target])
    with me.hold("tcp", server, version, 22, "ssh"):
        me.run(["sh", "-c", f"({script}) | timeout 60 {command}"], 70)


def file_copy(me) -> None:
    """One file to or from a server."""
    server, version = choose(me)
    target = f"{me.world.settings['user']}@{me.world.fqdn(server)}"
    with tempfile.NamedTemporaryFile() as file, me.hold("tcp", server, version, 22, "copy"):
        os.truncate(file.name, 0)
        file.write(me.rng.randbytes(int(me.rng.lognormvariate(9.8, 0.9))))
        file.flush()
        me.run(me.rng.choice((scp, sftp, rsync))(me, version, file.name, target), 50)


def scp(me, version: int, path: str, target: str) -> list:
    remote = f"{target}:copy{me.rng.randrange(4)}"
    ends = [path, remote] if me.rng.random() < 0.7 else [f"{target}:/etc/services", "/dev/null"]
    return ["scp", "-q", f"-{version}", "-l", "6000", *QUIET, *key(me), *ends]


def sftp(me, version: int, path: str, target: str) -> list:
    batch = f"printf 'ls -l\\nput {path} copy{me.rng.randrange(4)}\\nls\\n'"
    return ["sh", "-c", f"{batch} | " + " ".join(["sftp", "-q", f"-{version}", *QUIET, "-i", str(me.folder / "key"), "-b", "-", target])]


def rsync(me, version: int, path: str, target: str) -> list:
    shell = " ".join(["ssh", f"-{version}", *QUIET, *key(me)])
    return ["rsync", "-q", "--bwlimit=800", "-e", shell, path, f"{target}:copy{me.rng.randrange(4)}"]


def ask(me, words: list, server, version: int, after: str) -> None:
    """Log in by password, offering the given ones in turn on one connection."""
    with tempfile.TemporaryDirectory() as folder:
        helper, queue = f"{folder}/ask", f"{folder}/words"
        with open(queue, "w") as file:
            file.write("\n".join(words) + "\n")
        with open(helper, "w") as file:
            file.write(f"#!/bin/sh\nsleep {me.rng.uniform(0.05, 1.2):.2f}\nhead -n 1 {queue}\nsed -i 1d {queue}\n")
        os.chmod(helper, 0o700)
        environment = os.environ | {"SSH_ASKPASS": helper, "SSH_ASKPASS_REQUIRE": "force"}
        me.run(["timeout", "45", "ssh", f"-{version}", *QUIET, "-o", "PubkeyAuthentication=no",
                "-o", f"NumberOfPasswordPrompts={len(words)}",
                f"{me.world.settings['user']}@{me.world.fqdn(server)}", after], env=environment, stdin=subprocess.DEVNULL)


def wrong(me) -> str:
    """A password that is not it."""
    return me.rng.choice(("tulip", "winter", "secret", "alice")) + str(me.rng.randrange(10_000))


ACTS = [ssh_session, file_copy]
