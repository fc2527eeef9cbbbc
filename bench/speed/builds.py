"""Builds of shards to time: photographs of one size, and the tasks of a build of them."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from simgen.building.plan import Plan
from simgen.config import Build
from simgen.recipes import find_recipe
from simgen.sources import open_source

SIZE = (500, 375)
BANDS = 8
IMAGENET = Path(__file__).parents[3] / "shared/data/photos/imagenet"
LIBRARIES = ("numpy", "nvidia-dali-cuda130", "pillow", "torch", "blosc2")


def make_photos(folder: Path, number: int) -> str:
    """`number` JPEGs of 500x375: ImageNet's own of that size, else cut from scikit-image's."""
    found = []
    if IMAGENET.is_dir():
        for path in sorted(IMAGENET.iterdir()):
            with Image.open(path) as image:
                if image.size == SIZE and image.format == "JPEG":
                    found.append(path.read_bytes())
    what = f"{len(found)} of ImageNet's own, repeated"
    for i in range(number):
        path = folder / f"{i:05d}.jpg"
        if found:
            path.write_bytes(found[i % len(found)])
        else:
            what = "cut from scikit-image's photographs"
            demo = open_source("demo", None).photos
            with Image.open(demo[i % len(demo)].place.path) as image:
                whole = image.convert("RGB")
            whole = whole.resize([max(a, b) for a, b in zip(whole.size, SIZE, strict=True)])
            left, top = (i * 37 % (a - b + 1) for a, b in zip(whole.size, SIZE, strict=True))
            whole.crop((left, top, left + SIZE[0], top + SIZE[1])).save(path, quality=92)
    return what


def build_of(source: Path, out: Path, **changes: Any) -> Build:
    recipe = replace(find_recipe("sensor"), tile=changes.pop("tile", 256))
    options = {"dataset": "folder", "source": source, "out": out, "bands": (BANDS,)}
    return Build(**(options | {"recipe": recipe} | changes))


def on_one_core() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)


def tasks_of(build: Build, seed: int = 0) -> list[Any]:
    build = replace(build, seed=seed)
    source = open_source(
        "folder", build.source, tile=build.recipe.tile, ratio=build.recipe.ratio, bands=build.bands
    )
    return Plan(build=build, source=source).tasks()
