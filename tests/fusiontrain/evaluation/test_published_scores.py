"""Scores that others published, from a CSV."""

import pytest

from fusiontrain.errors import SceneError
from fusiontrain.evaluation.published_scores import read_published


def test_published_figures_need_their_source(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("scene,sensor,protocol,method,ERGAS,source\nx,y,reduced,PNN,2.5,\n")
    with pytest.raises(SceneError, match="line 2: expected a value for source"):
        read_published(path)
    path.write_text("scene,sensor,protocol,method,ERGAS,source\nx,y,reduced,PNN,good,Masi\n")
    with pytest.raises(SceneError, match="line 2: ERGAS must be a number; got 'good'"):
        read_published(path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("x,y,reduced,PNN,2.5,Masi,7", "line 2: more values than the heading has columns"),
        ("x,y,wald,PNN,2.5,Masi", "line 2: protocol is reduced or full or known; got 'wald'"),
        ("x,y,full,PNN,nan,Masi", "line 2: ERGAS must be a number; got 'nan'"),
        ("x,y,full,PNN,inf,Masi", "line 2: ERGAS must be a number; got 'inf'"),
        ("x,y,full,PNN,2.5,Masi\nx,y,full,PNN,2.6,Masi", "more than one row for x, full, PNN"),
    ],
)
def test_what_makes_no_row_is_refused(tmp_path, line, words):
    path = tmp_path / "p.csv"
    path.write_text(f"scene,sensor,protocol,method,ERGAS,source\n{line}\n")

    with pytest.raises(SceneError, match=words):
        read_published(path)


def test_missing_values_are_no_indices(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("scene,sensor,protocol,method,source,ERGAS,SAM\nx,y,full,PNN,Masi,,1.5\n")

    (row,) = read_published(path)

    assert ({"SAM": 1.5}, "Masi") == (row.indices, row.origin)


def test_sensors_and_indices_have_our_names(tmp_path):
    """So that a row stands among those that were measured; other indices keep theirs."""
    path = tmp_path / "p.csv"
    heading = "scene,sensor,protocol,method,source,ergas,q2N,UIQI"
    path.write_text(f"{heading}\nx,wv2,reduced,PNN,Masi,2.5,.9,.8\n")

    (row,) = read_published(path)

    assert ("WorldView-2", {"ERGAS": 2.5, "Q2n": 0.9, "UIQI": 0.8}) == (row.sensor, row.indices)
    path.write_text(f"{heading},ERGAS\nx,wv2,reduced,PNN,Masi,2.5,.9,.8,2.6\n")
    with pytest.raises(SceneError, match="line 2: two columns for ERGAS"):
        read_published(path)
