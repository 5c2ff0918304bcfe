"""Writes the configuration of every real service of a world and starts it on its host.

nginx (HTTP, HTTPS, HTTP/2), OpenSSH, dnsmasq, chrony and mosquitto are the Debian packages; the mail
sink, the application behind nginx and the far end of the DNS tunnel are the programs in `servers/`.
"""

import subprocess
import sys
from pathlib import Path

from fabric import inside, sh
from world import Host, World

HERE = Path(__file__).parent / "servers"
PAGES = {"s": (600, 5_000, 12), "m": (5_000, 16_000, 4), "l": (50_000, 170_000, 6)}


class Services:
    """Starts services and remembers their processes."""

    def __init__(self, world: World, folder: Path):
        self.world, self.folder = world, folder
        self.running = []

    def start(self) -> None:
        """Start everything every host offers."""
        self.write_pages()
        starters = {
            "web": self.web,
            "ssh": self.ssh,
            "smtp": self.smtp,
            "dns": self.dns,
            "ntp": self.ntp,
            "mqtt": self.mqtt,
            "syslog": self.syslog,
            "tunnel": self.upstream,
        }
        for host in self.world.hosts.values():
            (self.folder / host.name).mkdir(exist_ok=True)
            for service in host.services:
                starters[service](host)

    def spawn(self, host: Host, *command: str) -> None:
        log = open(self.folder / host.name / f"{Path(command[0]).name}.log", "ab")
        process = subprocess.Popen(
            inside(self.world, host.name, *command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self.running.append((host.name, command[0], process))

    def python(self, host: Host, script: str, *arguments: str) -> None:
        self.spawn(host, sys.executable, str(HERE / script), *arguments)

    def dead(self) -> list:
        """Services that have ended though they should not have."""
        return [
            f"{command} on {host}" for host, command, process in self.running if process.poll() is not None
        ]

    def write_pages(self) -> None:
        """Files of random bytes that the web servers offer: small, medium and large."""
        rng = self.world.rng("pages")
        pages = self.folder / "pages"
        pages.mkdir()
        for size, (low, high, count) in PAGES.items():
            for index in range(count):
                (pages / f"{size}{index}").write_bytes(rng.randbytes(rng.randint(low, high)))

    def web(self, host: Host) -> None:
        folder = self.folder / host.name
        (folder / "put").mkdir(exist_ok=True)
        servers = "\n".join(self.site(site, folder, first=not index) for index, site in enumerate(host.sites))
        (folder / "nginx.conf").write_text(f"""
user root; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.err; daemon off;
events {{ worker_connections 512; }}
http {{
  access_log off; default_type application/octet-stream; keepalive_timeout 75s; client_header_timeout 32s;
  client_max_body_size 4m; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  {servers}
}}
""")
        self.spawn(host, "nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"))
        self.python(host, "webapp.py", str(self.world.seed))

    def site(self, site: str, folder: Path, first: bool) -> str:
        """One virtual host; the first of a host also answers to its bare address."""
        default = " default_server" if first else ""
        ports = ["443 ssl http2", "80"]
        if self.world.port(site) == 8443:
            ports = ["8443 ssl"]
        listen = " ".join(f"listen {port}{default}; listen [::]:{port}{default};" for port in ports)
        certs = self.folder / "certs"
        return f"""server {{
    {listen}
    server_name {site}; ssl_protocols {self.world.sites[site]["tls"]};
    ssl_certificate {certs}/{site}.pem; ssl_certificate_key {certs}/{site}.key;
    ssl_session_cache none; ssl_session_tickets on;
    location / {{ root {self.folder}/pages; }}
    location /put/ {{ root {folder}; dav_methods PUT; }}
    location /app/ {{ proxy_pass http://127.0.0.1:8081; proxy_read_timeout 90s; }}
    location /members/ {{
      auth_basic "members"; auth_basic_user_file {self.folder}/members; alias {self.folder}/pages/;
    }}
  }}"""

    def ssh(self, host: Host) -> None:
        folder = self.folder / host.name
        for kind in ("ed25519", "ecdsa"):
            sh("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(folder / f"host_{kind}"))
            with open(self.folder / "known_hosts", "a") as known:
                known.write("* " + (folder / f"host_{kind}.pub").read_text())
        (folder / "sshd_config").write_text(f"""
HostKey {folder}/host_ed25519
HostKey {folder}/host_ecdsa
PidFile {folder}/sshd.pid
AuthorizedKeysFile {self.folder}/key.pub
StrictModes no
UsePAM no
PasswordAuthentication yes
KbdInteractiveAuthentication no
MaxStartups 40:30:80
PrintMotd no
Subsystem sftp internal-sftp
""")
        Path("/run/sshd").mkdir(exist_ok=True)
        self.spawn(host, "/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config"))

    def smtp(self, host: Host) -> None:
        name = self.world.fqdn(host)
        certs = self.folder / "certs"
        self.python(
            host,
            "mail.py",
            name,
            str(certs / f"{name}.pem"),
            str(certs / f"{name}.key"),
            self.world.settings["user"],
            self.world.settings["password"],
        )

    def dns(self, host: Host) -> None:
        """The resolver everybody asks: knows the inside, forwards the rest to one outside server."""
        upstream = self.world.with_service("tunnel")[0]
        zone = self.world.names["internal"]
        lines = [
            f"server={upstream.v4}",
            f"server=/{self.world.names['tunnel']}/{upstream.extra_v4[0]}",
            f"local=/{zone}/",
            f"mx-host={zone},{self.world.fqdn(self.world.with_service('smtp')[0])}",
            "cache-size=200",
            "dns-forward-max=300",
        ]
        self.dnsmasq(host, lines, [name for name in self.world.records() if name.endswith(zone)])

    def upstream(self, host: Host) -> None:
        """The outside name server, with a wildcard as content networks have, and the tunnel's far end."""
        zone = self.world.names["outside"]
        lines = [
            f"listen-address={host.v4}",
            "bind-interfaces",
            "auth-ttl=30",
            f"mx-host={zone},mail.{zone}",
            f"txt-record={zone},v=spf1 mx -all",
            f"address=/{self.world.names['cdn']}/{self.world.outside_web().v4}",
        ]
        self.dnsmasq(
            host,
            lines,
            [name for name in self.world.records() if not name.endswith(self.world.names["internal"])],
        )
        self.python(host, "tunnel.py", host.extra_v4[0], self.world.names["tunnel"])

    def dnsmasq(self, host: Host, lines: list, names: list) -> None:
        conf = self.folder / host.name / "dnsmasq.conf"
        records = self.world.records()
        hosts = [
            f"host-record={name},{','.join(filter(None, (records[name].v4, records[name].v6)))}"
            for name in names
        ]
        ours = ["no-resolv", "no-hosts", "user=root", "local-ttl=25", "no-poll"]
        conf.write_text("\n".join(ours + lines + hosts) + "\n")
        self.spawn(host, "dnsmasq", "-k", f"--conf-file={conf}", f"--pid-file={conf}.pid", "--log-facility=-")

    def ntp(self, host: Host) -> None:
        conf = self.folder / host.name / "chrony.conf"
        conf.write_text(f"local stratum 6\nallow all\ncmdport 0\nbindcmdaddress /\npidfile {conf}.pid\n")
        self.spawn(host, "chronyd", "-d", "-x", "-u", "root", "-f", str(conf))

    def mqtt(self, host: Host) -> None:
        name, certs = self.world.fqdn(host), self.folder / "certs"
        conf = self.folder / host.name / "mosquitto.conf"
        conf.write_text(
            f"user root\nallow_anonymous true\nlistener 1883\nlistener 8883\ncafile {certs}/ca.pem\n"
            f"certfile {certs}/{name}.pem\nkeyfile {certs}/{name}.key\n"
        )
        self.spawn(host, "mosquitto", "-c", str(conf))

    def syslog(self, host: Host) -> None:
        self.python(host, "syslog.py")
