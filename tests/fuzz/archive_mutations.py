"""Damage of tars, zips and safetensors by their headers."""

import json
import struct
from random import Random

from tests.fuzz.byte_mutations import mutate as mutate_bytes
from tests.fuzz.text_mutations import dump, mutate_value

_FIELDS = {  # of a USTAR header: offset, length
    "name": (0, 100), "mode": (100, 8), "size": (124, 12), "mtime": (136, 12), "type": (156, 1),
    "link": (157, 100), "magic": (257, 8), "prefix": (345, 155),
}  # fmt: skip
_NAMES = (b"../../out", b"/etc/passwd", b"a\x1b[2J.jpg", b"\xff\xfe.jpg", b"x.jpg", b"", b"A" * 100)
_OCTAL = (b"77777777777\0", b"00000000000\0", b"-0000000001\0", b"\x80" + b"\0" * 3 + b"\xff" * 8,
          b"\xff" * 12, b"abcdefghijk\0", b"00000001000\0")  # fmt: skip
_TYPES = (b"0", b"\0", b"1", b"2", b"3", b"5", b"6", b"7", b"g", b"x", b"L", b"K", b"S", b"Z")


def _headers(data: bytes) -> list[int]:
    """Where the members of a tar of ours begin."""
    found, at = [], 0
    while at + 512 <= len(data) and data[at : at + 1] != b"\0":
        found.append(at)
        at += 512 + -(-int(data[at + 124 : at + 135] or b"0", 8) // 512) * 512
    return found


def mutate_tar(rng: Random, data: bytes) -> tuple[bytes, str]:
    """A field of a header, its checksum mended in most; or the file's bytes."""
    starts = _headers(data)
    if rng.random() < 0.3 or not starts:
        return mutate_bytes(rng, data)
    start = rng.choice(starts)
    field = rng.choice(
        ("name", "name", "size", "size", "mtime", "type", "type", "link", "magic", "prefix")
    )
    at, length = _FIELDS[field]
    value = rng.choice({"size": _OCTAL, "mtime": _OCTAL, "type": _TYPES}.get(field, _NAMES))
    value = value[:length].ljust(length, b"\0")
    header = bytearray(data[start : start + 512])
    header[at : at + length] = value
    if rng.random() < 0.8:
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % (sum(header) & 0o777777)
    return (
        data[:start] + bytes(header) + data[start + 512 :],
        f"{field} of the member at {start} is {value[:24]!r}",
    )


def mutate_zip(rng: Random, data: bytes) -> tuple[bytes, str]:
    """A number of the end record, of an entry of the directory, or of a member's own header."""
    if rng.random() < 0.3:
        return mutate_bytes(rng, data)
    magic, numbers = rng.choice(
        (
            (b"PK\x05\x06", ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2))),
            (b"PK\x01\x02", ((6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2),
                             (30, 2), (32, 2), (42, 4))),
            (b"PK\x03\x04", ((6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2))),
        )
    )  # fmt: skip
    places = [i for i in range(len(data)) if data.startswith(magic, i)]
    if not places:
        return mutate_bytes(rng, data)
    start, (at, size) = rng.choice(places), rng.choice(numbers)
    value = (
        rng.choice((0, 1, 8, 12, 99, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF, rng.randrange(2**32)))
        % 256**size
    )
    at += start
    return (
        data[:at] + value.to_bytes(size, "little") + data[at + size :],
        f"{value} at {at - start} of {magic[2:]!r}",
    )


def mutate_safetensors(rng: Random, data: bytes) -> tuple[bytes, str]:
    """The header by structure; numbers of the tensors; or the file's bytes."""
    (size,) = struct.unpack_from("<Q", data)
    body = data[8 + size :]
    match rng.randrange(6):
        case 0:
            return mutate_bytes(rng, data)
        case 1:
            value = rng.choice((float("nan"), float("inf"), 1e30, -1e9, 3e38))
            at = rng.randrange(len(body) // 4) * 4
            return data[: 8 + size] + body[:at] + struct.pack("<f", value) + body[
                at + 4 :
            ], f"a weight is {value}"
        case 2:
            wrong = rng.choice((0, 1, size - 1, size + 8, 2**22 + 1, 2**40, 2**63, 2**64 - 1))
            return struct.pack("<Q", wrong) + data[8:], f"a header of {wrong} bytes"
        case _:
            header, what = json.loads(data[8 : 8 + size]), []
            for _ in range(rng.choice((1, 1, 2))):
                header, one = _changed_header(rng, header)
                what.append(one)
            text = dump(header)
            text += b" " * (-len(text) % 8)
            return struct.pack("<Q", len(text)) + text + body, "; ".join(what)


def _changed_header(rng: Random, header: object) -> tuple[object, str]:
    about = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(about, dict) or rng.random() < 0.5:
        return mutate_value(rng, header)
    key = rng.choice(("sizes", "training", "model", "version", "format"))
    if key in ("sizes", "training") and isinstance(about.get(key), str):
        try:
            value, what = mutate_value(rng, json.loads(about[key]))
        except ValueError:
            return mutate_value(rng, header)
        about[key] = dump(value).decode("utf-8", "replace")
    else:
        about[key] = what = rng.choice(("", "x", "\0", "pannet", "2", "anyband-mamba", "é" * 99))
    return header, f"metadata {key}: {what}"
