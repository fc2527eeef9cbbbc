"""Lines of progress, by a clock of the test's own."""

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


def test_times_as_people_say_them():
    assert ["45 s", "119 s", "2 min", "119 min", "3.5 h"] == [
        spoken_seconds(seconds) for seconds in (44.2, 119, 120, 7199, 12600)
    ]
