import pytest

from shards.tolerance import Tolerance


@pytest.mark.parametrize(
    ("text", "tolerance"),
    [
        ("5%", Tolerance(percent=5)),
        (" 0.5% ", Tolerance(percent=0.5)),
        ("0", Tolerance(count=0)),
        ("12", Tolerance(count=12)),
    ],
)
def test_a_percentage_or_a_count(text, tolerance):
    assert tolerance == Tolerance.parse(text)
    assert text.strip() == str(tolerance)


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "%", "1%%", "nan%", "1e3", "9" * 13])
def test_nothing_else(text):
    with pytest.raises(ValueError, match="percentage"):
        Tolerance.parse(text)


@pytest.mark.parametrize("percent", [7, 29, 57, 58])
def test_as_much_as_is_tolerated_is_not_too_much(percent):
    """Exactly so: 0.29 * 100 is less than 29 in binary fractions."""
    tolerance = Tolerance(percent=percent)
    assert not tolerance.exceeded(count=1, part=percent, whole=100)
    assert tolerance.exceeded(count=1, part=percent + 1, whole=100)


def test_a_count_looks_at_items_and_a_percentage_at_what_they_hold():
    assert Tolerance(count=1).exceeded(count=2, part=1, whole=1000)
    assert not Tolerance(count=2).exceeded(count=2, part=1000, whole=1000)
    assert Tolerance(percent=1).exceeded(count=1, part=11, whole=1000)
    assert not Tolerance().exceeded(count=1000, part=1000, whole=1000)
    assert "no limit" == str(Tolerance())
