"""A server of files and parts of them on loopback."""

import subprocess
import sys
from contextlib import contextmanager

_SERVER = """
import http.server, sys
class Ranges(http.server.SimpleHTTPRequestHandler):  # parts of files, as servers of COGs do
    def __init__(self, *args): super().__init__(*args, directory=sys.argv[1])
    def log_message(self, *_): pass
    def do_GET(self):
        wanted = self.headers.get("Range")
        if wanted is None: return super().do_GET()
        try: data = open(self.translate_path(self.path), "rb").read()
        except OSError: return self.send_error(404)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        part = data[int(first) : int(last or len(data)) + 1]
        self.send_response(206)
        end = int(first) + len(part) - 1
        self.send_header("Content-Range", f"bytes {first}-{end}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
print(server.server_port, flush=True)
server.serve_forever()
"""


@contextmanager
def served(folder):
    """The URL of a folder."""
    # In a process of its own: rasterio holds the interpreter while it waits for an answer.
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    finally:
        server.kill()
        server.communicate()
