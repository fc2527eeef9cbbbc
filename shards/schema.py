"""What a sample is, version 1. CONTRACT.md says the same in prose.

Axes: C bands; H W PAN pixels; h w MS pixels, H = ratio * h and W = ratio * w.
"""

import io
import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from tokenize import TokenError

import numpy as np
from numpy.lib import format as npy_format

from shards.bounded_reading import parse_json
from shards.compression import ENDING, pack, unpack
from shards.errors import ContractError

VERSION = 1
PACKED_VERSION = 2  # of builds whose arrays are compressed; else all is as in version 1
DTYPE = np.dtype("<u2")
Buffer = bytes | memoryview
MAX_BANDS = 256
MAX_SIDE = 16_384
KEY_GRAMMAR = re.compile(r"[a-z0-9_-]{1,80}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One file of a sample inside the tar."""

    name: str
    axes: str
    meaning: str


ARRAYS = (
    Member(name="gt.npy", axes="CHW", meaning="what the MS sensor would see on the PAN's grid, DN"),
    Member(name="ms.npy", axes="Chw", meaning="the multispectral image, DN"),
    Member(name="pan.npy", axes="1HW", meaning="the panchromatic image, DN"),
)
FACTS = "json"
MEMBER_NAMES = (*(m.name for m in ARRAYS), FACTS)
PACKED_NAMES = (*(m.name + ENDING for m in ARRAYS), FACTS)
ALL_NAMES = frozenset({*MEMBER_NAMES, *PACKED_NAMES})
_LARGEST = 1 << 28  # bytes of an array that comes without a manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """The `json` member: how this sample came to be."""

    sensor: str  # its name, or "draw" for one that does not exist
    bits: int  # radiometric depth; DN lie in 0 .. 2**bits - 1
    ratio: int  # PAN pixels per MS pixel
    mtf_ms: tuple[float, ...]  # per band: gain from gt to ms at the MS Nyquist, as applied
    mtf_pan: float  # gain from scene to PAN at the PAN's Nyquist, as applied
    softness: tuple[float, ...]  # per band: gain from scene to gt at gt's own Nyquist
    source: str  # key of the image in its source
    recipe: str
    seed: int

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 16:
            raise ContractError(f"bits must lie in 1..16; got {self.bits}")
        if self.ratio < 1:
            raise ContractError(f"ratio must be a positive integer; got {self.ratio}")
        if len(self.mtf_ms) != len(self.softness):
            raise ContractError(
                f"mtf_ms and softness need one gain a band each; got {len(self.mtf_ms)} "
                f"and {len(self.softness)}"
            )
        for gain in (*self.mtf_ms, self.mtf_pan, *self.softness):
            if not 0 < gain <= 1:
                raise ContractError(f"gains must lie in (0, 1]; got {gain}")

    def to_json(self) -> bytes:
        """Canonical bytes: sorted keys, no spaces, ASCII."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode("ascii")

    @classmethod
    def from_json(cls, data: Buffer) -> "Facts":
        try:
            raw = parse_json(bytes(data))
            return cls(
                sensor=str(raw["sensor"]),
                bits=int(raw["bits"]),
                ratio=int(raw["ratio"]),
                mtf_ms=tuple(float(g) for g in raw["mtf_ms"]),
                mtf_pan=float(raw["mtf_pan"]),
                softness=tuple(float(g) for g in raw["softness"]),
                source=str(raw["source"]),
                recipe=str(raw["recipe"]),
                seed=int(raw["seed"]),
            )
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise ContractError(
                f"the json member is not a sample's facts: {error!r}; rebuild the shard"
            ) from error


def check_key(key: str) -> str:
    """The key itself; ContractError if a tar, webdataset or DALI would misread it."""
    if not KEY_GRAMMAR.fullmatch(key):
        raise ContractError(f"a key has 1 to 80 of a-z 0-9 _ - and no dot; got {key!r}")
    return key


def check_sample(gt: np.ndarray, ms: np.ndarray, pan: np.ndarray, facts: Facts) -> None:
    """ContractError unless dtypes, shapes, ratio and bit depth agree with each other."""
    check_shapes(gt, ms, pan, facts)
    top = 2**facts.bits - 1
    brightest = max(int(gt.max()), int(ms.max()), int(pan.max()))
    if brightest > top:
        raise ContractError(f"DN must not exceed {top} at {facts.bits} bits; got {brightest}")


def check_shapes(gt: np.ndarray, ms: np.ndarray, pan: np.ndarray, facts: Facts) -> None:
    """What check_sample checks, but for the pixels: none is looked at."""
    for name, array in (("gt", gt), ("ms", ms), ("pan", pan)):
        if array.dtype != DTYPE or array.ndim != 3:
            raise ContractError(
                f"{name} must be a 3-D little-endian uint16 array; "
                f"got {array.ndim}-D {array.dtype.str}"
            )
    C, H, W = gt.shape
    expected = {"ms": (C, H // facts.ratio, W // facts.ratio), "pan": (1, H, W)}
    for name, array in (("ms", ms), ("pan", pan)):
        if array.shape != expected[name]:
            raise ContractError(
                f"{name} must be {expected[name]} for gt {gt.shape} at ratio {facts.ratio}; "
                f"got {array.shape}"
            )
    if H % facts.ratio or W % facts.ratio or len(facts.mtf_ms) != C:
        raise ContractError(
            f"gt {gt.shape} must divide by ratio {facts.ratio} and have "
            f"{len(facts.mtf_ms)} bands, one a gain"
        )


def encode_array(array: np.ndarray) -> bytes:
    """`.npy` bytes, format 1.0, C order, little-endian uint16."""
    buffer = io.BytesIO()
    plain = np.ascontiguousarray(array, dtype=DTYPE)
    npy_format.write_array_header_1_0(buffer, npy_format.header_data_from_array_1_0(plain))
    return b"".join((buffer.getvalue(), plain.data))


def decode_array(data: Buffer, name: str) -> np.ndarray:
    """The array, without a copy of its pixels; the header is judged before any allocation."""
    view = memoryview(data)
    length = 10 + int.from_bytes(view[8:10], "little")
    shape = _shape_told(bytes(view[:length]), name)
    count = math.prod(shape)
    if len(view) - length != count * DTYPE.itemsize:
        raise ContractError(
            f"{name} must hold {count * DTYPE.itemsize} bytes of pixels for {shape}; "
            f"got {len(view) - length}"
        )
    return np.frombuffer(view, DTYPE, count, length).reshape(shape)


@lru_cache(maxsize=1024)  # tiles of a build have the same headers, and numpy is slow to read them
def _shape_told(header: bytes, name: str) -> tuple[int, int, int]:
    stream = io.BytesIO(header)
    try:
        version = npy_format.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"npy format {version}")
        shape, fortran, dtype = npy_format.read_array_header_1_0(stream)
    except (ValueError, SyntaxError, TokenError) as error:  # numpy parses headers as Python
        raise ContractError(f"{name} is not a version 1.0 .npy file: {error}") from error
    if dtype != DTYPE or fortran or len(shape) != 3:
        raise ContractError(
            f"{name} must be 3-D C-order {DTYPE.str}; got {len(shape)}-D {dtype.str}"
            f"{', Fortran order' if fortran else ''}"
        )
    if not (0 < shape[0] <= MAX_BANDS and all(0 < side <= MAX_SIDE for side in shape[1:])):
        raise ContractError(f"{name} must have 1..{MAX_BANDS} bands of 1..{MAX_SIDE}; got {shape}")
    return shape


def largest_array(bands: int, tile: int) -> int:
    """Bytes of the longest member that a sample of this size can have."""
    return bands * tile * tile * DTYPE.itemsize + 4096


def names_of(found: Collection[str]) -> tuple[str, ...]:
    """The names that these members should be all of: packed if one of them is."""
    return PACKED_NAMES if any(name.endswith(ENDING) for name in found) else MEMBER_NAMES


def packed_members(members: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same sample with its arrays compressed."""
    return {
        name if name == FACTS else name + ENDING: data if name == FACTS else pack(data)
        for name, data in members.items()
    }


def plain_members(members: Mapping[str, Buffer], *, largest: int = _LARGEST) -> dict[str, Buffer]:
    """The same sample under the names of MEMBER_NAMES. ContractError if one lacks or is strange."""
    names = names_of(members)
    strange, missing = sorted(set(members) - set(names)), sorted(set(names) - set(members))
    if strange or missing:
        raise ContractError(
            f"a sample has the members {', '.join(names)}; "
            f"missing {missing or 'none'}, refused {strange or 'none'}"
        )
    if names is MEMBER_NAMES:
        return dict(members)
    arrays: dict[str, Buffer] = {
        m.name: unpack(members[m.name + ENDING], m.name, largest=largest) for m in ARRAYS
    }
    return {**arrays, FACTS: members[FACTS]}


def decode_sample(
    members: Mapping[str, bytes], *, largest: int = _LARGEST
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Facts]:
    """(gt, ms, pan, facts) of one sample; only the contract's members are looked at.

    `largest`: bytes of an array, so that a compressed one cannot fill the memory.
    """
    plain = plain_members(members, largest=largest)
    gt, ms, pan = (decode_array(plain[m.name], m.name) for m in ARRAYS)
    facts = Facts.from_json(plain[FACTS])
    check_sample(gt, ms, pan, facts)
    return gt, ms, pan, facts
