from __future__ import annotations

import sys
from pathlib import Path

# The small result that the tests of the exports use serves here too.
sys.path.insert(0, str(Path(__file__).parents[1] / "exports"))
