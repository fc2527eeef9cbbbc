"""The short forms of the benches."""

from bench.speed import __main__ as benches
from bench.speed.commands import aims, fuse_of
from tests.support.paths import ROOT


def test_every_bench_has_a_short_form_which_the_readme_lists():
    listed = (ROOT / "bench/README.md").read_text()

    for name, *flags in benches.QUICK:
        (line,) = (x for x in listed.splitlines() if x.startswith(f"| `{name}` |"))
        assert line.endswith(f"| `{' '.join(flags)}` |")
    assert {name for name, *_ in benches.FULL} <= {name for name, *_ in benches.QUICK}


def test_a_missed_aim_is_the_exit_status(monkeypatch, capsys):
    """All benches run, those after a failure too; the time of all is an aim of the short form."""
    codes = {"indices": 1}
    begun = []

    def run(command, check):
        begun.append(command[2].removeprefix("bench.speed."))

        class Ended:
            returncode = codes.get(begun[-1], 0)

        return Ended

    monkeypatch.setattr(benches.subprocess, "run", run)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # which main sets: undone after the test
    monkeypatch.setattr(benches, "_spent", lambda: 10.0)
    assert 1 == benches.main(["--quick"])
    assert begun == [name for name, *_ in benches.QUICK]
    assert "missed or failed: indices" in capsys.readouterr().out
    codes.clear()
    assert 0 == benches.main(["--quick"])
    monkeypatch.setattr(benches, "_spent", lambda: 301.0)
    assert 1 == benches.main(["--quick"])
    assert 0 == benches.main([])


def test_another_side_has_its_own_name_and_no_aim():
    seconds = {"import torch": 2.0, fuse_of(256): 9.0, "fuse --help": 0.1, "a refused input": 0.4}
    seconds["a file that is no image"] = 0.4

    assert "fuse 256 x 256" in seconds
    assert [aim.met for aim in aims(seconds)] == [True, True, True]
