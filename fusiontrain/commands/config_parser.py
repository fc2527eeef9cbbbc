"""The parser of commands that take --config: jsonargparse's, with the errors of PlainFlags."""

import jsonargparse

from shards.command_line import ConfigFlags


class ConfigParser(ConfigFlags, jsonargparse.ArgumentParser):  # type: ignore[misc]
    """An argparse parser that also reads its values from a YAML or TOML file."""
