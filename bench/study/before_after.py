"""The pictures of docs/scenes.md: MS, PAN, the fused result and GSA's, side by side.

python -m bench.study.before_after [--scenes DIR] [--weights default] [--rival gsa]

Only scenes whose licence lets their pixels be shown; docs/scenes.md gives it beside each picture.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image, Resampling, new

from fusiontrain import pansharpen
from fusiontrain.evaluation.rendering import colour_picture, stretch_of
from fusiontrain.scenes.discovery import find_scenes

SIDE, SCALE, GAP = 160, 2, 6  # PAN pixels shown; picture pixels of one; white between
MOST = 100_000  # bytes a picture
CORNERS = {  # PAN pixels: row, column of what is shown
    "WV2_solaris_sn6_1": (400, 300),
    "WV2_solaris_sn6_2": (220, 220),
    "WV2_solaris_sn6_3": (220, 220),
    "L8_mmsm_1": (230, 320),
}
FOLDER = Path(__file__).parents[2] / "docs" / "scenes"


def panels(
    pan: np.ndarray, ms: np.ndarray, fused: list[np.ndarray], corner: tuple[int, int]
) -> Image:
    """MS in its own pixels, PAN, each of the fused; one stretch for all in colour."""
    ratio = pan.shape[-1] // ms.shape[-1]
    rows, columns = (slice(start, start + SIDE) for start in corner)
    blocks = ms.repeat(ratio, 1).repeat(ratio, 2)
    stretch = stretch_of(torch.from_numpy(ms))
    grey = pan[:, rows, columns].repeat(3, 0)
    images = [
        colour_picture(torch.from_numpy(np.ascontiguousarray(blocks[:, rows, columns])), stretch),
        colour_picture(
            torch.from_numpy(grey), tuple(limit.repeat(3) for limit in _limits(grey[:1]))
        ),
        *(
            colour_picture(torch.from_numpy(np.ascontiguousarray(one[:, rows, columns])), stretch)
            for one in fused
        ),
    ]
    side = SIDE * SCALE
    whole = new("RGB", (len(images) * (side + GAP) - GAP, side), "white")
    for place, image in enumerate(images):
        whole.paste(image.resize((side, side), Resampling.NEAREST), (place * (side + GAP), 0))
    return whole


def _limits(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return stretch_of(torch.from_numpy(image))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--scenes", type=Path, default=Path("../shared/data/real"))
    parser.add_argument("--weights", default="default", help="default, small, or a .safetensors")
    parser.add_argument("--rival", default="gsa", help="classical method beside it")
    parser.add_argument("--out", type=Path, default=FOLDER)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for entry in find_scenes([args.scenes]):
        if entry.name not in CORNERS or entry.pan is None:
            continue
        scene = entry.load()
        pair = (entry.pan, entry.ms)
        fused = [
            pansharpen(*pair, dtype="float32", assume_aligned=True, **how)
            for how in ({"weights": args.weights}, {"method": args.rival})
        ]
        picture = panels(scene.pan.numpy(), scene.ms.numpy(), fused, CORNERS[entry.name])
        path = args.out / f"{entry.name}.webp"
        for quality in (85, 70, 50):
            picture.save(path, quality=quality, method=6)
            if path.stat().st_size < MOST:
                break
        print(f"{path}: {path.stat().st_size} bytes, {args.weights}, {args.rival}")


if __name__ == "__main__":
    main()
