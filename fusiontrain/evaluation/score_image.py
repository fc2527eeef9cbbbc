"""Indices of one fused image: against a truth, or without one at full resolution."""

import math
from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor

from fusiontrain.errors import MetricError, ShapeError
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.rendering import display_rgb, stretch_of
from fusiontrain.evaluation.tables import Directions
from fusiontrain.imaging.shift_estimation import NO_SHIFT
from fusiontrain.metrics import (
    d_lambda_k,
    d_rho,
    d_s,
    delta_e,
    ergas,
    psnr,
    q2n,
    sam,
    scc,
    ssim,
    uqi,
)
from fusiontrain.metrics.detail import sharpness_and_coloured_detail
from fusiontrain.metrics.full_resolution_inputs import once

BORDER = 8  # pixels cropped on each side before indices: what lies beyond the edge is unknown
TOOLBOX_BORDER = (20, 21)  # in its grid phase, as in its demonstration: at the start, at the end
BLOCK = 32  # full-resolution indices are computed on blocks of it
INDICES = {
    "reduced": ("SAM", "ERGAS", "Q2n", "Q", "SCC", "PSNR", "SSIM"),
    "full": ("D_lambda_K", "D_s", "HQNR", "HQNR_reg", "D_rho", "S", "C"),
    "known": ("ERGAS", "SAM", "Q2n", "SSIM", "dE", "S/truth", "C/truth"),
}
_HIGH: Directions = dict.fromkeys(("Q2n", "Q", "SCC", "PSNR", "SSIM", "HQNR", "HQNR_reg"), "higher")
# Coloured detail is better where it is the truth's: alone, neither more nor less of it is.
BETTER: Directions = {**_HIGH, "S": "one", "S/truth": "one", "C/truth": "one", "C": "any"}


def score_image(case: Case, fused: Tensor) -> dict[str, float]:
    """Index -> value of `fused` (C, H, W) DN; NaN where nodata leaves an index no pixel."""
    if case.truth is None:
        return _full_resolution(case, fused)
    if case.known:
        return _known(case, case.truth, fused)
    return _against_truth(case, case.truth, fused)


def _against_truth(case: Case, truth: Tensor, fused: Tensor) -> dict[str, float]:
    start, stop = BORDER, BORDER
    if case.scene.phase == "toolbox" and min(truth.shape[1:]) - sum(TOOLBOX_BORDER) >= BLOCK:
        start, stop = TOOLBOX_BORDER
    inner = slice(start, -stop)
    truth, fused = truth[:, inner, inner], fused[:, inner, inner]
    valid = None if case.scene.valid is None else case.scene.valid[inner, inner]
    bits, ratio = case.scene.bits, case.scene.ratio
    return _values(
        {
            "SAM": lambda: sam(truth, fused, valid=valid),
            "ERGAS": lambda: ergas(truth, fused, ratio=ratio, valid=valid),
            "Q2n": lambda: q2n(truth, fused, valid=valid),
            "Q": lambda: uqi(truth, fused, valid=valid),
            "SCC": lambda: scc(truth, fused, valid=valid),
            "PSNR": lambda: psnr(truth, fused, bits=bits, valid=valid),
            "SSIM": lambda: ssim(truth, fused, bits=bits, valid=valid),
        }
    )


def _known(case: Case, truth: Tensor, fused: Tensor) -> dict[str, float]:
    """As against any truth; the colours of a screen; S and C over the truth's own."""
    inner = slice(BORDER, -BORDER)
    stretch = stretch_of(truth)
    cut = (image[..., inner, inner] for image in (truth, fused, case.scene.pan.float()))
    truth, fused, pan = cut
    valid = None if case.scene.valid is None else case.scene.valid[inner, inner]
    bits, ratio = case.scene.bits, case.scene.ratio

    def shown(image: Tensor) -> Tensor:
        return torch.from_numpy(display_rgb(image, stretch)).movedim(-1, 0)

    @cache
    def over_truth() -> list[Tensor]:
        detail = partial(
            sharpness_and_coloured_detail,
            pan=pan,
            ratio=ratio,
            valid=valid,
            of_pan=case.kept["pan"],
        )
        of_truth = once(case.kept["truth"], "S and C", lambda: detail(truth))
        return [ours / its for ours, its in zip(detail(fused), of_truth, strict=True)]

    return _values(
        {
            "ERGAS": lambda: ergas(truth, fused, ratio=ratio, valid=valid),
            "SAM": lambda: sam(truth, fused, valid=valid),
            "Q2n": lambda: q2n(truth, fused, valid=valid),
            "SSIM": lambda: ssim(truth, fused, bits=bits, valid=valid),
            "dE": lambda: delta_e(shown(truth), shown(fused), valid=valid),
            "S/truth": lambda: over_truth()[0],
            "C/truth": lambda: over_truth()[1],
        }
    )


def _full_resolution(case: Case, fused: Tensor) -> dict[str, float]:
    scene, valid = case.scene, case.scene.valid
    ms, pan, ratio, phase = scene.ms, scene.pan, scene.ratio, scene.phase
    gains = scene.sensor.gains(scene.bands)

    @cache
    def detail() -> tuple[Tensor, Tensor]:
        of_pan = case.kept["pan"]
        return sharpness_and_coloured_detail(fused, pan, ratio=ratio, valid=valid, of_pan=of_pan)

    pair = case.kept["pair"]
    indices = {
        "D_lambda_K": lambda: d_lambda_k(
            fused, ms, mtf=gains, ratio=ratio, convention=phase, valid=valid, kept=pair
        ),
        "D_s": lambda: d_s(fused, ms, pan, ratio=ratio, convention=phase, valid=valid, kept=pair),
        "D_rho": lambda: d_rho(fused, pan, ratio=ratio, valid=valid, kept=case.kept["pan"]),
        "S": lambda: detail()[0],
        "C": lambda: detail()[1],
    }
    if case.sensor_model.shift != NO_SHIFT:
        # Where PAN is shifted against the MS, D_s is worse for methods that keep the MS's place.
        moved = case.registered.pan[0].to(pan.dtype)
        indices["D_s_reg"] = lambda: d_s(
            fused, ms, moved, ratio=ratio, convention=phase, valid=valid, kept=case.kept["moved"]
        )
    values = _values(indices)
    values.setdefault("D_s_reg", values["D_s"])
    for name, spatial in (("HQNR", "D_s"), ("HQNR_reg", "D_s_reg")):
        values[name] = (1 - values["D_lambda_K"]) * (1 - values[spatial])
    if case.sensor_model.frame == "pan":
        del values["HQNR_reg"]  # the pair is registered for every index
    return {name: values[name] for name in INDICES["full"] if name in values}


def _values(indices: dict[str, Callable[[], Tensor]]) -> dict[str, float]:
    values = {}
    for name, index in indices.items():
        try:
            values[name] = float(index())
        except (MetricError, ShapeError):
            values[name] = math.nan
    return values
