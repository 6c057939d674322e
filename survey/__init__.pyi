from survey.api import LabelledScene as LabelledScene
from survey.api import Plan as Plan
from survey.api import Tiling as Tiling
from survey.api import detect as detect
from survey.api import evaluate as evaluate
from survey.api import learn as learn
from survey.api import load_model as load_model
from survey.api import open_scene as open_scene
from survey.api import plan as plan
from survey.api import save_model as save_model
from survey.api import survey_raster as survey_raster

__version__: str
