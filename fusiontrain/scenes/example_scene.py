"""The real scene inside the package: WorldView-2, Rotterdam; CC BY-SA 4.0."""

from pathlib import Path

FOLDER = Path(__file__).parent / "example"
PAN, MS = "WorldView-2_Rotterdam_pan.tif", "WorldView-2_Rotterdam_ms.tif"
FACTS, LICENCE = "WorldView-2_Rotterdam.json", "LICENCE.md"  # beside them


def example_scene() -> tuple[Path, Path]:
    """The files of PAN (1, 600, 600) and MS (4, 150, 150), DN of 11 bits, at 0.5 m and 2 m.

    Source: SpaceNet 6, imagery by Maxar, CC BY-SA 4.0; LICENCE.md beside the files says more.
    """
    return FOLDER / PAN, FOLDER / MS
