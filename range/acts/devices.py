"""Device chatter: MQTT, syslog and service discovery by multicast."""

import socket

SEARCH = (
    b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n"
    b'MAN: "ssdp:discover"\r\nMX: 2\r\nST: ssdp:all\r\n\r\n'
)


def broker(me) -> tuple:
    host = me.others("mqtt")[0]
    return host, me.version(host)


def port_of(me) -> int:
    """Plain or TLS."""
    return 8883 if me.rng.random() < 0.4 else 1883


def mosquitto(me, tool: str, host, version: int, port: int, options: str) -> list:
    """The command line of one of mosquitto's clients."""
    secure = f"--cafile {me.ca} " if port == 8883 else ""
    own = me.address(me.host, version)
    return f"mosquitto_{tool} -h {me.world.fqdn(host)} -p {port} -A {own} {secure}{options}".split()


def mqtt_publish(me) -> None:
    """One or a few readings on a connection of their own."""
    host, version = broker(me)
    port, reading = port_of(me), "r" * me.rng.randint(8, 400)
    again = "--repeat 3 --repeat-delay 1" if me.rng.random() < 0.3 else ""
    options = f"-t {me.host.name}/v -q {me.rng.randrange(2)} -m {reading} {again}"
    with me.hold("tcp", host, version, port, "mqtt"):
        me.run(mosquitto(me, "pub", host, version, port, options), 20)


def mqtt_listen(me) -> None:
    """A long, mostly idle subscription."""
    host, version = broker(me)
    port, seconds = port_of(me), max(5, min(me.left(), me.rng.uniform(30, 160)))
    options = f"-t # -k {me.rng.choice((6, 10, 20))} -W {seconds:.0f}"
    with me.hold("tcp", host, version, port, "mqtt"):
        me.run(mosquitto(me, "sub", host, version, port, options), 200)


def syslog(me) -> None:
    """A few log lines over UDP."""
    server = me.others("syslog")[0]
    with me.hold("udp", server, 4, 514, "syslog"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(me.rng.randint(1, 4)):
            text = me.rng.randbytes(me.rng.randint(10, 90)).hex()
            line = f"<134>{me.host.name} app[{me.rng.randrange(900)}]: {text}"
            sock.sendto(line.encode(), (server.v4, 514))
            me.sleep(me.rng.uniform(0, 0.4))


def multicast(me) -> None:
    """SSDP: look for devices on the segment; nobody answers."""
    me.mark("udp", "multicast", "239.255.255.250", 1900, "discovery")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((me.host.v4, me.port("multicast")))
        for _ in range(me.rng.randint(1, 3)):
            sock.sendto(SEARCH, ("239.255.255.250", 1900))
            me.sleep(0.5)


ACTS = [mqtt_publish, mqtt_listen, syslog, multicast]
