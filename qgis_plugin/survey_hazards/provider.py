"""The Processing provider ``survey``, and its one setting: which command to start."""

from __future__ import annotations

from processing.core.ProcessingConfig import ProcessingConfig, Setting
from qgis.core import QgsProcessingProvider

from survey_hazards.algorithms import Learn, Map, Plan, Report, Run
from survey_hazards.command import SETTING


class Provider(QgsProcessingProvider):
    """Survey commands as algorithms."""

    def id(self):
        """Return the first part of every algorithm's id."""
        return "survey"

    def name(self):
        """Return what people read in the toolbox."""
        return "Survey"

    def load(self):
        """Add the setting and the algorithms."""
        ProcessingConfig.settingIcons[self.name()] = self.icon()
        ProcessingConfig.addSetting(
            Setting(
                self.name(), SETTING, "Command `survey` (empty: the one on the PATH)", "", valuetype=Setting.STRING,
                placeholder="survey",
            )
        )  # fmt: skip
        ProcessingConfig.readSettings()
        self.refreshAlgorithms()
        return True

    def unload(self):
        """Take the setting away; its value stays stored."""
        ProcessingConfig.removeSetting(SETTING)

    def loadAlgorithms(self):
        """Add one algorithm a command."""
        for algorithm in (Plan, Run, Map, Learn, Report):
            self.addAlgorithm(algorithm())
