"""The plugin: registers the provider with QGIS, and takes it away again."""

from __future__ import annotations

from qgis.core import QgsApplication

from survey_hazards.provider import Provider


class Plugin:
    """What QGIS loads; in ``qgis_process`` only :meth:`initProcessing` is called."""

    def __init__(self, iface):
        self._provider = None

    def initProcessing(self):
        """Add the algorithms to Processing."""
        self._provider = Provider()
        QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self):
        """Add the algorithms to the toolbox."""
        self.initProcessing()

    def unload(self):
        """Take the algorithms away."""
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
            self._provider = None
