"""Arrays compressed within a shard: blosc2's LZ4 after bitshuffle. The only blosc2 import.

Never a container that blosc2 would unpickle: one chunk of bytes in, the same bytes out.
"""

import struct
from importlib.util import find_spec
from typing import Literal

import numpy as np

from shards.errors import ContractError

Compression = Literal["", "blosc2"]  # "": none
ENDING = ".b2"
_HEADER = struct.Struct("<4B3i")  # versions, flags, typesize; bytes, bytes a block, packed bytes
_BLOCK = 1 << 17  # bytes; fixed, since blosc2 would choose by this machine's caches


def check_installed() -> None:
    """Raises: ContractError that says what to install."""
    if find_spec("blosc2") is None:
        raise ContractError(
            "compressed shards need blosc2, which is not installed\n"
            "  do: pip install 'panprior[compress]'"
        )


def pack(data: bytes) -> bytes:
    """The same bytes for the same data and version of blosc2, on any machine."""
    check_installed()
    import blosc2

    packed = blosc2.compress2(
        data,
        codec=blosc2.Codec.LZ4,
        clevel=5,
        typesize=2,
        filters=[blosc2.Filter.BITSHUFFLE],
        blocksize=_BLOCK,
        nthreads=1,
    )
    return bytes(packed)


def unpack(data: bytes | memoryview, name: str, *, largest: int) -> memoryview:
    """What was packed; its header's sizes are checked before anything is allocated.

    Raises: ContractError if it is no chunk of blosc2's, is cut, or claims over `largest` bytes.
    """
    check_installed()
    import blosc2

    if len(data) < 2 * _HEADER.size:
        raise ContractError(f"{name} is no blosc2 chunk: {len(data)} bytes")
    *_, size, _, packed = _HEADER.unpack_from(data)
    if packed != len(data) or not 0 < size <= largest:
        raise ContractError(
            f"{name} must be a blosc2 chunk of {len(data)} bytes that holds at most {largest}; "
            f"its header says {packed} and {size}"
        )
    out = np.empty(size, np.uint8)
    try:
        blosc2.decompress2(data, dst=out, nthreads=1)
    except (RuntimeError, ValueError, TypeError) as error:
        raise ContractError(f"{name} does not decompress: {error}") from error
    return out.data
