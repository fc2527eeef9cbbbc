"""The computed figures of docs/concepts: the MTF's curves, and one scene with both targets.

python -m bench.study.concept_figures [--scenes DIR] [--out DIR]
"""

import argparse
from pathlib import Path

import numpy as np
import rasterio

from bench.study.before_after import panels
from fusiontrain import pansharpen

OUT = Path(__file__).parents[2] / "docs" / "figures"
SCENE, CORNER = "WV2_solaris_sn6_1", (400, 300)  # PAN pixels: row, column of what is shown
GAINS = {"crisp MS, .35": 0.35, "nominal MS, .30": 0.30, "soft MS, .07": 0.07}


def draw_mtf(path: Path) -> None:
    """Gain over frequency, in MS Nyquist frequencies, of three Gaussian MTFs at ratio 4."""
    import matplotlib as mpl

    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "panprior"  # the same file each time
    from matplotlib import pyplot as plt

    frequency = np.linspace(0, 4, 401)
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    for label, gain in GAINS.items():
        axes.plot(frequency, gain ** (frequency**2), label=label)
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.text(1.04, 0.93, "MS Nyquist", color="grey")
    axes.set(
        xlim=(0, 4),
        ylim=(0, 1.02),
        xlabel="frequency, in MS Nyquist frequencies (4: the PAN's)",
        ylabel="gain",
    )
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def draw_targets(scenes: Path, path: Path) -> None:
    """MS, PAN, target sensor, target scene, GSA of one part of a scene."""
    pair = tuple(scenes / f"{SCENE}_{kind}.tif" for kind in ("pan", "ms"))
    images = []
    for name in pair:
        with rasterio.open(name) as file:
            images.append(file.read().astype(np.float32))
    ways = ({"target": "sensor"}, {"target": "scene"}, {"method": "gsa"})
    fused = [pansharpen(*pair, dtype="float32", assume_aligned=True, **way) for way in ways]
    panels(*images, fused, CORNER).save(path, quality=80, method=6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--scenes", type=Path, default=Path("../shared/data/real"))
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    draw_mtf(args.out / "mtf.svg")
    draw_targets(args.scenes, args.out / "targets.webp")
    print(f"mtf.svg and targets.webp in {args.out}")


if __name__ == "__main__":
    main()
