"""Classical methods in the toolbox's convention, against the toolbox's own output."""

import hashlib
import json

import numpy as np
import pytest
import rasterio
import torch

from fusiontrain.classical import PLAIN
from fusiontrain.classical.images import MethodInputs
from fusiontrain.classical.statistics import SceneStatistics
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.imaging.reference_toolbox import (
    decimate,
    imresize_bicubic,
    mtf_filter,
    smooth_decimate,
)
from fusiontrain.metrics import d_lambda, d_lambda_k, d_s, ergas, q2n, sam, scc, uqi
from shards.sensors import find_sensor

SMALL = [
    *(
        ("meth_", "mlr", "mpan", "IKONOS", name)
        for name in (
            *("EXP", "GS", "GSA", "BT-H", "BDSD", "BDSD-PC", "PRACS", "AWLP"),
            *("MTF-GLP", "MTF-GLP-CBD", "MTF-GLP-FS", "MTF-GLP-HPM", "MTF-GLP-HPM-R"),
        )
    ),
    *(
        ("meth8_", "mlr8", "mpan8", "WorldView-3", name)
        for name in ("GSA", "BT-H", "BDSD-PC", "PRACS")
    ),
]
# Brovey and PCA are not in the golden numbers: their own tests hold them.
ON_SCENES = [name for name in PLAIN if name not in ("Brovey", "PCA")]


@pytest.mark.parametrize(("prefix", "ms_name", "pan_name", "sensor", "method"), SMALL)
def test_the_toolboxs_pixels(shared, prefix, ms_name, pan_name, sensor, method):
    """Every pixel kept in the golden arrays (every second one) to 1e-9 of its value."""
    key = prefix + method.replace("-", "_")
    with np.load(shared("reference/golden/methods.npz"), allow_pickle=False) as arrays:
        ms, pan, expected = (arrays[name] for name in (ms_name, pan_name, key))

    fused = PLAIN[method](bands_first(ms), bands_first(pan), sensor, convention="toolbox")

    np.testing.assert_allclose(
        fused[:, ::2, ::2], expected.transpose(2, 0, 1), rtol=1e-9, atol=1e-7
    )


def test_the_wavelet_low_pass(shared):
    """LPfilterPlusDec, borders included."""
    arrays = np.load(shared("reference/golden/resample.npz"), allow_pickle=False)

    made = smooth_decimate(torch.from_numpy(arrays["in_pan64"]), 4)

    np.testing.assert_allclose(made, arrays["lpfilterplusdec"], rtol=1e-12)


@pytest.mark.parametrize("scene", ["IKONOS_grip_1", "WV2_grip_1"])
@pytest.mark.parametrize("methods", [ON_SCENES[:9], ON_SCENES[9:]], ids=["CS", "MRA and models"])
def test_the_toolboxs_reduced_resolution(golden_scene, scene, methods):
    """Indices of fused crops, with and without the demonstration's cut, to 1e-9."""
    facts, ms, pan = golden_scene(scene)
    row = find_sensor(facts["sensor"])
    low = decimate(mtf_filter(ms[None], row.mtf_ms, 4)[0], 4)
    inputs = inputs_of(low, imresize_bicubic(pan, 4), row)
    side = ms.shape[-1]

    for method in (name for name in methods if name in facts["reduced"]):
        fused = PLAIN[method].formula(inputs, SceneStatistics(inputs))[0]
        expected = facts["reduced"][method]
        for part, golden in ((slice(20, side - 21), expected), (slice(0, side), expected["nocut"])):
            pair = ms[:, part, part], fused[:, part, part]
            computed = {
                "Q2n": float(q2n(*pair)),
                "Q_avg": float(uqi(*pair)),
                "SAM": float(sam(*pair)),
                "ERGAS": float(ergas(*pair)),
                "SCC": float(scc(*pair)),
            }
            assert computed == pytest.approx({k: golden[k] for k in computed}, rel=1e-9), method


@pytest.mark.parametrize("scene", ["IKONOS_grip_1", "WV2_grip_1"])
@pytest.mark.parametrize("methods", [ON_SCENES[:9], ON_SCENES[9:]], ids=["CS", "MRA and models"])
def test_the_toolboxs_full_resolution(golden_scene, scene, methods):
    """Indices without a truth, to 1e-9."""
    facts, ms, pan = golden_scene(scene)
    row = find_sensor(facts["sensor"])
    inputs = inputs_of(ms, pan, row)

    for method in (name for name in methods if name in facts["full"]):
        fused = PLAIN[method].formula(inputs, SceneStatistics(inputs))[0]
        spectral = {
            "D_lambda_K": float(d_lambda_k(fused, ms, mtf=row.mtf_ms)),
            "D_lambda": float(d_lambda(fused, ms)),
        }
        spatial = float(d_s(fused, ms, pan))
        computed = spectral | {
            "D_s": spatial,
            "QNR": (1 - spectral["D_lambda"]) * (1 - spatial),
            "HQNR": (1 - spectral["D_lambda_K"]) * (1 - spatial),
        }
        golden = {k: facts["full"][method][k] for k in computed}
        assert computed == pytest.approx(golden, rel=1e-9, abs=1e-12), method


@pytest.fixture
def golden_scene(shared):
    """Name -> (facts, MS (C, h, w), PAN (1, H, W)) of a crop that the toolbox was run on."""

    def load(name):
        facts = json.loads(shared("reference/golden/scenes.json").read_text())[name]
        images = []
        for kind, digest in (("ms", "ms_hwc_u16le"), ("pan", "pan_u16le")):
            _, _, height, width = facts["crop"][kind]
            with rasterio.open(shared(f"data/real/{name}_{kind}.tif")) as file:
                crop = file.read()[:, :height, :width].astype("<u2")
            stored = crop.transpose(1, 2, 0).tobytes()
            assert hashlib.sha256(stored).hexdigest() == facts["sha256"][digest]
            images.append(torch.from_numpy(crop.astype(np.float64)))
        return facts, *images

    return load


def bands_first(array: np.ndarray) -> torch.Tensor:
    """MATLAB's (H, W) or (H, W, C) -> (C, H, W)."""
    return torch.from_numpy(np.atleast_3d(array).transpose(2, 0, 1).copy())


def inputs_of(ms, pan, row):
    mtf = torch.tensor([row.mtf_ms], dtype=torch.float64)
    batch = PanBatch(
        ms=ms[None],
        pan=pan[None],
        ratio=4,
        mtf=mtf,
        softness=torch.ones_like(mtf),
        phase="toolbox",
    )
    return MethodInputs(batch, row)
