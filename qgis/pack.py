"""Pack the plugin: python qgis/pack.py -> qgis/panprior.zip, for Plugins > Install from ZIP."""

import configparser
import sys
import tomllib
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
PLUGIN = HERE / "panprior"
# What QGIS asks of metadata.txt, by its developer's cookbook.
REQUIRED = ("name", "qgisMinimumVersion", "description", "about", "version", "author", "email")
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # of every member: the same files make the same zip


def main() -> int:
    out = HERE / "panprior.zip"
    names = pack(out)
    print(f"wrote {out}: {len(names)} files")
    return 0


def pack(out: Path) -> list[str]:
    """The members of the zip, which is `panprior/` with the repository's licence.

    Raises: ValueError if metadata.txt lacks a key, or has another version than pyproject.toml.
    """
    check_metadata()
    files = [p for p in sorted(PLUGIN.rglob("*")) if p.is_file() and p.suffix != ".pyc"]
    members = {f"panprior/{p.relative_to(PLUGIN).as_posix()}": p for p in files}
    members["panprior/LICENSE"] = ROOT / "LICENSE"
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in members.items():
            archive.writestr(zipfile.ZipInfo(name, _LONG_AGO), path.read_bytes())
    return list(members)


def check_metadata() -> None:
    parser = configparser.ConfigParser()
    parser.read(PLUGIN / "metadata.txt", encoding="utf-8")
    general = parser["general"]
    if lacking := [key for key in REQUIRED if not general.get(key)]:
        raise ValueError(f"metadata.txt lacks {', '.join(lacking)}")
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if general["version"] != ours["version"]:
        raise ValueError(
            f"metadata.txt has version {general['version']}, pyproject.toml {ours['version']}"
        )


if __name__ == "__main__":
    sys.exit(main())
