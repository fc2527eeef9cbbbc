"""The config file that a run leaves in its folder, from which it can be started again."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from fusiontrain.commands.choices import SHIPPED_WEIGHTS

_HEAD = """\
# All values of this run. The same run in another folder:
#   fusiontrain {command} --config {place}/config.yaml --out OTHER
"""


def config_text(parser: Any, args: Namespace) -> str:
    """YAML for --config. Local paths are absolute, so that it can be read from any folder.

    `parser`: the ConfigParser that gave `args`.
    """
    from fusiontrain.data.shard_location import split_share

    def shard_place(text: str) -> str:
        place, share = split_share(text)
        return _absolute(place) if share is None else f"{_absolute(place)}:{share:g}"

    namespace: Any = args  # jsonargparse's, which can be copied
    values = namespace.clone()
    values.pop("config", None)
    values.out = _absolute(values.out)
    for name in ("shards", "validate"):
        values[name] = values[name] and [shard_place(text) for text in values[name]]
    values.scenes = [_absolute(path) for path in values.scenes]
    for name in ("cache", "learn_from", "weights"):
        if values.get(name) is not None and str(values[name]) not in SHIPPED_WEIGHTS:
            values[name] = _absolute(values[name])
    command = parser.prog.rpartition(" ")[2]
    return _HEAD.format(command=command, place=values.out) + parser.dump(values)


def _absolute(place: object) -> str:
    text = str(place)
    return text if "://" in text else str(Path(text).absolute())
