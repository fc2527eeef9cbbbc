"""Outputs that are devices, FIFOs or sockets: every command refuses them before it works."""

import os
import socket
import stat
from pathlib import Path

import pytest

from fusiontrain.cli import main as fusiontrain
from shards.__main__ import main as shards
from simgen.cli import main as simgen

KINDS = ["FIFO", "socket", "device"]
# Inputs are not there: a command that looked at them first would name those.
FILES = {
    "fuse": (fusiontrain, ["fuse", "absent.tif", "absent.tif", "OUT"]),
    "fuse --json": (fusiontrain, ["fuse", "absent.tif", "absent.tif", "o.tif", "--json", "OUT"]),
    "fuse --dry-run": (fusiontrain, ["fuse", "absent.tif", "absent.tif", "OUT", "--dry-run"]),
    "look": (simgen, ["look", "absent", "--out", "OUT"]),
}
FOLDERS = {
    "benchmark": (fusiontrain, ["benchmark", "absent", "--out", "OUT"]),
    "example": (fusiontrain, ["example", "OUT"]),
    "export": (fusiontrain, ["export", "absent", "OUT"]),
    "publish": (fusiontrain, ["publish", "absent", "OUT"]),
    "look --gallery": (simgen, ["look", "--gallery", "OUT"]),
    "realism": (simgen, ["realism", "absent", "--against", "absent", "--out", "OUT"]),
    "build": (simgen, ["build", "--dataset", "folder", "--source", "absent", "--out", "OUT"]),
    "merge": (simgen, ["merge", "OUT"]),
    "pull": (shards, ["pull", "file:///absent", "OUT"]),
}
MEMBERS = {
    "benchmark": [*FOLDERS["benchmark"], "results.json"],
    "example": [*FOLDERS["example"], "LICENCE.md"],
    "export": [*FOLDERS["export"], "ms.tif"],
    "realism": [*FOLDERS["realism"], "realism.png"],
}


@pytest.fixture(params=KINDS)
def special(request, tmp_path):
    """Makes a file of that kind under a path; a device is a link to one."""
    server = socket.socket(socket.AF_UNIX)

    def make(path):
        if request.param == "FIFO":
            os.mkfifo(path)
        elif request.param == "device":
            path.symlink_to("/dev/null")
        else:
            here = Path.cwd()
            os.chdir(path.parent)  # a socket's path is short
            server.bind(path.name)
            os.chdir(here)
        return path

    yield make
    server.close()


@pytest.mark.parametrize("command", FILES)
def test_a_file_that_is_none(command, special, tmp_path, capsys, monkeypatch):
    """It is named, and stays what it was."""
    monkeypatch.chdir(tmp_path)
    path = special(tmp_path / "OUT")
    mode = path.lstat().st_mode
    program, argv = FILES[command]

    assert program(argv) == 2

    assert "OUT: it is a device, a FIFO or a socket" in capsys.readouterr().err
    assert path.lstat().st_mode == mode
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert [p.name for p in tmp_path.iterdir()] == ["OUT"]


@pytest.mark.parametrize("command", FOLDERS)
def test_a_folder_that_is_none(command, special, tmp_path, capsys, monkeypatch):
    """One line; nothing is replaced."""
    monkeypatch.chdir(tmp_path)
    path = special(tmp_path / "OUT")
    mode = path.lstat().st_mode
    program, argv = FOLDERS[command]

    assert program(argv) == 2

    assert "OUT" in capsys.readouterr().err
    assert path.lstat().st_mode == mode
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize("command", MEMBERS)
def test_a_file_in_the_folder_that_is_none(command, special, tmp_path, capsys, monkeypatch):
    """Before work, which the absent inputs would end."""
    monkeypatch.chdir(tmp_path)
    program, argv, name = MEMBERS[command]
    (tmp_path / "OUT").mkdir()
    path = special(tmp_path / "OUT" / name)
    mode = path.lstat().st_mode

    assert program(argv) == 2

    assert f"{name}: it is a device, a FIFO or a socket" in capsys.readouterr().err
    assert path.lstat().st_mode == mode
