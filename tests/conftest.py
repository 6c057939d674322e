from __future__ import annotations

import os

import pytest
from hypothesis import settings

from survey import hazards

# The same examples each time, so that whether a commit passes is not a matter of luck; `search` draws new ones.
settings.register_profile("same", derandomize=True)
settings.register_profile("search", derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(autouse=True)
def _known_classes():
    """Classes that a test admits are unknown to the next one."""
    yield
    if hazards._ADMITTED:
        hazards._ADMITTED.clear()
        hazards.classes.cache_clear()
