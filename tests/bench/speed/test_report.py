"""Figures in the report are those that a bench recorded."""

from bench.speed.report import filled

ENTRY = {
    "command": "python -m bench.speed.x",
    "date": "2026-11-29",
    "machine": {"cores": 2, "cpu": "a CPU", "load": 7.5},
    "figures": {"ours": {"Mpix/s": 1.234, "MiB": 1287.1}, "theirs": {"Mpix/s": 0.5}},
}
TEXT = "before\n<!-- figures: a b -->\nold\n<!-- end -->\n<!-- figures: c -->\nkept\n<!-- end -->\n"


def test_blocks_hold_the_recorded_figures():
    text = filled(TEXT, {"a b": ENTRY})

    lines = text.splitlines()
    assert "| ours | 1.23 | 1287 |" in lines
    assert "| theirs | 0.5 | - |" in lines
    assert "`python -m bench.speed.x`, 2026-11-29, 2 cores, a CPU, load 7.5." in lines
    assert (lines[0], "old" in text, "kept" in lines) == ("before", False, True)
    assert filled(text, {"a b": ENTRY}) == text
