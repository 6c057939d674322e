"""One Processing algorithm a command: plan, run, map, learn, report."""

from __future__ import annotations

import json
from pathlib import Path

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingOutputFile,
    QgsProcessingOutputFolder,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
    QgsVectorLayer,
)
from qgis.PyQt import sip

from survey_hazards.command import follow, outputs_of
from survey_hazards.events import Told, plan_lines

BOTTOM_UP = ("object_chips", "districts", "coverage", "density_grid", "hazard_areas", "hazard_objects")
"""Loaded after a run, with the styles that the file holds; the form of objects shows the image from the first."""
_CAUTION = (
    "\n\nA detection is an indication until a person has verified it; ground where nothing was detected may hold "
    "hazards. The mine action authority decides."
)


class _Algorithm(QgsProcessingAlgorithm):
    """What all five share."""

    command = title = does = ""

    def name(self):
        return self.command

    def displayName(self):
        return self.title

    def shortHelpString(self):
        return self.does + _CAUTION

    def createInstance(self):
        return type(self)()

    def _file(self, name, label, extension="", *, optional=False):
        self.addParameter(QgsProcessingParameterFile(name, label, extension=extension, optional=optional))

    def _folder(self, name, label):
        self.addParameter(QgsProcessingParameterFile(name, label, QgsProcessingParameterFile.Folder))

    def _text(self, name, label):
        self.addParameter(QgsProcessingParameterString(name, label, optional=True))

    def _result_outputs(self):
        self.addOutput(QgsProcessingOutputFolder("OUTPUT_FOLDER", "Folder of the outputs"))
        self.addOutput(QgsProcessingOutputFile("GEOPACKAGE", "GeoPackage"))
        self.addOutput(QgsProcessingOutputFile("PROJECT", "QGIS project"))
        self.addOutput(QgsProcessingOutputHtml("REPORT", "Report"))


class Plan(_Algorithm):
    """``survey plan``."""

    command, title = "plan", "Plan a survey job"
    does = "Says what a run would do, what the imagery can show, and what is refused and why. Nothing is surveyed."

    def initAlgorithm(self, configuration=None):
        self._file("JOB", "Job file", "toml")
        self.addParameter(QgsProcessingParameterFileDestination("PLAN", "Plan as JSON", "JSON (*.json)", optional=True))
        for name, label in (("TILES", "Tiles"), ("REFUSED", "Images refused"), ("ESTIMATE_SECONDS", "Seconds a run")):
            self.addOutput(QgsProcessingOutputNumber(name, label))

    def processAlgorithm(self, parameters, context, feedback):
        lines: list[str] = []
        code = follow(["plan", self.parameterAsFile(parameters, "JOB", context), "--json"], feedback, lines.append)
        if code == 130:
            return {}
        plan = json.loads("\n".join(lines))
        for line in plan_lines(plan):
            feedback.pushInfo(line)
        for one in plan["refused"]:
            feedback.reportError(f"Refused: {one['reason']}", False)
        results = {
            "TILES": plan["tiles"], "REFUSED": len(plan["refused"]), "ESTIMATE_SECONDS": plan["estimate_seconds"],
        }  # fmt: skip
        target = self.parameterAsFileOutput(parameters, "PLAN", context)
        if target:
            Path(target).write_text(json.dumps(plan, indent=2), encoding="utf-8")
            results["PLAN"] = target
        return results


class _Making(_Algorithm):
    """What makes layers from a job, tells how it goes, and loads them."""

    def initAlgorithm(self, configuration=None):
        self._file("JOB", "Job file", "toml")
        self._options()
        self.addParameter(QgsProcessingParameterBoolean("LOAD", "Load the layers when done", True))
        self._result_outputs()

    def _options(self):
        """Add what only this command takes."""

    def _arguments(self, parameters, context):
        return []

    def processAlgorithm(self, parameters, context, feedback):
        job = self.parameterAsFile(parameters, "JOB", context)
        told = Told(feedback)
        code = follow([self.command, job, "--json", *self._arguments(parameters, context)], feedback, told.hear)
        if code == 130:
            return {}
        if told.folder is None:
            raise QgsProcessingException(f"`survey {self.command}` did not say where its outputs are.")
        results = outputs_of(told.folder)
        if "GEOPACKAGE" in results and self.parameterAsBool(parameters, "LOAD", context):
            _load_when_done(results["GEOPACKAGE"], context)
        return results


class Run(_Making):
    """``survey run``."""

    command, title = "run", "Run a survey job"
    does = (
        "Surveys the imagery of a job, or goes on where it stopped, and loads the layers. Cancel stops it after the "
        "tiles in hand; nothing is lost. Remove the layers of an earlier run from the project first: a file that is "
        "open is not replaced."
    )

    def _options(self):
        self.addParameter(
            QgsProcessingParameterNumber(
                "WORKERS", "Processes (default: one a core)", optional=True, minValue=1, maxValue=1024
            )
        )
        self.addParameter(QgsProcessingParameterBoolean("RESTART", "Start over", False))

    def _arguments(self, parameters, context):
        given = parameters.get("WORKERS")
        workers = [] if given in (None, "") else ["--workers", str(self.parameterAsInt(parameters, "WORKERS", context))]
        return [*workers, *(["--restart"] if self.parameterAsBool(parameters, "RESTART", context) else [])]


class Map(_Making):
    """``survey map``."""

    command, title = "map", "Make the layers of a job again"
    does = (
        "Makes the layers again from what a run has seen, with new districts, thresholds, rules or verdicts; reads no "
        "pixel. Remove its layers from the project first: a file that is open is not replaced."
    )


class Report(_Algorithm):
    """``survey report``."""

    command, title = "report", "Write the report of a survey again"
    does = "Writes report.html and the QGIS project again from the outputs of a run."

    def initAlgorithm(self, configuration=None):
        self._folder("FOLDER", "Output folder of a run")
        self._result_outputs()

    def processAlgorithm(self, parameters, context, feedback):
        folder = self.parameterAsFile(parameters, "FOLDER", context)
        code = follow(["report", folder], feedback, feedback.pushInfo)
        return {} if code == 130 else outputs_of(folder)


class Learn(_Algorithm):
    """``survey learn``."""

    command, title = "learn", "Add reviewed objects to the object memory"
    does = (
        "Adds labelled objects to the memory that the classifier is retrained from. A reviewed survey.gpkg is such a "
        "file: its confirmed and rejected objects. Save your edits and close the file's layers first."
    )

    def initAlgorithm(self, configuration=None):
        self._folder("MEMORY", "Object memory (folder)")
        self._file("LABELS", "Labelled objects, or a reviewed survey.gpkg")
        self.addParameter(
            QgsProcessingParameterMultipleLayers("IMAGERY", "Orthomosaics they were seen in", QgsProcessing.TypeRaster)
        )
        self._text("LAYER", "Layer of the labels (default: the first, or hazard_objects)")
        self._file("REVIEWED", "Ground where everything was looked at", optional=True)
        self._text("REVIEWED_LAYER", "Layer of that ground")
        self._text("SITE", "Site: the group that is held out together")
        self._text("NEW_CLASS", "New class code")

    def processAlgorithm(self, parameters, context, feedback):
        options = []
        for name in ("MEMORY", "LABELS", "REVIEWED"):
            value = self.parameterAsFile(parameters, name, context)
            options += [f"--{name.lower()}", value] if value else []
        for name in ("LAYER", "REVIEWED_LAYER", "SITE", "NEW_CLASS"):
            value = self.parameterAsString(parameters, name, context)
            options += [f"--{name.lower().replace('_', '-')}", value] if value else []
        images = [layer.source() for layer in self.parameterAsLayerList(parameters, "IMAGERY", context)]
        follow(["learn", *options, *images], feedback, feedback.pushInfo)
        return {}


class _OwnStyle(QgsProcessingLayerPostProcessorInterface):
    """Gives a loaded layer the style that its file holds, which Processing leaves aside."""

    def postProcessLayer(self, layer, context, feedback):
        layer.loadDefaultStyle()


_STYLES_IN_USE: list[_OwnStyle] = []


def _load_when_done(geopackage, context):
    _STYLES_IN_USE[:] = [one for one in _STYLES_IN_USE if not sip.isdeleted(one)]
    for name in BOTTOM_UP:
        source = f"{geopackage}|layername={name}"
        if QgsVectorLayer(source, name, "ogr").isValid():
            details = QgsProcessingContext.LayerDetails(name, context.project(), name)
            details.forceName = True
            style = _OwnStyle()
            # The context deletes it, so each layer needs its own; without a name here its Python half would go at once.
            sip.transferto(style, None)
            _STYLES_IN_USE.append(style)
            details.setPostProcessor(style)
            context.addLayerToLoadOnCompletion(source, details)
