"""A product as the files of one fusion."""

from dataclasses import replace

from fusiontrain.fusion.fuse_scene import InputFiles
from fusiontrain.scenes.products.product import Product


def inputs_of(product: Product, inputs: InputFiles) -> InputFiles:
    """`inputs` with the product's files; its bands are numbered as the output has them.

    Raises: SceneError if there is no such band.
    """
    return replace(inputs, pan=product.sharp[0], ms=product.ms, bands=product.picked(inputs.bands))
