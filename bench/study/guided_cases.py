"""What `bench.study guides` scores: guides, bands at a coarser scale, and the truth."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from skimage import data
from torch import Tensor

from fusiontrain.imaging.filters import degrade
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.gdal_environment import gdal
from fusiontrain.scenes.open_raster import open_raster
from simgen.physics.photograph import to_light
from simgen.physics.spectral import MATERIALS, features, mix, reflectances, response_rows

# MTF at Nyquist of Sentinel-2A's bands, ESA's data quality report as used by SupReMe.
_MTF = {"10m": (0.26, 0.28, 0.24, 0.26), "20m": (0.38, 0.34, 0.34, 0.33, 0.22, 0.23),
        "60m": (0.32, 0.26)}  # fmt: skip
_GUIDES = {6: (0, 1, 2, 3), 7: (1, 2, 3, 4), 8: (1, 2, 4, 6)}  # by the number of an MS's bands
_MOST = 256  # pixels a side of the truth
_NOMINAL = 0.3
# Centre and width of bands, nm. WorldView-3: the maker's, as shards/wavelengths.py; SWIR1 to SWIR8.
_WV3_VNIR = ((425, 50), (480, 60), (545, 70), (605, 40), (660, 60), (725, 40), (832, 125),
             (950, 180))  # fmt: skip
_WV3_SWIR = ((1210, 30), (1570, 40), (1660, 40), (1730, 40), (2165, 40), (2205, 40), (2260, 50),
             (2330, 70))  # fmt: skip
_S2_10M = ((492, 66), (560, 36), (665, 31), (833, 106))
_CUBE = tuple((centre, 12) for centre in np.linspace(420, 2400, 32).round().astype(int))
_SIMULATED = {  # name -> guides, bands, ratio
    "WorldView-3 SWIR": (_WV3_VNIR, _WV3_SWIR, 6),
    "hyperspectral cube": (_S2_10M, _CUBE, 3),
}
_SIDE = 384  # pixels of a simulated truth: a multiple of both ratios
_SMOOTH = 250.0  # nm over which a material's reflectance changes
_SPREAD = 0.4  # of its logarithm; simgen's `sensor` draws .2 to 1.6
_NOISE = 2.0  # DN, where the brightest hundredth of a band is over 1,500


@dataclass(frozen=True, kw_only=True, slots=True)
class GuidedCase:
    """Guides, bands at a coarser scale, and the truth."""

    name: str
    guides: Tensor  # (G, H, W)
    ms: Tensor  # (C, h, w)
    truth: Tensor  # (C, H, W)
    mtf: Tensor  # (C,)
    ratio: int
    guide_gain: float = _NOMINAL  # at their own Nyquist


def real_cases(folder: Path) -> Iterator[GuidedCase]:
    """Sentinel-2 chips and MS images of six to eight bands, one level down."""
    for sharp in sorted(folder.glob("*_10m.tif")):
        fine = _read(sharp)
        for size, ratio in (("20m", 2), ("60m", 6)):
            coarse = _read(Path(str(sharp).replace("_10m", f"_{size}")))
            side = min(coarse.shape[1:]) // (2 * ratio) * 2 * ratio
            truth, gains = coarse[:, :side, :side], torch.tensor(_MTF[size])
            seen = fine[:, : side * ratio, : side * ratio]
            yield GuidedCase(
                name=f"{sharp.stem.removesuffix('_10m')} {size}",
                guides=degrade(seen[None], torch.tensor(_MTF["10m"])[None], ratio)[0],
                ms=degrade(truth[None], gains[None], ratio)[0],
                truth=truth,
                mtf=gains,
                ratio=ratio,
                # lowered by their MTF, and blurred by it before
                guide_gain=float(np.mean(_MTF["10m"])) ** (1 + 1 / ratio**2),
            )
    for path in sorted(folder.glob("*_ms.tif")):
        image = _read(path)
        if len(image) not in _GUIDES or min(image.shape[1:]) < 64:
            continue
        side = min(_MOST, *image.shape[1:]) // 4 * 4
        image, sharp_bands = image[:, :side, :side], _GUIDES[len(image)]
        truth = image[[band for band in range(len(image)) if band not in sharp_bands]]
        gains = torch.full((len(truth),), _NOMINAL)
        yield GuidedCase(
            name=path.stem.removesuffix("_ms"),
            guides=image[list(sharp_bands)],
            ms=degrade(truth[None], gains[None], 2)[0],
            truth=truth,
            mtf=gains,
            ratio=2,
        )


def _read(path: Path) -> Tensor:
    with gdal(), open_raster(path) as file:
        return file.read(Box(top=0, left=0, bottom=file.height, right=file.width))


def simulated_cases(seed: int) -> Iterator[GuidedCase]:
    """Photographs of scikit-image as scenes of six materials with smooth random spectra."""
    for name, (sharp, coarse, ratio) in _SIMULATED.items():
        for number, photo in enumerate(("coffee", "astronaut")):
            rng = np.random.default_rng([seed, number, len(coarse)])
            image = getattr(data, photo)()[:_SIDE, :_SIDE].transpose(2, 0, 1)
            bands = _bands(to_light(image.astype(np.float32) / 255, 2.2), (*sharp, *coarse), rng)
            guides, truth = bands[: len(sharp)], bands[len(sharp) :]
            gains = torch.full((len(truth),), _NOMINAL)
            ms = degrade(truth[None], gains[None], ratio)[0]
            yield GuidedCase(
                name=f"{name}, {photo}",
                guides=_noisy(guides, rng),
                ms=_noisy(ms, rng),
                truth=truth,
                mtf=gains,
                ratio=ratio,
            )


def _bands(
    light: np.ndarray, bands: tuple[tuple[int, int], ...], rng: np.random.Generator
) -> Tensor:
    """(3, H, W) light -> (D, H, W) DN of bands by centre and width, nm."""
    centres, widths = np.array(bands, float).T
    # beyond 1,000 nm what RGB predicts goes on as there; leaves and water are darker
    rows = response_rows(centres.clip(max=1000), widths, vegetation=0.8, water=0.3)
    rows[:, 3] *= np.where(centres > 1300, 0.4, 1.0)
    apart = (centres[:, None] - centres) / _SMOOTH
    covariance = np.exp(-0.5 * apart**2) + 1e-6 * np.eye(len(centres))
    smooth = np.linalg.cholesky(covariance) @ rng.normal(size=(len(centres), MATERIALS))
    tints = np.exp(_SPREAD * smooth)
    tints /= tints.mean(1, keepdims=True)
    colours = rng.uniform(0.05, 0.95, size=(MATERIALS, 3))
    logits = np.column_stack([colours, -(colours**2).sum(1) / 2]) / 0.15**2
    image = mix(features(light), rows, np.zeros(len(rows))) * reflectances(light, logits, tints)
    brightest = np.percentile(image, 99, axis=(1, 2))[:, None, None]
    airlight = 60 + 200 * (450 / centres[:, None, None]) ** 2  # DN: no ground is black from space
    return torch.from_numpy((1500 * image / brightest + airlight).astype(np.float32))


def _noisy(image: Tensor, rng: np.random.Generator) -> Tensor:
    noise = torch.from_numpy(rng.normal(0, _NOISE, image.shape).astype(np.float32))
    return (image + noise).clamp_min(0)
