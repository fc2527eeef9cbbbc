"""The provider `panprior`, and its one setting: where fusiontrain is."""

from pathlib import Path

from processing.core.ProcessingConfig import ProcessingConfig, Setting
from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algorithms.folder import PansharpenFolder
from .algorithms.pansharpen import Pansharpen
from .algorithms.quicklook import Quicklook
from .settings import EXECUTABLE

ICON = str(Path(__file__).with_name("icon.svg"))


class PanpriorProvider(QgsProcessingProvider):
    def id(self):
        return "panprior"

    def name(self):
        return "panprior"

    def icon(self):
        return QIcon(ICON)

    def load(self):
        ProcessingConfig.settingIcons["panprior"] = self.icon()
        ProcessingConfig.addSetting(
            Setting(
                "panprior",
                EXECUTABLE,
                "fusiontrain (empty: the one on the PATH)",
                "",
                valuetype=Setting.FILE,
            )
        )
        ProcessingConfig.readSettings()
        self.refreshAlgorithms()
        return True

    def unload(self):
        ProcessingConfig.removeSetting(EXECUTABLE)

    def loadAlgorithms(self):
        for algorithm in (Pansharpen(), PansharpenFolder(), Quicklook()):
            self.addAlgorithm(algorithm)

    def supportedOutputRasterLayerExtensions(self):
        return ["tif"]
