import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fusiontrain.training.csv_log import Table

COLUMNS = ("step", "loss")
WHOLE = b"step,loss\n10,0.5\n20,0.4\n30,0.3\n"


def reopened(path, start=20):
    table = Table(path, COLUMNS, start)
    table.row({"step": start + 1, "loss": 0.1})
    table.close()
    return path.read_text().splitlines()


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (WHOLE.replace(b"10,0.5", b"\xff\xfe\x00"), ["20,0.4"]),
        (WHOLE.replace(b"10,0.5", b"1\x000,0.5"), ["20,0.4"]),
        (WHOLE.replace(b"10,", "²,".encode()), ["20,0.4"]),
        (WHOLE.replace(b"10,", b"9" * 5000 + b","), ["20,0.4"]),
        (WHOLE.replace(b"10,0.5", b"x" * 200_000), ["20,0.4"]),
        (b"\x00" * 4096, []),
        (b"nonsense\n1\n2\n", []),
    ],
)
def test_a_garbled_table_is_set_aside_and_said(tmp_path, caplog, data, kept):
    """The run goes on, with the rows that are whole."""
    path = tmp_path / "log.csv"
    path.write_bytes(data)

    with caplog.at_level(logging.WARNING):
        rows = reopened(path)

    assert rows == ["step,loss", *kept, "21,0.1"]
    assert (tmp_path / "log.csv.damaged").read_bytes() == data
    assert "log.csv is damaged" in caplog.text


@pytest.mark.parametrize("data", [WHOLE, WHOLE[:-3], WHOLE + b"4", b"step,loss\n", b""])
def test_a_whole_table_is_not(tmp_path, caplog, data):
    """Nor one whose last row was cut by a kill."""
    path = tmp_path / "log.csv"
    path.write_bytes(data)

    reopened(path)

    assert [p.name for p in tmp_path.iterdir()] == ["log.csv"]
    assert caplog.text == ""


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=200))
def test_no_bytes_stop_a_resume(tmp_path, data):
    """Whatever a disk gives back."""
    path = tmp_path / "log.csv"
    path.write_bytes(WHOLE[:17] + data)

    assert reopened(path)[-1] == "21,0.1"
