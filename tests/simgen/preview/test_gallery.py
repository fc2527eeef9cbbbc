"""The gallery shows every switch, and what lies in docs is what the table says."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from simgen.config import Recipe
from simgen.effects import LATER
from simgen.preview.contact_sheet import both_halves, contact_sheet
from simgen.preview.gallery_panels import PANELS
from simgen.sources import open_source
from tests.support.paths import ROOT

DOCS = ROOT / "docs/gallery"
# What a picture cannot show by itself, or shows in every panel.
NOT_EFFECTS = {"name", "tile", "oversample", "zoom", "like_sensor", "kernel", "band_jitter"}


def test_every_switch_has_a_panel():
    """A new field of a recipe asks for a picture."""
    shown = {name for panel in PANELS for name in panel.changes}

    assert (set(Recipe(name="x").as_data()) | LATER) - NOT_EFFECTS == shown


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.name)
def test_a_panel_has_two_different_halves(panel):
    """Of the same place of the photograph."""
    photos = {photo.key: photo for photo in open_source("demo", None).photos}

    (_, without), (_, with_) = both_halves(panel, photos[panel.photo].read())

    assert any(
        a.shape != b.shape or not np.array_equal(a, b) for a, b in zip(without, with_, strict=True)
    )


def test_docs_show_every_panel_in_few_bytes():
    """`simgen look --gallery docs/gallery` was run after the last change of the table."""
    text = (DOCS / "README.md").read_text()

    assert {f"{panel.name}.webp" for panel in PANELS} == {p.name for p in DOCS.glob("*.webp")}
    assert sum(path.stat().st_size for path in DOCS.iterdir()) < 1_500_000
    for panel in PANELS:
        assert f"({panel.name}.webp)" in text
        assert panel.text[1:] in text
        with Image.open(DOCS / f"{panel.name}.webp") as image:
            image.verify()


def test_a_contact_sheet_names_its_columns(small_build, tmp_path, monkeypatch):
    """PAN, MS and truth with their sizes, once for each sample."""
    drawn = []
    text = ImageDraw.ImageDraw.text
    monkeypatch.setattr(
        ImageDraw.ImageDraw,
        "text",
        lambda s, at, what, **k: drawn.append(what) or text(s, at, what, **k),
    )

    contact_sheet(small_build, tmp_path / "look.png", count=3)

    heads = [what for what in drawn if what.startswith(("PAN,", "MS,", "truth,"))]
    assert ["PAN, 64 x 64", "MS, 16 x 16", "truth, 64 x 64"] * 3 == heads
    with Image.open(tmp_path / "look.png") as sheet:
        sheet.verify()
