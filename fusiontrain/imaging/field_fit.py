"""A shift field fitted to block shifts; taken only where it predicts blocks held out of the fit."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from fusiontrain.imaging.shift_field import ShiftField, Step, powers

_LEAST_BLOCKS = 16
_MAX_DEGREE, _MAX_STEPS = 5, 4
_BLOCKS_A_TERM = 4  # least, of a polynomial
_FLOOR = 0.1  # PAN pixels, of a block's error: of what no smooth field follows
_FITS = 5  # reweighted ones
_SIGNIFICANT = 3.0  # standard errors by which blocks held out must gain
_GAIN = 0.1  # of the held-out error, by each term more
_WHOLE_GAIN = 0.25  # of the held-out error, by the field instead of one shift
_LEAST_RANGE = 0.4  # PAN pixels; a field that varies by less is left out
_LEAST_STEP = 0.3  # PAN pixels


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocks:
    """Accepted blocks. Lengths: places and `side` MS pixels; shifts and errors PAN pixels."""

    places: Tensor  # (B, 2) of centres, as pixel indices
    lines: Tensor  # (B, 2) number of the block's row and column in the grid of blocks
    shifts: Tensor  # (B, 2)
    errors: Tensor  # (B,)
    side: int
    shape: tuple[int, int]  # of the scene, MS pixels

    def beyond(self, step: Step) -> Tensor:
        """(B,) share of each block that lies beyond a step."""
        begin = self.places[:, step.axis] - (self.side - 1) / 2
        return ((begin + self.side - step.at) / self.side).clamp(0, 1)

    def without(self, some: Tensor) -> "Blocks":
        """(B,) bool: the blocks to leave out."""
        return replace(
            self,
            places=self.places[~some],
            lines=self.lines[~some],
            shifts=self.shifts[~some],
            errors=self.errors[~some],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class FittedField:
    """A field and RMS distances of blocks held out: from one shift for all, and from the field."""

    field: ShiftField
    before: float  # PAN pixels
    after: float

    def __str__(self) -> str:
        """What the MS's displacement ranges over, as `SensorModel.displacement`."""
        values = -self.field.over_scene().flatten(1)
        (top, bottom), (left, right) = torch.stack([values.amin(1), values.amax(1)], 1).tolist()
        lines = ", ".join(
            f"{'row' if step.axis == 0 else 'column'} {step.at:.0f}" for step in self.field.steps
        )
        jump = f", with a jump at MS {lines}" if lines else ""
        return (
            f"{top:+.2f} to {bottom:+.2f} rows, {left:+.2f} to {right:+.2f} columns of PAN pixels"
            f"{jump}"
        )

    def as_data(self) -> dict[str, Any]:
        """For --json: where the MS lies off the PAN, PAN pixels, down and right positive."""
        values = -self.field.over_scene().flatten(1)
        return {
            "rows": [float(values[0].min()), float(values[0].max())],
            "columns": [float(values[1].min()), float(values[1].max())],
            "degree": self.field.degree,
            "jumps": [
                {
                    "along": "rows" if step.axis == 0 else "columns",
                    "at": step.at,
                    "change": [-step.change[0], -step.change[1]],
                }
                for step in self.field.steps
            ],
            "held_out_before": self.before,
            "held_out_after": self.after,
        }


def choose_field(blocks: Blocks, *, steps: bool, start: tuple[Step, ...] = ()) -> ShiftField | None:
    """The field, or None where one shift for all predicts the blocks held out as well.

    Terms are added one by one, each that which predicts held-out blocks best: a higher degree, or
    with `steps` a step. Blocks are held out in four interleaved parts. `start`: steps that are
    there at first.
    """
    if len(blocks.places) < _LEAST_BLOCKS or len(_folds(blocks)) < 4:
        return None
    constant = _Model(blocks=blocks, degree=0)
    # Beyond this an error is that of a wrong match, and counts no more.
    distances = constant.held_out(math.inf).sqrt()
    cap = float(3 * (1.5 * distances.median()).clamp_min(2 * _FLOOR)) ** 2
    model = replace(constant, steps=start)
    error = model.held_out(cap)
    while True:
        candidates = [(m, m.held_out(cap)) for m in _larger(model, steps=steps)]
        better = [(m, e) for m, e in candidates if _gains(error, e, _GAIN)]
        if not better:
            break
        _, least = min(better, key=lambda pair: float(pair[1].mean()))
        # The smallest of those that predict about as well.
        alike = [(m, e) for m, e in better if not _gains(e, least, _GAIN)]
        model, error = min(alike, key=lambda pair: (pair[0].terms, float(pair[1].mean())))
    return None if model is constant else model.field()


def fitted(field: ShiftField, blocks: Blocks) -> FittedField | None:
    """`field` with its terms fitted to `blocks`; None where it gains too little over one shift."""
    model = _Model(blocks=blocks, degree=field.degree, steps=field.steps)
    constant = _Model(blocks=blocks, degree=0)
    distances = constant.held_out(math.inf)
    cap = float(3 * (1.5 * distances.sqrt().median()).clamp_min(2 * _FLOOR)) ** 2
    before, after = constant.held_out(cap), model.held_out(cap)
    found = model.field()
    values = found.over_scene().flatten(1)
    varies = float((values.amax(1) - values.amin(1)).max())
    if varies < _LEAST_RANGE or not _gains(before, after, _WHOLE_GAIN):
        return None
    return FittedField(
        field=found, before=float(before.mean().sqrt()), after=float(after.mean().sqrt())
    )


def _gains(before: Tensor, after: Tensor, share: float) -> bool:
    """Whether held-out errors fall by the share at least, and by more than chance would."""
    gain = before - after
    spread = float(gain.std()) / math.sqrt(len(gain)) + 1e-12
    mean = float(gain.mean())
    return mean > share * float(before.mean()) and mean > _SIGNIFICANT * spread


def _folds(blocks: Blocks) -> list[Tensor]:
    """Four interleaved parts, as masks."""
    part = (blocks.lines % 2 * torch.tensor([2, 1])).sum(1)
    return [part == fold for fold in range(4) if bool((part == fold).any())]


@dataclass(frozen=True, kw_only=True)
class _Model:
    blocks: Blocks
    degree: int
    steps: tuple[Step, ...] = ()

    @property
    def terms(self) -> int:
        return len(powers(self.degree)) + len(self.steps)

    def design(self) -> Tensor:
        """(B, terms)."""
        size = torch.tensor(self.blocks.shape, dtype=torch.float64)
        y, x = (2 * (self.blocks.places + 0.5) / size - 1).T
        terms = [y**i * x**j for i, j in powers(self.degree)]
        terms += [self.blocks.beyond(step) for step in self.steps]
        return torch.stack(terms, 1)

    def held_out(self, cap: float) -> Tensor:
        """(B,) squared distance of each block from a fit without it and its like, at most `cap`."""
        design, error = self.design(), self.blocks.errors.new_zeros(len(self.blocks.errors))
        for out in _folds(self.blocks):
            terms = _robust_fit(design[~out], self.blocks.shifts[~out], self.blocks.errors[~out])
            error[out] = (self.blocks.shifts[out] - design[out] @ terms).square().sum(1)
        return error.clamp_max(cap)

    def field(self) -> ShiftField:
        """Fitted to all blocks."""
        blocks = self.blocks
        terms = _robust_fit(self.design(), blocks.shifts, blocks.errors)
        count = len(powers(self.degree))
        changes = terms[count:].tolist()
        low, high = (blocks.places.amin(0) - blocks.side), (blocks.places.amax(0) + blocks.side)
        rows, columns = (tuple(pair) for pair in torch.stack([low, high], 1).tolist())
        return ShiftField(
            shape=blocks.shape,
            degree=self.degree,
            coefficients=terms[:count],
            steps=tuple(
                replace(step, change=(float(change[0]), float(change[1])))
                for step, change in zip(self.steps, changes, strict=True)
            ),
            within=(rows, columns),
        )


def _larger(model: _Model, *, steps: bool) -> Iterator[_Model]:
    """The model with higher degrees, with the step that explains most, and with two of these."""
    for degree in (model.degree + 1, model.degree + 2):  # a bowl has no slope
        terms = len(powers(degree))
        if degree <= _MAX_DEGREE and terms * _BLOCKS_A_TERM <= len(model.blocks.places):
            yield replace(model, degree=degree)
    if not steps:
        return
    # Two at once, and with a lower degree: a polynomial may stand for both, so that neither gains
    # by itself.
    for degree in {model.degree, max(0, model.degree - 1)}:
        larger: _Model | None = replace(model, degree=degree)
        for _ in range(2):
            larger = None if larger is None else _with_best_step(larger)
            if larger is not None:
                yield larger


def _with_best_step(model: _Model) -> _Model | None:
    if len(model.steps) >= _MAX_STEPS:
        return None
    blocks = model.blocks
    rest = blocks.shifts - model.design() @ _robust_fit(
        model.design(), blocks.shifts, blocks.errors
    )
    best: tuple[float, Step] | None = None
    for step in _possible_steps(blocks):
        beyond = blocks.beyond(step) > 0.5
        if min(int(beyond.sum()), int((~beyond).sum())) < 4:
            continue
        change = rest[beyond].median(0).values - rest[~beyond].median(0).values
        if float(change.abs().max()) < _LEAST_STEP / 2:
            continue
        trial = replace(model, steps=(*model.steps, step))
        left = blocks.shifts - trial.design() @ _robust_fit(
            trial.design(), blocks.shifts, blocks.errors
        )
        cost = float(left.square().sum(1).sqrt().mean())
        if best is None or cost < best[0]:
            best = cost, step
    if best is None:
        return None
    trial = replace(model, steps=(*model.steps, best[1]))
    found = trial.field().steps[-1].change
    return trial if max(map(abs, found)) >= _LEAST_STEP else None


def _possible_steps(blocks: Blocks) -> Iterator[Step]:
    """Between neighbouring lines of blocks."""
    for axis in (0, 1):
        for line in range(1, int(blocks.lines[:, axis].max()) + 1):
            first = blocks.places[blocks.lines[:, axis] == line, axis]
            before = blocks.places[blocks.lines[:, axis] == line - 1, axis]
            if len(first) and len(before):
                between = (float(first[0]) + float(before[0]) + 1) / 2
                yield Step(axis=axis, at=between, change=(0.0, 0.0))


def _robust_fit(design: Tensor, shifts: Tensor, errors: Tensor) -> Tensor:
    """(terms, 2): least squares with Cauchy's weights, so that wrong matches count little."""
    own = 1 / (errors.square() + _FLOOR**2)
    weights = own
    terms = torch.zeros(design.shape[1], 2, dtype=torch.float64)
    ridge = 1e-9 * float(own.sum()) * torch.eye(design.shape[1], dtype=torch.float64)
    for _ in range(_FITS):
        weighted = design * weights[:, None]
        terms = torch.linalg.solve(design.T @ weighted + ridge, weighted.T @ shifts)
        rest = (shifts - design @ terms).square().sum(1).sqrt()
        scale = 2 * (1.5 * rest.median()).clamp_min(_FLOOR / 2)
        weights = own / (1 + (rest / scale).square())
    return terms
