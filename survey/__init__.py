"""Aerial survey of explosive hazards: orthomosaics in, contamination layers out.

A researcher's few names stand here: ``open_scene``, ``plan``, ``detect`` (in one tile), ``survey_raster``, ``learn``,
``evaluate``, and ``load_model`` and ``save_model``. They live in :mod:`survey.api` and are loaded when they are first
asked for, so that ``survey --help`` answers at once.
"""

from importlib import import_module

__version__ = "0.1.0"

__all__ = [
    "LabelledScene",
    "Plan",
    "Tiling",
    "__version__",
    "detect",
    "evaluate",
    "learn",
    "load_model",
    "open_scene",
    "plan",
    "save_model",
    "survey_raster",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'survey' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(import_module("survey.api"), name)


def __dir__() -> list[str]:
    return __all__
