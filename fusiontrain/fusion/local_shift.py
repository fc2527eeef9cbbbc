"""Local shift: how the shift between PAN and MS varies over a scene, estimated on its blocks."""

from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from fusiontrain.imaging.block_shifts import (
    BlockRegression,
    BlockShifts,
    block_margin,
    estimate_block_shifts,
)
from fusiontrain.imaging.field_fit import Blocks, FittedField, choose_field, fitted
from fusiontrain.imaging.masks import ms_valid_mask
from fusiontrain.imaging.shift_estimation import Shift
from fusiontrain.imaging.shift_field import ShiftField, Step
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.scene import WindowedScene

_SIDE, _LEAST_SIDE = 32, 16  # MS pixels of a block
_LINES = 12  # of blocks, an axis, at most
_FEW = 24  # blocks estimated together: bounds memory
_ENOUGH = 0.5  # of the blocks with data: fewer that count are a scene that supports no field
_WIDEST = 3  # block sides between blocks, beyond which steps are not looked for
_ROUNDS = 3
_TILES = 6  # along a step, in which its place is looked for


def estimate_local_shift(scene: WindowedScene, *, sigma: float, shift: Shift) -> FittedField | None:
    """The field of a scene whose blocks are predicted by one; None: one shift for all.

    `sigma`: PAN pixels, of the blur from PAN to MS; `shift`: of the whole scene.
    """
    margin = block_margin(sigma, scene.ratio)
    side = min(_SIDE, max(_LEAST_SIDE, (min(scene.shape) - 2 * margin) // 8))
    starts = [_starts(size, side, margin) for size in scene.shape]
    blocks = _estimated(scene, starts, side, sigma, shift)
    if blocks is None:
        return None
    if min(map(len, starts)) < 2:
        return None
    spacing = max(b - a for axis in starts for a, b in pairwise(axis))
    found: list[FittedField] = []
    start: tuple[Step, ...] = ()
    for _ in range(_ROUNDS):  # steps in place leave less for a polynomial to imitate
        field = choose_field(blocks, steps=spacing <= _WIDEST * side, start=start)
        if field is None:
            break
        for step in field.steps[len(start) :]:
            placed = _placed(scene, field, step, spacing, side, sigma)
            field = replace(field, steps=tuple(placed if s is step else s for s in field.steps))
        fit = fitted(field, blocks)
        found += [] if fit is None else [fit]
        if field.steps == start:
            break
        start = field.steps
    return min(found, key=lambda fit: fit.after, default=None)


def _estimated(
    scene: WindowedScene, starts: list[list[int]], side: int, sigma: float, shift: Shift
) -> Blocks | None:
    """The accepted blocks; None where too few are."""
    places, lines = [], []
    estimates: list[BlockShifts] = []
    waiting: list[tuple[Tensor, Tensor]] = []

    def estimate() -> None:
        if waiting:
            ms, pan = (torch.stack(images) for images in zip(*waiting, strict=True))
            grids = (scene.ratio, sigma, shift, scene.phase)
            estimates.append(estimate_block_shifts(ms, pan, *grids))
            waiting.clear()

    margin = block_margin(sigma, scene.ratio)
    for row, top in enumerate(starts[0]):
        for column, left in enumerate(starts[1]):
            core = Box(top=top, left=left, bottom=top + side, right=left + side)
            block = _read(scene, core, margin)
            if block is not None:
                places.append([top + (side - 1) / 2, left + (side - 1) / 2])
                lines.append([row, column])
                waiting.append(block)
            if len(waiting) == _FEW:
                estimate()
    estimate()
    if not places:
        return None
    kept = torch.cat([e.accepted for e in estimates])
    if float(kept.double().mean()) < _ENOUGH:
        return None
    return Blocks(
        places=torch.tensor(places, dtype=torch.float64),
        lines=torch.tensor(lines),
        shifts=torch.cat([e.shifts for e in estimates]),
        errors=torch.cat([e.errors for e in estimates]),
        side=side,
        shape=scene.shape,
    ).without(~kept)


def _placed(
    scene: WindowedScene, field: ShiftField, step: Step, spacing: int, side: int, sigma: float
) -> Step:
    """The step at the line that parts the pixels which fit the shift before it from those beyond.

    Looked for within `spacing` of where blocks put it.
    """
    margin = block_margin(sigma, scene.ratio)
    along, across = scene.shape[step.axis], scene.shape[1 - step.axis]
    first = max(margin, round(step.at) - spacing)
    last = min(along - margin, round(step.at) + spacing)
    room = across - 2 * margin - side
    sums: Tensor | None = None
    without = replace(field, steps=tuple(s for s in field.steps if s is not step))
    for i in range(_TILES):
        left = margin + round(i * room / (_TILES - 1))
        ends = [(first, last), (left, left + side)]
        (top, bottom), (start, end) = ends if step.axis == 0 else ends[::-1]
        core = Box(top=top, left=start, bottom=bottom, right=end)
        tile = _read(scene, core, margin)
        if tile is None:
            continue
        middle = torch.tensor([[(top + bottom) / 2], [(start + end) / 2]])
        before = without.at(middle[0], middle[1])[:, 0, 0]
        beyond = before + torch.tensor(step.change, dtype=torch.float64)
        regression = BlockRegression(tile[0][None], tile[1][None], scene.ratio, sigma, scene.phase)
        squares = torch.stack(
            [regression.residuals(s[None])[0][0, :, 0].square() for s in (before, beyond)]
        ).reshape(2, *core.shape)
        by_line = squares.sum(2 - step.axis)
        sums = by_line if sums is None else sums + by_line
    if sums is None:
        return step
    # Before line k the first shift counts, from there on the second.
    none = sums.new_zeros(1)
    costs = torch.cat([none, sums[0].cumsum(0)]) + torch.cat(
        [sums[1].flip(0).cumsum(0).flip(0), none]
    )
    return replace(step, at=float(first + int(costs.argmin())))


def _starts(size: int, side: int, margin: int) -> list[int]:
    """Where blocks begin: side by side in small scenes, else spread evenly."""
    room = size - 2 * margin - side
    if room < 0:
        return []
    count = min(_LINES, room // side + 1)
    if count == 1:
        return [margin + room // 2]
    return [margin + round(i * room / (count - 1)) for i in range(count)]


def _read(scene: WindowedScene, core: Box, margin: int) -> tuple[Tensor, Tensor] | None:
    """(C, n, m) MS and (H, W) PAN with its margin; None where a pixel is missing."""
    outer = Box(
        top=core.top - margin,
        left=core.left - margin,
        bottom=core.bottom + margin,
        right=core.right + margin,
    )
    window = scene.read(outer)
    if not bool(ms_valid_mask(window.valid, scene.ratio).all()):
        return None
    rows, columns = core.inside(outer)
    return window.ms[:, rows, columns], window.pan[0]
