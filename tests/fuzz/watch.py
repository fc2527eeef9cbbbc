"""What a case may not do: open or change files that it was not given, connect, start processes.

Three watches, each of which sees what the others do not:
- an audit hook of Python's: every open, listing, change, connection and process of Python code;
- inotify on the canaries, files beside the given ones: every open of them, by GDAL's C code too;
- a server on loopback that the mutations name: every connection to it, of C code too.
What C code opens that is no canary is seen under strace alone (tests/fuzz/tracing.py).
"""

import ctypes
import os
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

_READ = ("open", "os.listdir", "os.scandir")
_CHANGED = {
    "os.rename": 2, "os.remove": 1, "os.mkdir": 1, "os.rmdir": 1, "os.link": 2, "os.symlink": 2,
    "os.truncate": 1, "os.chmod": 1, "os.chown": 1, "shutil.rmtree": 1, "shutil.move": 2,
}  # fmt: skip
_NEVER = (
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork",
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto",
)  # fmt: skip
SYSTEM = tuple(
    str(path)
    for path in (ROOT, sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64", "/proc", "/sys")
)
DEVICES = ("/dev/null", "/dev/urandom", "/dev/random")
_IN_OPEN, _IN_CLOSE = 0x20, 0x18


class AuditHook:
    """Notes what Python code does outside `folder`, while it is on."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.on, self.found = str(folder), False, list[str]()
        self.opened: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in _NEVER:
            self.found.append(f"{event} {args!r}"[:300])
        elif event in _READ:
            self._check_read(event, args)
        elif event in _CHANGED:
            for path in args[: _CHANGED[event]]:
                if (text := self._place(path)) and not text.startswith(self.folder):
                    self.found.append(f"{event} {text}")

    def _check_read(self, event: str, args: tuple[Any, ...]) -> None:
        text = self._place(args[0])
        if text is None:
            return
        self.opened.append(text)
        flags = args[2] if event == "open" and len(args) > 2 and isinstance(args[2], int) else 0
        written = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if text.startswith(self.folder) or text in DEVICES:
            return
        if written or not text.startswith(SYSTEM):
            self.found.append(f"{event} {text}" + (" for writing" if written else ""))

    def _place(self, path: Any) -> str | None:
        if path is None or isinstance(path, int):
            return None
        try:
            return os.path.normpath(os.path.join(os.getcwd(), os.fsdecode(path)))  # noqa: PTH118, PTH109
        except (TypeError, ValueError):
            return None


class Canaries:
    """Files that nothing has a reason to open; counts the opens of each."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._handle = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        watch = libc.inotify_add_watch(self._handle, os.fsencode(folder), _IN_OPEN | _IN_CLOSE)
        if self._handle < 0 or watch < 0:
            raise OSError(ctypes.get_errno(), "inotify")

    def opened(self) -> list[str]:
        """Names of the canaries opened since the last call, one for each open."""
        try:
            data = os.read(self._handle, 1 << 20)
        except BlockingIOError:
            return []
        names, at = [], 0
        while at < len(data):
            _, mask, _, length = struct.unpack_from("iIII", data, at)
            name = data[at + 16 : at + 16 + length].rstrip(b"\0").decode()
            if mask & _IN_OPEN and name:
                names.append(name)
            at += 16 + length
        return names


class Host:
    """A server on loopback that counts who comes."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.name = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.connections = 0
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:  # closed
                return
            self.connections += 1
            connection.close()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
