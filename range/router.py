"""The router of the range: forwards between the hosts' links in user space and captures on the way.

    host --(loss, rate, delay, jitter)--> capture, routing --(loss, rate, delay, jitter)--> host

Every host hangs on a veth pair of its own; this process reads each router end through a packet
socket. A frame is written to the capture when it has crossed its sender's link, as a tap on the
router would see it: what is lost before is missing, what is lost after is seen and sent again.
Run inside the router's namespace: `router.py PLAN.json OUT.pcapng`; ends on SIGTERM.
"""

import heapq
import ipaddress
import json
import random
import select
import signal
import socket
import sys
import time

import frames
import pcapng

BATCH = 64
QUEUE_S = 0.35


class Way:
    """One direction of a link: a queue of limited rate, then a delay with jitter, and loss."""

    def __init__(self, profile: dict, rng: random.Random):
        self.rng = rng
        self.delay_s = profile["delay_ms"] / 1000
        self.jitter_s = profile["jitter_ms"] / 1000
        self.loss = profile["loss"]
        self.reorder = profile.get("reorder", 0.0)
        self.byte_s = 8 / (profile["rate_mbit"] * 1e6)
        self.free_at = 0.0
        self.last_out = 0.0

    def due(self, now: float, size: int) -> float:
        """When a frame entering now comes out; 0 when it is lost or the queue is full."""
        start = max(now, self.free_at)
        if self.rng.random() < self.loss or start - now > QUEUE_S:
            return 0.0
        self.free_at = start + size * self.byte_s
        out = self.free_at + self.delay_s + self.rng.expovariate(1.0) * self.jitter_s
        if self.rng.random() >= self.reorder:
            out = max(out, self.last_out)
        self.last_out = max(out, self.last_out)
        return out


class Link:
    """A host's link: the packet socket, both Ethernet addresses, and its two ways."""

    def __init__(self, spec: dict, rng: random.Random):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind((spec["device"], 0))
        self.socket.setblocking(False)
        self.mac = self.socket.getsockname()[4]
        self.host_mac = bytes.fromhex(spec["mac"].replace(":", ""))
        self.up, self.down = Way(spec["profile"], rng), Way(spec["profile"], rng)
        self.open_ports = set(spec["ports"]) if spec["filtered"] else None

    def refuses(self, frame: bytes) -> bool:
        """A packet filter in front of the host: drops openings to ports that offer no service."""
        parsed = frames.parse(frame) if self.open_ports is not None else None
        if parsed is None or parsed.flow.protocol != "tcp":
            return False
        flags = frame[(14 + 20 if frames.ethertype(frame) == frames.IPV4 else 54) + 13]
        return flags & 0x12 == 0x02 and parsed.flow.destination_port not in self.open_ports


class Router:
    """Links, routes, the queue of frames under way, and the capture."""

    def __init__(self, plan: dict, capture: pcapng.Writer):
        rng = random.Random(plan["seed"])
        self.links = [Link(spec, rng) for spec in plan["links"]]
        self.routes = {
            ipaddress.ip_address(address).packed: link
            for spec, link in zip(plan["links"], self.links)
            for address in spec["addresses"]
        }
        self.capture = capture
        self.under_way = []
        self.order = 0
        self.running = True

    def run(self) -> None:
        """Move frames until told to stop."""
        by_socket = {link.socket: link for link in self.links}
        while self.running:
            wait = min(0.2, max(0.0, self.under_way[0][0] - time.time())) if self.under_way else 0.2
            ready, _, _ = select.select(list(by_socket), [], [], wait)
            for sock in ready:
                self.receive(by_socket[sock])
            self.deliver()

    def receive(self, link: Link) -> None:
        """Take what a host has sent and put it on its way up."""
        for _ in range(BATCH):
            try:
                frame, address = link.socket.recvfrom(2048)
            except BlockingIOError:
                return
            if address[2] != socket.PACKET_OUTGOING:
                self.later(link.up, len(frame), self.forward, frame, link)

    def later(self, way: Way, size: int, action, frame: bytes, link: Link) -> None:
        """Queue an action for when the frame has crossed the way."""
        due = way.due(time.time(), size)
        if due:
            self.order += 1
            heapq.heappush(self.under_way, (due, self.order, action, frame, link))

    def deliver(self) -> None:
        """Run every action that is due."""
        while self.under_way and self.under_way[0][0] <= time.time():
            _, _, action, frame, link = heapq.heappop(self.under_way)
            action(frame, link)

    def forward(self, frame: bytes, link: Link) -> None:
        """Capture a frame that reached the router; answer, route or drop it."""
        self.record(frame)
        kind = frames.ethertype(frame)
        if kind == frames.ARP:
            self.answer(frames.arp_reply(frame, link.mac), link)
        elif kind == frames.IPV6 and frame[20] == frames.ICMP6 and frame[54] == 135:
            self.answer(frames.neighbour_reply(frame, link.mac), link)
        else:
            target = self.routes.get(frame[30:34] if kind == frames.IPV4 else frame[38:54])
            if target and not target.refuses(frame):
                self.route(bytearray(frame), target)

    def answer(self, reply, link: Link) -> None:
        if reply:
            self.record(reply)
            self.later(link.down, len(reply), self.send, reply, link)

    def route(self, frame: bytearray, target: Link) -> None:
        if frames.hop(frame):
            frame[0:12] = target.host_mac + target.mac
            self.later(target.down, len(frame), self.send, bytes(frame), target)

    def send(self, frame: bytes, link: Link) -> None:
        try:
            link.socket.send(frame)
        except OSError:  # the host's device queue is full: one more way to lose a packet
            pass

    def record(self, frame: bytes) -> None:
        self.capture.write(pcapng.Record(time.time_ns() // 1000, frame, len(frame)))


def main() -> None:
    with open(sys.argv[1]) as plan, open(sys.argv[2], "wb") as out:
        router = Router(json.load(plan), pcapng.Writer(out, "router"))

        def stop(*_):
            router.running = False

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        router.run()


if __name__ == "__main__":
    main()
