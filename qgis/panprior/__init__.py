"""QGIS plugin: Processing algorithms that call `fusiontrain` in an environment of its own."""


def classFactory(iface):
    """QGIS's entry point."""
    from .plugin import PanpriorPlugin

    return PanpriorPlugin()
