"""The batches of a run: of shards on disk, read through first, or of shards that are streamed."""

from collections.abc import Sequence
from typing import Any

from fusiontrain.data.dataset import IndexedShards, ShardBatches
from fusiontrain.data.shard_integrity import (
    BadTolerance,
    ShardSet,
    find_bad_shards,
    refuse_beyond,
)
from fusiontrain.data.shard_location import StreamSet
from fusiontrain.errors import TrainingError
from fusiontrain.training.accelerate_setup import Distributed
from fusiontrain.training.config import RunOptions, TrainConfig


def open_data(
    distributed: Distributed,
    config: TrainConfig,
    sets: Sequence[ShardSet | StreamSet],
    options: RunOptions,
) -> tuple[ShardBatches[Any], list[str]]:
    """The batches of this rank, and the shards that are left out as bad, as `number/name`.

    Raises: TrainingError, ContractError, SharingError.
    """
    _refuse_uneven(distributed, config, options)
    local = [one for one in sets if isinstance(one, ShardSet)]
    streamed = [one for one in sets if isinstance(one, StreamSet)]
    if options.stream:
        if local:
            raise TrainingError("a run that streams takes its shards as StreamSets")
        return distributed.run_on_all(lambda: _streamed(distributed, config, streamed, options)), []
    if streamed:
        raise TrainingError("StreamSets are for runs that stream (stream=True)")
    return _indexed(distributed, config, local, options)


def _refuse_uneven(distributed: Distributed, config: TrainConfig, options: RunOptions) -> None:
    pieces = distributed.world * options.accumulate
    if options.accumulate > 1 and config.batch_size % pieces:
        raise TrainingError(
            f"`batch_size` counts all crops of a step and must divide by processes x `accumulate` "
            f"= {distributed.world} x {options.accumulate}; got {config.batch_size}"
        )


def _indexed(
    distributed: Distributed, config: TrainConfig, sets: Sequence[ShardSet], options: RunOptions
) -> tuple[ShardBatches[Any], list[str]]:
    tolerance = BadTolerance.parse(options.max_bad_shards)
    # One rank a machine checks, and all leave out what any has found: else their orders differ.
    own = distributed.run_on_all(
        lambda: (
            find_bad_shards(sets, hashes=True, on_bad=options.on_bad_shard, budget=tolerance)
            if distributed.first_here
            else {}
        )
    )
    bad = {place: why for found in distributed.gather([own]) for place, why in found.items()}
    refuse_beyond(tolerance, bad, sets)
    for reason in bad.values():
        distributed.info(f"left out a bad shard: {reason}")
    data = distributed.run_on_all(
        lambda: IndexedShards(
            sets,
            batch=config.batch_size,
            crop=config.crop,
            seed=config.seed,
            rank=distributed.rank,
            world=distributed.world,
            bad=bad,
        )
    )
    return data, [f"{place}/{name}" for place, name in sorted(bad)]


def _streamed(
    distributed: Distributed, config: TrainConfig, sets: Sequence[StreamSet], options: RunOptions
) -> ShardBatches[Any]:
    if options.on_bad_shard == "skip":
        raise TrainingError(
            "a run that streams cannot leave out bad shards: each is checked as its last byte "
            "comes\n  do: train from a copy on disk (without `stream`), or mend the build"
        )
    if options.picture_steps and not options.validate:
        raise TrainingError(
            "pictures of a run that streams need a build to validate on (`validate`): no shard "
            "lies on disk"
        )
    from fusiontrain.data.stream import StreamedShards  # webdataset: only where it is used

    return StreamedShards(
        sets,
        batch=config.batch_size,
        crop=config.crop,
        seed=config.seed,
        rank=distributed.rank,
        world=distributed.world,
        workers=options.workers,
    )


def stream_notes(
    data: ShardBatches[Any], step: int, saved: list[dict[str, Any]] | None
) -> list[str]:
    """Lines on where a streamed run goes on after `step` steps; none at the start, or on disk."""
    places = data.places(step)
    if not step or places is None:
        return []
    lines = []
    if saved is not None and saved != places:
        lines.append(
            "the state is of another number of processes or workers: some samples of this pass "
            "come twice, some not at all"
        )
    first = [place for place in places if place["worker"] == place["group"] == 0]
    shown = ", ".join(
        f"rank {place['rank']} at {place['shard']}, sample {place['sample']}" for place in first[:8]
    )
    return [*lines, f"streaming goes on after step {step}: {shown}"]
