"""Which samples make up training batch k: a function of seed and sizes alone. Pure.

Samples lie in groups whose members can share a batch (one shard set, band count and ratio). A
group's stream is pass after pass over its samples, each pass a new permutation, cut into
global batches: a batch may hold the end of one pass and the start of the next, so no sample is
dropped and none comes twice in a pass. Ranks take slices of global batches, so the order knows
nothing of ranks or workers, and any k is found without walking there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from fusiontrain.errors import TrainingError

_MIX, _PASS = 0, 1  # keys of the random streams; dataset.py has another


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleRef:
    """One sample of a batch."""

    sample: int  # in its group
    number: int  # of the pass over the group that it belongs to


@dataclass(frozen=True, kw_only=True, slots=True)
class GlobalBatch:
    """The samples of one step, of all ranks together."""

    group: int
    samples: tuple[SampleRef, ...]


class BatchSampler:
    """Batches by number, without end."""

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        batch: int,
        seed: int,
        shares: Sequence[float] | None = None,
    ) -> None:
        """`sizes`: samples a group. `shares` of all batches, one a group; None: as the sizes are.

        Raises: TrainingError for an empty group, a share that is not positive or a batch below 1.
        """
        if not sizes or min(sizes) < 1 or batch < 1:
            raise TrainingError(f"expected samples and a batch; got sizes {list(sizes)}, {batch}")
        if shares is not None and (len(shares) != len(sizes) or min(shares) <= 0):
            raise TrainingError(
                f"expected a positive share for each of {len(sizes)} groups; got {list(shares)}"
            )
        self.sizes, self.batch, self.seed = tuple(sizes), batch, seed
        total = Fraction(sum(sizes), batch)  # batches that one round over everything takes
        exact = [Fraction(x) for x in (shares or sizes)]
        # 0.3 as 3/10; a share too small for that is kept, or it would never be drawn.
        weights = [x.limit_denominator(10**6) or x for x in exact]
        self.quota = tuple(total * w / sum(weights) for w in weights)  # batches a round
        self._whole = sum(self.quota)
        self._held: dict[tuple[int, int], tuple[int, np.ndarray]] = {}

    def __getitem__(self, k: int) -> GlobalBatch:
        if k < 0:
            raise IndexError(k)
        number = self.round_of(k)
        sequence, counts = self._mix(number)
        place = k - self.begin(number)
        group = int(sequence[place])
        before = _times(number, self.quota[group]) + int(counts[place])
        samples, size = [], self.sizes[group]
        for position in range(before * self.batch, (before + 1) * self.batch):
            turn, offset = divmod(position, size)
            drawn = int(self._pass(group, turn)[offset])
            samples.append(SampleRef(sample=drawn, number=turn))
        return GlobalBatch(group=group, samples=tuple(samples))

    def group_of(self, k: int) -> int:
        """The group that batch k draws from."""
        number = self.round_of(k)
        return int(self._mix(number)[0][k - self.begin(number)])

    def groups_before(self, k: int) -> np.ndarray:
        """The groups of batches 0 to k - 1, (k,)."""
        last = self.round_of(k)
        rounds = [self._mix(number)[0] for number in range(last + 1)]
        return np.concatenate(rounds)[:k]

    def round_of(self, k: int) -> int:
        """The round, about one pass over everything, that batch k belongs to."""
        number = k * self._whole.denominator // self._whole.numerator
        while self.begin(number) > k:
            number -= 1
        while self.begin(number + 1) <= k:
            number += 1
        return number

    def begin(self, number: int) -> int:
        """The first batch of a round."""
        return sum(_times(number, quota) for quota in self.quota)

    def _pass(self, group: int, number: int) -> np.ndarray:
        """The group's permutation in that pass. Two are kept a group: a batch may span both."""
        place = (group, number % 2)
        if place not in self._held or self._held[place][0] != number:
            rng = np.random.default_rng([self.seed, _PASS, group, number])
            self._held[place] = (number, rng.permutation(self.sizes[group]).astype(np.uint32))
        return self._held[place][1]

    def _mix(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        lengths = tuple(_times(number + 1, q) - _times(number, q) for q in self.quota)
        return _mixture(self.seed, number, lengths)


def _times(number: int, quota: Fraction) -> int:
    """Rounded down; exact, without the cost of a Fraction."""
    return number * quota.numerator // quota.denominator


@lru_cache(maxsize=4)
def _mixture(seed: int, number: int, lengths: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Groups of a round's batches in their order, and how often each came before."""
    sequence = np.repeat(np.arange(len(lengths)), lengths)
    sequence = np.random.default_rng([seed, _MIX, number]).permutation(sequence)
    counts = np.zeros(len(sequence), np.int64)
    for group in range(len(lengths)):
        of_group = sequence == group
        counts[of_group] = np.arange(int(of_group.sum()))
    return sequence, counts
