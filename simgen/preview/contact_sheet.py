"""Pictures of samples: a contact sheet of a build, and a gallery of every effect."""

import io
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from shards.atomic_write import whole_file
from shards.errors import ContractError
from shards.manifest import Manifest
from shards.schema import Facts, decode_sample
from shards.tar import read_samples
from simgen.config import Recipe
from simgen.preview.gallery_panels import PANELS
from simgen.preview.panel import PLAIN, Panel
from simgen.sampling import sample_parameters
from simgen.sources import open_source

_SIDE, _CAPTION, _HEADS, _GAP = 192, 28, 14, 6
_HALF, _TITLE, _GALLERY_BANDS = 256, 18, 4


def contact_sheet(folder: Path, out: Path, *, count: int) -> None:
    """PAN, MS and truth side by side for `count` samples taken from all shards in turn.

    Each is named with its size; colours are bands 3, 2, 1.
    """
    manifest = Manifest.load(folder)
    manifest.check(folder, hashes=False)
    if count < 1 or not manifest.shards:
        raise ContractError(f"no samples to draw: {count} asked, {manifest.samples} in {folder}")
    a_shard = -(-count // len(manifest.shards))
    decoded = [
        decode_sample(members, largest=manifest.largest_array(row))
        for row in manifest.shards
        for _, members in islice(read_samples(folder / row.name), a_shard)
    ][:count]
    columns = min(2, len(decoded))
    rows = -(-len(decoded) // columns)
    cell_w, cell_h = 3 * _SIDE + 2 * _GAP, _SIDE + _CAPTION + _HEADS
    sheet = Image.new("RGB", (columns * (cell_w + 2 * _GAP), rows * (cell_h + _GAP)), "white")
    for i, (gt, ms, pan, facts) in enumerate(decoded):
        x, y = (i % columns) * (cell_w + 2 * _GAP), (i // columns) * (cell_h + _GAP)
        low, high = np.percentile(gt, (1, 99), axis=(1, 2))
        grey = np.percentile(pan, (1, 99))
        panels = (("PAN", pan, *grey), ("MS", ms, low, high), ("truth", gt, low, high))
        draw = ImageDraw.Draw(sheet)
        draw.text((x, y), _caption(gt.shape[0], facts), fill="black")
        for j, (name, image, *ends) in enumerate(panels):
            left, top = x + j * (_SIDE + _GAP), y + _CAPTION
            draw.text((left, top), f"{name}, {image.shape[1]} x {image.shape[2]}", fill="black")
            sheet.paste(_picture(image, *ends), (left, top + _HEADS))
    with whole_file(out) as file:
        sheet.save(file, format="PNG")


def _picture(image: np.ndarray, low: np.ndarray, high: np.ndarray) -> Image.Image:
    """Bands 3, 2, 1 (or 1) stretched between low and high, enlarged without smoothing."""
    shown = [2, 1, 0] if image.shape[0] >= 3 else [0, 0, 0]
    low, high = (np.broadcast_to(v, image.shape[0])[shown] for v in (low, high))
    scaled = (image[shown].transpose(1, 2, 0) - low) / np.maximum(high - low, 1)
    pixels = (np.clip(scaled, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.NEAREST)


def _caption(bands: int, facts: Facts) -> str:
    softness, mtf = np.mean(facts.softness), np.mean(facts.mtf_ms)
    return (
        f"{facts.source}  {bands} bands, {facts.bits} bits\n"
        f"softness {softness:.2f}, MTF {mtf:.2f}, PAN MTF {facts.mtf_pan:.2f}"
    )


def draw_gallery(folder: Path) -> list[Path]:
    """Every panel as a small WebP, and a README.md that shows them all."""
    folder.mkdir(parents=True, exist_ok=True)
    photos = {photo.key: photo.read() for photo in open_source("demo", None).photos}
    made = []
    for panel in PANELS:
        made.append(folder / f"{panel.name}.webp")
        with whole_file(made[-1]) as file:
            _drawn(panel, *both_halves(panel, photos[panel.photo])).save(file, "WEBP", quality=80)
    head = (
        "# What each switch of a recipe does\n\n"
        "Left without, right with; the same photograph and random numbers. Strengths are for the\n"
        "eye: `sensor` draws most of them far weaker. Photographs: scikit-image's, licences in\n"
        "the docstrings of `skimage.data`. Made by `simgen look --gallery docs/gallery`.\n"
    )
    entries = [
        f"\n## {panel.name}\n{panel.text[0].upper()}{panel.text[1:]}.\n"
        f"Switches: {', '.join(f'`{name}`' for name in panel.changes)}\n\n"
        f"![{panel.name}]({panel.name}.webp)\n"
        for panel in PANELS
    ]
    with whole_file(folder / "README.md") as file:
        file.write("".join([head, *entries]).encode())
    return made


def both_halves(panel: Panel, photo: bytes) -> list[tuple[Recipe, Any]]:
    """(recipe, (gt, ms, pan)) without and with the panel's switches, of the same random streams."""
    from simgen.simulate.dispatch import Job, run  # DALI loads only where it is needed

    with Image.open(io.BytesIO(photo)) as image:
        width, height = image.size
    halves = []
    for changes in ({}, panel.changes):
        recipe = PLAIN.with_fields(**panel.also | changes)
        draw = sample_parameters(
            recipe, bands=_GALLERY_BANDS, seed=3, key=panel.photo, height=height, width=width
        )
        halves.append((recipe, run([Job(image=photo, draw=draw)], recipe, device="cpu")[0]))
    return halves


def _drawn(panel: Panel, *halves: tuple[Recipe, Any]) -> Image.Image:
    sheet = Image.new("RGB", (2 * _HALF + _GAP, _HALF + _TITLE), "white")
    for i, (recipe, (gt, ms, pan)) in enumerate(halves):
        top = max(2**bits - 1 for bits in recipe.radiometry.bits)
        size = panel.window // recipe.ratio if panel.shows == "ms" else panel.window
        if panel.shows == "fringes":
            grey = gt[:3].mean(0)
            image = np.stack([grey, pan[0], grey])
        elif panel.shows == "false colour":
            image = gt[[3, 2, 1]]
        else:
            image = {"gt": gt[[2, 1, 0]], "ms": ms[[2, 1, 0]], "pan": pan[[0, 0, 0]]}[panel.shows]
        first = (image.shape[1] - size) // 2
        window = image[:, first : first + size, first : first + size].transpose(1, 2, 0)
        scale = top * panel.brightest
        pixels = Image.fromarray((np.clip(window / scale, 0, 1) * 255).astype(np.uint8))
        sheet.paste(
            pixels.resize((_HALF, _HALF), Image.Resampling.NEAREST), (i * (_HALF + _GAP), _TITLE)
        )
    ImageDraw.Draw(sheet).text((2, 2), panel.text, fill="black")
    return sheet
