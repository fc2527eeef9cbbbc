"""What torch.compile cannot do, as an error that a user can act on."""

from collections.abc import Iterator
from contextlib import contextmanager

from fusiontrain.errors import TrainingError


@contextmanager
def naming_compiler_errors(model: str, *, compiled: bool) -> Iterator[None]:
    """Raises: TrainingError where torch's compiler fails on the network, in one line."""
    try:
        yield
    except Exception as error:
        compiler = type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))
        if compiled and compiler:
            raise TrainingError(
                f"torch.compile fails on {model}: "
                f"{str(error).strip().splitlines()[0]}\n"
                "  do: leave out `compile`, or try another version of torch"
            ) from error
        raise
