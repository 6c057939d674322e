"""Run by QGIS's own Python: open a GeoPackage and its project, say what QGIS made of them, draw maps, review objects.

Usage: python3 look_in_qgis.py SURVEY.gpkg SURVEY.qgs FOLDER
Writes ``look.json`` and pictures into FOLDER.
"""

import json
import os
import sys
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"


def main():
    from qgis.core import (
        QgsApplication,
        QgsCoordinateReferenceSystem,
        QgsCoordinateTransform,
        QgsExpression,
        QgsExpressionContext,
        QgsExpressionContextUtils,
        QgsFeature,
        QgsGeometry,
        QgsMapRendererParallelJob,
        QgsMapSettings,
        QgsProject,
        QgsRectangle,
        QgsVectorLayer,
        QgsVectorLayerUtils,
    )
    from qgis.PyQt.QtCore import QSize
    from qgis.PyQt.QtGui import QColor

    source, project_file, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    app = QgsApplication([], True)
    app.initQgis()
    messages = []
    app.messageLog().messageReceived.connect(lambda text, tag, level: messages.append(f"{tag}: {text}"))
    metres = QgsCoordinateReferenceSystem("EPSG:32638")

    def draw(layers, extent, name, labels=True):
        settings = QgsMapSettings()
        settings.setLayers(layers)
        settings.setDestinationCrs(metres)
        settings.setOutputSize(QSize(1200, 800))
        settings.setBackgroundColor(QColor("#F4F1EA"))
        settings.setExtent(extent)
        settings.setFlag(QgsMapSettings.DrawLabeling, labels)
        context = QgsExpressionContext()
        context.appendScope(QgsExpressionContextUtils.globalScope())
        context.appendScope(QgsExpressionContextUtils.mapSettingsScope(settings))
        settings.setExpressionContext(context)
        job = QgsMapRendererParallelJob(settings)
        job.start()
        job.waitForFinished()
        image = job.renderedImage()
        image.save(str(folder / f"{name}.png"))
        return settings, image

    def extent_of(layer, factor=1.2):
        transform = QgsCoordinateTransform(layer.crs(), metres, QgsProject.instance())
        box = transform.transformBoundingBox(layer.extent())
        box.scale(factor)
        return box

    def describe(layer):
        row = {"valid": layer.isValid(), "rows": layer.featureCount(), "title": layer.metadata().title()}
        fields = list(enumerate(layer.fields()))
        row["aliases"] = {f.name(): layer.attributeAlias(i) for i, f in fields}
        row["maps"] = {
            f.name(): sorted(value for one in layer.editorWidgetSetup(i).config()["map"] for value in one.values())
            for i, f in fields
            if layer.editorWidgetSetup(i).type() == "ValueMap"
        }
        row["editable"] = [f.name() for i, f in fields if not layer.editFormConfig().readOnly(i)]
        if layer.isSpatial():
            row["crs"] = layer.crs().authid()
            row["indexed"] = layer.hasSpatialIndex() == 2
            row["labels"] = layer.labelsEnabled()
            row["scale"] = layer.minimumScale() if layer.hasScaleBasedVisibility() else None
            renderer = layer.renderer()
            row["renderer"] = renderer.type()
            if renderer.type() == "categorizedSymbol":
                row["categories"] = {
                    c.value(): [[s.layerType(), s.color().name(QColor.HexArgb)] for s in c.symbol().symbolLayers()]
                    for c in renderer.categories()
                }
        return row

    report = {"layers": {}, "drawn": {}}
    whole = QgsVectorLayer(source, "whole", "ogr")
    names = [part.split("!!::!!")[1] for part in whole.dataProvider().subLayers()]
    layers = {name: QgsVectorLayer(f"{source}|layername={name}", name, "ogr") for name in names}
    for name, layer in layers.items():
        report["layers"][name] = describe(layer)

    # The middle of each polygon, in the layer's colours alone.
    for name in ("hazard_areas", "density_grid", "coverage"):
        layer = layers[name]
        settings, image = draw([layer], extent_of(layer), name, labels=False)
        transform = QgsCoordinateTransform(layer.crs(), metres, QgsProject.instance())
        column = {"hazard_areas": "land_class", "density_grid": "density_class", "coverage": "status"}[name]
        report["drawn"][name] = []
        for feature in layer.getFeatures():
            middle = feature.geometry()
            middle.transform(transform)
            at = settings.mapToPixel().transform(middle.centroid().asPoint())
            near = {
                image.pixelColor(int(at.x()) + dx, int(at.y()) + dy).name()
                for dx in range(-9, 10)
                for dy in range(-9, 10)
            }
            report["drawn"][name].append([feature[column], sorted(near)])
    draw(
        [layers[n] for n in ("hazard_objects", "hazard_areas", "density_grid", "coverage", "districts")],
        extent_of(layers["districts"]),
        "all",
    )

    project = QgsProject.instance()
    report["project_read"] = project.read(project_file)
    report["project"] = {
        layer.id()[7:-6]: [layer.isValid(), layer.type() == 1, layer.renderer().type() if layer.isSpatial() else None]
        for layer in project.mapLayers().values()
    }
    report["order"] = [node.layerId()[7:-6] for node in project.layerTreeRoot().findLayers()]
    report["relations"] = {
        relation.id(): [relation.isValid(), relation.name()]
        for relation in project.relationManager().relations().values()
    }
    area = next(project.mapLayer("survey_hazard_areas_layer").getFeatures())
    report["related"] = {
        key: sum(1 for _ in project.relationManager().relation(key).getRelatedFeatures(area))
        for key in ("area_objects", "area_turning_points")
    }
    seen = project.mapLayer("survey_hazard_objects_layer")
    about = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(seen))
    about.setFeature(next(f for f in seen.getFeatures() if f["object_id"] == "hazard_objects-0"))
    report["tip"] = QgsExpression.replaceExpressionText(seen.mapTipTemplate(), about)
    districts = project.mapLayer("survey_districts_layer")
    about = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(districts))
    report["district_tips"] = []
    for feature in districts.getFeatures():
        about.setFeature(feature)
        report["district_tips"].append(QgsExpression.replaceExpressionText(districts.mapTipTemplate(), about))
    report["project_crs"] = project.crs().authid()
    draw(
        [n.layer() for n in project.layerTreeRoot().findLayers() if n.isVisible()],
        extent_of(layers["districts"]),
        "project",
    )

    # A review through QGIS's own editing: a verdict, a class, a deletion, a moved outline, an object drawn by hand.
    objects = project.mapLayer("survey_hazard_objects_layer")
    report["edit"] = objects.startEditing()
    by_id = {feature["object_id"]: feature for feature in objects.getFeatures()}

    def change(object_id, **values):
        feature = by_id[object_id]
        for name, value in values.items():
            objects.changeAttributeValue(feature.id(), objects.fields().indexOf(name), value)
        for index in range(objects.fields().count()):
            default = objects.defaultValueDefinition(index)
            if default.applyOnUpdate():
                objects.changeAttributeValue(feature.id(), index, objects.defaultValue(index, feature))

    change("hazard_objects-1", verification="confirmed", reviewer_role="analyst", notes="seen at the fence")
    change("hazard_objects-2", class_code="shell")
    objects.deleteFeature(by_id["hazard_objects-3"].id())
    moved = QgsGeometry(by_id["hazard_objects-0"].geometry())
    moved.translate(1e-5, 0)
    objects.changeGeometry(by_id["hazard_objects-0"].id(), moved)
    outline = QgsGeometry.fromRect(QgsRectangle(47.2, 39.7, 47.20001, 39.70001))
    outline.convertToMultiType()
    drawn = QgsVectorLayerUtils.createFeature(objects, outline, {objects.fields().indexOf("class_code"): "mine_ap"})
    report["drawn_defaults"] = {name: str(drawn[name]) for name in ("verification", "class_code", "object_id")}
    report["added"] = objects.addFeature(QgsFeature(drawn))
    report["saved"] = objects.commitChanges()
    report["errors"] = objects.commitErrors()
    report["messages"] = messages
    (folder / "look.json").write_text(json.dumps(report, indent=1))
    objects = None
    project.clear()
    del layers, whole, layer
    app.exitQgis()


if __name__ == "__main__":
    main()
