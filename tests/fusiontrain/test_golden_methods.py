"""Classical methods in the toolbox's convention, against the toolbox's own output."""

from functools import partial

import numpy as np
import pytest
import torch

from fusiontrain.batch import PanBatch
from fusiontrain.classical.bdsd import bdsd
from fusiontrain.classical.glp import (
    mtf_glp,
    mtf_glp_cbd,
    mtf_glp_fs,
    mtf_glp_hpm,
    mtf_glp_hpm_r,
)
from fusiontrain.classical.substitution import bt_h, exp, gs, gsa
from fusiontrain.toolbox import smooth_decimate
from shards.sensors import find_sensor

METHODS = {
    "EXP": exp,
    "GS": gs,
    "GSA": gsa,
    "BT_H": bt_h,
    "BDSD": bdsd,
    "MTF_GLP": mtf_glp,
    "MTF_GLP_CBD": mtf_glp_cbd,
    "MTF_GLP_FS": mtf_glp_fs,
    "MTF_GLP_HPM": mtf_glp_hpm,
    "MTF_GLP_HPM_R": mtf_glp_hpm_r,
}
CASES = [
    *(("meth_", "mlr", "mpan", "IKONOS", name) for name in METHODS),
    *(("meth8_", "mlr8", "mpan8", "WorldView-3", name) for name in ("GSA", "BT_H")),
]


@pytest.mark.parametrize(("prefix", "ms_name", "pan_name", "sensor", "method"), CASES)
def test_the_toolboxs_pixels(shared, prefix, ms_name, pan_name, sensor, method):
    """Every pixel kept in the golden arrays (every second one) to 1e-9 of its value."""
    with np.load(shared("reference/golden/methods.npz"), allow_pickle=False) as arrays:
        golden = {name: arrays[name] for name in (ms_name, pan_name, prefix + method)}
    row = find_sensor(sensor)
    ms = torch.from_numpy(golden[ms_name].transpose(2, 0, 1).copy())[None]
    mtf = torch.tensor([row.mtf_ms], dtype=torch.float64)
    batch = PanBatch(
        ms=ms,
        pan=torch.from_numpy(golden[pan_name])[None, None],
        ratio=4,
        mtf=mtf,
        softness=torch.ones_like(mtf),
    )
    function = partial(METHODS[method], convention="toolbox")

    fused = function(batch, mtf_pan=row.mtf_pan) if method == "BDSD" else function(batch)

    expected = golden[prefix + method].transpose(2, 0, 1)
    np.testing.assert_allclose(fused[0, :, ::2, ::2], expected, rtol=1e-9, atol=1e-7)


def test_the_wavelet_low_pass(shared):
    """LPfilterPlusDec, borders included."""
    arrays = np.load(shared("reference/golden/resample.npz"), allow_pickle=False)

    made = smooth_decimate(torch.from_numpy(arrays["in_pan64"]), 4)

    np.testing.assert_allclose(made, arrays["lpfilterplusdec"], rtol=1e-12)
