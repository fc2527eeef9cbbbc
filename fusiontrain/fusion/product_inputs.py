"""A product as the files of one fusion."""

from dataclasses import replace

from fusiontrain.errors import SceneError
from fusiontrain.fusion.fuse_scene import InputFiles
from fusiontrain.scenes.products.product import Product


def inputs_of(product: Product, inputs: InputFiles) -> InputFiles:
    """`inputs` with the product's files; its bands are numbered as the output has them.

    Raises: SceneError if there is no such band, or an option is for a pair alone.
    """
    if inputs.keep_guides:
        raise SceneError("`keep_guides` goes with `guide`; a product's sharp bands are always kept")
    guided = len(product.sharp) > 1
    return replace(
        inputs,
        pan=product.sharp if guided else product.sharp[0],
        ms=product.ms,
        keep_guides=guided,
        bands=product.picked(inputs.bands),
    )
