"""The colour photographs inside scikit-image's wheel: a default that needs no download."""

from importlib.util import find_spec
from pathlib import Path

from simgen.errors import SourceError
from simgen.sources.byte_ranges import File
from simgen.sources.source import Photo, Source, SourceOptions, digest_of

TRAINING = (
    "astronaut.png",
    "chelsea.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "retina.jpg",
    "rocket.jpg",
)
HELD_OUT = ("coffee.png",)
LICENCE = (
    "photographs of scikit-image: NASA (public domain), CC0, or without known restrictions, "
    "as the docstrings of skimage.data state one by one"
)


def open_demo(options: SourceOptions) -> Source:
    """The training photographs; a root named "held-out" gives the one never trained on."""
    options.refuse("demo", split=True, filters=True)
    root = options.root
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise SourceError(
            "the demo source needs scikit-image's photographs\n"
            "  do: pip install 'panprior[demo]', then run this again"
        )
    held_out = root is not None and root.name == "held-out"
    if root is not None and not held_out:
        raise SourceError(f"the demo source takes no `root` but held-out; got {root}")
    folder = Path(spec.origin).parent / "data"
    paths = [folder / name for name in (HELD_OUT if held_out else TRAINING)]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise SourceError(
            f"scikit-image lacks {', '.join(missing)} in {folder}; expected version 0.26"
        )
    photos = tuple(Photo(key=p.name, size=p.stat().st_size, place=File(p)) for p in paths)
    name = "demo-held-out" if held_out else "demo"
    return Source(name=name, licence=LICENCE, photos=photos, digest=digest_of(photos))
