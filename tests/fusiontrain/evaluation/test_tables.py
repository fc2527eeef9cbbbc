"""Tables of indices: numbers worked out by hand, and every markup's special characters."""

import csv
import io
import math
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

from fusiontrain.errors import SceneError
from fusiontrain.evaluation.tables import (
    DASH,
    Row,
    all_as_html,
    as_csv,
    as_html,
    as_latex,
    as_markdown,
    as_text,
    kind_of,
    print_grid,
    scene_tables,
    score_grid,
    sensor_tables,
)

BETTER = {"Q2n": "higher"}


def row(method, scene="one", protocol="reduced", sensor="IKONOS", origin="", **indices):
    return Row(
        scene=scene,
        sensor=sensor,
        protocol=protocol,
        method=method,
        indices=indices,
        origin=origin,
    )


# By hand: GSA 2, 3, 7 has mean 4, deviations -2 -1 3, squares 14, / 2 = 7, root 2.6458.
THREE = [
    *(row("GSA", s, ERGAS=e, Q2n=q) for s, e, q in [("one", 2, 0.9), ("two", 3, 0.7)]),
    row("GSA", "three", ERGAS=7, Q2n=0.8),
    *(row("EXP", s, ERGAS=5, Q2n=0.5) for s in ("one", "two", "three")),
    *(row("network", s, ERGAS=e, Q2n=0.9) for s, e in [("one", 3), ("two", 3), ("three", 3)]),
]


def cells(table):
    return {line.method: dict(zip(table.indices, line.cells, strict=True)) for line in table.lines}


def test_mean_and_std_over_scenes():
    """The std divides by N - 1; equal values have none to speak of."""
    [table] = sensor_tables(THREE, better=BETTER)
    found = cells(table)

    assert ("one", "two", "three") == table.scenes
    assert 4 == found["GSA"]["ERGAS"].mean
    assert math.sqrt(7) == pytest.approx(found["GSA"]["ERGAS"].std)
    assert 0.1 == pytest.approx(found["GSA"]["Q2n"].std)
    assert 0 == found["EXP"]["ERGAS"].std
    assert "4.000 ± 2.646" == str(found["GSA"]["ERGAS"])


def test_nearest_one_is_best_where_that_is_the_direction():
    """Sharpness of .98 is better than 1.05; coloured detail has no best; each says which way."""
    rows = [
        row("GSA", S=0.98, C=0.2, ERGAS=2.0),
        row("EXP", S=0.3, C=0.1, ERGAS=3.0),
        row("BDSD", S=1.05, C=0.4, ERGAS=4.0),
    ]
    [table] = sensor_tables(rows, better={"S": "one", "C": "any"})

    ranks = {m: tuple(c.rank for c in found.values()) for m, found in cells(table).items()}

    assert {"GSA": (1, 0, 1), "EXP": (0, 0, 2), "BDSD": (2, 0, 0)} == ranks
    grid = score_grid(table)
    heads = as_markdown(grid).splitlines()[2]
    assert [cell.strip() for cell in heads.split("|")[2:5]] == ["S →1", "C", "ERGAS ↓"]
    assert "S $\\to 1$ & C & ERGAS $\\downarrow$" in " ".join(as_latex(grid).split())
    assert 'title="nearest one is better"' in as_html(grid)
    assert "C</th>" in as_html(grid)


def test_best_and_second_follow_the_direction():
    """ERGAS low, Q2n high."""
    [table] = sensor_tables(THREE, better=BETTER)

    ranks = {m: tuple(c.rank for c in found.values()) for m, found in cells(table).items()}

    assert {"network": (1, 1), "GSA": (2, 2), "EXP": (0, 0)} == ranks


def test_a_single_scene_has_no_std():
    [table] = sensor_tables([row("GSA", ERGAS=2.0), row("EXP", ERGAS=3.0)], better=BETTER)

    assert math.isnan(cells(table)["GSA"]["ERGAS"].std)
    assert "2.000" == str(cells(table)["GSA"]["ERGAS"])


def test_what_looks_equal_counts_as_equal():
    """Two first places where the shown digits agree; the second place is the next digits."""
    rows = [row("A", ERGAS=2.00001), row("B", ERGAS=2.00002), row("C", ERGAS=2.1)]

    [table] = sensor_tables(rows, better=BETTER)

    assert [1, 1, 2] == [line.cells[0].rank for line in table.lines]


def test_what_is_missing_is_a_dash_and_is_not_averaged():
    """NaN, infinity and absence alike; a mean over fewer scenes says so and is not ranked."""
    rows = [
        *(row("A", s, ERGAS=4.0, Q2n=math.nan) for s in ("one", "two")),
        row("B", "one", ERGAS=1.0),
        row("B", "two", ERGAS=math.inf),
        *(row("C", s, ERGAS=5.0) for s in ("one", "two")),
    ]

    [table] = sensor_tables(rows, better=BETTER)
    found = cells(table)

    assert DASH == str(found["A"]["Q2n"]) == str(found["C"]["Q2n"])
    assert "1.000 (1/2)" == str(found["B"]["ERGAS"])
    assert [1, 0, 2] == [found[m]["ERGAS"].rank for m in "ABC"]


def test_published_rows_are_apart():
    """Below ours, with a footnote, never ranked, however good; nor do they unrank ours."""
    paper = "Vivone et al. 2021, Table 3"
    rows = [row("PNN", "their set", origin=paper, ERGAS=0.1), *THREE]

    [table] = sensor_tables(rows, better=BETTER)

    assert "PNN" == table.lines[-1].method
    assert 0 == table.lines[-1].cells[0].rank
    assert 1 == cells(table)["network"]["ERGAS"].rank
    assert ("one", "two", "three") == table.scenes
    grid = score_grid(table)
    assert (paper,) == grid.sources
    for text in (as_html(grid), as_markdown(grid), as_latex(grid), as_text(grid)):
        assert paper in text
    assert '<tr class="published"><th scope="row">PNN</th><td>0.100</td>' in as_html(grid)


def test_sensors_and_protocols_do_not_mix():
    rows = [
        row("A", ERGAS=1),
        row("A", sensor="QuickBird", ERGAS=2),
        row("A", protocol="full", QNR=0.9),
    ]

    tables = sensor_tables(rows, better=BETTER)

    assert [
        "IKONOS, reduced resolution, 1 scene",
        "QuickBird, reduced resolution, 1 scene",
        "IKONOS, full resolution, 1 scene",
    ] == [table.title for table in tables]
    assert [("ERGAS",), ("ERGAS",), ("QNR",)] == [table.indices for table in tables]


def test_two_rows_for_one_thing_are_refused():
    with pytest.raises(SceneError, match="A has two rows for one"):
        sensor_tables([row("A", ERGAS=1), row("A", ERGAS=2)], better=BETTER)
    with pytest.raises(SceneError, match="one of reduced, full, known; got 'wald'"):
        sensor_tables([row("A", protocol="wald", ERGAS=1)], better=BETTER)


def test_a_failed_method_leaves_the_others_their_digits():
    """Decimals follow the median."""
    rows = [row("A", Q2n=0.91234), row("B", Q2n=0.9), row("C", Q2n=123456.0)]

    [table] = sensor_tables(rows, better=BETTER)

    assert "0.9123" == str(table.lines[0].cells[0])


NASTY = r"<b>&\|_*%$#~^{}`" + '"'


class Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.data = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.data.append(data)


def test_html_escapes_what_it_is_given():
    """The parser sees the same characters as text, and no tag of theirs."""
    rows = [row(NASTY, ERGAS=1, sensor=NASTY), row("p", sensor=NASTY, origin=NASTY, ERGAS=2)]
    [table] = sensor_tables(rows, better=BETTER)
    parser = Text()

    parser.feed(as_html(score_grid(table)))

    assert NASTY in parser.data
    assert f"{NASTY}, reduced resolution, 1 scene" in parser.data
    assert ("abbr", {"title": NASTY}) in parser.tags
    assert "b" not in [tag for tag, _ in parser.tags]


def cells_of(latex):
    """Of each row of a tabular."""
    rows = [line[:-2] for line in latex.splitlines() if line.endswith(r"\\")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)&", row)] for row in rows]


def test_latex_escapes_what_it_is_given():
    """Each special character by the name LaTeX has for it; ranks in booktabs."""
    [table] = sensor_tables([row("a&b_c%~^\\", ERGAS=1), row("d", ERGAS=2)], better=BETTER)

    latex = as_latex(score_grid(table))

    rows = cells_of(latex)
    name = r"a\&b\_c\%\textasciitilde{}\textasciicircum{}\textbackslash{}"
    assert [name, r"\textbf{1.0000}"] in rows
    assert ["d", r"\underline{2.0000}"] in rows
    assert r"ERGAS $\downarrow$" in latex
    rules = [part for part in (r"\toprule", r"\midrule", r"\bottomrule") if part in latex]
    assert 3 == len(rules)


def test_latex_has_plus_minus_and_a_rule_before_published_rows():
    rows = [*THREE, row("PNN", origin="paper", ERGAS=0.1)]
    [table] = sensor_tables(rows, better=BETTER)

    latex = as_latex(score_grid(table))

    assert ["GSA", r"\underline{4.000 $\pm$ 2.646}"] == next(
        row[:2] for row in cells_of(latex) if row[0] == "GSA"
    )
    assert 2 == latex.count(r"\midrule")
    assert latex.index("network") < latex.rindex(r"\midrule") < latex.index(r"PNN$^{a}$")
    assert latex.isascii()


def test_markdown_keeps_its_columns():
    """A pipe in a name does not start a column."""
    [table] = sensor_tables([row("a|b", ERGAS=1), row("c*", ERGAS=2)], better=BETTER)

    _, _, *lines = as_markdown(score_grid(table)).splitlines()

    assert [
        r"| method   |           ERGAS ↓ | origin   |",
        r"|:---------|------------------:|:---------|",
        r"| a\|b     |        **1.0000** | measured |",
        r"| c\*      | <ins>2.0000</ins> | measured |",
    ] == lines


def test_text_has_straight_columns():
    """Every line of a table without sources is as wide as its head, but for trailing blanks."""
    [table] = sensor_tables(THREE, better=BETTER)

    title, head, *lines = as_text(score_grid(table)).splitlines()

    assert "IKONOS, reduced resolution, 3 scenes" == title
    column = head.index("ERGAS ↓") + len("ERGAS ↓")
    assert all(line[column] in " *+" for line in lines)
    assert "*" == next(line for line in lines if line.startswith("network"))[column]


def test_a_terminal_shows_styles_and_a_pipe_plain_text():
    """The best bold, the second underlined; brackets in names are no markup of rich's."""
    rows = [
        row("[bold]GSA", ERGAS=1.0),
        row("EXP", ERGAS=2.0),
        row("PNN", origin="a paper", ERGAS=3.0),
    ]
    grid = score_grid(sensor_tables(rows, better=BETTER)[0])
    terminal, pipe = io.StringIO(), io.StringIO()

    print_grid(grid, Console(file=terminal, force_terminal=True, color_system="standard", width=60))
    print_grid(grid, Console(file=pipe, width=20))

    assert "\x1b[1m1.000\x1b[0m" in terminal.getvalue()
    assert "\x1b[4m2.000\x1b[0m" in terminal.getvalue()
    assert f"\n{as_text(grid)}\n" == pipe.getvalue()
    assert "\x1b" not in pipe.getvalue()
    assert "[bold]GSA" in pipe.getvalue()
    assert "PNN [a]" in pipe.getvalue()


def test_csv_keeps_every_digit_and_every_comma():
    rows = [row('a,"b"', ERGAS=0.1 + 0.2, Q2n=math.nan), row("c", origin="paper", SAM=1)]

    read = list(csv.DictReader(io.StringIO(as_csv(rows))))

    assert 'a,"b"' == read[0]["method"]
    assert 0.1 + 0.2 == float(read[0]["ERGAS"])
    assert ("", "", "1.0", "paper") == (
        read[0]["Q2n"],
        read[0]["SAM"],
        read[1]["SAM"],
        read[1]["origin"],
    )


def test_the_whole_table_has_a_body_a_scene():
    """Indices that only some scenes have get a dash elsewhere; ranks are within a scene."""
    rows = [row("A", ERGAS=1), row("B", ERGAS=2), row("A", "two", ERGAS=4, SAM=1)]
    rows.append(row("B", "two", ERGAS=3, SAM=2))

    html = all_as_html([score_grid(t) for t in scene_tables(rows, better=BETTER)])

    assert 2 == html.count("<tbody>")
    first, second = html.split("<tbody>")[1:]
    assert f"<td><b>1.000</b></td><td>{DASH}</td>" in first
    assert "<td><b>3.000</b></td><td><u>2.0000</u></td>" in second


def test_kinds_follow_from_names():
    names = ("network", "network zero-shot", "GSA soft", "GSA", "GSA soft registered")
    assert ["network", "network", "soft", "plain", "registered"] == [kind_of(n) for n in names]
