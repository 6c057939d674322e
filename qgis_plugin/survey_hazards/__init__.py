"""QGIS plugin: survey commands in the Processing toolbox; it starts the installed ``survey``, imports none of it."""


def classFactory(iface):
    """Return the plugin; QGIS calls this."""
    from survey_hazards.plugin import Plugin

    return Plugin(iface)
