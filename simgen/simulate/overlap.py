"""Work of the host beside the device: functions in threads, iterators one step ahead."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class Beside:
    """Calls in so many threads while the caller goes on; without threads, at once.

    numpy lets go of the interpreter in its loops, so threads of one process do share the work.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads) if threads else None

    def __enter__(self) -> "Beside":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Callable[[], T]:
        """What returns its result, once there is one, or raises what it raised."""
        if self._pool is None:
            result = function(*args, **kwargs)
            return lambda: result
        future: Future[T] = self._pool.submit(function, *args, **kwargs)
        return future.result


def one_ahead(items: Iterator[T], *, threads: bool) -> Iterator[T]:
    """The same items; with threads, the next is made while the caller works on this one."""
    if not threads:
        yield from items
        return
    end = object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield item  # type: ignore[misc]
