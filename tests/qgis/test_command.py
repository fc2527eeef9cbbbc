"""How the plugin runs fusiontrain: without QGIS, with programs of the test's own."""

import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def command(plugin):
    return plugin("command")


def run(command, script, **changes):
    said, shares = [], []
    hooks = {"say": said.append, "advance": shares.append, "is_cancelled": lambda: False}
    code, lines = command.run([sys.executable, "-c", script], **(hooks | changes))
    assert lines == said
    return code, said, shares


def test_lines_and_percents_come_as_they_are_said(command):
    """Both streams; percents of fusing are the last four fifths of the work."""
    script = (
        "import sys; print('fusiontrain: fusing: window 1 of 2, 50 %, about 3 s left', flush=True);"
        "print('one more', file=sys.stderr); sys.exit(3)"
    )

    code, said, shares = run(command, script)

    assert 3 == code
    assert ["fusiontrain: fusing: window 1 of 2, 50 %, about 3 s left", "one more"] == said
    assert [60, 60] == shares


def test_percents_of_a_folder_never_fall(command):
    """Four scenes: each is a quarter."""
    progress = command.Progress()
    lines = [
        ("4 pairs in folder", 0),
        ("fusiontrain: scene 1 of 4: a", 0),
        ("fusiontrain: reading the scene's statistics: window 1 of 2, 50 %", 2.5),
        ("fusiontrain: fusing: window 2 of 2, 100 %", 25),
        ("fusiontrain: scene 2 of 4: b; about 2 min left for all", 25),
        ("fusiontrain: scene 4 of 4: d", 75),
        ("fusiontrain: fusing: window 1 of 2, 50 %", 90),
    ]

    assert [percent for _, percent in lines] == [progress.read(line) for line, _ in lines]


def test_an_error_is_the_line_that_was_said_last(command):
    lines = [
        "fusiontrain: 4 bands",
        "fusiontrain: error: no sensor 'X'; known: a, b",
        "  do: give one of them",
    ]

    assert "no sensor 'X'; known: a, b do: give one of them" == command.last_words(lines)
    assert "Killed" == command.last_words(["Killed"])
    assert "" == command.last_words([])


def test_cancelling_ends_the_process(command, tmp_path):
    """By a signal that it can clean up after; it is gone when the call returns."""
    note = tmp_path / "note"
    script = f"""
import signal, sys, time
def stop(*_):
    open({str(note)!r}, "w").write("cleaned")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
print("begun", flush=True)
time.sleep(600)
"""
    said = []

    with pytest.raises(command.Cancelled):
        run(command, script, say=said.append, is_cancelled=lambda: bool(said))

    assert ["begun"] == said
    assert "cleaned" == note.read_text()


def test_a_program_that_is_not_there(command, tmp_path):
    with pytest.raises(command.CommandError, match="Settings > Options > Processing"):
        command.find_executable(str(tmp_path / "absent"))
    with pytest.raises(command.CommandError, match="cannot run"):
        command.run([tmp_path / "absent"], say=print, advance=print, is_cancelled=lambda: False)


def test_the_setting_may_be_an_environment(command, tmp_path, monkeypatch):
    """Its folder, its bin, or the file; empty: the PATH."""
    path = tmp_path / "env" / "bin" / "fusiontrain"
    path.parent.mkdir(parents=True)
    path.touch(0o755)

    for setting in (tmp_path / "env", path.parent, path):
        assert str(path) == command.find_executable(f" {setting} ")
    monkeypatch.setenv("PATH", str(path.parent))
    assert str(path) == command.find_executable("")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(command.CommandError, match="not on the PATH"):
        command.find_executable("")


def test_the_environment_of_qgis_stays_outside(command, monkeypatch):
    """Its GDAL_DATA and PYTHONPATH would break another environment."""
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    monkeypatch.setenv("GDAL_DATA", "/usr/share/qgis/gdal")
    monkeypatch.setenv("KEPT", "yes")
    script = "import os; print([os.environ.get(k) for k in ('PYTHONPATH', 'GDAL_DATA', 'KEPT')])"

    assert ["[None, None, 'yes']"] == run(command, script)[1]


def test_a_long_silence_is_no_end(command):
    """Longer than one wait for a line."""
    assert (0, ["late"]) == run(command, "import time; time.sleep(0.7); print('late')")[:2]
