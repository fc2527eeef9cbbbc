"""A contact sheet: what the simulation made, for human eyes."""

from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from shards.commit import whole_file
from shards.errors import ContractError
from shards.manifest import Manifest
from shards.schema import Facts, decode_sample
from shards.tar import read_samples

_SIDE, _CAPTION, _GAP = 192, 28, 6


def contact_sheet(folder: Path, out: Path, *, count: int) -> None:
    """PAN, MS and target side by side for `count` samples taken from all shards in turn."""
    manifest = Manifest.load(folder)
    manifest.check(folder, hashes=False)
    if count < 1 or not manifest.shards:
        raise ContractError(f"no samples to draw: {count} asked, {manifest.samples} in {folder}")
    a_shard = -(-count // len(manifest.shards))
    decoded = [
        decode_sample(members)
        for row in manifest.shards
        for _, members in islice(read_samples(folder / row.name), a_shard)
    ][:count]
    columns = min(2, len(decoded))
    rows = -(-len(decoded) // columns)
    cell_w, cell_h = 3 * _SIDE + 2 * _GAP, _SIDE + _CAPTION
    sheet = Image.new("RGB", (columns * (cell_w + 2 * _GAP), rows * (cell_h + _GAP)), "white")
    for i, (gt, ms, pan, facts) in enumerate(decoded):
        x, y = (i % columns) * (cell_w + 2 * _GAP), (i // columns) * (cell_h + _GAP)
        low, high = np.percentile(gt, (1, 99), axis=(1, 2))
        panels = (_picture(pan, *np.percentile(pan, (1, 99))), _picture(ms, low, high))
        for j, panel in enumerate((*panels, _picture(gt, low, high))):
            sheet.paste(panel, (x + j * (_SIDE + _GAP), y + _CAPTION))
        ImageDraw.Draw(sheet).text((x, y), _caption(gt.shape[0], facts), fill="black")
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
