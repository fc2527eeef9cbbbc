"""Names and defaults for --help, without importing torch; a test holds them to the registries."""

from typing import Literal

MODEL_NAMES = (
    "anyband",
    "anyband-scene",
    "anyband-sensor",
    "anyband-small",
    "anyband-fusionmamba",
    "anyband-gppnn",
    "anyband-lagconv",
    "anyband-panformer",
    "anyband-panmamba",
    "anyband-pannet",
    "anyband-restormer",
    "fusionmamba",
    "fusionnet",
    "gppnn",
    "lagconv",
    "msdcnn",
    "panformer",
    "panmamba",
    "pannet",
    "pnn",
    "swinir",
)
NETWORK = "net"
CLASSICAL_NAMES = (
    *("awlp", "bdsd", "bdsd-pc", "brovey", "bt-h", "exp", "glp", "glp-cbd", "glp-fs", "glp-hpm"),
    *("glp-hpm-r", "gs", "gsa", "pca", "pracs", "sr-d", "tv"),
)
SHIPPED_WEIGHTS = ("default", "default-sensor", "small")
FORMATS = ("COG", "GTiff", "JPEG", "PNG")
MATCH_LIMIT = 8.0  # MS pixels
MEMORY = 2.0  # GiB


def nodata_value(text: str) -> float | Literal["none"]:
    """A number, or none: no value marks missing pixels."""
    return "none" if text.strip().lower() == "none" else float(text)


nodata_value.__name__ = "number, or none"  # argparse: invalid number, or none value: 'x'
