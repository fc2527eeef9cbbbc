"""Aims: what is met, what is missed, and what a bench then ends with."""

import math

from bench.speed.aims import Aim, named_aims, reader_aims, verdict
from bench.speed.commands import aims as command_aims
from bench.speed.rivals import speed_aims
from bench.speed.threads import aims as thread_aims
from bench.speed.whole_scenes import slope_aims


def test_a_missed_aim_is_an_exit_status(capsys):
    met, missed = Aim("a", 2.0, 2.0), Aim("b", 3.0, 2.0, at_most=True)

    assert (verdict([]), verdict([met]), verdict([met, missed])) == (0, 0, 1)
    assert verdict([Aim("c", math.nan, 0.0)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "aim: a >= 2: 2, met"
    assert lines[2] == "aim: b <= 2: 3, MISSED"


def test_aims_in_the_names_of_figures():
    found = named_aims("x", {"two / one (aim 1.8)": 1.7, "MiB at most (aim 1536)": 9, "other": 1})

    assert [(aim.bound, aim.met) for aim in found] == [(1.8, False), (1536.0, True)]


def test_two_processes_are_beside_one():
    figures = {"training: one process": 10.0, "training: two processes, gloo": 16.0}

    (aim,) = reader_aims(figures)

    assert (aim.reached, aim.met) == (1.6, False)


def test_rivals_that_were_not_run_have_no_aim():
    figures = {
        "ours GSA": {"cpu": 3.0, "MiB": 900.0},
        "OTB rcs": {"cpu": 2.0, "MiB": 900.0},
        "ours Brovey *": {"cpu": 3.0, "MiB": 900.0},
        "ours network, softness .3": {"cpu": 1.0, "MiB": 2100.0},
        "network before, softness .3": {"cpu": 0.5, "MiB": 900.0},
    }

    aims = {aim.what: aim for aim in speed_aims(figures)}

    assert {"ours GSA over OTB rcs": 1.5, "ours network, softness .3, peak MiB": 2100.0,
            "ours network, softness .3 over network before, softness .3": 2.0} == {
        what: aim.reached for what, aim in aims.items()
    }  # fmt: skip
    assert [aim.met for aim in aims.values()] == [False, True, False]


def test_a_cost_that_grows_by_size_is_missed():
    """One second a Mpix, then two; memory as it was."""
    figures = {
        f"{name} x 4, gsa, one in 1": {"cpu_s": cpu, "Mpix_of_data": size, "peak_MiB": 500.0}
        for name, cpu, size in (("a", 3.0, 1.0), ("b", 4.0, 2.0), ("c", 8.0, 4.0))
    }

    slope, peak = slope_aims(figures)

    assert (slope.reached, slope.met, peak.met) == (2.0, False, True)


def test_a_second_thread_is_beside_one():
    figures = {"gsa, 1 threads": {"fusing, s": 9.0}, "gsa, 2 threads": {"fusing, s": 6.0}}

    (aim,) = thread_aims(figures, ["gsa"])

    assert (aim.reached, aim.met) == (1.5, False)


def test_commands_are_counted_in_imports_of_torch():
    """The benchmark is beside an older version's where both were run."""
    seconds = {"import torch": 2.0, "fuse 1000 x 1000": 5.0, "fuse --help": 0.4}
    seconds |= {"a refused input": 0.4, "a file that is no image": 0.6, "benchmark": 6.0}

    alone = list(command_aims(seconds))
    both = list(command_aims(seconds | {"benchmark before": 12.0}))

    assert [(2.5, False), (0.4, True), (0.4, True), (0.6, False)] == [
        (a.reached, a.met) for a in alone
    ]
    assert (0.5, True) == (both[-1].reached, both[-1].met)
