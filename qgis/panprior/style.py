"""How a fused layer is drawn: red, green and blue by what the file says its bands are."""

from qgis.core import (
    QgsContrastEnhancement,
    QgsMultiBandColorRenderer,
    QgsProcessingLayerPostProcessorInterface,
    QgsRaster,
    QgsRasterMinMaxOrigin,
)


class NaturalColours(QgsProcessingLayerPostProcessorInterface):
    """QGIS alone draws bands 1, 2, 3, which most sensors deliver as blue, green, red."""

    def postProcessLayer(self, layer, context, feedback):
        draw_natural_colours(layer)


_KEPT = NaturalColours()  # QGIS holds no reference of its own


def style_on_completion(context, path):
    """The layer of `path`, if it is to be loaded, will be drawn in natural colours."""
    if context.willLoadLayerOnCompletion(path):
        context.layerToLoadOnCompletionDetails(path).setPostProcessor(_KEPT)


def draw_natural_colours(layer):
    """[red, green, blue] band, drawn with a stretch; None where the file does not say them."""
    provider = layer.dataProvider()
    found = {provider.colorInterpretation(n): n for n in range(1, layer.bandCount() + 1)}
    wanted = (QgsRaster.RedBand, QgsRaster.GreenBand, QgsRaster.BlueBand)
    if not set(wanted) <= set(found):
        return None
    bands = [found[colour] for colour in wanted]
    layer.setRenderer(QgsMultiBandColorRenderer(provider, *bands))
    if provider.dataType(1) != 1:  # pictures of 8 bits are stretched already
        origin = QgsRasterMinMaxOrigin.CumulativeCut
        layer.setContrastEnhancement(QgsContrastEnhancement.StretchToMinimumMaximum, origin)
    layer.triggerRepaint()
    return bands
