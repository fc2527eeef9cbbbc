"""Leakage: whether two scenes show the same ground, so that training and scoring stay apart."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.imaging.filters import reduce_pan
from fusiontrain.scenes.scene import Scene

RUN = 24  # PAN pixels in a row that are compared at once
STEP = 8  # step between the runs that are searched for
ENOUGH = 3  # runs found at one displacement
PATCH = 32  # pixels a side of the patches searched for in a finer or coarser copy
LIVELY = 0.1  # an edge, where 0.5 is the image's mean one
LIKE = 0.7  # correlation of edges: real reduced copies have .84 and more, other ground up to .53


def refuse_shared_pixels(train: Scene, test: Scene) -> None:
    """Raises: SceneError if both PANs show some of the same ground, as far as can be detected.

    Equal values, also in a strip of 24 pixels: runs along rows and columns of `train`, every 8
    pixels, are searched for at every place of `test`; three at the same displacement are no
    accident. Copies of other gain, depth or noise, turned or mirrored, and copies reduced by the
    scenes' ratio as Wald's protocol makes them: the edges of nine patches are searched for by
    correlation. Copies resampled by other factors are not found.
    """
    a, b = _numbers(train), _numbers(test)
    if shared := max(_shared_runs(a, b), _shared_runs(a.T, b.T)):
        raise _refusal(train, test, f"{shared} runs of {RUN} PAN pixels lie in both")
    pan = train.pan[0].float()
    turned = [torch.rot90(x, k) for x in (pan, pan.T) for k in range(4)]
    like = _most_alike(turned, test.pan[0])
    if like > LIKE:
        raise _refusal(train, test, f"the same ground: correlation of edges {like:.2f}")
    for fine, coarse in ((train, test), (test, train)):
        less = reduce_pan(fine.pan[None].float(), fine.ratio)[0, 0]
        like = _most_alike([less], coarse.pan[0])
        if like > LIKE:
            raise _refusal(
                train, test, f"{coarse.name} has {fine.name} in it, reduced: correlation {like:.2f}"
            )


def _refusal(train: Scene, test: Scene, evidence: str) -> SceneError:
    return SceneError(
        f"{train.name} and {test.name} share pixels ({evidence}): a scene that was "
        "trained on cannot be scored; leave one of them out"
    )


def _numbers(scene: Scene) -> np.ndarray:
    return np.rint(scene.pan[0].double().numpy() * 16).astype(np.int64).astype(np.uint64)


def _shared_runs(train: np.ndarray, test: np.ndarray) -> int:
    if min(train.shape[1], test.shape[1]) < RUN:
        return 0
    grid = (slice(None, None, STEP), slice(None, None, STEP))
    hashes, others = _hashes(train)[grid], _hashes(test).ravel()
    # Flat runs are alike everywhere.
    windows = np.lib.stride_tricks.sliding_window_view(train, RUN, axis=1)[grid]
    lively = windows.max(-1) > windows.min(-1)
    order = np.argsort(others, kind="stable")
    rows, columns = np.nonzero(lively)
    place = np.searchsorted(others, hashes[lively], sorter=order)
    place = order[np.minimum(place, others.size - 1)]
    equal = others[place] == hashes[lively]
    width = test.shape[1] - RUN + 1
    away = np.stack([place // width - rows * STEP, place % width - columns * STEP], 1)[equal]
    if not len(away):
        return 0
    most = int(np.unique(away, axis=0, return_counts=True)[1].max())
    return most if most >= ENOUGH else 0


def _hashes(image: np.ndarray) -> np.ndarray:
    """(H, W) -> (H, W - RUN + 1): a 64-bit number for each run, products modulo 2**64."""
    keys = np.random.default_rng(0).integers(1, 2**63, RUN, dtype=np.uint64) | np.uint64(1)
    width = image.shape[1] - RUN + 1
    total = np.zeros((image.shape[0], width), np.uint64)
    for k, key in enumerate(keys):
        total += image[:, k : k + width] * key
    return total


def _most_alike(smalls: Sequence[Tensor], large: Tensor) -> float:
    """Largest correlation of the edges of nine patches of each with any place of `large`.

    Stops at the first over LIKE.
    """
    large = _edges(large.float())
    H, W = large.shape
    if min(H, W) < PATCH:
        return 0.0
    shape = (_quick(H + PATCH), _quick(W + PATCH))
    spectrum = torch.fft.rfft2(large, s=shape)
    energy = F.avg_pool2d((large * large)[None], PATCH, 1, divisor_override=1)[0]
    bottom = energy.clamp_min(max(1e-3 * float(energy.mean()), 1e-9)).sqrt()
    best = 0.0
    for small in smalls:
        for patch in _patches(_edges(small)):
            product = torch.fft.irfft2(spectrum * torch.fft.rfft2(patch, s=shape).conj(), s=shape)
            alike = product[: H - PATCH + 1, : W - PATCH + 1] / bottom
            best = max(best, float(alike.max()) / float(patch.norm()))
            if best > LIKE:
                return best
    return best


def _patches(edges: Tensor) -> Iterator[Tensor]:
    """Nine, spread out; one with an edge across flat ground is alike everywhere and left out."""
    h, w = edges.shape
    if min(h, w) < PATCH:
        return
    for top in torch.linspace(0, h - PATCH, 3).long().tolist():
        for left in torch.linspace(0, w - PATCH, 3).long().tolist():
            patch = edges[top : top + PATCH, left : left + PATCH]
            if float((patch.abs() > LIVELY).double().mean()) >= 0.5:
                yield patch


def _quick(size: int) -> int:
    """The next size that Fourier transforms are quick at: no prime factor above 5."""
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 1


def _edges(image: Tensor) -> Tensor:
    """Bounded Laplacian: one bright roof counts as any other."""
    kernel = torch.tensor([[-1.0, -1, -1], [-1, 8, -1], [-1, -1, -1]], dtype=image.dtype)
    edges = F.conv2d(image[None, None], kernel[None, None], padding=1)[0, 0]
    return edges / (edges.abs() + edges.abs().mean() + 1e-9)
