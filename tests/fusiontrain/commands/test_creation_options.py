"""-co against what the driver itself takes, before anything is fused."""

import contextlib

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine

from fusiontrain.cli import main
from fusiontrain.errors import SceneError
from fusiontrain.scenes.creation_options import check_creation_options
from tests.support.geotiffs import GRID, write_geotiff

PROFILE = {"driver": "GTiff", "count": 2, "height": 512, "width": 512, "dtype": "uint16"}


@pytest.fixture
def pair(tmp_path):
    rng = np.random.default_rng(0)
    pan = rng.uniform(200, 900, (1, 256, 256)).round()
    ms = pan.reshape(1, 64, 4, 64, 4).mean((2, 4)).repeat(2, 0).round()
    paths = tmp_path / "pan.tif", tmp_path / "ms.tif"
    write_geotiff(paths[0], pan, dtype="uint16")
    write_geotiff(paths[1], ms, GRID @ Affine.scale(4), dtype="uint16")
    return paths


WRONG = [
    *("BLOCKSIZE=-1", "BLOCKSIZE=0", "BLOCKSIZE=1000000", "BLOCKSIZE=100", "BLOCKSIZE=x"),
    *("BLOCKXSIZE=-16", "BLOCKYSIZE=99999999999999999999", "COMPRESS=EVIL", "EVIL=1"),
    *("count=1", "crs=x", "driver=PNG", "mode=r", "fp=/etc/passwd", "dtype=x", "nodata=x"),
    *("width=9", "height=9", "transform=1", "sharing=1", "opener=x", "gcps=1", "rpcs=1"),
    *("TILING_SCHEME=GoogleMapsCompatible", "tiling_scheme=x", "TARGET_SRS=EPSG:4326", "RES=1"),
    *(
        "ADD_ALPHA=YES",
        "EXTENT=0,0,1,1",
        "BIGTIFF=PERHAPS",
        "COMPRESS=WEBP",
        "__class__=1",
        "self=1",
        "a b=1",
        "=1",
    ),
]


@pytest.mark.parametrize("form", ["COG", "GTiff"])
@pytest.mark.parametrize("option", WRONG)
def test_what_the_driver_does_not_take(form, option):
    """One line that names it."""
    name, value = option.split("=")
    given = {name: value}
    profile = PROFILE | ({} if form == "COG" else {name.lower(): value})
    copied = ("COG", {name.upper(): value}) if form == "COG" else None

    with pytest.raises(SceneError) as caught:
        check_creation_options(given, profile, copied)

    assert option in str(caught.value)


@pytest.mark.parametrize("option", ["BLOCKSIZE=-1", "count=1", "COMPRESS=EVIL"])
def test_before_anything_is_fused(pair, tmp_path, capsys, option):
    """Nor is anything written."""
    before = {p.name for p in tmp_path.iterdir()}

    argv = ["fuse", *map(str, pair), str(tmp_path / "o.tif"), "--dry-run", "--method", "exp"]
    code = main([*argv, "-co", option])

    said = capsys.readouterr().err
    assert code == 2
    assert f"--creation-option {option}" in said
    assert before == {p.name for p in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("COG", ["COMPRESS=DEFLATE", "LEVEL=9", "BLOCKSIZE=256", "overviews=none"]),
        ("GTiff", ["INTERLEAVE=BAND", "TFW=NO", "BLOCKXSIZE=64", "blockysize=32"]),
    ],
)
def test_what_the_driver_takes(pair, tmp_path, form, options):
    """Is taken."""
    more = [word for option in options for word in ("-co", option)]
    assert 0 == main(
        ["fuse", *map(str, pair), str(tmp_path / "o.tif"), "--method", "exp", "-of", form, *more]
    )

    with rasterio.open(tmp_path / "o.tif") as file:
        assert file.count == 2


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["COMPRESS", "ZLEVEL", "TILED", "PHOTOMETRIC", "INTERLEAVE", "ANY", "count"]),
    st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=12),
)
def test_any_value_is_taken_or_refused_in_a_line(name, value):
    """Never another error."""
    with contextlib.suppress(SceneError):
        check_creation_options({name: value}, PROFILE | {name.lower(): value}, None)
