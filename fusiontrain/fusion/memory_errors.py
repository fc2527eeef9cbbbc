"""Memory that ran out, as one line: torch, numpy and CUDA each say it in another way."""

from collections.abc import Iterator
from contextlib import contextmanager

from fusiontrain.errors import SceneError

_SAYINGS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raises: SceneError that says what to do, where memory runs out in the block."""
    try:
        yield
    except MemoryError as error:
        raise _too_little(error) from error
    except RuntimeError as error:
        if not any(saying in str(error).lower() for saying in _SAYINGS):
            raise
        raise _too_little(error) from error


def _too_little(error: Exception) -> SceneError:
    why = " ".join(str(error).split())[:160]
    return SceneError(
        f"memory ran out{why and f' ({why})'}: give a smaller `window` or `memory`, fewer `bands`, "
        "or close other programs"
    )
