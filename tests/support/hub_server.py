"""A hub on loopback: what push_to_hub and from_pretrained need of Hugging Face's API."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

COMMIT = "0" * 39 + "1"


class Hub:
    """What was pushed, and what was asked for it."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}  # by path, of the one repository
        self.tokens: set[str] = set()
        self.repository = ""


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.hub.tokens.add(self.headers.get("Authorization", ""))
        body = self._body()
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            self.hub.repository = f"{asked.get('organization') or 'me'}/{asked['name']}"
            return self._json({"url": self._url(f"/{self.hub.repository}")})
        if self.path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if "/preupload/" in self.path:
            # Small files travel in the commit itself; large ones would need a Xet server.
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            return self._json({"files": files})
        if "/commit/" in self.path:
            for line in body.splitlines():
                self._commit(**json.loads(line))
            return self._json(
                {
                    "success": True,
                    "commitOid": COMMIT,
                    "commitUrl": self._url(f"/{self.hub.repository}/commit/{COMMIT}"),
                }
            )
        return self.send_error(404)

    def do_HEAD(self) -> None:
        self._send_file(with_body=False)

    def do_GET(self) -> None:
        self._send_file(with_body=True)

    def _send_file(self, *, with_body: bool) -> None:
        start = f"/{self.hub.repository}/resolve/main/"
        data = self.hub.files.get(self.path.removeprefix(start))
        if not self.path.startswith(start) or data is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if with_body:
            self.wfile.write(data)
        return None

    def _commit(self, key: str, value: dict) -> None:
        if key == "file":
            self.hub.files[value["path"]] = base64.b64decode(value["content"])

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def _json(self, answer: dict) -> None:
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def hub():
    """(URL, Hub) of a hub that holds nothing yet."""
    held = Hub()
    handler = type("OwnHandler", (Handler,), {"hub": held})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", held
    server.shutdown()
    server.server_close()
    thread.join()
