"""The openly licensed photographs that `default-open` was trained on, cut into tiles.

    python -m bench.study.open_images FOLDER OUT

FOLDER holds what the packages below unpack to (`dpkg-deb -x`, `unzip`) and the tiles of NAIP.
Large photographs are reduced to two sizes, so that a tile is sharp to its pixels; tiles without
detail are left out.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

LARGE = 5e6  # pixels; photographs above are reduced to a half and a third, below to 2/3 and 1/2
MIDDLE = 700  # pixels: small images with no shorter side are halved
SIDE, NAIP_SIDE = 432, 400  # of a tile, pixels
LEAST_DETAIL = 1.2  # mean step between neighbours along a row, of 255

LOMIRI = {  # Debian: lomiri-wallpapers-16.04, lomiri-wallpapers-20.04 (Kleiber); author, licence
    "Bridge_by_Sander_Klootwijk": ("Sander Klootwijk", "CC BY-SA 4.0"),
    "Dragonfly_by_Bolly": ('"Bolly"', "CC BY-SA 4.0"),
    "Picture_0B_by_freespace": ('Trevor "Freespace"', "CC BY 4.0"),
    "Picture_1A_by_freespace": ('Trevor "Freespace"', "CC BY 4.0"),
    "Wine_by_Jakkub_Mede": ("Jakub Mede", "CC BY 4.0"),
    "aitzgorri_by_Aitzol_Berasategi": ("Aitzol Berasategi", "CC BY 4.0"),
    "free_by_Peter_Nerlich": ("Peter Nerlich", "CC BY-SA 4.0"),
    "friends_by_Aitzol_Berasategi": ("Aitzol Berasategi", "CC BY 4.0"),
    "greentock_by_Peter_Nerlich": ("Peter Nerlich", "CC BY-SA 4.0"),
    "life_by_Aitzol_Berasategi": ("Aitzol Berasategi", "CC BY 4.0"),
    "picosdeeuropa_by_Aitzol_Berasategi": ("Aitzol Berasategi", "CC BY 4.0"),
    "seeding_by_Clements_Engelhardt": ("Clemens Engelhardt", "CC0 1.0"),
    "sunset_by_Aitzol_Berasategi": ("Aitzol Berasategi", "CC BY 4.0"),
    "Kleiber_by_Lukas_Baubkus": ("Lukas Baubkus", "CC BY-SA 3.0"),
}
SMALL = (  # PyPI: scikit-image 0.26 (public domain, CC0), scikit-learn 1.9 (the last two, CC BY)
    *("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "ihc.png"),
    *("hubble_deep_field.jpg", "retina.jpg", "motorcycle_left.png", "china.jpg", "flower.jpg"),
)
NAIP = ("m_4709963_se_14_1_20160816.tif", "m_4709963_se_14_1_20200831.tif")  # public domain


def main() -> int:
    folder, out = (Path(name) for name in sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for name in LOMIRI:
        image = _open(folder, f"{name}.jpg")
        for factor in (2, 3) if image.width * image.height > LARGE else (1.5, 2):
            count += cut(_reduced(image, factor), out, f"{name}-{factor}", SIDE)
    for name in SMALL:
        image = _open(folder, name)
        if min(image.size) > MIDDLE:
            half = image.width // 2, image.height // 2
            image = image.resize(half, Image.Resampling.LANCZOS)
        count += cut(image, out, Path(name).stem, SIDE)
    for name in NAIP:
        count += cut(_open(folder, name), out, Path(name).stem, NAIP_SIDE)
    print(f"{count} tiles in {out}")
    return 0


def cut(image: Image.Image, out: Path, name: str, side: int) -> int:
    """Tiles from edge to edge, evenly apart, in the number that covers best; gives how many."""
    side_here = min(side, *image.size)
    count = 0
    for top in _starts(image.height, side, side_here):
        for left in _starts(image.width, side, side_here):
            tile = image.crop((left, top, left + side_here, top + side_here))
            steps = np.diff(np.asarray(tile, float).mean(2), axis=1)
            if np.abs(steps).mean() >= LEAST_DETAIL:
                tile.save(out / f"{name}_{left}_{top}.png")
                count += 1
    return count


def _starts(length: int, side: int, side_here: int) -> list[int]:
    number = max(1, round(length / side))
    return [round(i * (length - side_here) / max(1, number - 1)) for i in range(number)]


def _open(folder: Path, name: str) -> Image.Image:
    """The one file of that name anywhere below. Raises: SystemExit if there is none."""
    found = sorted(folder.rglob(name))
    if not found:
        raise SystemExit(f"no {name} below {folder}: unpack the packages named in {__file__}")
    return Image.open(found[0]).convert("RGB")


def _reduced(image: Image.Image, factor: float) -> Image.Image:
    size = round(image.width / factor), round(image.height / factor)
    return image.resize(size, Image.Resampling.LANCZOS)


if __name__ == "__main__":
    sys.exit(main())
