"""A fused file as the plugin shows it in QGIS, without a window: python3 qgis/picture.py IN OUT.png

Needs QGIS's own Python (Debian: python3-qgis); QT_QPA_PLATFORM=offscreen where there is no screen.
Prints the bands that are drawn red, green and blue.
"""

import sys

from panprior.style import draw_natural_colours
from qgis.core import (
    QgsApplication,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor

SIDE = 900  # pixels


def main(source: str, out: str) -> int:
    app = QgsApplication([], False)
    app.initQgis()
    layer = QgsRasterLayer(source, "layer")
    print(draw_natural_colours(layer))
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(layer.crs())
    settings.setExtent(layer.extent())
    settings.setOutputSize(QSize(SIDE, round(SIDE * layer.height() / layer.width())))
    settings.setBackgroundColor(QColor("white"))
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    return 0 if job.renderedImage().save(out) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
