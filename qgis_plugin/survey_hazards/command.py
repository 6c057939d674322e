"""Start the installed ``survey``, hand on what it says, and stop it gently when the user cancels."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from processing.core.ProcessingConfig import ProcessingConfig
from qgis.core import QgsProcessingException

SETTING = "SURVEY_COMMAND"
_NOT_OURS = ("PYTHON", "VIRTUAL_ENV", "GDAL_", "OGR_", "PROJ_", "GEOTIFF_", "QT_", "QGIS_")
"""What QGIS sets for its own Python, GDAL and PROJ would lead those of the command astray."""
_LOOK_EVERY_S = 0.2


def find_command():
    """Return the command to start: the setting's, else the one on the PATH.

    Raises
    ------
    QgsProcessingException
        There is none.
    """
    wanted = str(ProcessingConfig.getSetting(SETTING) or "").strip()
    found = shutil.which(wanted or "survey")
    if found is None:
        what = f"The command {wanted!r} of the settings does not exist" if wanted else "There is no command `survey`"
        raise QgsProcessingException(
            f"{what}. Install the survey software (its README says how), then name its command under Settings, "
            "Options, Processing, Providers, Survey: for example the file `survey` in the folder `.venv/bin` "
            r"(Windows: `.venv\Scripts\survey.exe`)."
        )
    return found


def start(arguments, folder=None):
    """Start the command in an environment without QGIS's own Python and GDAL, in a process group of its own."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(_NOT_OURS)}
    environment |= {"PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}
    apart = (
        {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
        if os.name == "nt"
        else {"start_new_session": True}
    )
    return subprocess.Popen(
        [find_command(), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        cwd=folder, env=environment, encoding="utf-8", errors="replace", **apart,
    )  # fmt: skip


def follow(arguments, feedback, heard):
    """Run the command to its end.

    Parameters
    ----------
    arguments : list of str
    feedback : QgsProcessingFeedback
        Gets what the command says of itself; asked whether the user cancelled. Then the command is sent SIGINT
        and waited for: it finishes the tiles in hand, and the same job goes on there next time.
    heard : callable
        Is given every line of standard output.

    Returns
    -------
    int
        Exit code: 0, 3 (some imagery could not be analysed), or 130 where the user cancelled.

    Raises
    ------
    QgsProcessingException
        The command cannot be started or failed, with what it said.
    """
    feedback.pushCommandInfo(f"survey {' '.join(arguments)}")
    process = start(arguments)
    lines: queue.Queue = queue.Queue()
    readers = [
        threading.Thread(target=_read, args=(stream, which, lines), daemon=True)
        for which, stream in (("out", process.stdout), ("err", process.stderr))
    ]
    for reader in readers:
        reader.start()
    complaints, asked, running = [], False, len(readers)
    while running:
        if feedback.isCanceled() and not asked:
            asked = True
            _interrupt(process)
            feedback.pushInfo("Stopping after the tiles in hand; nothing is lost, the same job goes on there.")
        try:
            which, line = lines.get(timeout=_LOOK_EVERY_S)
        except queue.Empty:
            continue
        if line is None:
            running -= 1
        elif which == "out":
            heard(line)
        elif line.strip():
            complaints.append(line.strip())
            feedback.pushConsoleInfo(line)
    code = process.wait()
    if asked:
        return 130
    if code not in (0, 3):
        raise QgsProcessingException(complaints[-1] if complaints else f"`survey {arguments[0]}` ended with {code}.")
    return code


def _read(stream, which, lines):
    with stream:
        for line in stream:
            lines.put((which, line.rstrip("\r\n")))
    lines.put((which, None))


def _interrupt(process):
    """Ask the command to stop. On Windows only a break reaches another group; the journal survives either."""
    if process.poll() is None:
        process.send_signal(signal.CTRL_BREAK_EVENT if os.name == "nt" else signal.SIGINT)


def outputs_of(folder):
    """Return the outputs that lie in an output folder, by the names algorithms give them."""
    folder = Path(folder)
    named = {"GEOPACKAGE": "survey.gpkg", "REPORT": "report.html", "PROJECT": "survey.qgs"}
    found = {key: str(folder / name) for key, name in named.items() if (folder / name).exists()}
    return {"OUTPUT_FOLDER": str(folder), **found}
