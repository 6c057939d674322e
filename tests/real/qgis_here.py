"""Find a QGIS, and keep its programs apart from this Python and from the user's own profile."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

PYTHON = "/usr/bin/python3"
# The Python inside QGIS finds its library by the first python3 on the path: that must be the system's, not ours.
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV", "GDAL"))}
ENVIRONMENT["PATH"] = f"/usr/bin:/bin:{os.environ.get('PATH', '')}"
NEEDS = "needs QGIS: apt-get install qgis python3-qgis"


def has_qgis() -> bool:
    if shutil.which("qgis") is None or not Path(PYTHON).exists():
        return False
    return subprocess.run([PYTHON, "-c", "import qgis.core"], env=ENVIRONMENT, capture_output=True).returncode == 0


def at_home(folder: Path) -> dict[str, str]:
    """Environment in which QGIS keeps its profile in a folder."""
    folder.mkdir(mode=0o700, exist_ok=True)
    return ENVIRONMENT | {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "QT_QPA_PLATFORM": "offscreen"}
