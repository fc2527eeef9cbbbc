"""One pair: PAN and MS to one GeoTIFF with the MS's bands on the PAN's grid."""

from qgis.core import QgsProcessingOutputNumber, QgsProcessingParameterRasterDestination

from ..style import style_on_completion
from .base import FusionAlgorithm, tr


class Pansharpen(FusionAlgorithm):
    def name(self):
        return "pansharpen"

    def displayName(self):
        return tr("Pansharpen")

    def shortHelpString(self):
        return tr(
            "Fuses a panchromatic and a multispectral image of one place: the bands of the MS on "
            "the grid of the PAN, as a Cloud Optimized GeoTIFF in the MS's own values. The shift "
            "between the two is measured and removed; sensor and blur are estimated.\n\n"
            "Method net is a network that was trained on simulated sensors and needs no training "
            "on yours. Method and target change the look; bands picks those that are fused."
        )

    def initAlgorithm(self, config=None):
        self.add_pair()
        self.add_fusion(bands=True)
        self.addParameter(QgsProcessingParameterRasterDestination("OUTPUT", tr("Fused")))
        self.addOutput(QgsProcessingOutputNumber("SHIFT_ROWS", tr("Shift of the MS, PAN rows")))
        self.addOutput(
            QgsProcessingOutputNumber("SHIFT_COLUMNS", tr("Shift of the MS, PAN columns"))
        )

    def processAlgorithm(self, parameters, context, feedback):
        pan, ms = self.pair(parameters, context)
        out = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        words = [pan, *ms, out, *self.fusion_flags(parameters, context)]
        report = self.fuse(words, feedback)
        style_on_completion(context, out)
        rows, columns = report["alignment"]["pan_shift"]
        return {"OUTPUT": out, "SHIFT_ROWS": rows, "SHIFT_COLUMNS": columns}
