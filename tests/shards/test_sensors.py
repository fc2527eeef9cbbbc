import pytest

from shards.errors import ContractError
from shards.sensors import SENSORS, find_sensor


@pytest.mark.parametrize(
    ("name", "gains", "pan"),
    [
        # Vivone et al. 2015, TGRS 53(5):2565-2586: genMTF.m, MTF_PAN.m
        ("quickbird", (0.34, 0.32, 0.30, 0.22), 0.15),
        ("ikonos", (0.26, 0.28, 0.29, 0.28), 0.17),
        ("worldview2", (0.35, 0.35, 0.35, 0.35, 0.35, 0.35, 0.35, 0.27), 0.11),
        ("WorldView-3", (0.325, 0.355, 0.36, 0.35, 0.365, 0.36, 0.335, 0.315), 0.14),
    ],
)
def test_published_gains(name, gains, pan):
    """The rows are the toolbox's."""
    assert (gains, pan) == (find_sensor(name).mtf_ms, find_sensor(name).mtf_pan)


def test_every_row_is_whole():
    """One gain a band, a source, sane numbers."""
    for sensor in SENSORS.values():
        assert len(sensor.bands) == len(set(sensor.bands)) == len(sensor.mtf_ms)
        assert sensor.source
        assert all(0 < gain < 1 for gain in (*sensor.mtf_ms, sensor.mtf_pan))


def test_another_band_count_takes_the_mean_gain():
    """Eight bands cut to four still have a gain each."""
    assert pytest.approx((0.34,) * 4) == find_sensor("WorldView-2").gains(4)


def test_an_unknown_sensor_is_answered_with_the_known():
    """The error says what exists."""
    with pytest.raises(ContractError, match="IKONOS"):
        find_sensor("Sputnik")
