"""Damage of any file's bytes. Each mutation is (rng, bytes) -> (bytes, what was done)."""

from collections.abc import Callable
from random import Random

Mutation = Callable[[Random, bytes], tuple[bytes, str]]
_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def flip(rng: Random, data: bytes) -> tuple[bytes, str]:
    """One to eight bits."""
    changed = bytearray(data)
    places = [rng.randrange(len(data)) for _ in range(rng.choice((1, 1, 2, 8)))] if data else []
    for place in places:
        changed[place] ^= 1 << rng.randrange(8)
    return bytes(changed), f"bits flipped at {places}"


def flip_in_head(rng: Random, data: bytes) -> tuple[bytes, str]:
    """Bytes among the first 256, where headers are."""
    changed = bytearray(data)
    places = [rng.randrange(min(256, len(data))) for _ in range(rng.choice((1, 2, 4)))]
    for place in places:
        changed[place] = rng.randrange(256)
    return bytes(changed), f"bytes set at {places}"


def cut(rng: Random, data: bytes) -> tuple[bytes, str]:
    """Shorter, down to nothing."""
    length = rng.choice((0, 1, 8, len(data) // 2, len(data) - 1, rng.randrange(len(data) + 1)))
    return data[: max(0, length)], f"cut to {length} bytes"


def grow(rng: Random, data: bytes) -> tuple[bytes, str]:
    """Zeros, noise or the file itself behind it."""
    more = rng.choice((bytes(512), rng.randbytes(700), data, b"\0", b"\n"))
    return data + more, f"{len(more)} bytes more"


def number(rng: Random, data: bytes) -> tuple[bytes, str]:
    """A number of 1 to 8 bytes, of either order, where any may be."""
    size = rng.choice((1, 2, 4, 8))
    if len(data) <= size:
        return data, "too short for a number"
    place = rng.randrange(min(len(data) - size, rng.choice((64, 512, 1 << 30))))
    value = rng.choice((*_NUMBERS, 2**63 - 1, 2**64 - 1)) % 256**size
    order = rng.choice(("little", "big"))
    return (
        data[:place] + value.to_bytes(size, order) + data[place + size :],
        f"{value} of {size} bytes at {place}",
    )


def remove(rng: Random, data: bytes) -> tuple[bytes, str]:
    """A stretch is missing."""
    start = rng.randrange(len(data) + 1)
    length = rng.choice((1, 4, 64, 512))
    return data[:start] + data[start + length :], f"{length} bytes missing at {start}"


def repeat(rng: Random, data: bytes) -> tuple[bytes, str]:
    """A stretch comes twice."""
    start = rng.randrange(len(data) + 1)
    length = rng.choice((1, 4, 64, 512))
    return data[: start + length] + data[start:], f"{length} bytes twice at {start}"


def replace_all(rng: Random, data: bytes) -> tuple[bytes, str]:
    """Another file under that name."""
    other = rng.choice(
        (
            b"",
            b"\0" * 64,
            rng.randbytes(len(data)),
            b"<html><body>404</body></html>",
            b"PK\x05\x06" + bytes(18),
            b"\x80\x04\x95\x00.",
            b"{}",
            b"[]",
            b"null",
            b"\xff\xfe\x00\x00",
        )
    )
    return other, f"another file, {other[:12]!r}"


MUTATIONS: tuple[Mutation, ...] = (
    flip, flip, flip_in_head, flip_in_head, cut, cut, grow, number, number, number, remove, repeat,
    replace_all,
)  # fmt: skip


def mutate(rng: Random, data: bytes) -> tuple[bytes, str]:
    return rng.choice(MUTATIONS)(rng, data)
