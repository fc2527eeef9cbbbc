"""A sample of the fuzz's cases; all 20,000: make fuzz."""

import json
import os
import socket
import subprocess
import sys

import pytest

from tests.fuzz.kinds import KINDS, kind_of
from tests.fuzz.run import run_cases
from tests.fuzz.tracing import MARK, outside
from tests.fuzz.watch import AuditHook, Canaries, Host
from tests.support.paths import ROOT


@pytest.mark.slow
def test_damaged_inputs_are_used_or_refused_in_a_line():
    """300 cases of all kinds: no traceback, crash, hang, half-written file or outside read."""
    tally = run_cases(0, 300)

    assert tally.failed == []
    assert 300 == sum(tally.accepted.values()) + sum(tally.rejected.values())
    assert sum(tally.rejected.values()) > 100
    assert sum(tally.accepted.values()) > 50


@pytest.mark.slow
def test_undamaged_inputs_are_accepted():
    """So that what a kind refuses is refused for its damage."""
    code = (
        "import sys, json, pathlib, tempfile\n"
        "from tests.fuzz.worker import Worker\n"
        "from tests.fuzz.kinds import kind_of\n"
        "worker = Worker(pathlib.Path(tempfile.mkdtemp(dir=sys.argv[1])))\n"
        "results = [worker.run(n, damaging=False) for n in range(100)]\n"
        "print(json.dumps([(r['number'], r['said']) for r in results if r['code'] or r['faults']]))"
    )
    folder = os.environ.get("TMPDIR", "/tmp")
    done = subprocess.run(
        [sys.executable, "-c", code, folder], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_every_kind_has_its_share():
    """Of any hundred cases in a row; 100 parts in all."""
    parts = {kind: share for kind, (share, _) in KINDS.items()}

    assert 100 == sum(parts.values())
    for first in (0, 1234):
        found = [kind_of(n) for n in range(first, first + 100)]
        assert parts == {kind: found.count(kind) for kind in parts}


def test_traces_are_read(tmp_path):
    """Lines as strace writes them; what came before the first case does not count."""
    lines = [
        '7 openat(AT_FDCWD, "/home/a/before", O_RDONLY) = 3',
        f'7 openat(AT_FDCWD, "{MARK}12", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file)',
        f'8 openat(AT_FDCWD, "{tmp_path}/given/pan.tif", O_RDONLY) = 3',
        '8 openat(AT_FDCWD, "../canary/words.txt", O_RDONLY|O_CLOEXEC) = 4',
        '8 open("/etc/passwd", O_RDONLY) = 5',
        '8 open("/etc/shadow", O_RDONLY) = -1 EACCES (Permission denied)',
        "8 connect(6, {sa_family=AF_INET, sin_port=htons(80), sin_addr=...}, 16) = -1 EINPROGRESS",
        '8 openat(AT_FDCWD, "/usr/share/proj/proj.db", O_RDONLY) = 7',
        '8 openat(AT_FDCWD, "/usr/x", O_RDWR|O_CREAT, 0666) = 8',
    ]

    found = outside(lines, tmp_path)

    assert ["words.txt", "passwd", "EINPROGRESS", "x"] == [
        f.replace(" ", "/").split("/")[-1] for f in found
    ]
    assert all(f.startswith("case 12") for f in found)


def test_the_watches_see_what_they_should(tmp_path):
    """An open outside, a canary opened by a process without Python's hook, a connection."""
    (tmp_path / "canary").mkdir()
    (tmp_path / "case").mkdir()
    (tmp_path / "canary" / "words.txt").write_text("x")
    hook, canaries, host = AuditHook(tmp_path / "case"), Canaries(tmp_path / "canary"), Host()
    hook.on = True
    (tmp_path / "case" / "own.txt").write_text("x")
    (tmp_path / "canary" / "words.txt").read_text()
    name, port = host.name.split(":")
    with socket.create_connection((name, int(port))) as connection:
        connection.recv(1)
    hook.on = False
    subprocess.run(["cat", str(tmp_path / "canary" / "words.txt")], check=True, stdout=-3)

    host.close()
    assert [f"open {tmp_path / 'canary' / 'words.txt'}"] == [f for f in hook.found if "open" in f]
    assert any("socket.connect" in fault for fault in hook.found)
    assert ["words.txt", "words.txt"] == canaries.opened()
    assert 1 == host.connections
