"""An 8-bit picture of a fused pair, for looking at."""

import tempfile
from pathlib import Path

from qgis.core import QgsProcessingParameterRasterDestination

from .base import FusionAlgorithm, tr


class Quicklook(FusionAlgorithm):
    def name(self):
        return "quicklook"

    def displayName(self):
        return tr("Quicklook")

    def shortHelpString(self):
        return tr(
            "Fuses a pair and keeps only a picture: red, green and blue in 8 bits, stretched for "
            "the eye, at most 2048 pixels a side. Values for analysis come from Pansharpen."
        )

    def initAlgorithm(self, config=None):
        self.add_pair()
        self.add_fusion(bands=True)
        self.addParameter(QgsProcessingParameterRasterDestination("OUTPUT", tr("Picture")))

    def processAlgorithm(self, parameters, context, feedback):
        pan, ms = self.pair(parameters, context)
        picture = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        with tempfile.TemporaryDirectory(prefix="panprior-") as folder:
            fused = Path(folder) / "fused.tif"
            flags = self.fusion_flags(parameters, context)
            self.fuse([pan, *ms, fused, *flags, "--quicklook", picture], feedback)
        return {"OUTPUT": picture}
