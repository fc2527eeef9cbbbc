"""The viewer's server: on loopback only, and of files only those it was given, by number.

Every address begins with a random key, so that other users of this machine are refused. A request
must name this machine as its host, so that a page of another site cannot ask under a name of its
own (DNS rebinding).
"""

import json
import math
import secrets
import sys
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fusiontrain.errors import SceneError
from fusiontrain.viewer.layers import Layer, picture
from fusiontrain.viewer.pan_grid import SIDE, Grid, View

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_PAGES = {  # address -> package, file, MIME type
    "": ("fusiontrain.viewer", "view.html", "text/html"),
    "page.css": ("fusiontrain.evaluation.page", "page.css", "text/css"),
    "view.css": ("fusiontrain.viewer", "view.css", "text/css"),
    "tiles.js": ("fusiontrain.viewer", "tiles.js", "text/javascript"),
    "view.js": ("fusiontrain.viewer", "view.js", "text/javascript"),
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_LONGEST = 2000  # characters of an address

Answer = tuple[str, bytes]  # MIME type, body


class Server(ThreadingHTTPServer):
    """Serves until shutdown(); `address` is what to open."""

    daemon_threads = True
    request_queue_size = 128  # a page asks for dozens of tiles at once

    def __init__(
        self, grid: Grid, layers: Sequence[Layer], notes: Sequence[str] = (), port: int = 0
    ) -> None:
        self.grid, self.layers, self.notes = grid, list(layers), list(notes)
        self.key = secrets.token_urlsafe(16)
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise SceneError(
                f"cannot listen at 127.0.0.1:{port}: {error.strerror}; leave `port` out, or give "
                "one that is free"
            ) from error

    def handle_error(self, request: Any, client_address: Any) -> None:
        """No traceback where a browser went away: it drops the tiles that it no longer shows."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/{self.key}/"

    def answer(self, target: str) -> Answer | None:
        """The page, JSON or tile at an address; None: no such address.

        Raises: SceneError, ValueError if its numbers are wrong.
        """
        address = urlsplit(target)
        key, _, rest = address.path.removeprefix("/").partition("/")
        if not secrets.compare_digest(key.encode(), self.key.encode()):
            return None
        if rest in _PAGES:
            package, name, mime = _PAGES[rest]
            return f"{mime}; charset=utf-8", files(package).joinpath(name).read_bytes()
        kind, *numbers = rest.split("/")
        makers: dict[str, tuple[int, Callable[..., Answer]]] = {
            "scene": (0, self._scene),
            "limits": (1, self._limits),
            "tile": (4, self._tile),
        }
        if kind not in makers or len(numbers) != makers[kind][0]:
            return None
        query = {key: values[-1] for key, values in parse_qs(address.query).items()}
        return makers[kind][1](query, *map(_whole, numbers))

    def _scene(self, _: dict[str, str]) -> Answer:
        scene = {
            "width": self.grid.width,
            "height": self.grid.height,
            "levels": self.grid.levels,
            "side": SIDE,
            "notes": self.notes,
            "layers": [
                {"name": layer.name, "bands": layer.labels, "dtype": str(layer.raster.dtype)}
                for layer in self.layers
            ],
        }
        return "application/json", json.dumps(scene).encode()

    def _limits(self, query: dict[str, str], layer: int) -> Answer:
        view: View | None = None
        if "box" in query:
            left, top, right, bottom = _numbers(query["box"], 4)
            if not (0 < right - left <= 2**31 and 0 < bottom - top <= 2**31):
                raise SceneError(f"box is left, top, right, bottom; got {query['box']!r}")
            view = (left, top, right, bottom)
        [cut] = _numbers(query.get("cut", "2"), 1)
        if not 0 <= cut < 50:
            raise SceneError(f"cut is percent, from 0 to under 50; got {cut:g}")
        limits = self._layer(layer).limits(_bands(query), cut, view)
        return "application/json", json.dumps(limits).encode()

    def _tile(self, query: dict[str, str], layer: int, level: int, column: int, row: int) -> Answer:
        bands = _bands(query)
        ends = [_numbers(query.get(key, ""), len(bands)) for key in ("low", "high")]
        [gamma] = _numbers(query.get("gamma", "1"), 1)
        if not 0.1 <= gamma <= 10:
            raise SceneError(f"gamma is 0.1 to 10; got {gamma:g}")
        box = self.grid.box(level, column, row)
        smooth = query.get("smooth") == "1"
        data = self._layer(layer).read(box, bands, (SIDE, SIDE), smooth=smooth)
        return "image/png", picture(data, list(zip(*ends, strict=True)), gamma)

    def _layer(self, number: int) -> Layer:
        if number >= len(self.layers):
            raise SceneError(f"no layer {number}; there are {len(self.layers)}")
        return self.layers[number]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "panprior", ""
    timeout = 60  # seconds that an idle connection is kept
    server: Server

    def do_GET(self) -> None:
        host = self.headers.get("Host", "").rpartition(":")
        name = host[0] if host[1] and host[2].isdigit() else host[2]
        same_origin = self.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")
        if name.lower() not in _LOOPBACK or not same_origin:
            self._refuse(HTTPStatus.FORBIDDEN, "this viewer answers to 127.0.0.1 alone")
            return
        if len(self.path) > _LONGEST:
            self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG, f"over {_LONGEST} characters")
            return
        try:
            answer = self.server.answer(self.path)
        except (SceneError, ValueError) as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
            return
        if answer is None:
            self._refuse(HTTPStatus.NOT_FOUND, "nothing here: open the address that was printed")
            return
        self._send(HTTPStatus.OK, *answer)

    def _refuse(self, status: HTTPStatus, line: str) -> None:
        self._send(status, "text/plain; charset=utf-8", f"{line}\n".encode())

    def _send(self, status: HTTPStatus, mime: str, body: bytes) -> None:
        self.send_response(status)
        for key, value in {"Content-Type": mime, **_HEADERS}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """No log: a view asks for hundreds of tiles."""


def _bands(query: dict[str, str]) -> list[int]:
    bands = [_whole(text) for text in query.get("bands", "").split(",")]
    if len(bands) not in (1, 3):
        raise SceneError(f"bands are one or three, from 1; got {bands}")
    return bands


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise SceneError(f"expected a whole number; got {text[:40]!r}")
    return int(text)


def _numbers(text: str, count: int) -> tuple[float, ...]:
    values = tuple(float(part) for part in text.split(","))
    if len(values) != count or not all(map(math.isfinite, values)):
        raise SceneError(f"expected {count} finite numbers; got {text[:80]!r}")
    return values
