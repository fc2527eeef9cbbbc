"""Servers and manifests that mean harm, and what lies in the folder to write to."""

import http.server
import json
import os
import threading
import time
from contextlib import contextmanager

import pytest

from shards import fetching, stores
from shards.__main__ import main
from shards.errors import SharingError
from shards.fetching import listed_files
from shards.manifest import NAME, Manifest
from shards.stores import open_store
from shards.transfer import GIVE_UP, pull


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(fetching, "PAUSE", 0.001)


@contextmanager
def serving(answer):
    """A server whose GET is `answer(handler)`; the URL of a folder there."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer(self)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/build"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("place", ["ftp://127.0.0.1:1/x", "file:///etc/passwd", "data:,x"])
def test_redirects_stay_with_http(place, tmp_path):
    """Whatever else urllib would open."""

    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", place)
        handler.end_headers()

    with serving(answer) as url, pytest.raises(SharingError, match=r"http or https|not allowed"):
        pull(url, tmp_path / "s")


def test_a_body_without_end_is_left(tmp_path, monkeypatch):
    """Of a manifest, whose size nothing lists."""
    monkeypatch.setattr("shards.transfer.MAX_MANIFEST", 1 << 22)

    def answer(handler):
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(1 << 16))

    with serving(answer) as url, pytest.raises(SharingError, match="exceeds 4194304 bytes"):
        pull(url, tmp_path / "s")


def test_a_server_that_sends_a_byte_at_a_time_is_left(tmp_path, monkeypatch):
    """No timeout falls due: something comes all the time."""
    monkeypatch.setattr(stores, "TIMEOUT", 0.3)

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        while True:
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)

    with serving(answer) as url, pytest.raises(SharingError, match="expected at least"):
        pull(url, tmp_path / "s")


def test_a_server_that_drops_after_a_byte_is_left(tmp_path):
    """Each connection brings something, and none enough."""
    asked = []

    def answer(handler):
        asked.append(handler.path)
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        handler.wfile.write(bytes(100 + len(asked)))

    with serving(answer) as url, pytest.raises(SharingError, match="bytes early"):
        pull(url, tmp_path / "s")
    assert len(asked) == fetching.TRIES


def test_files_that_fail_in_a_row_end_a_pull(small_build, tmp_path):
    """Four hundred thousand would be asked for five times each."""
    data = json.loads((small_build / NAME).read_bytes())
    row = data["shards"][0]
    data["shards"] = [row | {"name": f"shard-{n:06d}.tar", "bytes": 9} for n in range(2000)]
    asked = []

    def answer(handler):
        if handler.path.endswith(NAME):
            handler.send_response(200)
            handler.end_headers()
            handler.wfile.write(json.dumps(data).encode())
        else:
            asked.append(handler.path)
            handler.send_error(503)

    with serving(answer) as url, pytest.raises(SharingError, match=r"answers 503"):
        pull(url, tmp_path / "s", jobs=2)
    assert len(asked) <= (GIVE_UP + 6) * fetching.TRIES


def test_an_index_is_no_longer_than_its_tar(small_build):
    """Whatever number of samples a manifest claims."""
    data = json.loads((small_build / NAME).read_bytes())
    data["shards"][0]["samples"] = 10**15
    manifest = Manifest.parse(json.dumps(data).encode(), "here")

    files = {file.name: file for file in listed_files(manifest)}

    row = manifest.shards[0]
    assert files[row.index_name].most <= row.bytes


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_a_planted_file_is_not_written_through(small_build, tmp_path, kind):
    """The names of begun files are known to everybody."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = tmp_path / "s"
    folder.mkdir()
    for file in listed_files(Manifest.load(small_build)):
        planted = folder / f".part-{file.sha256[:16]}-{file.name}"
        if kind == "link":
            planted.symlink_to(victim)
        else:
            os.mkfifo(planted)

    with pytest.raises(SharingError, match="cannot write"):
        pull(f"file://{small_build}", folder)

    assert victim.read_text() == "mine"


def test_what_a_server_says_is_shown_without_escapes(tmp_path, capsys):
    """Its reason may hold what steers a terminal."""

    def answer(handler):
        handler.send_response_only(404, "\x1b]0;pwned\x07\x1b[2J")
        handler.end_headers()

    with serving(answer) as url:
        assert main(["pull", url, str(tmp_path / "s")]) == 2

    said = capsys.readouterr().err
    assert "\\x1b]0;pwned" in said
    assert said.replace("\n", "").isprintable()


def test_plain_files_still_come(small_build, web, tmp_path):
    """Through the opener of http(s) alone."""
    url, _ = web
    assert b"".join(open_store(url).read(NAME)) == (small_build / NAME).read_bytes()


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "http://a..b/x",
        f"http://{'a' * 64}.org/x",
        f"https://{'é' * 60}.org/x",
        "http://127.0.0.1:99999/x",
        "http://127.0.0.1:-1/x",
        "http://127.0.0.1:abc/x",
        "http://user:secret@[::1/x",
        "http:///x",
        "http://",
        "https://a b/x",
        "http://a\tb/x",
        "http://a\x1b[2J/x",
        "s3://[x",
        "s3://a::http://b/c",
        "://x",
    ],
)
def test_a_malformed_url_is_refused_before_it_is_asked(url, tmp_path, capsys):
    """One line, without what may be a password; 99999 is not asked as port 34463."""
    for argv in (["verify", url], ["pull", url, str(tmp_path / "x")], ["push", str(tmp_path), url]):
        assert 2 == main(argv)
        said = capsys.readouterr().err
        assert 1 == said.count("\n")
        assert "secret" not in said
        if argv[0] == "verify":
            assert "expected one URL like" in said or "manifest.json" in said
    assert not (tmp_path / "x").exists()


def test_an_address_of_ipv6_is_one():
    """Its colons are no chain of fsspec's."""
    assert "http://[::1]:8080/x" == open_store("http://[::1]:8080/x").shown
