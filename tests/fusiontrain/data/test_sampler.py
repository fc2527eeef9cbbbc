"""The order of samples, by laws that any order without repeats or losses obeys."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusiontrain.data.sampler import BatchSampler
from fusiontrain.errors import TrainingError

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=4)


@settings(max_examples=60)
@given(SIZES, st.integers(1, 9), st.integers(0, 3))
def test_every_pass_holds_every_sample_once(sizes, batch, seed):
    """Whatever the remainders: over whole passes, no sample is dropped and none repeats."""
    order = BatchSampler(sizes, batch=batch, seed=seed)
    passes: dict[tuple[int, int], list[int]] = {}
    for k in range(order.begin(6 * batch)):
        drawn = order[k]
        assert batch == len(drawn.samples)
        for one in drawn.samples:
            passes.setdefault((drawn.group, one.number), []).append(one.sample)

    # After a multiple of `batch` rounds every group's passes are complete.
    for group, size in enumerate(sizes):
        for number in range(6 * batch):
            assert list(range(size)) == sorted(passes[group, number])
        assert (group, 6 * batch) not in passes


@given(SIZES, st.integers(1, 9), st.integers(0, 400))
def test_any_batch_is_found_without_walking_there(sizes, batch, k):
    """A fresh order asked for batch k alone gives what one that walked gives."""
    walked = BatchSampler(sizes, batch=batch, seed=1)
    for before in range(max(0, k - 3), k):
        walked[before]

    assert walked[k] == BatchSampler(sizes, batch=batch, seed=1)[k]


def test_shares_say_how_often_a_set_comes():
    """A set of a tenth of the samples may be half of the batches."""
    order = BatchSampler([900, 100], batch=10, seed=0, shares=[0.5, 0.5])

    seen = Counter(order[k].group for k in range(order.begin(10)))

    assert {0: 500, 1: 500} == seen
    by_size = BatchSampler([900, 100], batch=10, seed=0)
    assert {0: 900, 1: 100} == Counter(by_size[k].group for k in range(by_size.begin(10)))


def test_no_group_is_so_small_that_it_never_comes():
    """One sample beside three million: once a round of its own, however rare."""
    order = BatchSampler([3_000_000, 1], batch=1, seed=0, shares=[1 - 1 / 3_000_001, 1 / 3_000_001])

    assert pytest.approx(1.0, rel=1e-6) == float(order.quota[1])


def test_passes_and_seeds_differ():
    order = BatchSampler([50], batch=50, seed=0)

    first, second = ([one.sample for one in order[k].samples] for k in (0, 1))

    assert first != second
    assert first != [one.sample for one in BatchSampler([50], batch=50, seed=1)[0].samples]


@pytest.mark.parametrize(
    ("sizes", "batch", "shares"), [([], 1, None), ([0], 1, None), ([3], 0, None), ([3], 1, [0.0])]
)
def test_what_has_no_order_is_refused(sizes, batch, shares):
    with pytest.raises(TrainingError, match="expected"):
        BatchSampler(sizes, batch=batch, seed=0, shares=shares)
