"""Servers on loopback: an HTTP that fails as the test wants, and an S3."""

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager, suppress

import pytest


@contextmanager
def cutting_proxy(target: int, cuts: list[int], pause: float = 0.0):
    """A port before `target` whose connections end after so many bytes of answer, one each.

    pause: seconds before each piece of 16 kB.
    """
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source, sink, limit) -> None:
        try:
            while (limit is None or limit > 0) and (data := source.recv(16384)):
                time.sleep(pause)
                sink.sendall(data if limit is None else data[:limit])
                limit = None if limit is None else limit - len(data)
        except OSError:
            pass
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", target))
            ways = [(client, server, None), (server, client, cuts.pop(0) if cuts else None)]
            pumps = [threading.Thread(target=pump, args=way) for way in ways]
            for one in pumps:
                one.start()
            threads.append((pumps, client, server))

    threads: list = []
    accepting = threading.Thread(target=serve)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for pumps, *ends in threads:
            for end in ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            for one in pumps:
                one.join()
            for end in ends:
                end.close()


@pytest.fixture(scope="session")
def s3_port():
    """moto's server, in a process of its own, with a bucket named `bucket`."""
    pytest.importorskip("moto", reason="an S3 on loopback needs moto (extra dev)")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    # A port of 0 would not be known; should another take this one, the test fails and says so.
    code = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    server = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 120
        while True:
            try:
                request = urllib.request.Request(f"http://127.0.0.1:{port}/bucket", method="PUT")
                urllib.request.urlopen(request, timeout=30).close()
                break
            except OSError:
                assert server.poll() is None, "moto's server ended"
                assert time.monotonic() < end, "moto's server does not answer"
                time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def s3(s3_port, monkeypatch):
    """Environment of a client; the function changes the port, to put a proxy between."""

    def at(port: int) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")

    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFORTESTS")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-to-be-shown")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    at(s3_port)
    return at


@pytest.fixture
def proxy():
    return cutting_proxy
