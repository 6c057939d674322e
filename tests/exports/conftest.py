from __future__ import annotations

import pandas as pd
import pytest
from example_result import a_result


@pytest.fixture
def result() -> dict[str, pd.DataFrame]:
    """Return a small result whose every layer holds something."""
    return a_result()
