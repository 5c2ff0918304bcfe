"""A mail server that takes any message and keeps none: ports 25 and 587, STARTTLS, AUTH PLAIN.

`mail.py NAME CERTIFICATE KEY USER PASSWORD`
"""

import base64
import socket
import socketserver
import ssl
import sys
import threading
import time

NAME, CERTIFICATE, KEY, USER, PASSWORD = sys.argv[1:6]
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
TLS.load_cert_chain(CERTIFICATE, KEY)


class Session(socketserver.StreamRequestHandler):
    timeout = 60

    def say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self) -> None:
        """Greet, then answer one command after the other."""
        self.say(f"220 {NAME} ESMTP")
        try:
            while line := self.rfile.readline(2048).decode(errors="replace").strip():
                if self.answer(*(line.split(maxsplit=1) + [""])[:2]) is False:
                    return
        except OSError:
            pass

    def answer(self, verb: str, rest: str):
        """Carry out one command; False ends the session."""
        verb = verb.upper()
        if verb == "EHLO":
            secure = isinstance(self.request, ssl.SSLSocket)
            offers = ["PIPELINING", "SIZE 2000000", "AUTH PLAIN" if secure else "STARTTLS", "8BITMIME"]
            self.wfile.write("".join(f"250-{line}\r\n" for line in [NAME, *offers]).encode())
            self.say("250 SMTPUTF8")
        elif verb == "STARTTLS":
            self.say("220 go ahead")
            self.request = TLS.wrap_socket(self.request, server_side=True)
            self.setup()
        elif verb == "AUTH":
            self.login(rest.split()[-1])
        elif verb == "DATA":
            self.message()
        elif verb == "QUIT":
            self.say("221 bye")
            return False
        else:
            self.say("250 ok")

    def login(self, secret: str) -> None:
        parts = base64.b64decode(secret).decode(errors="replace").split("\0")
        if parts[1:] == [USER, PASSWORD]:
            self.say("235 welcome")
        else:
            time.sleep(1.0)
            self.say("535 not accepted")

    def message(self) -> None:
        self.say("354 end with a dot")
        while self.rfile.readline(65536) not in (b".\r\n", b""):
            pass
        self.say("250 queued")


class Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = daemon_threads = True


threading.Thread(target=Server(("::", 25), Session).serve_forever, daemon=True).start()
Server(("::", 587), Session).serve_forever()
