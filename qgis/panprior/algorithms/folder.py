"""Every pair of a folder."""

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
)

from ..style import style_on_completion
from .base import FusionAlgorithm, tr

DONE = ("fused", "skipped")


class PansharpenFolder(FusionAlgorithm):
    def name(self):
        return "pansharpenfolder"

    def displayName(self):
        return tr("Pansharpen folder")

    def shortHelpString(self):
        return tr(
            "Fuses every pair of a folder: X_pan.tif beside X_ms.tif, Landsat scenes, IKONOS, "
            "Maxar deliveries. A pair that fails is named, and the others go on; the same call "
            "again goes on where it stopped."
        )

    def initAlgorithm(self, config=None):
        self.addParameter(
            QgsProcessingParameterFile(
                "INPUT", tr("Folder of pairs"), behavior=QgsProcessingParameterFile.Folder
            )
        )
        self.add_fusion(bands=False)
        self.addParameter(
            QgsProcessingParameterBoolean("LOAD", tr("Load the fused files"), defaultValue=True)
        )
        self.addParameter(
            QgsProcessingParameterFolderDestination("OUTPUT", tr("Folder of fused files"))
        )
        for name, text in (("FUSED", tr("Pairs fused")), ("FAILED", tr("Pairs that failed"))):
            self.addOutput(QgsProcessingOutputNumber(name, text))

    def processAlgorithm(self, parameters, context, feedback):
        source = self.parameterAsFile(parameters, "INPUT", context)
        out = self.parameterAsString(parameters, "OUTPUT", context)
        flags = self.fusion_flags(parameters, context)
        report = self.fuse([source, out, *flags], feedback, partly=True)
        done = [scene for scene in report["scenes"] if scene["state"] in DONE]
        failed = [scene for scene in report["scenes"] if scene["state"] == "failed"]
        for scene in failed:
            feedback.reportError(f"{scene['name']}: {scene['note']}")
        if not done:
            raise QgsProcessingException(tr("no pair could be fused: see the lines above"))
        if self.parameterAsBool(parameters, "LOAD", context):
            self._load(done, context)
        return {"OUTPUT": out, "FUSED": len(done), "FAILED": len(failed)}

    def _load(self, scenes, context):
        project = context.project()
        if project is None:
            return
        for scene in scenes:
            details = QgsProcessingContext.LayerDetails(scene["name"], project, scene["name"])
            context.addLayerToLoadOnCompletion(scene["out"], details)
            style_on_completion(context, scene["out"])
