"""Shards in, pansharpening networks out; scenes in, fused scenes out."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fusiontrain.api import pansharpen
    from fusiontrain.scenes.example_scene import example_scene

__all__ = ["example_scene", "pansharpen"]


def __getattr__(name: str) -> Any:
    """A function when first asked for, so that the package itself imports nothing heavy."""
    if name == "pansharpen":
        from fusiontrain.api import pansharpen

        return pansharpen
    if name == "example_scene":
        from fusiontrain.scenes.example_scene import example_scene

        return example_scene
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
