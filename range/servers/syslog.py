"""Takes log lines over UDP, port 514, and forgets them."""

import socket

with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::", 514))
    while True:
        sock.recv(4096)
