"""Classical methods: pure functions PanBatch -> fused (B, C, H, W), DN. A table, not a registry.

`pan_softness` of the table's callers is the batch's own `softness`: a method named
"... soft" gets a PAN softened to it first, and counts as a method of its own.
"""

from collections.abc import Callable

from torch import Tensor

from fusiontrain.batch import PanBatch
from fusiontrain.classical.exp import exp
from fusiontrain.classical.glp import mtf_glp_fs
from fusiontrain.classical.gsa import gsa
from fusiontrain.classical.soften import on_soft_pan

Method = Callable[[PanBatch], Tensor]

METHODS: dict[str, Method] = {
    "EXP": exp,
    "GSA": gsa,
    "GSA soft": on_soft_pan(gsa),
    "MTF-GLP-FS": mtf_glp_fs,
    "MTF-GLP-FS soft": on_soft_pan(mtf_glp_fs),
}

__all__ = ["METHODS", "Method"]
