"""What the algorithms share: parameters of the fusion, and a run of fusiontrain."""

import json
import shlex
import tempfile
from pathlib import Path

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingParameterBand,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QIcon

from .. import command
from ..choices import METHODS, SOFTNESS, TARGETS
from ..settings import executable

ICON = str(Path(__file__).parents[1] / "icon.svg")


def tr(text):
    return QCoreApplication.translate("panprior", text)


class FusionAlgorithm(QgsProcessingAlgorithm):
    """Its subclasses say their inputs and outputs."""

    def createInstance(self):
        return type(self)()

    def icon(self):
        return QIcon(ICON)

    def add_pair(self):
        self.addParameter(QgsProcessingParameterRasterLayer("PAN", tr("Panchromatic image (PAN)")))
        self.addParameter(QgsProcessingParameterRasterLayer("MS", tr("Multispectral image (MS)")))
        more = QgsProcessingParameterMultipleLayers(
            "MS_MORE",
            tr("More MS files, where each band has a file of its own"),
            QgsProcessing.TypeRaster,
            optional=True,
        )
        self.add_advanced(more)

    def add_fusion(self, *, bands):
        """`bands`: whether there is an MS whose bands may be picked."""
        self.addParameter(
            QgsProcessingParameterEnum(
                "METHOD",
                tr("Method (net: the trained network)"),
                options=METHODS,
                defaultValue="net",
                usesStaticStrings=True,
            )
        )
        self.addParameter(
            QgsProcessingParameterEnum(
                "TARGET",
                tr("Target of the network: scene (crisp) or sensor (as the MS sensor sees)"),
                options=TARGETS,
                defaultValue="auto",
                usesStaticStrings=True,
            )
        )
        self.addParameter(
            QgsProcessingParameterNumber(
                "SOFTNESS",
                tr("Softness, 0.05 (soft) to 0.95 (crisp); not set: automatic"),
                QgsProcessingParameterNumber.Double,
                optional=True,
                minValue=SOFTNESS[0],
                maxValue=SOFTNESS[1],
            )
        )
        if bands:
            self.addParameter(
                QgsProcessingParameterBand(
                    "BANDS",
                    tr("Bands of the MS (none picked: all)"),
                    parentLayerParameterName="MS",
                    optional=True,
                    allowMultiple=True,
                )
            )
        self.add_advanced(
            QgsProcessingParameterString(
                "EXTRA",
                tr("More flags, as in fusiontrain fuse --help (--assume-aligned, --sensor NAME)"),
                defaultValue="",
                optional=True,
            )
        )

    def add_advanced(self, parameter):
        parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.FlagAdvanced)
        self.addParameter(parameter)

    def pair(self, parameters, context):
        """PAN's file and those of the MS. Raises: QgsProcessingException for other layers."""
        pan = self.parameterAsRasterLayer(parameters, "PAN", context)
        ms = self.parameterAsRasterLayer(parameters, "MS", context)
        for name, layer in (("PAN", pan), ("MS", ms)):
            if layer is None:
                raise QgsProcessingException(self.invalidRasterError(parameters, name))
        more = self.parameterAsLayerList(parameters, "MS_MORE", context) or []
        return _file(pan), [_file(layer) for layer in (ms, *more)]

    def fusion_flags(self, parameters, context):
        flags = ["--method", self.parameterAsEnumString(parameters, "METHOD", context)]
        target = self.parameterAsEnumString(parameters, "TARGET", context)
        if target != "auto":
            flags += ["--target", target]
        if parameters.get("SOFTNESS") is not None:
            flags += ["--softness", str(self.parameterAsDouble(parameters, "SOFTNESS", context))]
        if self.parameterDefinition("BANDS") is not None:
            bands = self.parameterAsInts(parameters, "BANDS", context)
            if bands:
                flags += ["--bands", ",".join(map(str, bands))]
        return flags + shlex.split(self.parameterAsString(parameters, "EXTRA", context))

    def fuse(self, words, feedback, *, partly=False):
        """Run `fusiontrain fuse` with these words; the report of --json.

        `partly`: a report tells of failures, which are no error of the whole.

        Raises: QgsProcessingException with fusiontrain's own line, or if it was cancelled.
        """
        with tempfile.TemporaryDirectory(prefix="panprior-") as folder:
            report = Path(folder) / "report.json"
            try:
                argv = [executable(), "fuse", *map(str, words), "--json", str(report)]
                feedback.pushCommandInfo(shlex.join(argv))
                code, lines = command.run(
                    argv,
                    say=feedback.pushInfo,
                    advance=feedback.setProgress,
                    is_cancelled=feedback.isCanceled,
                )
            except command.Cancelled:
                raise QgsProcessingException(tr("cancelled: nothing was written")) from None
            except command.CommandError as error:
                raise QgsProcessingException(str(error)) from None
            if code and not (partly and report.is_file()):
                line = command.last_words(lines) or f"fusiontrain ended with code {code}"
                raise QgsProcessingException(line)
            found = json.loads(report.read_text(encoding="utf-8"))
        feedback.setProgress(100)
        return found


def _file(layer):
    """What GDAL reads it by. Raises: QgsProcessingException for a service or another provider."""
    if layer.providerType() != "gdal":
        raise QgsProcessingException(
            tr(f"{layer.name()} is no file ({layer.providerType()}): save it as GeoTIFF first")
        )
    return layer.source().split("|")[0]
