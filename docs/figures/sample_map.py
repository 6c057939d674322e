"""Draw the picture in the README: the sample's project as QGIS shows it.

    survey run data/sample/job.toml
    export QT_QPA_PLATFORM=offscreen
    /usr/bin/python3 docs/figures/sample_map.py data/sample/out/survey.qgs docs/figures/sample_map.png

Needs QGIS and its Python (Debian: qgis python3-qgis).
"""

import sys

from qgis.core import QgsApplication, QgsCoordinateTransform, QgsMapRendererParallelJob, QgsMapSettings, QgsProject
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor, QImage

source, target = sys.argv[1:]
application = QgsApplication([], False)
application.initQgis()
project = QgsProject.instance()
if not project.read(source):
    raise SystemExit(f"{source} cannot be read.")
nodes = project.layerTreeRoot().findLayers()
layers = [node.layer() for node in nodes if node.isVisible() and node.layer().isSpatial()]
areas = next(layer for layer in layers if "layername=hazard_areas" in layer.source())
settings = QgsMapSettings()
settings.setLayers(layers)
settings.setOutputSize(QSize(1000, 800))
settings.setBackgroundColor(QColor("white"))
settings.setDestinationCrs(project.crs())
extent = QgsCoordinateTransform(areas.crs(), project.crs(), project).transformBoundingBox(areas.extent())
extent.scale(1.1)
settings.setExtent(extent)
job = QgsMapRendererParallelJob(settings)
job.start()
job.waitForFinished()
job.renderedImage().convertToFormat(QImage.Format_Indexed8).save(target)
