"""The top floor: joins the stages for one raster or one table in memory.

For researchers, and for the commands in ``pipelines/``, which do the same with named files, a journal and workers.
``import survey`` offers the first few of these names.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from survey.api.judging import (
    Measure,
    OwnModel,
    feature_set_of,
    first_stage,
    judge,
    load_model,
    open_model,
    sizes_of,
    wanted_classes,
    what_is_sought,
)
from survey.api.raster import Piece, Plan, detect, evaluate, open_scene, plan, survey_raster
from survey.api.scenes import collect_objects, cut_step, region_of, scene_coverage
from survey.api.tiles import TileResult, passes, pieces, survey_damaged_tile, survey_tile, with_measures
from survey.detection.classifier import Detection
from survey.detection.scales import Pass
from survey.imagery.scene import Scene
from survey.imagery.seen import Sought
from survey.imagery.tiles import Tile, Tiling
from survey.imagery.visibility import Visibility
from survey.memory.modelfile import Model, ModelFile

if TYPE_CHECKING:
    from survey.api.labelled import LabelledScene
    from survey.api.learning import learn, save_model

__all__ = [
    "Detection",
    "LabelledScene",
    "Measure",
    "Model",
    "ModelFile",
    "OwnModel",
    "Pass",
    "Piece",
    "Plan",
    "Scene",
    "Sought",
    "Tile",
    "TileResult",
    "Tiling",
    "Visibility",
    "collect_objects",
    "cut_step",
    "detect",
    "evaluate",
    "feature_set_of",
    "first_stage",
    "judge",
    "learn",
    "load_model",
    "open_model",
    "open_scene",
    "passes",
    "pieces",
    "plan",
    "region_of",
    "save_model",
    "scene_coverage",
    "sizes_of",
    "survey_damaged_tile",
    "survey_raster",
    "survey_tile",
    "wanted_classes",
    "what_is_sought",
    "with_measures",
]

# Learning takes libraries that take longer to load than all else; surveys do without.
_LEARNING = ("LabelledScene", "learn", "save_model")


def __getattr__(name: str) -> object:
    if name not in _LEARNING:
        raise AttributeError(f"module 'survey.api' has no attribute {name!r}")
    return getattr(import_module("survey.api.learning"), name)
