"""InputRows: the stem's inputs, interpolated a few rows at a time.

All images of inputs.py together take 36 bytes a PAN pixel and band. A window that is fused on a
CPU needs each once, and those of a few rows stay in its cache.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fusiontrain.imaging.filters import upsample
from fusiontrain.imaging.pan_batch import GridPhase, PanBatch, Statistics
from fusiontrain.models.anyband.inputs import (
    LOCAL_SIGMAS,
    Factors,
    Images,
    band_conditions,
    band_factors,
    blurred_images,
    cast_statistics,
    intensity_of,
    local_gains,
    make_stem_images,
)
from fusiontrain.models.layers.polyphase import (
    SHUFFLE,
    interpolate_columns,
    interpolate_rows,
    to_polyphase,
    transposed_positions,
)


@dataclass(frozen=True, slots=True)
class Cells:
    """A rectangle of cells of SHUFFLE x SHUFFLE PAN pixels."""

    rows: slice
    columns: slice

    @property
    def height(self) -> int:
        return int(self.rows.stop - self.rows.start)

    @property
    def width(self) -> int:
        return int(self.columns.stop - self.columns.start)

    def strips(self, height: int) -> list["Cells"]:
        """Strips of so many rows, the last one of what is left."""
        return [
            Cells(slice(top, min(top + height, self.rows.stop)), self.columns)
            for top in range(self.rows.start, self.rows.stop, height)
        ]


def cells_around(
    rows: slice, columns: slice, shape: Sequence[int], *, reach: int
) -> tuple[Cells, tuple[slice, slice]]:
    """The cells of some PAN pixels and `reach` cells around them; those pixels within them.

    `shape`: PAN pixels of the image, beyond which there are no cells.
    """
    cells, within = [], []
    for part, size in zip((rows, columns), shape, strict=True):
        start = max(0, part.start // SHUFFLE - reach)
        stop = min(-(-size // SHUFFLE), -(-part.stop // SHUFFLE) + reach)
        cells.append(slice(start, stop))
        within.append(slice(part.start - start * SHUFFLE, part.stop - start * SHUFFLE))
    return Cells(*cells), (within[0], within[1])


@dataclass(frozen=True, kw_only=True, slots=True)
class InputRows:
    """One window's images, float32 on the CPU, of which some wait to be interpolated.

    Axes as of Images, with transposed positions P (layers/polyphase.py).
    """

    phase: GridPhase
    stats: Statistics
    conditions: Tensor  # (B, C, CONDITIONS)
    factors: Factors
    blurred: dict[str, Tensor]  # of blurred_images
    bands: list[int]  # how many each interpolated image has
    along: Tensor | None  # they, interpolated along the columns; None: `planes` has them whole
    planes: Tensor | None

    def stem_images(self, cells: Cells) -> Iterator[Tensor]:
        """The stem's inputs in some cells, (B, C, P, h', w') each."""
        up, low, *local = torch.split(self._interpolated(cells), self.bands, 1)
        soft, pan = (self.blurred[name][..., cells.rows, cells.columns] for name in ("soft", "pan"))
        images = Images(
            ms=self.blurred["ms"],
            low_ms=self.blurred["low_ms"],
            up=up,
            low=low,
            soft=soft,
            pan=pan,
            intensity=intensity_of(up, self.factors.weights),
            gain=self.factors.gain,
            dark=self.factors.dark,
            haze=self.factors.haze,
        )
        return make_stem_images(images, local)

    def _interpolated(self, cells: Cells) -> Tensor:
        if self.along is None:
            assert self.planes is not None
            return self.planes[..., cells.rows, cells.columns]
        planes = interpolate_rows(self.along[..., cells.columns], cells.rows, self.phase)
        return planes.reshape(-1, sum(self.bands), *planes.shape[1:])


def make_input_rows(batch: PanBatch) -> InputRows:
    """The images of a batch with statistics, float32 on the CPU."""
    assert batch.statistics is not None
    stats = cast_statistics(batch.ms, batch.statistics)
    factors = band_factors(stats)
    of_pan = stats.pan_mean[:, :1], stats.pan_std[:, :1]  # equal for all bands
    blurred = blurred_images(batch, (stats.ms_mean, stats.ms_std), of_pan)
    blurred |= {name: transposed_positions(blurred[name]) for name in ("soft", "pan")}
    ms, low = blurred["ms"], blurred["low_ms"]
    images = [ms, low, *(local_gains(ms, low, factors.gain, sigma) for sigma in LOCAL_SIGMAS)]
    coarse, along, planes = torch.cat(images, 1), None, None
    if batch.ratio == SHUFFLE:
        along = interpolate_columns(coarse.flatten(0, 1), batch.phase)
    else:
        planes = transposed_positions(to_polyphase(upsample(coarse, batch.ratio, batch.phase)))
    return InputRows(
        phase=batch.phase,
        stats=stats,
        conditions=band_conditions(batch, factors.gain),
        factors=factors,
        blurred=blurred,
        bands=[image.shape[1] for image in images],
        along=along,
        planes=planes,
    )
