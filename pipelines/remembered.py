"""Gather what a model is to be trained on: the rows of a memory, their groups, and what is known of the objects."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier

from pipelines.learn import DEFAULT_LEAST, least_for, wanted_sizes
from pipelines.measuring import Rows, Search, joined, measure_memory
from survey.api import Model, load_model, sizes_of
from survey.detection.channels import MOST_BANDS
from survey.detection.features import FEATURE_SET
from survey.errors import ModelError
from survey.hazards import classes
from survey.imagery.scene import ROLES
from survey.memory.committee import networks_of
from survey.memory.examples import Memory, open_memory
from survey.memory.grouping import groups_of
from survey.memory.promotion import Truth
from survey.memory.training import recipe

if TYPE_CHECKING:
    from pipelines.train import Request

_BANDS: Mapping[frozenset[str], tuple[str, str]] = {
    frozenset(("red", "green", "blue")): ("rgb", "red,green,blue"),
    frozenset(("nir", "green", "blue")): ("cir", "nir,green,blue"),
    frozenset(("thermal",)): ("thermal", "thermal"),
}
"""Sets of bands with a name, and the order the shipped models take them in."""


@dataclass(frozen=True)
class Remembered:
    """What a model is trained on and judged by.

    Attributes
    ----------
    name : str
        Of the bands; begins the versions' names.
    roles : tuple of str
    sizes_by_class : mapping of class code to diameters in metres
        Classes with enough examples.
    counts : mapping of class code to int
        Objects of these.
    least : float
        Strength from which something is a candidate.
    rows : Rows
    groups : object array
        Site or block of each row.
    examples : DataFrame
        Objects of these classes: ``example_id``, ``class_code``, ``group``, ``clip``, ``first_segment``.
    clips : DataFrame
        With ``group``.
    groups_in_words : str
    shipped : Model or None
        Champion where the register has none.
    memory : Memory
    notes : tuple of str
    left : mapping of class code to int
        Objects of classes that are left to the model before, which knows them better.
    begun_with : Model or None
        Shipped model whose networks those of a model of few objects begin with.
    kept : Rows or None
        Candidates on objects that are remembered and not learned: of classes with too few examples, or left to the
        model before. They show whether that still finds them.
    """

    name: str
    roles: tuple[str, ...]
    sizes_by_class: Mapping[str, tuple[float, ...]]
    counts: Mapping[str, int]
    least: float
    rows: Rows
    groups: NDArray[np.object_]
    examples: pd.DataFrame
    clips: pd.DataFrame
    groups_in_words: str
    shipped: Model | None
    memory: Memory
    notes: tuple[str, ...]
    left: Mapping[str, int] = field(default_factory=dict)
    begun_with: Model | None = None
    kept: Rows | None = None

    def without(self, codes: Collection[str], note: str) -> Remembered:
        """The same with some classes left to the model before; their objects are neither learned nor nothing."""
        named = np.isin(self.rows.codes.astype(str), list(codes))
        return replace(
            self,
            sizes_by_class={code: one for code, one in self.sizes_by_class.items() if code not in codes},
            counts={code: n for code, n in self.counts.items() if code not in codes},
            rows=self.rows.take(~named),
            groups=self.groups[~named],
            examples=self.examples[~self.examples["class_code"].isin(codes)].reset_index(drop=True),
            notes=(*self.notes, note),
            left={code: n for code, n in self.counts.items() if code in codes},
            kept=joined([one for one in (self.kept, self.rows.take(named)) if one is not None]),
        )

    @property
    def n_objects(self) -> int:
        """Objects of all classes."""
        return len(self.examples)

    @property
    def starts(self) -> tuple[MLPClassifier, ...]:
        """Networks that those of a model of few objects begin with."""
        return () if self.begun_with is None else networks_of(self.begun_with.hazard)

    @property
    def negatives(self) -> int:
        """Rows that lie on no object."""
        return int((self.rows.codes == "").sum())

    @property
    def own_sizes(self) -> tuple[float, ...]:
        """Every size its classes are looked for at."""
        return tuple(sorted({size for sizes in self.sizes_by_class.values() for size in sizes}))

    def truth(self, chosen: NDArray[np.bool_]) -> Truth:
        """Objects to be judged by; units of the bootstrap are groups where there are enough, else clips."""
        table = self.examples[chosen]
        column = "group" if self.examples["group"].nunique() >= 6 else "clip"
        names = sorted({*self.clips["group"]} if column == "group" else {*self.clips["clip_id"]})
        number = {name: index for index, name in enumerate(names)}
        units = table[column].map(number).to_numpy(dtype=np.int64)
        return Truth(table["class_code"].to_numpy(object), table["group"].to_numpy(object), units)


def gather(request: Request, champion: Model | None, say: Callable[[str], None]) -> Remembered:
    """Measure the memory and sort out what can be learned.

    Raises
    ------
    ModelError
        There is too little to learn from.
    """
    memory = open_memory(request.memory)
    clips = memory.clips()
    examples = pd.DataFrame(memory.examples().drop(columns="geometry"))
    if not len(clips):
        raise ModelError(f"The memory {request.memory} is empty. Add objects with `survey learn` first.")
    roles, name = _bands(clips, examples, request, champion)
    clips = clips[[set(roles) <= set(one.split(";")) for one in clips["roles"]]].reset_index(drop=True)
    ships = _shipped_for(roles) if request.with_shipped else None
    shipped = ships if champion is None else None
    known = champion or shipped
    roles = known.roles if known else roles
    hazards = examples[(examples["event"] != "reject") & examples["image_digest"].isin(clips["image_digest"])]
    hazards = hazards[[classes()[code].family != "clutter" for code in hazards["class_code"]]]
    counts, notes = _enough(hazards, request)
    sizes = {code: sizes for code, sizes in wanted_sizes(memory).items() if code in counts}
    before = champion or shipped
    least = before.least_strength if before else least_for(roles) if request.with_shipped else DEFAULT_LEAST
    own = {size for one in sizes.values() for size in one}
    others = tuple(sorted(set(sizes_of(before)) - own)) if before else ()
    how = request.training or recipe(sum(counts.values()), request.seed)
    # A champion that was taught so is fitted again as it was.
    looks = how.nudged or (champion is not None and bool(champion.card.get("settings", {}).get("nudged")))
    search = Search(tuple(sorted(own)), least, tuple(roles), others, nudged=looks)
    say(f"Measuring {len(clips)} clips (what has not changed since is read from the cache) ...")
    rows = measure_memory(memory, search, request.workers)
    known_of = name, tuple(roles), sizes, counts, least, shipped, tuple(notes)
    return replace(_grouped(memory, rows, clips, hazards, known_of), begun_with=_unseen(ships, tuple(roles), clips))


def _shipped_for(roles: tuple[str, ...]) -> Model | None:
    try:
        found = load_model(None, roles)
    except ModelError:
        return None
    return found if set(found.roles) == set(roles) and found.feature_set == FEATURE_SET else None


def _unseen(model: Model | None, roles: tuple[str, ...], clips: pd.DataFrame) -> Model | None:
    """Return a model whose networks others may begin with: it must not know the ground that is held out from them."""
    if model is None or model.roles != roles or set(clips["image_digest"]) & set(model.card.get("images", ())):
        return None
    return model


def _bands(
    clips: pd.DataFrame, examples: pd.DataFrame, request: Request, champion: Model | None
) -> tuple[tuple[str, ...], str]:
    """Bands to train for: those asked for, the champion's, or those most examples have."""
    if request.bands is not None:
        strange = [one for one in request.bands if one not in ROLES]
        if strange:
            raise ModelError(f"--bands has no role {strange[0]!r}; it may be of {', '.join(ROLES)}.")
        roles = request.bands
    elif champion is not None:
        roles = champion.roles
    else:
        of_image = clips.drop_duplicates("image_digest").set_index("image_digest")["roles"]
        common = examples["image_digest"].map(of_image).value_counts()
        roles = tuple(sorted(common.index, key=lambda one: (-common[one], one))[0].split(";"))
    if len(roles) > MOST_BANDS or set(roles) == {"elevation"}:
        raise ModelError(
            f"A model looks at one to {MOST_BANDS} bands, and not at elevation alone; these are {', '.join(roles)}. "
            "Name those to learn from, for example `--bands red,green,blue,elevation`."
        )
    name, order = _BANDS.get(frozenset(roles), ("-".join(roles), ",".join(roles)))
    if not any(set(roles) <= set(one.split(";")) for one in clips["roles"]):
        raise ModelError(f"The memory {request.memory} holds no imagery with the bands {', '.join(roles)}.")
    return tuple(order.split(",")), name


def _enough(hazards: pd.DataFrame, request: Request) -> tuple[dict[str, int], list[str]]:
    from pipelines.train import FEWEST_EXAMPLES

    found = {str(code): int(n) for code, n in hazards["class_code"].value_counts().sort_index().items()}
    counts = {code: n for code, n in found.items() if n >= FEWEST_EXAMPLES}
    notes = [
        f"{code} has {n} examples; {FEWEST_EXAMPLES} are needed for a class to be learned: it is left out."
        for code, n in found.items()
        if n < FEWEST_EXAMPLES
    ]
    if not counts:
        listed = ", ".join(f"{code} {n}" for code, n in found.items()) or "none"
        raise ModelError(
            f"The memory {request.memory} holds too few objects to learn from ({listed}); a class needs "
            f"{FEWEST_EXAMPLES}. Label or verify more, and add them with `survey learn`."
        )
    return counts, notes


def _grouped(
    memory: Memory, rows: Rows, clips: pd.DataFrame, hazards: pd.DataFrame, known: tuple[Any, ...]
) -> Remembered:
    name, roles, sizes, counts, least, shipped, notes = known
    hazards = hazards[hazards["class_code"].isin(counts)].copy()
    # Objects of classes with too few examples are neither learned nor taken for nothing.
    used = (rows.codes == "") | np.isin(rows.codes.astype(str), list(counts))
    kept, rows = rows.take(~used), rows.take(used)
    of_example = dict(zip(rows.example, rows.clip, strict=True))
    of_image = clips.drop_duplicates("image_digest").set_index("image_digest")["clip_id"]
    # An object without any candidate counts as missed, on a clip of its image.
    hazards["clip"] = [
        of_example.get(example, of_image[image])
        for example, image in zip(hazards["example_id"], hazards["image_digest"], strict=True)
    ]
    objects = clips["clip_id"].map(hazards["clip"].value_counts()).fillna(0).to_numpy().astype(np.int64)
    groups, sentence = groups_of(clips, objects)
    clips = clips.assign(group=groups)
    of_clip = clips.drop_duplicates("clip_id").set_index("clip_id")["group"]
    hazards["group"] = hazards["clip"].map(of_clip)
    return Remembered(
        name, roles, sizes, counts, least, rows, of_clip.reindex(rows.clip).to_numpy(object),
        hazards.reset_index(drop=True), clips, sentence, shipped, memory, notes, kept=kept,
    )  # fmt: skip
