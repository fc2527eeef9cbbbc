"""Classical methods: pure functions PanBatch -> fused (B, C, H, W), DN. A table, not a registry.

A method named "... soft" gets a PAN softened to the batch's softness first (what the network
is told too) and counts as a method of its own.
"""

from collections.abc import Callable

from torch import Tensor

from fusiontrain.batch import PanBatch
from fusiontrain.classical.bdsd import bdsd
from fusiontrain.classical.glp import (
    mtf_glp,
    mtf_glp_cbd,
    mtf_glp_fs,
    mtf_glp_hpm,
    mtf_glp_hpm_r,
)
from fusiontrain.classical.soften import on_soft_pan
from fusiontrain.classical.substitution import bt_h, exp, gs, gsa

Method = Callable[[PanBatch], Tensor]

PLAIN: dict[str, Method] = {
    "GS": gs,
    "GSA": gsa,
    "BT-H": bt_h,
    "BDSD": bdsd,
    "MTF-GLP": mtf_glp,
    "MTF-GLP-CBD": mtf_glp_cbd,
    "MTF-GLP-FS": mtf_glp_fs,
    "MTF-GLP-HPM": mtf_glp_hpm,
    "MTF-GLP-HPM-R": mtf_glp_hpm_r,
}
METHODS: dict[str, Method] = {
    "EXP": exp,
    **PLAIN,
    **{f"{name} soft": on_soft_pan(method) for name, method in PLAIN.items()},
}

__all__ = ["METHODS", "PLAIN", "Method"]
