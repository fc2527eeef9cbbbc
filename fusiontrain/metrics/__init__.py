"""Indices: reduced resolution (the truth first), and full resolution (no truth).

Images are tensors or numpy arrays; the answers are tensors.
"""

from fusiontrain.metrics import (
    colour_difference,
    detail,
    no_reference,
    pixelwise,
    spatial,
    spectral,
)
from fusiontrain.metrics import q2n as _q2n
from fusiontrain.metrics import uqi as _uqi
from fusiontrain.metrics import usable_share as _usable
from fusiontrain.metrics.array_inputs import takes_arrays
from fusiontrain.metrics.usable_share import Usable

d_lambda = takes_arrays(no_reference.d_lambda)
d_lambda_k = takes_arrays(no_reference.d_lambda_k)
d_lambda_repro = takes_arrays(no_reference.d_lambda_repro)
d_rho = takes_arrays(no_reference.d_rho)
d_s = takes_arrays(no_reference.d_s)
hqnr = takes_arrays(no_reference.hqnr)
qnr = takes_arrays(no_reference.qnr)
delta_e = takes_arrays(colour_difference.delta_e)
coloured_detail = takes_arrays(detail.coloured_detail)
sharpness = takes_arrays(detail.sharpness)
cc = takes_arrays(pixelwise.cc)
psnr = takes_arrays(pixelwise.psnr)
rmse = takes_arrays(pixelwise.rmse)
ssim = takes_arrays(pixelwise.ssim)
q2n = takes_arrays(_q2n.q2n)
scc = takes_arrays(spatial.scc)
scc_laplacian = takes_arrays(spatial.scc_laplacian)
ergas = takes_arrays(spectral.ergas)
sam = takes_arrays(spectral.sam)
uqi = takes_arrays(_uqi.uqi)
usable = takes_arrays(_usable.usable)

__all__ = [
    "Usable",
    "cc",
    "coloured_detail",
    "d_lambda",
    "d_lambda_k",
    "d_lambda_repro",
    "d_rho",
    "d_s",
    "delta_e",
    "ergas",
    "hqnr",
    "psnr",
    "q2n",
    "qnr",
    "rmse",
    "sam",
    "scc",
    "scc_laplacian",
    "sharpness",
    "ssim",
    "uqi",
    "usable",
]
