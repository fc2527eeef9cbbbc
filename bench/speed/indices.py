"""Indices beside torchmetrics': the same tensors, one thread, in turns; a Markdown table.

python -m bench.speed.indices [--rounds 7] [--threads 1] [--dtype float32] [--device cpu]
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import functional as of_all
from torchmetrics.functional import image as of_images

from fusiontrain import metrics

SCENES = ((4, 512), (8, 1024))
QUICK_SCENES = ((4, 256),)
RATIO, BITS = 4, 11
PEAK = float(2**BITS - 1)
SHORT = 0.02  # seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """One image a batch, as torchmetrics wants them."""

    gt: Tensor
    fused: Tensor
    ms: Tensor
    pan: Tensor
    pan_low: Tensor

    @property
    def pans(self) -> Tensor:
        """A PAN for each band, as torchmetrics wants it."""
        return self.pan.expand_as(self.fused).contiguous()

    @property
    def pans_low(self) -> Tensor:
        return self.pan_low.expand_as(self.ms).contiguous()


Run = Callable[[], Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    name: str
    ours: Run
    theirs: Run | None = None
    note: str = ""


def draw(bands: int, side: int, dtype: torch.dtype, device: str) -> Scene:
    """Something smooth with texture, in DN of 11 bits; the fused image errs by 40 DN."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, bands, side // 16, side // 16, generator=rng)
    smooth = F.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=False)
    texture = torch.randn(1, 1, side, side, generator=rng)
    gt = (300 + 900 * smooth + 60 * texture).clamp(0, PEAK).round()
    fused = (gt + 40 * torch.randn(gt.shape, generator=rng)).clamp(0, PEAK)
    pan = gt.mean(1, keepdim=True)
    images = (gt, fused, F.avg_pool2d(gt, RATIO), pan, F.avg_pool2d(pan, RATIO))
    gt, fused, ms, pan, low = (image.to(device, dtype) for image in images)
    return Scene(gt=gt, fused=fused, ms=ms, pan=pan, pan_low=low)


def rows(s: Scene) -> list[Row]:
    gt, fused, ms, pan = s.gt, s.fused, s.ms, s.pan
    pans, pans_low = s.pans, s.pans_low
    flat = [image[0].flatten(1).T.contiguous() for image in (fused, gt)]
    gains = (0.3,) * gt.shape[1]
    return [
        Row(
            name="SAM",
            ours=lambda: metrics.sam(gt, fused),
            theirs=lambda: of_images.spectral_angle_mapper(fused, gt),
            note="theirs in radians: ours / 57.3",
        ),
        Row(
            name="ERGAS",
            ours=lambda: metrics.ergas(gt, fused, ratio=RATIO),
            theirs=lambda: of_images.error_relative_global_dimensionless_synthesis(
                fused, gt, ratio=RATIO
            ),
        ),
        Row(
            name="RMSE",
            ours=lambda: metrics.rmse(gt, fused),
            theirs=lambda: of_all.mean_squared_error(fused, gt, squared=False),
        ),
        Row(
            name="PSNR",
            ours=lambda: metrics.psnr(gt, fused, bits=BITS),
            theirs=lambda: of_images.peak_signal_noise_ratio(fused, gt, data_range=PEAK),
        ),
        Row(
            name="CC",
            ours=lambda: metrics.cc(gt, fused),
            theirs=lambda: of_all.pearson_corrcoef(*flat).mean(),
            note="theirs takes (pixels, bands), laid out so before the clock starts",
        ),
        Row(
            name="UQI",
            ours=lambda: metrics.uqi(gt, fused),
            theirs=lambda: of_images.universal_image_quality_index(fused, gt),
            note="ours 32x32 box, theirs 11x11 Gaussian",
        ),
        Row(
            name="SSIM",
            ours=lambda: metrics.ssim(gt, fused, bits=BITS),
            theirs=lambda: of_images.structural_similarity_index_measure(
                fused, gt, data_range=PEAK
            ),
            note="theirs mirrors the rim, then cuts it",
        ),
        Row(
            name="SCC",
            ours=lambda: metrics.scc(gt, fused),
            theirs=lambda: of_images.spatial_correlation_coefficient(fused, gt),
            note="ours Sobel magnitudes, pooled; theirs Laplacian, windows of 8",
        ),
        Row(
            name="D_lambda",
            ours=lambda: metrics.d_lambda(fused, ms),
            theirs=lambda: of_images.spectral_distortion_index(ms, fused),
            note="ours blocks of 32 on upsampled MS; theirs 11x11 Gaussian on small MS",
        ),
        Row(
            name="D_s",
            ours=lambda: metrics.d_s(fused, ms, pan),
            theirs=lambda: of_images.spatial_distortion_index(fused, ms, pans, pans_low),
            note="as D_lambda; theirs is given the reduced PAN",
        ),
        Row(
            name="QNR",
            ours=lambda: metrics.qnr(fused, ms, pan),
            theirs=lambda: of_images.quality_with_no_reference(fused, ms, pans, pans_low),
            note="as D_s",
        ),
        Row(name="Q2n", ours=lambda: metrics.q2n(gt, fused)),
        Row(name="D_lambda_K", ours=lambda: metrics.d_lambda_k(fused, ms, mtf=gains)),
        Row(name="D_rho", ours=lambda: metrics.d_rho(fused, pan)),
    ]


def clock(
    runs: list[Run], rounds: int, wait: Callable[[], None], now: Callable[[], float]
) -> list[float]:
    """Median seconds of each, run in turns, after one round that does not count.

    Milliseconds are at the mercy of the allocator: what is that fast is run ten times as often.
    """
    spent: list[list[float]] = [[] for _ in runs]
    turn = 0
    while turn <= rounds * (10 if turn > 1 and max(t[-1] for t in spent) < SHORT else 1):
        for run, times in zip(runs, spent, strict=True):
            wait()
            start = now()
            run()
            wait()
            times.append(now() - start)
        turn += 1
    return [statistics.median(times[1:]) for times in spent]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a small scene, no aim")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    wait = torch.cuda.synchronize if args.device == "cuda" else lambda: None
    # Of one thread its processor's time: others may run beside it.
    now = time.process_time if (args.device, args.threads) == ("cpu", 1) else time.perf_counter
    slower = []
    print(
        f"torch {torch.__version__}, torchmetrics {version('torchmetrics')}, {args.device}, "
        f"{args.threads} thread(s), {args.dtype}, median of {args.rounds} rounds in turns"
    )
    for bands, side in QUICK_SCENES if args.quick else SCENES:
        scene = draw(bands, side, getattr(torch, args.dtype), args.device)
        print(f"\n{bands} bands, {side}x{side}\n")
        print("| index | ours, ms | torchmetrics, ms | ours / theirs | ours | theirs | note |")
        print("|---|---:|---:|---:|---:|---:|---|")
        for row in rows(scene):
            runs = [row.ours] if row.theirs is None else [row.ours, row.theirs]
            spent = clock(runs, args.rounds, wait, now)
            value, *other = (float(run()) for run in runs)
            theirs = f"{spent[1] * 1e3:.1f}" if other else "-"
            share = f"{spent[0] / spent[1]:.2f}" if other else "-"
            seen = f"{other[0]:.5f}" if other else "-"
            print(
                f"| {row.name} | {spent[0] * 1e3:.1f} | {theirs} | {share} | {value:.5f} "
                f"| {seen} | {row.note} |",
                flush=True,
            )
            if other and spent[0] > spent[1]:
                slower.append(f"{row.name} at {bands}x{side}x{side}")
    print(f"\nslower than torchmetrics: {', '.join(slower) or 'none'}")
    return 1 if slower and not args.quick else 0


if __name__ == "__main__":
    sys.exit(main())
