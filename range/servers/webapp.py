"""The application behind nginx: answers with as many random bytes, as late, as it is asked to.

GET or POST /app/anything?size=BYTES&delay=MILLISECONDS on 127.0.0.1:8081. `webapp.py SEED`.
"""

import random
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

RNG = random.Random(int(sys.argv[1]))


class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(min(60.0, int(query.get("delay", ["0"])[0]) / 1000))
        body = RNG.randbytes(min(500_000, int(query.get("size", ["200"])[0])))
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_) -> None:
        pass


ThreadingHTTPServer(("127.0.0.1", 8081), App).serve_forever()
