"""Damage of TIFFs by their directory: tags, types, counts, offsets, and what they hold."""

import struct
from dataclasses import dataclass, replace
from random import Random

from tests.fuzz.byte_mutations import mutate as mutate_bytes
from tests.fuzz.text_mutations import mutate_text

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_DOUBLES = {33550, 33922, 34264, 34736, 42112}
_TEXTS = {42112, 42113, 34737, 270, 305, 306}
# Tags that a file may lack, and values worth a try: (type, numbers or bytes).
_NEW = {
    254: (4, (1, 4)), 258: (3, (1, 3, 12, 17, 33, 0)), 259: (3, (1, 5, 7, 8, 34712, 50000, 65535)),
    262: (3, (0, 2, 3, 4, 5, 6, 8, 9, 32803, 34892)), 266: (3, (2,)), 274: (3, (0, 3, 8)),
    277: (3, (0, 1, 3, 9, 65535)), 278: (4, (0, 1, 2**31, 2**32 - 1)), 284: (3, (0, 1, 2, 3)),
    317: (3, (2, 3, 5, 34892)), 320: (3, (0, 65535)), 322: (4, (0, 7, 16, 2**31)),
    323: (4, (0, 16, 2**31)), 330: (4, (8, 0, 2**32 - 1)), 338: (3, (0, 1, 2, 9)),
    339: (3, (1, 2, 3, 4, 5, 6, 9)), 347: (7, (255,)), 33432: (2, (65,)), 50674: (3, (1,)),
    50909: (2, (60,)),
}  # fmt: skip
_REALS = (float("nan"), float("inf"), 0.0, -1.0, 1e-300, 1e300, 5e-324)
_METADATA = (
    '<Item name="OVERVIEW_FILE" domain="OVERVIEWS">{name}</Item>',
    '<Item name="OVERVIEW_FILE" domain="OVERVIEWS">../canary/words.txt</Item>',
    '<Item name="NBITS" domain="IMAGE_STRUCTURE">99</Item>',
    '<Item name="SOURCE_COLOR_SPACE" domain="IMAGE_STRUCTURE">CMYK</Item>',
    '<Item name="OFFSET" sample="0" role="offset">nan</Item>',
    '<Item name="SCALE" sample="9" role="scale">1e400</Item>',
    '<Item name="COLORINTERP" sample="0" role="colorinterp">alpha</Item>',
    '<Item name="COLORINTERP" sample="1" role="colorinterp">\xff</Item>',
    '<Item name="a&#0;b" domain="xml:XMP">\x01</Item>',
    '<Item name="LINE_OFF" domain="RPC">nan</Item>',
    '<Item name="X_DATASET" domain="GEOLOCATION">{name}</Item>',
    '<Item name="STATISTICS_MAXIMUM" sample="0">x</Item>',
    '<Item name="panprior" sample="0">{name}</Item>',
    "<Item>",
)


@dataclass(frozen=True)
class Entry:
    tag: int
    kind: int
    count: int
    value: bytes  # `count` items of `kind`


def read_entries(data: bytes) -> list[Entry]:
    """The first directory of a classic little-endian TIFF."""
    (start,) = struct.unpack_from("<I", data, 4)
    (length,) = struct.unpack_from("<H", data, start)
    entries = []
    for i in range(length):
        tag, kind, count, inline = struct.unpack_from("<HHI4s", data, start + 2 + 12 * i)
        size = _SIZES[kind] * count
        at = struct.unpack("<I", inline)[0]
        entries.append(
            Entry(tag, kind, count, inline[:size] if size <= 4 else data[at : at + size])
        )
    return entries


def with_entries(data: bytes, entries: list[Entry], following: int = 0) -> bytes:
    """The file with another first directory behind its end, and the next one at `following`."""
    out = bytearray(data + b"\0" * (len(data) % 2))
    rows = []
    for entry in entries:
        value = entry.value
        if len(value) > 4:
            value, at = len(out).to_bytes(4, "little"), entry.value
            out += at + b"\0" * (len(at) % 2)
        rows.append(struct.pack("<HHI4s", entry.tag, entry.kind, entry.count, value))
    out[4:8] = len(out).to_bytes(4, "little")
    out += struct.pack("<H", len(rows)) + b"".join(rows) + struct.pack("<I", following)
    return bytes(out)


def mutate_tiff(rng: Random, data: bytes, names: tuple[str, ...] = ()) -> tuple[bytes, str]:
    """One to three changes of the first directory; or the file's bytes."""
    if rng.random() < 0.25 or data[:4] != b"II*\0":
        return mutate_bytes(rng, data)
    entries, said, following = read_entries(data), [], 0
    for _ in range(rng.choice((1, 1, 2, 3))):
        if rng.random() < 0.3:
            added = _new_entry(rng, names)
            entries = [e for e in entries if e.tag != added.tag] + [added]
            said.append(f"tag {added.tag} is {added.value[:40]!r}")
            continue
        i = rng.randrange(len(entries))
        entries[i], what = _changed(rng, entries[i], names)
        said.append(f"tag {entries[i].tag}: {what}")
        if rng.random() < 0.05:
            following = rng.choice((8, 1, 2**32 - 1, struct.unpack_from("<I", data, 4)[0]))
            said.append(f"next directory at {following}")
    if rng.random() < 0.9:
        entries.sort(key=lambda e: e.tag)
    return with_entries(data, entries, following), "; ".join(said)


def _new_entry(rng: Random, names: tuple[str, ...]) -> Entry:
    if rng.random() < 0.4:
        items = "".join(
            rng.choice(_METADATA).replace("{name}", rng.choice(names or ("x",))) for _ in range(2)
        )
        text = f"<GDALMetadata>{items}</GDALMetadata>\0".encode("latin-1")
        return Entry(42112, 2, len(text), text)
    if rng.random() < 0.3:
        tag, count = rng.choice(((33550, 3), (33922, 6), (34264, 16), (33922, 24)))
        return Entry(tag, 12, count, struct.pack(f"<{count}d", *rng.choices(_REALS, k=count)))
    if rng.random() < 0.2:
        text = rng.choice((b"nan\0", b"1e400\0", b"x\0", b"\xff\0", b"-99999999999\0", b"0\0 1\0"))
        return Entry(42113, 2, len(text), text)
    tag = rng.choice(list(_NEW))
    kind, values = _NEW[tag]
    count = rng.choice((1, 1, 2, 4, 300))
    size = _SIZES[kind]
    return Entry(tag, kind, count, rng.choice(values).to_bytes(size, "little") * count)


def _changed(rng: Random, entry: Entry, names: tuple[str, ...]) -> tuple[Entry, str]:
    match rng.randrange(6):
        case 0:
            kind = rng.choice((*_SIZES, 0, 99))
            return replace(entry, kind=kind), f"type {kind}"
        case 1:
            count = rng.choice((0, 1, entry.count * 2, 2**16, 2**31, 2**32 - 1))
            return replace(entry, count=count % 2**32), f"count {count}"
        case 2:
            tag = rng.choice((entry.tag + 1, *_NEW))
            return replace(entry, tag=tag), f"tag {tag} in place of {entry.tag}"
        case 3 if entry.tag in _TEXTS:
            value, what = mutate_text(rng, entry.value, names)
            return replace(entry, value=value, count=len(value)), what
        case 4 if entry.kind == 12 and len(entry.value) == 8 * entry.count:
            values = list(struct.unpack(f"<{entry.count}d", entry.value))
            values[rng.randrange(entry.count)] = rng.choice(_REALS)
            return replace(entry, value=struct.pack(f"<{entry.count}d", *values)), str(values)
        case _:
            size = min(_SIZES.get(entry.kind, 1), len(entry.value)) or 1
            number = rng.choice((0, 1, 2, 7, 8, 255, 65535, 2**31, 2**32 - 1)) % 256**size
            at = rng.randrange(max(1, len(entry.value) // size)) * size
            value = entry.value[:at] + number.to_bytes(size, "little") + entry.value[at + size :]
            return replace(entry, value=value), f"item {at // size} is {number}"
