from __future__ import annotations

import pytest

from survey import hazards


@pytest.fixture(autouse=True)
def _known_classes():
    """Classes that a test admits are unknown to the next one."""
    yield
    if hazards._ADMITTED:
        hazards._ADMITTED.clear()
        hazards.classes.cache_clear()
