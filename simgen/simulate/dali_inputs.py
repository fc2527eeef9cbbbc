"""Arrays that DALI's graphs are fed with: a job's image, and its drawn parameters as numpy."""

from collections.abc import Callable, Sequence

import numpy as np

from simgen.config import Recipe
from simgen.physics.geometry import place
from simgen.physics.kernels import stacked
from simgen.physics.shadows import shade
from simgen.physics.spectral import MATERIALS
from simgen.sampling import draw_texture_nodes
from simgen.simulate.job import Job

BATCH = 8  # fixed: memory, not results, depends on it


class Feed:
    """What a pipeline asks for its next batch; given jobs again, the pipeline runs again."""

    def __init__(self) -> None:
        self._waiting: list[Job] = []
        self._row: Callable[[Job], list[np.ndarray]]

    def give(self, jobs: Sequence[Job], row: Callable[[Job], list[np.ndarray]]) -> None:
        self._waiting, self._row = list(jobs), row

    def __call__(self, _: int) -> list[list[np.ndarray]]:
        # A pipeline and its feed lie in cycles, which Python collects late: no job stays here.
        batch = self._waiting[:BATCH]
        del self._waiting[:BATCH]
        if not batch:
            raise StopIteration
        return [list(column) for column in zip(*map(self._row, batch), strict=True)]


# Types of a crop's own four inputs: encoded image, corner, size, size on the scene grid.
CROP_TYPES = (np.uint8, np.int32, np.int32, np.float32)


def encoded_row(job: Job) -> list[np.ndarray]:
    return [
        np.frombuffer(job.image, np.uint8),
        np.array(job.draw.crop[:2], np.int32),
        np.array(job.draw.crop[2:], np.int32),
        np.array(job.draw.resized, np.float32),
    ]


def decoded_row(job: Job) -> list[np.ndarray]:
    row, column, height, width = job.draw.crop
    bands = np.asarray(job.image)[row : row + height, column : column + width]
    return [np.ascontiguousarray(bands, np.float32), np.array(job.draw.resized, np.float32)]


# Name and type of the graph's inputs after a crop's own four, in the order of graph_row().
GRAPH_INPUTS = (
    ("corner", np.int32),
    ("flip_v", np.int32),
    ("flip_h", np.int32),
    ("jitter", np.float32),
    ("jitter_offset", np.float32),
    ("sharpen", np.float32),
    ("gamma", np.float32),
    ("rows", np.float32),
    ("offset", np.float32),
    ("pan_rows", np.float32),
    ("pan_offset", np.float32),
    ("logits", np.float32),
    ("logits_offset", np.float32),
    ("tints", np.float32),
    ("shade", np.float32),
    ("texture", np.float32),
    ("texture_span", np.float32),
    ("texture_spread", np.float32),
    ("gt", np.float32),
    ("ms", np.float32),
    ("pan", np.float32),
)
_BINOMIAL = np.outer([1, 2, 1], [1, 2, 1]) / 16
_ALONE = np.outer([0, 1, 0], [0, 1, 0])

Shapes = tuple[tuple[int, ...], ...]  # (terms, taps) of gt, ms and pan


def graph_row(job: Job, recipe: Recipe, shapes: Shapes, *, hidden: bool) -> list[np.ndarray]:
    draw, optics, f32 = job.draw, job.draw.optics, np.float32
    jitter = draw.jitter or (np.eye(3), np.zeros(3))
    spare = int(hidden) - (draw.rows_DF.shape[0] - draw.bands)
    gt, ms, pan = (
        _shaped(kernels, shape)
        for kernels, shape in zip((optics.gt, optics.ms, optics.pan), shapes, strict=True)
    )
    # Equal logits and tints of one change nothing.
    none = (np.zeros((MATERIALS, 4), f32), np.ones((len(draw.rows_DF), MATERIALS), f32))
    materials = draw.materials or none
    fine = recipe.tile * recipe.oversample
    light = np.ones((1, 1, 1), f32)
    if draw.shadows:
        light = place(shade(draw.shadows, draw.resized)[..., None], draw.corner, fine, draw.flip)
    # resize() from node to node: it takes pixels for areas, whose edges lie half of one beyond.
    step = (draw.texture_nodes - 1) / (fine - 1)
    span = np.array([0.5 - step / 2, 0.5 - step / 2 + fine * step], f32)
    return [
        *encoded_row(job),
        np.array(draw.corner, np.int32),
        np.array(draw.flip[0], np.int32),
        np.array(draw.flip[1], np.int32),
        jitter[0].astype(f32),
        (jitter[1] * 255).astype(f32),
        (_ALONE + draw.high_pass * (_ALONE - _BINOMIAL)).astype(f32),
        np.array(draw.gamma, f32),
        np.pad(draw.rows_DF, ((0, spare), (0, 0))),
        np.pad(draw.offset_D, (0, spare)),
        np.pad(draw.pan_rows_1D, ((0, 0), (0, spare))),
        np.array([draw.pan_offset], f32),
        np.ascontiguousarray(materials[0][:, :3]),
        np.ascontiguousarray(materials[0][:, 3]),
        np.pad(materials[1], ((0, spare), (0, 0)), constant_values=1),
        np.ascontiguousarray(light),
        draw_texture_nodes(draw)[..., None],
        span,
        np.array(draw.pan_texture, f32),
        gt,
        ms,
        pan,
    ]


def _shaped(kernels_CR2K: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The kernels with zero terms and zero taps up to (terms, taps)."""
    template = np.zeros((shape[0], 2, shape[1]), np.float32)
    return stacked([*kernels_CR2K, template])[:-1]
