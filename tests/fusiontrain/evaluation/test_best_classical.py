"""The best classical baseline, by hand."""

import pytest

from fusiontrain.classical import METHODS, PLAIN
from fusiontrain.evaluation.best_classical import best_classical_baseline, comparison_grid
from fusiontrain.evaluation.tables import Row, as_markdown, as_text


def test_the_baseline_is_the_best_of_each_scene():
    """Numbers by hand: 2 / 4 and 3 / 2 make sqrt(.75); the soft variant sets the first baseline."""

    def row(scene, method, value, origin=""):
        return Row(
            scene=scene,
            sensor="s",
            protocol="reduced",
            method=method,
            indices={"ERGAS": value, "Q2n": value / 10},
            origin=origin,
        )

    rows = [
        *(row("a", "GSA", 5.0), row("a", "GSA soft", 4.0), row("a", "network", 2.0)),
        *(row("b", "GSA", 2.0), row("b", "GSA soft", 8.0), row("b", "network", 3.0)),
        row("b", "PNN", 0.1, origin="Masi 2016"),
    ]

    ergas, q2n = best_classical_baseline(rows)

    assert pytest.approx(0.75**0.5) == ergas.mean
    assert (1, 2) == (ergas.better, ergas.scenes)
    assert ("b", "GSA", pytest.approx(1.5)) == (
        ergas.worst.scene,
        ergas.worst.best,
        ergas.worst.value,
    )
    assert pytest.approx((0.2 - 0.5 + 0.3 - 0.8) / 2) == q2n.mean
    grid = comparison_grid([ergas])
    assert "1 of 2" in as_text(grid)
    (line,) = (
        x for x in as_markdown(grid).splitlines() if x.startswith("| network") and "0.866" in x
    )
    cells = [cell.strip() for cell in line.split("|")]
    assert ["GSA and GSA soft", "ERGAS (network / best)", "0.866", "1 of 2"] == cells[2:6]
    assert "among GSA and GSA soft, which ran here; benchmark --methods all" in grid.note


@pytest.mark.parametrize(
    ("methods", "rivals", "note"),
    [
        (["GSA"], "GSA alone", "among GSA alone, which ran here"),
        ([*PLAIN], "17 classical methods", "among 17 classical methods, which ran here"),
        ([*METHODS], "plain or soft", "among all classical methods, plain or on a PAN"),
    ],
)
def test_the_table_says_which_methods_ran(methods, rivals, note):
    rows = [
        Row(scene="a", sensor="s", protocol="reduced", method=name, indices={"ERGAS": 2.0})
        for name in (*methods, "network")
    ]

    grid = comparison_grid(best_classical_baseline(rows))

    assert [rivals] == [row.cells[0].text for row in grid.rows]
    assert note in grid.note
