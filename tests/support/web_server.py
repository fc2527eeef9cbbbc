"""An HTTP server on loopback over the session's small build, which fails as a test asks it to."""

import socket
import struct
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest


class Faults:
    """What goes wrong, by file name; and what was asked."""

    def __init__(self) -> None:
        self.root = Path()
        self.cut: dict[str, list[int]] = {}  # bytes sent before each cut; empty: no more cuts
        self.reset = False  # cut by RST, not by an early end
        self.flip: dict[str, int] = {}  # answers to come with a byte flipped
        self.unavailable: Counter[str] = Counter()  # 503s to come
        self.ranges = True
        self.login = ""  # Authorization that is asked for
        self.asked: list[tuple[str, str]] = []  # name, Range
        self.queries: set[str] = set()


class Handler(BaseHTTPRequestHandler):
    faults: Faults

    def do_GET(self) -> None:
        faults, parts = self.faults, urlsplit(self.path)
        name = parts.path.rpartition("/")[2]
        asked = self.headers.get("Range", "")
        faults.asked.append((name, asked))
        faults.queries.add(parts.query)
        if faults.login and self.headers.get("Authorization") != faults.login:
            return self.send_error(401)
        if faults.unavailable[name]:
            faults.unavailable[name] -= 1
            return self.send_error(503)
        path = faults.root / name
        if not path.is_file():
            return self.send_error(404)
        data = bytearray(path.read_bytes())
        if faults.flip.get(name, 0):
            faults.flip[name] -= 1
            data[len(data) // 2] ^= 1
        start = 0
        if asked and faults.ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(data):
                return self.send_error(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        cuts = faults.cut.get(name, [])
        if not cuts:
            self.wfile.write(data[start:])
            return None
        self.wfile.write(data[start : start + cuts.pop(0)])
        self.wfile.flush()
        if faults.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        return None

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def web(small_build):
    """(URL, faults) of a server over the session's small build."""
    faults = Faults()
    faults.root = small_build
    handler = type("OwnHandler", (Handler,), {"faults": faults})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/builds/small", faults
    server.shutdown()
    server.server_close()
    thread.join()
