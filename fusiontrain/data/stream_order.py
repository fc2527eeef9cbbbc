"""Which samples a streaming reader takes, and when: from seed, sizes and lanes alone. Pure.

A lane is one reader: one worker of one rank. In each pass over a group its shards are permuted and
dealt to the lanes in turn. Where there are fewer shards than lanes, several lanes read the same
shard and take every n-th of its samples. A lane that has finished its shards begins its next pass
and waits for no other lane, so that unequal shards stop nobody.

A lane's samples pass through a buffer: BUFFER samples are held in permuted order, and each one
that is taken is replaced by the next of the stream. A position in the output follows from the
number of samples taken, so that a run goes on at the right shard without a record of the past.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fusiontrain.errors import TrainingError

BUFFER = 128  # samples; 90 MB at 4 bands and 256 pixels, for each group and reader
_SHARDS, _SHUFFLE = 3, 4  # keys of the random streams; sampler.py and dataset.py have others


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardRun:
    """A lane's samples of one shard in one pass."""

    shard: int  # in the group
    samples: range  # their numbers in the shard


@dataclass(frozen=True, kw_only=True, slots=True)
class LanePlace:
    """Where a lane's stream stands."""

    number: int  # of the pass
    run: int  # of that pass
    offset: int  # samples of the run that lie before


class LaneOrder:
    """The endless stream of one lane in one group."""

    def __init__(
        self, sizes: Sequence[int], *, seed: int, group: int, lane: int, lanes: int
    ) -> None:
        """`sizes`: samples of each shard. Raises: TrainingError for fewer samples than lanes."""
        if sum(sizes) < lanes:
            raise TrainingError(
                f"{lanes} readers (processes x workers) need a sample each of every band count; "
                f"got {sum(sizes)}: start fewer, or build more"
            )
        self.sizes, self.seed, self.group = tuple(sizes), seed, group
        self.lane, self.lanes = lane, lanes

    def runs(self, number: int) -> list[ShardRun]:
        """The lane's shards in a pass, in order; without those that have no sample for it."""
        order, count = _permutation(self.seed, self.group, number, len(self.sizes)), len(self.sizes)
        if count >= self.lanes:
            shards, first, step = order[self.lane :: self.lanes], 0, 1
        else:
            place = self.lane % count
            step = len(range(place, self.lanes, count))  # lanes that share the shard
            first = (self.lane // count + number) % step
            shards = order[place : place + 1]
        runs = [ShardRun(shard=s, samples=range(first, self.sizes[s], step)) for s in shards]
        return [run for run in runs if len(run.samples)]

    def place(self, position: int) -> LanePlace:
        """Where sample `position` of the lane's stream lies."""
        number = 0
        while True:
            for index, run in enumerate(self.runs(number)):
                if position < len(run.samples):
                    return LanePlace(number=number, run=index, offset=position)
                position -= len(run.samples)
            number += 1

    def shuffle(self, block: int) -> np.ndarray:
        """The order in which the buffer's block of that number is taken, (BUFFER,)."""
        key = [self.seed, _SHUFFLE, self.group, self.lane, block]
        return np.random.default_rng(key).permutation(BUFFER)

    def taken(self, count: int) -> int:
        """The position in the stream of the sample that is taken after `count` others."""
        block, offset = divmod(count, BUFFER)
        return block * BUFFER + int(self.shuffle(block)[offset])


def block_start(count: int) -> int:
    """The first position that must be read again to go on after `count` samples taken."""
    return count // BUFFER * BUFFER


@lru_cache(maxsize=1024)
def _permutation(seed: int, group: int, number: int, count: int) -> list[int]:
    rng = np.random.default_rng([seed, _SHARDS, group, number])
    return [int(x) for x in rng.permutation(count)]
