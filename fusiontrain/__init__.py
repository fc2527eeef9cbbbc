"""Shards in, pansharpening networks out; scenes in, fused scenes out."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fusiontrain.api import pansharpen

__all__ = ["pansharpen"]


def __getattr__(name: str) -> Any:
    """`pansharpen` when first asked for, so that the package itself imports nothing heavy."""
    if name == "pansharpen":
        from fusiontrain.api import pansharpen

        return pansharpen
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
