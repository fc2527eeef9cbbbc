"""Which samples readers take: all of a pass, none twice, and the same from any start."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from fusiontrain.data.stream_order import BUFFER, LaneOrder, block_start
from fusiontrain.errors import TrainingError

SIZES = [5, 9, 1, 7]  # 22 samples in shards of unequal length


def lane(number, lanes, sizes=SIZES, seed=3) -> LaneOrder:
    return LaneOrder(sizes, seed=seed, group=1, lane=number, lanes=lanes)


def samples_of_pass(order, number):
    return [(run.shard, sample) for run in order.runs(number) for sample in run.samples]


@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 5, 9, 22])
def test_lanes_share_every_pass_without_overlap(lanes):
    """With fewer shards than lanes too: each sample once."""
    everything = {(shard, sample) for shard, size in enumerate(SIZES) for sample in range(size)}
    for number in range(4):
        taken = Counter(
            sample for k in range(lanes) for sample in samples_of_pass(lane(k, lanes), number)
        )
        assert everything == set(taken)
        assert {1} == set(taken.values())


def test_passes_differ_and_follow_from_the_seed():
    """Another order each pass; another seed, other orders."""
    passes = [samples_of_pass(lane(0, 1), number) for number in range(5)]
    assert len({tuple(one) for one in passes}) > 2
    assert passes == [samples_of_pass(lane(0, 1), number) for number in range(5)]
    assert passes != [samples_of_pass(lane(0, 1, seed=4), number) for number in range(5)]


@pytest.mark.parametrize(("number", "lanes"), [(0, 1), (1, 3), (5, 7)])
def test_a_place_is_found_without_reading(number, lanes):
    """Position for position the place that walking there gives."""
    order = lane(number, lanes)
    walked = [
        (p, index, offset)
        for p in range(6)
        for index, run in enumerate(order.runs(p))
        for offset in range(len(run.samples))
    ]
    for position, expected in enumerate(walked):
        place = order.place(position)
        assert expected == (place.number, place.run, place.offset)


def test_a_lane_that_gets_no_sample_in_a_pass_goes_on_to_the_next():
    """Two lanes on one shard of one sample each: both get samples, in turn."""
    for number in range(2):
        order = lane(number, 2, sizes=[1, 1])
        assert 2 == len([order.place(position) for position in range(2)])


def test_the_buffer_gives_each_sample_once():
    """Two blocks of the output are two permutations of the stream's first samples."""
    order = lane(0, 1)
    taken = [order.taken(count) for count in range(2 * BUFFER)]
    assert list(range(BUFFER)) == sorted(taken[:BUFFER])
    assert list(range(BUFFER, 2 * BUFFER)) == sorted(taken[BUFFER:])
    assert taken[:BUFFER] != sorted(taken[:BUFFER])
    assert [0, 0, BUFFER] == [block_start(n) for n in (0, BUFFER - 1, BUFFER)]


def test_more_lanes_than_samples_are_refused():
    """A reader without a sample would wait for ever."""
    with pytest.raises(TrainingError, match="23 readers"):
        lane(0, 23)


def test_neighbouring_lanes_are_shuffled_apart():
    first, second = (list(islice(lane(k, 2).shuffle(0), 20)) for k in range(2))
    assert not np.array_equal(first, second)
