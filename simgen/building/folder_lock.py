"""Lock of a build's folder: its plan, its writer, and temporary files of killed writers."""

import json
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from shards.atomic_write import sweep_temporaries, whole_file
from shards.bounded_reading import read_json
from shards.locking import AlreadyLocked, file_lock
from simgen.config import digest
from simgen.errors import BuildError

PLAN_NAME, LOCK_NAME = "build.json", ".lock"


@contextmanager
def claimed(
    out: Path, plan: dict[str, Any], *, task: str | None = None, names: Collection[str] = ()
) -> Iterator[None]:
    """The folder, ours alone while the block runs; holds `plan` before the block begins.

    A task of an array shares it with its siblings, and tidies up only what becomes `names`.
    Raises: BuildError if it is taken, holds another plan, or cannot be written.
    """
    with ExitStack() as held:
        try:
            out.mkdir(parents=True, exist_ok=True)
            _lock(held, out / LOCK_NAME, shared=task is not None)
            if task is not None:
                _lock(held, out / f"{LOCK_NAME}-{task}", shared=False)
        except OSError as error:
            raise BuildError(
                f"cannot write to {out.absolute()}: {error.strerror}; "
                "give `out` a folder that you may write to"
            ) from error
        ours = None if task is None else names
        try:
            sweep_temporaries(out, ours)
            if _is_new(out, plan):
                with whole_file(out / PLAN_NAME) as file:
                    file.write(json.dumps(plan, indent=1, sort_keys=True).encode() + b"\n")
            try:
                yield
            finally:  # killed workers leave theirs to us
                sweep_temporaries(out, ours)
        except OSError as error:
            raise BuildError(f"cannot go on writing to {out}: {error.strerror or error}") from error


def _lock(held: ExitStack, path: Path, *, shared: bool) -> None:
    try:
        held.enter_context(file_lock(path, shared=shared))
    except AlreadyLocked as error:
        what = f"{path.name} is held" if "-" in path.name else "wait for it"
        raise BuildError(f"another build is running in {path.parent}; {what}") from error


def _is_new(out: Path, plan: dict[str, Any]) -> bool:
    """Whether the folder holds no build yet; BuildError if it holds another, or other tars."""
    path = out / PLAN_NAME
    if not path.exists():
        if any(out.glob("*.tar")):
            raise BuildError(f"{out} holds tars of another origin; give `out` an empty folder")
        return True
    try:
        held = dict(read_json(path))
    except (ValueError, TypeError) as error:
        raise BuildError(f"{path} is damaged ({error}); delete the folder to build anew") from error
    shown = differences(held, plan)
    if shown:
        raise BuildError(
            f"{out} holds another build ({shown})\n"
            "  do: give `out` another folder, or delete this one to build anew"
        )
    return False


def differences(held: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Empty if two plans are the same; else each key that is not, with both values in brief."""
    wanted = json.loads(json.dumps(wanted))
    different = sorted(k for k in {*wanted, *held} if wanted.get(k) != held.get(k))
    return "; ".join(f"{k}: {_brief(held, k)} there, {_brief(wanted, k)} asked" for k in different)


def _brief(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    if isinstance(value, dict):
        return f"{value.get('name', '')} {digest(value)[:8]}".strip()
    return str(value)[:16]
