"""In what two runs differ, and whether one is the other with another end."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fusiontrain.errors import TrainingError
from fusiontrain.training.config import TrainConfig

IDENTITY = ("config", "manifests", "shares", "left_out", "stream")  # what decides a run
_LENGTH = frozenset({"max_steps", "max_minutes"})
_WORDS = {
    "manifests": "`shards`",
    "shares": "the shares of `shards`",
    "left_out": "the bad shards that are left out",
    "stream": "`stream`",
}


def recorded(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a run, of its facts; empty if they are of a version that did not record it."""
    if not isinstance(facts.get("config"), dict):
        return {}
    return {name: facts[name] for name in IDENTITY if name in facts}


def refuse_other_run(
    what: str,
    held: Mapping[str, Any],
    now: Mapping[str, Any],
    *,
    out: Path,
    steps: int,
    seconds: float,
) -> None:
    """Nothing if `now` is the run `held` with an end that lies beyond what was trained.

    `what`: how the message begins. `out`: the folder of `held`. `steps`, `seconds`: trained.
    Raises: TrainingError naming what differs.
    """
    old, new = recorded(held), recorded(now)
    if not old or not new:
        raise TrainingError(
            f"{what} (other shards, options or version)\n"
            "  do: give `out` another folder, or delete this one to train anew"
        )
    differing = _differing_options(old["config"], new["config"])
    others = [name for name in _WORDS if old.get(name) != new.get(name)]
    if len(others) > 1 or set(differing) - _LENGTH:  # shares follow from shards and batch size
        others = [name for name in others if name != "shares"]
    if others or set(differing) - _LENGTH:
        said = [*map(_WORDS.__getitem__, others)]
        said += [f"`{n}` {a} there, {b} here" for n, (a, b) in differing.items()]
        raise TrainingError(
            f"{what}: {'; '.join(said)}\n"
            "  do: give `out` another folder, or delete this one to train anew"
        )
    config = _whole(new["config"])
    minutes, ends = config["max_minutes"], list[tuple[str, str]]()
    if minutes is not None and seconds >= 60 * minutes:
        used = f"{math.ceil(seconds / 6) / 10:g}"  # rounded up: what lies above it is accepted
        ends.append((f"{used} min", f"`max_minutes` above {used}"))
    if steps >= config["max_steps"]:
        ends.append((f"{steps} steps", f"`max_steps` above {steps}"))
    if ends:
        trained, later = (" and ".join(words) for words in zip(*ends, strict=True))
        raise TrainingError(f"{out} already has {trained}: give {later}, or `out` another folder")


def length_note(held: Mapping[str, Any], config: TrainConfig, step: int) -> tuple[str, bool] | None:
    """A line for a run that goes on from `step` to another end, and whether it is exact.

    None: to the same end. Exact: as if the run had had this end from its start, since its rates
    so far were the same.
    """
    old = _whole(held)
    if not held or all(old[name] == getattr(config, name) for name in _LENGTH):
        return None
    end = f"{config.max_steps} steps" + (
        "" if config.max_minutes is None else f" or {config.max_minutes:g} min"
    )
    if _same_rates(old, config, step):
        return f"going on from step {step} to {end}, as a run of that length from its start", True
    return (
        f"going on from step {step} to {end}; the rates of schedule {config.schedule} so far were "
        f"those of a run of {old['max_steps']} steps, so the result is not that of a run of this "
        "length from its start (schedule constant, or wsd before it cools down, goes on exactly)"
    ), False


def _same_rates(old: Mapping[str, Any], config: TrainConfig, step: int) -> bool:
    if step == 0 or config.schedule == "constant":
        return True
    if config.schedule != "wsd" or old["max_minutes"] or config.max_minutes:
        return False
    cooled = (step - 1) / min(old["max_steps"], config.max_steps)
    return cooled <= 1 - config.decay_share


def _differing_options(
    old: Mapping[str, Any], new: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    before, after = _whole(old), _whole(new)
    names = [*before, *(name for name in after if name not in before)]
    return {
        ("weights" if name == "initial" else name): _shown(name, before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    }


def _shown(name: str, before: Any, after: Any) -> tuple[Any, Any]:
    """Digests by their beginnings."""
    if name != "initial":
        return before, after
    return str(before)[:8] or "none", str(after)[:8] or "none"


def _whole(config: Mapping[str, Any]) -> dict[str, Any]:
    """With the defaults that TrainConfig.as_data leaves out."""
    return asdict(TrainConfig()) | dict(config)
