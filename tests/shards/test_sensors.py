import pytest

from shards.errors import ContractError
from shards.sensors import SENSORS, find_sensor, load_sensor, match_sensor


@pytest.mark.parametrize(
    ("name", "gains", "pan"),
    [
        # Vivone et al. 2015, TGRS 53(5):2565-2586: genMTF.m, MTF_PAN.m
        ("quickbird", (0.34, 0.32, 0.30, 0.22), 0.15),
        ("ikonos", (0.26, 0.28, 0.29, 0.28), 0.17),
        ("worldview2", (0.35, 0.35, 0.35, 0.35, 0.35, 0.35, 0.35, 0.27), 0.11),
        ("WorldView-3", (0.325, 0.355, 0.36, 0.35, 0.365, 0.36, 0.335, 0.315), 0.14),
        # USGS, System Characterization Report on the Gaofen-1
        ("GF-1", (0.25, 0.25, 0.14, 0.04), 0.15),
        # ESA's, in SupReME's code (Lanaras et al. 2017): B1 to B8, B8A, B9, B11, B12
        (
            "Sentinel-2",
            (0.32, 0.26, 0.28, 0.24, 0.38, 0.34, 0.34, 0.26, 0.33, 0.26, 0.22, 0.23),
            0.26,
        ),
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
        assert len(sensor.ratios) in (0, len(sensor.bands))
        assert not sensor.ratios or sensor.ratio == min({*sensor.ratios} - {1})
        assert all(0 < gain < 1 for gain in (*sensor.mtf_ms, sensor.mtf_pan))


def test_another_band_count_takes_the_mean_gain():
    """Eight bands cut to four still have a gain each."""
    assert pytest.approx((0.34,) * 4) == find_sensor("WorldView-2").gains(4)


def test_an_unknown_sensor_is_answered_with_the_known():
    """The error says what exists."""
    with pytest.raises(ContractError, match="IKONOS"):
        find_sensor("Sputnik")


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("WV3", "WorldView-3"),
        ("gf2", "GaoFen-2"),
        ("QB", "QuickBird"),
        ("GE1", "GeoEye-1"),
        ("Landsat 8 OLI", "Landsat-8"),
        ("LC09", "Landsat-9"),
        ("PHR1A", "Pleiades"),
        ("SPOT 7", "SPOT-7"),
        ("sentinel-2a", "Sentinel-2"),
        ("S2C", "Sentinel-2"),
        ("none", "generic"),  # the toolbox's word
    ],
)
def test_the_names_that_files_give(alias, name):
    """Short names, ignoring case and punctuation."""
    assert name == find_sensor(alias).name


def test_no_name_means_two_sensors():
    """Names and aliases, as they are compared."""
    names = [name for row in SENSORS.values() for name in (row.name, *row.aliases)]
    plain = ["".join(filter(str.isalnum, name.casefold())) for name in names]

    assert len(plain) == len(set(plain))
    assert match_sensor("Sputnik") is None


def test_a_product_with_fewer_bands_keeps_their_own_gains():
    """Blue, green, red, NIR1 of WorldView-3; unknown bands change nothing."""
    wv3 = find_sensor("WV3")

    assert (0.355, 0.36, 0.365, 0.335) == wv3.only(("blue", "green", "red", "nir")).gains(4)
    assert wv3 is wv3.only(("blue", "swir"))


TOML = """
name = "Testsat-1"
bands = ["blue", "green", "red"]
ratio = 3
bits = 12
mtf_ms = [0.3, 0.31, 0.32]
mtf_pan = 0.12
source = "its maker"
"""


def test_a_sensor_of_ones_own(tmp_path):
    """From TOML; by find_sensor too, so wherever a sensor is named."""
    path = tmp_path / "mine.toml"
    path.write_text(TOML)

    mine = find_sensor(str(path))

    assert ("Testsat-1", 3, 12, 0.12) == (mine.name, mine.ratio, mine.bits, mine.mtf_pan)
    assert (("blue", "green", "red"), (0.3, 0.31, 0.32)) == (mine.bands, mine.mtf_ms)
    path.write_text(TOML.replace("[0.3, 0.31, 0.32]", "0.25"))
    assert (0.25, 0.25, 0.25) == load_sensor(path).mtf_ms


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("ratio = 3", "ratio = 9", "ratio = 9; expected PAN pixels per MS pixel, 2 to 8"),
        ("ratio = 3", "ratio = true", "ratio = True; expected"),
        ("ratio = 3", "", "ratio is missing; expected"),
        ("bits = 12", "bits = 12.5", "bits = 12.5; expected"),
        ("mtf_pan = 0.12", "mtf_pan = 1.2", "mtf_pan = 1.2; expected a gain"),
        ("0.31, 0.32]", "0.31]", "mtf_ms has 2 gains; expected 3"),
        ("0.32]", '"a"]', "mtf_ms = .*'a'.*; expected a gain"),
        ('"green"', '"blue"', "bands = .*; expected a list of different names"),
        ('"its maker"', '" "', "source = ' '; expected where"),
        ("ratio", "ration", "unknown key 'ration'; expected name"),
        ("ratio = 3", "ratio = ", "cannot read the sensor"),
    ],
)
def test_a_wrong_key_is_named(tmp_path, old, new, words):
    """With what came and what is expected."""
    path = tmp_path / "mine.toml"
    path.write_text(TOML.replace(old, new))

    with pytest.raises(ContractError, match=words) as caught:
        load_sensor(path)
    assert str(path) in str(caught.value)


def test_a_sensor_file_that_is_none(tmp_path):
    """Absent, or no text."""
    (tmp_path / "noise.toml").write_bytes(b"\xff\xfe\x00")

    for name in ("noise.toml", "absent.toml"):
        with pytest.raises(ContractError, match="cannot read the sensor"):
            load_sensor(tmp_path / name)
