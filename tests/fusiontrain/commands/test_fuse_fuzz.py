"""Any pair there may be: fused as it should look, or refused in a line; nothing else.

PANPRIOR_FUZZ_CASES=2000 .venv/bin/python -m pytest tests/fusiontrain/commands/test_fuse_fuzz.py
"""

import contextlib
import io
import math
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine
from rasterio.warp import transform as move

from fusiontrain.cli import main

CASES = int(os.environ.get("PANPRIOR_FUZZ_CASES", "25"))
GRID = Affine(0.5, 0, 400_000, 0, -0.5, 4_800_000)
NODATA = {
    "uint8": (None, 0, 255),
    "int8": (None, -128),
    "uint16": (None, 0, 65535),
    "int16": (None, -9999, 0),
    "uint32": (None, 0),
    "int32": (None, -1),
    "float32": (None, math.nan, -9999.0, math.inf, -3.4028234663852886e38),
    "float64": (None, math.nan, -1e300),
}
RATIOS = st.sampled_from([2, 3, 4, 4, 5, 8]) | st.floats(1.5, 8) | st.floats(1.3, 8.4)
OFFSETS = st.sampled_from([0.0, 0.0, 0.1, 0.5, -3.0]) | st.floats(-25, 25)


@st.composite
def pairs(draw):
    """(pan, ms): data, dtype, nodata and grid of each."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ratio = draw(RATIOS)
    h, w = (draw(st.integers(7, 40) | st.integers(22, 40)) for _ in range(2))
    pan_shape = (
        1,
        max(1, round(h * ratio) + draw(st.sampled_from([0, 0, 0, -9, 7]))),
        max(1, round(w * ratio) + draw(st.sampled_from([0, 0, 0, 5, -3]))),
    )
    ms_crs = draw(st.sampled_from(["EPSG:32633"] * 8 + ["EPSG:32632", "EPSG:3857"]))
    (x,), (y,) = move("EPSG:32633", ms_crs or "EPSG:32633", [GRID.c], [GRID.f])
    grid = Affine(0.5, 0, x, 0, -0.5, y) @ Affine.translation(draw(OFFSETS), draw(OFFSETS))
    grid = grid @ Affine.rotation(draw(st.sampled_from([0.0] * 8 + [3.0, 90.0])))
    grid = grid @ Affine.scale(ratio, ratio * draw(st.sampled_from([1, 1, 1, 1, 1, 1, 1.02, -1])))
    crs = "EPSG:32633"
    if rng.uniform() < 0.07:  # no place on the ground
        grid, crs, ms_crs, at = Affine.identity(), None, None, Affine.identity()
    else:
        at = GRID
    made = []
    for shape, transform, system in (
        (pan_shape, at, crs),
        ((draw(st.integers(1, 5)), h, w), grid, ms_crs),
    ):
        dtype = draw(st.sampled_from(sorted(NODATA)))
        nodata = draw(st.sampled_from(NODATA[dtype]))
        kind = np.dtype(dtype)
        top = 1000.0 if kind.kind == "f" else float(min(np.iinfo(kind).max, 2**14))
        data = rng.uniform(0, top, shape).astype(kind)
        if draw(st.booleans()):
            data[:] = data.flat[0]  # flat ground
        if nodata is not None:
            data[
                :, rng.uniform(size=shape[1:]) < draw(st.sampled_from([0, 0.05, 0.05, 0.6, 1]))
            ] = nodata
        if kind.kind == "f" and draw(st.booleans()):
            data[0, 0, :3] = draw(st.sampled_from([math.nan, math.inf, -math.inf]))
        made.append((data, nodata, transform, system))
    return made


FLAGS = st.lists(
    st.sampled_from(
        [
            ["--assume-aligned"],
            ["--sensor", "GF2", "--softness", "0.3"],
            ["--match"],
            ["--window", "64"],
            ["-ot", "uint8", "--scale", "2%,98%"],
            ["-ot", "uint8", "--scale", "0,255"],
            ["-ot", "Float32"],
            ["-of", "GTiff"],
            ["-b", "1"],
            ["--softness", "0.4"],
            ["--sensor", "GF2"],
            ["-te", "400000", "4799980", "400020", "4800000"],
        ]
    ),
    max_size=4,
)


@pytest.mark.filterwarnings("ignore")
@settings(
    max_examples=CASES,
    deadline=None,
    derandomize=CASES < 100,
    suppress_health_check=list(HealthCheck),
)
@given(pairs(), st.sampled_from(["exp", "glp-fs-soft", "gsa", "brovey", "bt-h"]), FLAGS)
def test_fused_or_refused(pair, method, flags):
    """Code 0 and a file on the PAN's grid; or code 2, a line, and nothing."""
    with tempfile.TemporaryDirectory() as room:
        folder = Path(room)
        for name, (data, nodata, grid, crs) in zip(("pan", "ms"), pair, strict=True):
            count, height, width = data.shape
            options = {"count": count, "height": height, "width": width, "dtype": data.dtype}
            options |= {"nodata": nodata, "transform": grid, "crs": crs, "driver": "GTiff"}
            with rasterio.open(folder / f"{name}.tif", "w", **options) as file:
                file.write(data)
        out = folder / "out.tif"
        words = [word for flag in flags for word in flag]
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            files = (str(folder / f"{name}.tif") for name in ("pan", "ms"))
            how = ["--method", method, "--memory", "0.5", *words]
            code = main(["fuse", *files, str(out), *how])

        event(f"code {code}")
        left = {p.name for p in folder.iterdir()} - {"pan.tif", "ms.tif"}
        if code == 2:
            assert not left
            assert "fusiontrain: " in said.getvalue()
            return
        assert (0, {"out.tif"}) == (code, left)
        (pan, _, at, _), (ms, *_) = pair
        with rasterio.open(out) as file:
            assert (words.count("-b") or len(ms)) == file.count
            assert file.height <= pan.shape[1]
            assert file.width <= pan.shape[2]
            column, row = ~at @ (file.transform.c, file.transform.f)
            assert abs(row - round(row)) + abs(column - round(column)) < 1e-6
            assert 0 <= round(row) <= pan.shape[1] - file.height
            assert 0 <= round(column) <= pan.shape[2] - file.width
            shown = file.dataset_mask() > 0
            image = file.read()
            assert np.isfinite(image[:, shown]).all()
