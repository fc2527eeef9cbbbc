"""The files of a product: in a folder, or in a zip that is not unpacked."""

import os
import re
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from fusiontrain.errors import SceneError
from fusiontrain.scenes.gdal_environment import Source
from shards.bounded_reading import read_bounded

_MOST_FILES = 100_000
_DEEPEST = 8  # folders in folders


class Package(Protocol):
    """Names are relative to the product's folder, parted by /; none leads out of it."""

    @property
    def name(self) -> str:
        """Of the product's folder, for messages and the output's tags."""

    @property
    def files(self) -> tuple[str, ...]: ...

    def read(self, name: str, most: int) -> bytes:
        """Raises: SceneError if it is not there, or has over `most` bytes."""

    def source(self, name: str) -> Source:
        """What GDAL opens. Raises: SceneError if it is not there."""


def is_plain(name: str) -> bool:
    """Whether it is a relative path that stays where it begins."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts and "\\" not in name


def _missing(package: str, name: str) -> SceneError:
    return SceneError(f"{package} has no {name}: download the product again")


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderPackage:
    root: Path
    files: tuple[str, ...] = field(repr=False)

    @staticmethod
    def of(root: Path) -> "FolderPackage":
        """Raises: SceneError if the folder cannot be listed, or has more than any product."""
        files: list[str] = []
        depth = len(root.parts)
        try:
            for folder, below, names in os.walk(root, onerror=_raise):
                if len(Path(folder).parts) - depth >= _DEEPEST:
                    below.clear()
                below.sort()
                place = Path(folder).relative_to(root)
                files += [(place / name).as_posix() for name in sorted(names)]
                if len(files) > _MOST_FILES:
                    raise SceneError(
                        f"{root} has over {_MOST_FILES} files; expected one product: name its "
                        "folder"
                    )
        except OSError as error:
            raise SceneError(f"cannot read {root}: {error.strerror or error}") from error
        return FolderPackage(root=root, files=tuple(files))

    @property
    def name(self) -> str:
        return self.root.resolve().name

    def read(self, name: str, most: int) -> bytes:
        path = self.source(name)
        try:
            return read_bounded(path, most)
        except (OSError, ValueError) as error:
            raise SceneError(f"cannot read {path}: {error}") from error

    def source(self, name: str) -> Path:
        path = self.root / name
        if not is_plain(name) or not path.is_file():
            raise _missing(str(self.root), name)
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise SceneError(
                f"{path} is a link out of the product; expected a file in it: copy it there"
            )
        return path


def _raise(error: OSError) -> None:
    raise error


@dataclass(frozen=True, kw_only=True, slots=True)
class ZipPackage:
    """The one product of a zip."""

    path: Path
    inner: str  # folder of the product in there, with a / at its end, or ""
    files: tuple[str, ...] = field(repr=False)

    @staticmethod
    def of(path: Path, marker: re.Pattern[str]) -> "ZipPackage":
        """`marker`: names of the file that lies at the top of a product.

        Raises: SceneError if it is no zip, or has no product, or several.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                names = [entry.filename for entry in archive.infolist()]
        except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
            raise SceneError(
                f"cannot read {path}: {error}: the zip is damaged or cut short; download it again"
            ) from error
        if len(names) > _MOST_FILES:
            raise SceneError(f"{path} has over {_MOST_FILES} files; expected one product")
        names = [name for name in names if is_plain(name)]
        places = [PurePosixPath(name) for name in names]
        tops = {str(p.parent) for p in places if marker.fullmatch(p.name) and len(p.parts) <= 2}
        if len(tops) != 1:
            found = f"{len(tops)}: {', '.join(sorted(tops)[:3])}" if tops else "none"
            raise SceneError(
                f"{path}: expected one product of Sentinel-2 in a zip (MTD_MSIL1C.xml or "
                f"MTD_MSIL2A.xml); got {found}: others unpacked, as a folder"
            )
        (top,) = tops
        inner = "" if top == "." else f"{top}/"
        files = tuple(name.removeprefix(inner) for name in names if name.startswith(inner))
        return ZipPackage(path=path, inner=inner, files=files)

    @property
    def name(self) -> str:
        return self.inner.rstrip("/") or self.path.stem

    def read(self, name: str, most: int) -> bytes:
        self._check(name)
        try:
            with (
                zipfile.ZipFile(self.path) as archive,
                archive.open(self.inner + name) as file,
            ):
                data = file.read(most + 1)
        except (OSError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise SceneError(f"cannot read {name} in {self.path}: {error}") from error
        if len(data) > most:
            raise SceneError(f"{name} in {self.path} has over {most} bytes; expected a product's")
        return data

    def source(self, name: str) -> str:
        self._check(name)
        return f"/vsizip/{self.path.absolute()}/{self.inner}{name}"

    def _check(self, name: str) -> None:
        if name not in self.files:
            raise _missing(str(self.path), name)
