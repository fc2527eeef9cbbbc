"""What tests of the page write: three views in plain colours, and their tables."""

import math
from io import BytesIO

from markupsafe import Markup
from PIL import Image

from fusiontrain.evaluation.page import View, write_page
from fusiontrain.evaluation.tables import Row, as_html, score_grid, sensor_tables

BETTER = {"Q2n": "higher", "HQNR": "higher", "S": "one", "C": "any"}
METHODS = ("GSA", "GSA soft", "EXP", "network")
NASTY = "</script><!--<script>\"&'<img src=x onerror=alert(1)>$title\u2028"


def webp(colour, side=48) -> bytes:
    file = BytesIO()
    Image.new("RGB", (side, side), colour).save(file, format="WEBP", lossless=True)
    return file.getvalue()


def view(scene="north", protocol="reduced", sensor="IKONOS", note="a note"):
    reduced = protocol == "reduced"
    inputs = {"PAN": webp((90, 90, 90)), "MS": webp((200, 30, 30), 12)}
    index, other = ("ERGAS", "Q2n") if reduced else ("D_S", "HQNR")
    return View(
        scene=scene,
        sensor=sensor,
        protocol=protocol,
        note=note,
        pictures=inputs | {m: webp((20 + 40 * i, 60, 120)) for i, m in enumerate(METHODS)},
        errors={m: webp((0, 40 * i, 90), 24) for i, m in enumerate(METHODS)} if reduced else {},
        indices={
            "GSA": {index: 2.5, other: 0.85},
            "GSA soft": {index: 2.25, other: 0.875},
            "EXP": {index: 4.0, other: math.nan},
            "network": {index: 2.0, other: 0.9375},
            "PNN": {index: 1.0},
        },
        origins={"PNN": "Masi et al. 2016, Table 4"},
    )


VIEWS = (view(), view(protocol="full"), view("south", sensor="QuickBird"))


def tables(views):
    rows = [
        Row(
            scene=v.scene,
            sensor=v.sensor,
            protocol=v.protocol,
            method=method,
            indices=found,
            origin=v.origins.get(method, ""),
        )
        for v in views
        for method, found in v.indices.items()
    ]
    grids = [score_grid(table) for table in sensor_tables(rows, better=BETTER)]
    return [("By sensor", Markup("").join(map(as_html, grids)))]


def written(path, views=VIEWS, title="A benchmark", facts=None, tables=tables):
    write_page(
        path,
        title=title,
        facts={"network": "anyband"} if facts is None else facts,
        views=views,
        better=BETTER,
        tables=tables(views),
    )
    return path.read_text(encoding="utf-8")
