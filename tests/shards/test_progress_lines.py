"""Lines of progress, by a clock of the test's own."""

from itertools import pairwise

from shards.progress_lines import ProgressLines, spoken_seconds


def test_a_line_every_ten_seconds():
    """100 units of 3 s each: the first after 12 s, when 4 are done and 288 s are left."""
    now, said = [0.0], []
    lines = ProgressLines(said.append, "fusing", "window", clock=lambda: now[0])

    for done in range(1, 101):
        now[0] += 3
        lines(done, 100)

    assert "fusing: window 4 of 100, 4 %, about 4 min left" == said[0]
    assert "fusing: window 96 of 100, 96 %, about 12 s left" == said[-2]
    assert 25 == len(said)
    assert "fusing: window 100 of 100, 100 %" == said[-1]


def test_short_work_says_nothing():
    said = []
    lines = ProgressLines(said.append, "fusing", "window", clock=lambda: 9.0)

    for done in range(5):
        lines(done, 5)

    assert not said


def test_share_of_units_that_differ():
    now, said = [0.0], []
    lines = ProgressLines(said.append, "fusing", "window", clock=lambda: now[0])
    now[0] = 20

    lines(1, 4, 0.5)

    assert ["fusing: window 1 of 4, 50 %, about 20 s left"] == said


def test_lines_of_long_work_grow_rarer():
    """A step a second for an hour: every ten seconds for ten minutes, then 1/60 of the time."""
    now, said = [0.0], []
    lines = ProgressLines(said.append, "training", "step", clock=lambda: now[0], thinning=1 / 60)

    for step in range(1, 3601):
        now[0] = step
        lines.at(f"step {step}", step / 3600)

    times = [int(line.split()[2].rstrip(",")) for line in said]
    gaps = [after - before for before, after in pairwise(times)]
    assert {10} == {gap for time, gap in zip(times[1:], gaps, strict=True) if time <= 600}
    assert 58 <= gaps[-1] <= 61


def test_time_left_of_a_run_that_goes_on():
    """Half was done before; a tenth takes 20 s, so the other four take 80 s."""
    now, said = [0.0], []
    lines = ProgressLines(said.append, "training", "step", clock=lambda: now[0], first=0.5)
    now[0] = 20

    lines.at("step 60, loss 0.1", 0.6)

    assert ["training: step 60, loss 0.1, 60 %, about 80 s left"] == said


def test_times_as_people_say_them():
    assert ["45 s", "119 s", "2 min", "119 min", "3.5 h"] == [
        spoken_seconds(seconds) for seconds in (44.2, 119, 120, 7199, 12600)
    ]
