"""The plugin: it adds the provider to Processing, and takes it away."""

from qgis.core import QgsApplication

from .provider import PanpriorProvider


class PanpriorPlugin:
    def __init__(self):
        self.provider = None

    def initProcessing(self):
        """Without a window too: qgis_process calls this alone."""
        self.provider = PanpriorProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self):
        self.initProcessing()

    def unload(self):
        QgsApplication.processingRegistry().removeProvider(self.provider)
