"""Pairs and scenes made for tests of indices, and the indices by name."""

import torch

from fusiontrain import metrics as m
from fusiontrain.imaging.filters import blur, degrade
from fusiontrain.scenes.scene import Scene

REFERENCE = {
    "sam": m.sam,
    "ergas": m.ergas,
    "q2n": m.q2n,
    "uqi": m.uqi,
    "scc": m.scc,
    "scc_laplacian": m.scc_laplacian,
    "cc": m.cc,
    "rmse": m.rmse,
    "psnr": lambda a, b, **k: m.psnr(a, b, bits=11, **k),
    "ssim": lambda a, b, **k: m.ssim(a, b, bits=11, **k),
}
PERFECT = {"sam": 0, "ergas": 0, "rmse": 0, "psnr": torch.inf}  # else 1
LOPSIDED = {"ergas", "q2n"}  # both are relative to gt
UNIT_FREE = ("sam", "ergas", "uqi", "scc", "scc_laplacian", "cc")
FULL = {
    "d_lambda": lambda f, ms, pan, **k: m.d_lambda(f, ms, **k),
    "d_lambda_k": lambda f, ms, pan, **k: m.d_lambda_k(f, ms, mtf=(0.3,) * ms.shape[-3], **k),
    "d_lambda_repro": lambda f, ms, pan, **k: m.d_lambda_repro(
        f, ms, mtf=(0.3,) * ms.shape[-3], **k
    ),
    "d_s": m.d_s,
    "qnr": m.qnr,
    "hqnr": lambda f, ms, pan, **k: m.hqnr(f, ms, pan, mtf=(0.3,) * ms.shape[-3], **k),
}
CONVENTIONS = ("toolbox", "aligned")


def images(bands, seed=0, side=40, noise=60.0):
    """A pair in DN: bands that share texture, whole numbers."""
    rng = torch.Generator().manual_seed(seed)
    shared = torch.rand(1, side, side, generator=rng, dtype=torch.float64)
    own = torch.rand(bands, side, side, generator=rng, dtype=torch.float64)
    gt = (200 + 900 * shared + 300 * own).round()
    error = noise * torch.randn(gt.shape, generator=rng, dtype=torch.float64)
    return gt, (gt + error).round().clamp(1, 2047)


def views(bands, seed=0, side=64):
    """Fused, MS and PAN."""
    gt, fused = images(bands, seed, side)
    ms = torch.nn.functional.avg_pool2d(gt, 4).round()
    return fused, ms, gt.mean(0, keepdim=True)


def textured_scene(h=64, w=72, *, bands=4, ratio=4, **changed) -> Scene:
    """A pair that belongs together: the MS is a blurred PAN of other gains and offsets."""
    rng = torch.Generator().manual_seed(1)
    fine = torch.randn(1, 1, h * ratio, w * ratio, generator=rng)
    pan = blur(fine, torch.full((1, 1), 1.5)) * 1500 + 700
    gain = torch.linspace(0.5, 1.2, bands)[None, :, None, None]
    ms = degrade(pan, torch.full((1, 1), 0.3), ratio) * gain + 50
    return Scene(name="x", ms=ms[0], pan=pan[0], bits=11, **changed)
