"""Indices: reduced resolution (the truth first), and full resolution (no truth)."""

from fusiontrain.metrics.no_reference import (
    d_lambda,
    d_lambda_k,
    d_lambda_repro,
    d_rho,
    d_s,
    hqnr,
    qnr,
)
from fusiontrain.metrics.pixelwise import cc, psnr, rmse, ssim
from fusiontrain.metrics.q2n import q2n
from fusiontrain.metrics.spatial import scc, scc_laplacian
from fusiontrain.metrics.spectral import ergas, sam
from fusiontrain.metrics.uqi import uqi
from fusiontrain.metrics.usable_share import Usable, usable

__all__ = [
    "Usable",
    "cc",
    "d_lambda",
    "d_lambda_k",
    "d_lambda_repro",
    "d_rho",
    "d_s",
    "ergas",
    "hqnr",
    "psnr",
    "q2n",
    "qnr",
    "rmse",
    "sam",
    "scc",
    "scc_laplacian",
    "ssim",
    "uqi",
    "usable",
]
