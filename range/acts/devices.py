"""Device chatter: MQTT, syslog and service discovery by multicast."""
import socket


def broker(me) -> tuple:
    host = me.others("mqtt")[0]
    return host, me.version(host)


def secure(me) -> list:
    return ["-p", "8883", "--cafile", me.ca] if me.rng.random() < 0.4 else ["-p", "1883"]


def mqtt_publish(me) -> None:
    """One or a few readings on a connection of their own."""
    host, version = broker(me)
    how = secure(me)
    with me.hold("tcp", host, version, how[1], "mqtt"):
        me.run(["mosquitto_pub", "-h", me.world.fqdn(host), *how, "-t", f"{me.host.name}/v", "-q", str(me.rng.randrange(2)),
                *(["--repeat", "3", "--repeat-delay", "1"] if me.rng.random() < 0.3 else []),
                "-m", "r" * me.rng.randint(8, 400), "-A", me.address(me.host, version)], 20)


def mqtt_listen(me) -> None:
    """A long, mostly idle subscription."""
    host, version = broker(me)
    how = secure(me)
    with me.hold("tcp", host, version, how[1], "mqtt"):
        me.run(["mosquitto_sub", "-h", me.world.fqdn(host), *how, "-t", "#", "-k", str(me.rng.choice((6, 10, 20))),
                "-W", str(int(max(5, min(me.left(), me.rng.uniform(30, 160))))), "-A", me.address(me.host, version)], 200)


def syslog(me) -> None:
    """A few log lines over UDP."""
    server = me.others("syslog")[0]
    with me.hold("udp", server, 4, 514, "syslog"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(me.rng.randint(1, 4)):
            sock.sendto(f"<134>{me.host.name} app[{me.rng.randrange(900)}]: {me.rng.randbytes(me.rng.randint(10, 90)).hex()}".encode(), (server.v4, 514))
            me.sleep(me.rng.uniform(0, 0.4))


def multicast(me) -> None:
    """SSDP: look for devices on the segment; nobody answers."""
    me.mark("udp", "multicast", "239.255.255.250", 1900, "discovery")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((me.host.v4, me.port("multicast")))
        for _ in range(me.rng.randint(1, 3)):
            sock.sendto(b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 2\r\nST: ssdp:all\r\n\r\n', ("239.255.255.250", 1900))
            me.sleep(0.5)


ACTS = [mqtt_publish, mqtt_listen, syslog, multicast]
