"""The only access to other machines: http(s) by the standard library, all else by fsspec.

Messages name a place without its user, password or query: those may be credentials.
"""

import base64
import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from shards.atomic_write import TEMPORARY_PREFIX
from shards.errors import SharingError

NAME_GRAMMAR = re.compile(r"[a-z0-9_-]+\.(tar|idx|json)")
PIECE = 8 << 20  # bytes asked of a file system at once
TIMEOUT = 60  # seconds without a byte
SLOWEST = 1000  # bytes a second, over TIMEOUT seconds
# A file is there only when all of it is; others need a temporary name and a rename.
_WHOLE_PUTS = frozenset({"s3", "s3a", "gs", "gcs", "hf", "abfs", "abfss", "az", "adl"})


class Dropped(SharingError):
    """The connection broke; asking again may help."""


class Store(Protocol):
    """A folder of plainly named files, somewhere."""

    shown: str  # for messages

    def size(self, name: str) -> int | None:
        """Bytes; None if there is no such file."""

    def read(self, name: str, start: int = 0) -> Iterator[bytes]:
        """From byte `start` on. Raises: SharingError; Dropped where another try may help."""

    def write(self, name: str, path: Path) -> None:
        """Copy a local file there; whole or not at all."""

    def remove(self, name: str) -> None: ...


def open_store(url: str) -> Store:
    """Raises: SharingError if it is malformed, or nothing here speaks its protocol."""
    # Not repeated: what is no URL cannot be cleared of credentials.
    expected = "expected one URL like https://..., s3://... or file:///..."
    if not re.match(r"[a-z][a-z0-9+]*://", url) or not url.isprintable():
        raise SharingError(expected)
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")  # no empty label, none of over 63 letters
        _ = parts.port  # 99999 would be another one, modulo 65536
    except ValueError as error:
        raise SharingError(f"{expected}; got a malformed host or port: {error}") from error
    if parts.scheme not in ("http", "https"):
        if "::" in url:  # fsspec would read one within the other
            raise SharingError(expected)
        return _FileSystem(url)
    if not parts.hostname or " " in parts.hostname:
        raise SharingError(f"{expected}; got an http(s) URL without a host that can be one")
    return _Http(parts)


def read_url(url: str, most: int) -> bytes:
    """The body of one http(s) URL, whatever its name.

    Raises: SharingError if it is none, cannot be had, or has over `most` bytes.
    """
    store = open_store(url)
    if not isinstance(store, _Http):
        raise SharingError(f"{store.shown}: expected one URL like https://...")
    data = bytearray()
    for block in store.body(store.shown):
        data += block
        if len(data) > most:
            raise SharingError(f"{store.shown}: expected at most {most} bytes; got more")
    return bytes(data)


def shown(url: str) -> str:
    """The URL as messages may name it: without credentials."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".removeprefix("://")


def _scrub(text: str, url: str) -> str:
    """Another library's message without what `shown` leaves out."""
    parts = urlsplit(url)
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    values = (field.partition("=")[2] for field in parts.query.split("&"))
    for secret in (parts.query, password, user, *values):
        for form in {secret, unquote(secret)}:
            text = text.replace(form, "***") if len(form) > 2 else text
    return re.sub(r"(\w+://)(?:[^/\s@'\"]*@)?([^\s?#'\"]*)[^\s'\"]*", r"\1\2", text)


def _plain(name: str) -> str:
    if not NAME_GRAMMAR.fullmatch(name):
        raise SharingError(
            f"a build's files are named [a-z0-9_-]+.tar, .idx or .json; got {name!r}"
        )
    return name


class _Http:
    """Read only. Continues where the server knows Range, else skips what is there already."""

    def __init__(self, parts: SplitResult) -> None:
        user, at, host = parts.netloc.rpartition("@")
        self.shown = shown(parts.geturl())
        self._parts = parts._replace(netloc=host, fragment="")
        self._url = parts.geturl()
        self._login = base64.b64encode(unquote(user).encode()).decode() if at else ""
        self._opener = _http_only()

    def size(self, name: str) -> int | None:
        raise SharingError(f"{self.shown} can only be read; push {name} to s3, hf or file")

    def write(self, name: str, path: Path) -> None:
        raise SharingError(
            f"{self.shown} can only be read; push {path} as {name} to s3, hf or file"
        )

    def remove(self, name: str) -> None:
        raise SharingError(f"{self.shown} can only be read; {name} stays")

    def read(self, name: str, start: int = 0) -> Iterator[bytes]:
        path = f"{self._parts.path.rstrip('/')}/{_plain(name)}"
        return self.body(f"{self.shown.rstrip('/')}/{name}", path, start)

    def body(self, place: str, path: str | None = None, start: int = 0) -> Iterator[bytes]:
        """Of the URL itself, or of another path there; `place`: for messages."""
        parts = self._parts if path is None else self._parts._replace(path=path)
        request = urllib.request.Request(parts.geturl())  # noqa: S310 - http(s) alone comes here
        if start:
            request.add_header("Range", f"bytes={start}-")
        if self._login:  # not to be sent on to wherever a redirect leads
            request.add_unredirected_header("Authorization", f"Basic {self._login}")
        try:
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                skip = start if answer.status != http.client.PARTIAL_CONTENT else 0
                left = answer.length  # None: until the connection ends
                pace = _Pace(place)
                # read1: what has come, so that a byte a second does not fill a block for days.
                while left != 0 and (block := answer.read1(1 << 20)):
                    pace.add(len(block))
                    left = None if left is None else left - len(block)
                    rest, skip = block[skip:], max(0, skip - len(block))
                    if rest:
                        yield rest
                if left:
                    raise Dropped(f"{place}: the connection ended {left} bytes early")
        except _Elsewhere as error:
            raise SharingError(
                f"{place}: the server sends on to {str(error)[:20]}://; expected http or https"
            ) from None
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # nothing lies beyond what we have
            kind = Dropped if error.code in (408, 429) or error.code >= 500 else SharingError
            raise kind(f"{place}: the server answers {error.code} {error.reason}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            # "from None": the cause's own text may hold the URL as it was given.
            raise Dropped(f"{place}: {_scrub(str(error), self._url)}") from None


class _HttpRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        if urlsplit(newurl).scheme.lower() not in ("http", "https"):
            raise _Elsewhere(urlsplit(newurl).scheme)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Elsewhere(Exception):
    """A server sends on to another protocol."""


def _http_only() -> urllib.request.OpenerDirector:
    """Of urllib's handlers those of http(s): none of ftp:, file: or data:."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        _HttpRedirects(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


class _Pace:
    """SharingError for a server that sends so slowly that no end is in sight."""

    def __init__(self, place: str) -> None:
        self._place, self._since, self._bytes = place, time.monotonic(), 0

    def add(self, count: int) -> None:
        self._bytes += count
        seconds = time.monotonic() - self._since
        if seconds < TIMEOUT:
            return
        if self._bytes < SLOWEST * seconds:
            raise SharingError(
                f"{self._place}: sent {self._bytes} bytes in {seconds:.0f} s; expected at least "
                f"{SLOWEST} a second: try again later, or another place"
            )
        self._since, self._bytes = time.monotonic(), 0


class _FileSystem:
    """Whatever fsspec knows: file, s3, hf, ..."""

    def __init__(self, url: str) -> None:
        self.shown, self._url = shown(url), url
        self._protocol = urlsplit(url).scheme
        try:
            from fsspec.core import url_to_fs

            self._fs: Any
            self._fs, root = url_to_fs(url, skip_instance_cache=True, use_listings_cache=False)
        except ImportError as error:
            raise SharingError(
                f"{self.shown} needs a package that is not here ({error.name or error})\n"
                "  do: pip install 'panprior[remote]'"
            ) from None
        except Exception as error:  # noqa: BLE001 - each file system raises its own
            raise self._refused(self.shown, error) from None
        self._root = str(root).rstrip("/")

    def size(self, name: str) -> int | None:
        try:
            return int(self._fs.info(self._at(name))["size"])
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001
            raise self._refused(name, error) from None

    def read(self, name: str, start: int = 0) -> Iterator[bytes]:
        size = self.size(name)
        if size is None:
            raise SharingError(f"{self.shown}: no {name} there")
        while start < size:
            end = min(start + PIECE, size)
            try:
                piece = self._fs.cat_file(self._at(name), start=start, end=end)
            except Exception as error:  # noqa: BLE001
                raise self._refused(name, error) from None
            if not piece:
                return
            yield piece
            start += len(piece)

    def write(self, name: str, path: Path) -> None:
        target = self._at(name)
        try:
            if self._protocol in _WHOLE_PUTS:
                self._fs.put_file(str(path), target)
                return
            self._fs.makedirs(self._root, exist_ok=True)
            temporary = f"{self._root}/{TEMPORARY_PREFIX}push-{name}"
            self._fs.put_file(str(path), temporary)
            self._fs.mv(temporary, target)
        except Exception as error:  # noqa: BLE001
            raise self._refused(name, error) from None

    def remove(self, name: str) -> None:
        try:
            self._fs.rm_file(self._at(name))
        except Exception as error:  # noqa: BLE001
            raise self._refused(name, error) from None

    def _at(self, name: str) -> str:
        return f"{self._root}/{_plain(name)}"

    def _refused(self, name: str, error: Exception) -> SharingError:
        text = f"{type(error).__name__}: {_scrub(str(error), self._url)}"
        lasting = isinstance(error, PermissionError | FileNotFoundError | ValueError)
        return (SharingError if lasting else Dropped)(f"{self.shown}: {name}: {text}")
