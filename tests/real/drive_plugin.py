"""Run by QGIS's own Python: the plugin's algorithms as the toolbox runs them, one of them cancelled.

Usage: python3 drive_plugin.py PLUGIN_FOLDER COMMAND RECORDER JOB LABELS FOLDER
Writes ``drive.json`` into FOLDER.
"""

import json
import os
import sys
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"


def main():
    from qgis.core import QgsApplication, QgsProcessingContext, QgsProcessingFeedback, QgsProject

    plugin, command, recorder, job, labels, folder = sys.argv[1:]
    app = QgsApplication([], True)
    app.initQgis()
    sys.path[:0] = [plugin, str(Path(app.pkgDataPath()) / "python" / "plugins")]
    import processing
    from processing.core.Processing import Processing
    from processing.core.ProcessingConfig import ProcessingConfig

    Processing.initialize()
    from survey_hazards import classFactory
    from survey_hazards.command import SETTING

    loaded = classFactory(None)
    loaded.initGui()
    report = {"setting": SETTING in ProcessingConfig.settings}
    ProcessingConfig.setSettingValue(SETTING, command)

    class Feedback(QgsProcessingFeedback):
        """Remembers; cancels at a progress."""

        def __init__(self, cancel_at=None):
            super().__init__(False)
            self.cancel_at, self.lines, self.steps = cancel_at, [], []

        def setProgress(self, value):
            self.steps.append(value)
            if self.cancel_at is not None and value >= self.cancel_at:
                self.cancel()

        def pushInfo(self, text):
            self.lines.append(text)

        def pushConsoleInfo(self, text):
            self.lines.append(text)

        def pushCommandInfo(self, text):
            self.lines.append(text)

        def setProgressText(self, text):
            self.lines.append(text)

        def reportError(self, text, fatalError=False):
            self.lines.append("ERROR " + text)

    def run(name, parameters, cancel_at=None, load=False):
        feedback, project = Feedback(cancel_at), QgsProject.instance()
        context = QgsProcessingContext()
        context.setProject(project)
        try:
            how = processing.runAndLoadResults if load else processing.run
            results = how(f"survey:{name}", parameters, feedback=feedback, context=context)
        except Exception as error:
            results = {"failed": str(error)}
        return {"results": results, "lines": feedback.lines, "steps": feedback.steps}

    report["plan"] = run("plan", {"JOB": job, "PLAN": str(Path(folder) / "plan.json")})
    report["cancelled"] = run("run", {"JOB": job, "WORKERS": 1}, cancel_at=10)
    report["run"] = run("run", {"JOB": job, "WORKERS": 1}, load=True)
    report["loaded"] = [
        [layer.name(), layer.isValid(), layer.featureCount(), layer.renderer().type() if layer.isSpatial() else None]
        for layer in QgsProject.instance().mapLayers().values()
    ]
    QgsProject.instance().clear()
    output = report["run"]["results"].get("OUTPUT_FOLDER", "")
    report["map"] = run("map", {"JOB": job, "LOAD": False})
    report["report"] = run("report", {"FOLDER": output})
    broken = Path(folder) / "broken.toml"
    broken.write_text("[job")
    report["refused"] = run("run", {"JOB": str(broken), "LOAD": False})
    ProcessingConfig.setSettingValue(SETTING, recorder)
    image = str(Path(job).with_name("a.tif"))
    given = {"MEMORY": folder, "LABELS": labels, "IMAGERY": [image], "LAYER": "my layer", "REVIEWED": labels,
             "REVIEWED_LAYER": "seen", "SITE": "north", "NEW_CLASS": "booby_trap"}  # fmt: skip
    report["learn"] = run("learn", given)
    ProcessingConfig.setSettingValue(SETTING, "/no/such/survey")
    report["missing"] = run("plan", {"JOB": job})
    loaded.unload()
    report["gone"] = app.processingRegistry().providerById("survey") is None
    (Path(folder) / "drive.json").write_text(json.dumps(report, indent=1))
    app.exitQgis()


if __name__ == "__main__":
    main()
