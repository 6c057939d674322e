"""``survey learn``: labelled or verified objects and their imagery into the object memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import geopandas as gpd

    from pipelines.auditing import Audited
    from pipelines.clipping import Placed
    from survey.hazards import HazardClass
    from survey.imagery.scene import Scene
    from survey.memory.audit import Policy
    from survey.memory.clips import Clip
    from survey.memory.examples import Memory, Segment

DEFAULT_LEAST = 2.0
"""Strength from which something stands out, where no shipped model of the bands says otherwise."""


def command(
    imagery: Annotated[
        list[str] | None,
        typer.Argument(help="Imagery the labels lie on: files, patterns in quotes, folders.", show_default=False),
    ] = None,
    memory: Annotated[Path | None, typer.Option(help="Folder of the object memory; made if new.")] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="GeoPackage, GeoJSON or Shapefile with class_code, or a reviewed survey.gpkg."),
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Layer of the labels; default: 'labels'.")] = None,
    reviewed: Annotated[
        Path | None, typer.Option(help="Polygons inside which everything was looked at; default: layer 'reviewed'.")
    ] = None,
    reviewed_layer: Annotated[str | None, typer.Option(help="Layer of the reviewed areas.")] = None,
    reviewed_everything: Annotated[
        bool, typer.Option("--reviewed-everything", help="The whole of every image was looked at.")
    ] = False,
    site: Annotated[str | None, typer.Option(help="Site of all of it; held out together.")] = None,
    site_field: Annotated[str, typer.Option(help="Columns that together name the site.")] = "site",
    new_class: Annotated[
        list[str] | None, typer.Option(help="Admit a class: CODE or CODE:FAMILY; may be given again.")
    ] = None,
    bands: Annotated[str | None, typer.Option(help="Roles of the bands, such as red=1,green=2,blue=3.")] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            help="Take labels with this problem as they are: contradicts, size, offset, loose, nothing_there."
        ),
    ] = None,
    fix: Annotated[list[str] | None, typer.Option(help="Mend labels with this problem: offset, loose.")] = None,
    audit: Annotated[
        Path | None, typer.Option(help="Where the audit is written; default: audit.gpkg in the memory.")
    ] = None,
    suggest: Annotated[
        int | None,
        typer.Option(min=1, help="Learn nothing; list the N objects of --labels whose verdict teaches most."),
    ] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for another process at the memory.")] = 60.0,
) -> None:
    """Add labelled or verified objects to the object memory.

    Example: survey learn --memory memory --labels data/sample/labels.gpkg data/sample/imagery/field_a.tif
    """
    from survey.errors import JobError

    if labels is None:
        raise JobError("Name the labels with --labels FILE.")
    if suggest is not None:
        from pipelines.suggest import show_suggestions

        show_suggestions(labels, suggest)
        return
    if memory is None:
        raise JobError("Name the object memory with --memory DIR; it is made if it is new.")
    if not imagery:
        raise JobError("Name the imagery the labels lie on: files, patterns in quotes, or folders.")
    request = Request(
        memory, labels, tuple(imagery), layer=layer, reviewed=reviewed, reviewed_layer=reviewed_layer,
        reviewed_everything=reviewed_everything, site=site, site_fields=tuple(site_field.split(",")),
        new_classes=tuple(new_class or ()), bands=bands, policy=_policy(accept, fix), audit=audit, wait_s=wait,
    )  # fmt: skip
    learned = learn(request, say=typer.echo)
    show(learned)
    if learned.segment is not None:
        typer.echo(f"Next: survey train --memory {memory} --models models")


def _policy(accept: list[str] | None, fix: list[str] | None) -> Policy:
    from survey.errors import JobError
    from survey.memory.audit import FIXABLE, SUSPICIOUS, Policy
    from survey.settings import nearest

    for option, given, known in (("--accept", accept, SUSPICIOUS), ("--fix", fix, FIXABLE)):
        for one in given or ():
            if one not in known:
                raise JobError(f"{option} {one!r} is no problem; did you mean {nearest(one, known)!r}?")
    accepted = {*Policy().accept, *(accept or ())}
    return Policy(accept=tuple(sorted(accepted)), fix=tuple(fix or ()))


@dataclass(frozen=True)
class Request:
    """What is to be learned; the options of the command."""

    memory: Path
    labels: Path
    imagery: tuple[str, ...]
    layer: str | None = None
    reviewed: Path | None = None
    reviewed_layer: str | None = None
    reviewed_everything: bool = False
    site: str | None = None
    site_fields: tuple[str, ...] = ("site",)
    new_classes: tuple[str, ...] = ()
    bands: str | None = None
    policy: Any = None
    audit: Path | None = None
    wait_s: float = 60.0


@dataclass(frozen=True)
class Learned:
    """What came of it.

    Attributes
    ----------
    segment : Segment or None
        None where there was nothing new.
    counts : mapping of class code to int
        Objects learned; rejections as ``rejected``.
    problems : GeoDataFrame
        Layer ``AUDIT``.
    audit_path : Path or None
        Where it was written, if there is any problem.
    reviewed_ha : float
    total : mapping of class code to int
        What the memory holds now.
    notes : tuple of str
    """

    segment: Segment | None
    counts: Mapping[str, int]
    problems: gpd.GeoDataFrame
    audit_path: Path | None
    reviewed_ha: float
    total: Mapping[str, int]
    notes: tuple[str, ...] = field(default=())


def learn(request: Request, say: Callable[[str], None] = lambda _: None) -> Learned:
    """Audit labels and add what stands to the memory: the whole road.

    Raises
    ------
    SurveyError
        Nothing can be used, or the batch is refused; the memory is as it was.
    """
    from datetime import UTC, datetime

    import pandas as pd

    from pipelines.auditing import counted, events_of
    from pipelines.clipping import Clipping, Placed, cut
    from pipelines.labels import read_labels
    from survey.errors import LayerError
    from survey.layers import EXAMPLES
    from survey.memory.audit import Policy, batch_refusal
    from survey.memory.examples import append, make_memory, open_memory
    from survey.memory.lock import only_writer

    policy = request.policy or Policy()
    labels, notes = read_labels(request.labels, request.layer, request.site_fields)
    scenes = _scenes(request, say)
    reviewed = _reviewed(request, scenes)
    make_memory(request.memory)
    with only_writer(request.memory, request.wait_s):
        memory = open_memory(request.memory)
        admitted = _admit(request, labels, scenes)
        audited, labels, stand = _audit(labels, scenes, memory.examples(), policy)
        problems = audited.table()
        audit_path = _write_audit(request, problems)
        refusal = batch_refusal(problems, len(labels), policy)
        if refusal is not None:
            raise LayerError(
                f"{refusal} Nothing was learned. Look at {audit_path} in QGIS, mend {request.labels.name}, and learn "
                "again; or take what is right as it is with --accept PROBLEM or mend it with --fix PROBLEM."
            )
        sizes, names = wanted_sizes(memory, stand), {scene.name for scene in scenes}
        learned_at = datetime.now(UTC).replace(microsecond=0)
        events = [events_of(one, _sites(one, request), learned_at) for one in stand if len(one.labels)]
        table = pd.concat(events, ignore_index=True) if events else EXAMPLES.empty("EPSG:4326")
        ground = _Counted()

        def clips() -> Iterator[Clip]:
            for one in stand:
                sited = Placed(one.scene, one.image_digest, one.labels.assign(site=_sites(one, request)))
                area = None if reviewed is None else _reviewed_on(reviewed, sited, names)
                for clip in cut(sited, area, sizes, Clipping()):
                    ground.add(clip)
                    yield clip

        segment = append(memory, table, clips(), admitted)
        total = counted(open_memory(request.memory).examples())
    if not ground.hectares and reviewed is None:
        notes.append(
            "No reviewed ground: of what is no object nothing was learned but what was rejected. Give --reviewed FILE, "
            "or --reviewed-everything where the whole of every image was looked at."
        )
    return Learned(segment, counted(table), problems, audit_path, ground.hectares, total, tuple(notes))


def _audit(
    labels: gpd.GeoDataFrame, scenes: Sequence[Scene], examples: gpd.GeoDataFrame, policy: Policy
) -> tuple[Audited, gpd.GeoDataFrame, list[Placed]]:
    """Return what is wrong with labels, those that have an outline and a known class, and those that stand."""
    from pipelines.auditing import Audited, audit_scene, usable
    from pipelines.clipping import place

    audited = Audited()
    labels = usable(labels, audited)
    names = {scene.name for scene in scenes}
    stand = [
        audit_scene(place(labels, scene, names), examples, least_for(scene.roles), policy, audited) for scene in scenes
    ]
    for _, label in labels[~labels["row"].isin(audited.seen)].iterrows():
        audited.note(label, "outside", "refused", "No image that was named shows the place.")
    return audited, labels, stand


class _Counted:
    """Hectares of reviewed ground that clips were cut from."""

    hectares = 0.0

    def add(self, clip: Clip) -> None:
        row0, row1, col0, col1 = clip.core
        inside = clip.reviewed[row0 - clip.row : row1 - clip.row, col0 - clip.col : col1 - clip.col]
        self.hectares += float(inside.sum()) * clip.gsd_m**2 * clip.weight / 1e4


@cache
def least_for(roles: tuple[str, ...]) -> float:
    """Strength from which something is a candidate: that of the shipped model of these bands."""
    from survey.errors import ModelError
    from survey.memory.judges import load_model

    try:
        return load_model(None, roles).least_strength
    except ModelError:
        return DEFAULT_LEAST


def wanted_sizes(memory: Memory, placed: Sequence[Placed] = ()) -> dict[str, tuple[float, ...]]:
    """Sizes each class of a memory (and of labels about to enter it) is looked for at."""
    import pandas as pd

    from survey.detection.scales import LADDER_M
    from survey.hazards import classes
    from survey.memory.sizes import sizes_for

    examples = memory.examples()
    tables = [pd.DataFrame(examples), *(pd.DataFrame(one.labels) for one in placed)]
    tables = [table[table["event"] != "reject"] for table in tables if "event" in table.columns]
    columns = ["class_code", "length_m", "width_m", "is_point"]
    joined = pd.concat([table[columns] for table in tables if len(table)] or [tables[0][columns]], ignore_index=True)
    sizes = {}
    for code, group in joined.groupby("class_code", sort=True):
        if classes()[str(code)].family == "clutter":
            continue
        drawn = group[~group["is_point"].astype(bool)]
        chosen = drawn if len(drawn) else group
        sizes[str(code)] = sizes_for(chosen["length_m"].to_numpy(float), chosen["width_m"].to_numpy(float), LADDER_M)
    return sizes


def _scenes(request: Request, say: Callable[[str], None]) -> list[Scene]:
    from pipelines.labels import band_numbers, imagery_paths
    from pipelines.opening import named_apart
    from survey.errors import ImageryError
    from survey.imagery.scene import Imagery, open_scene

    paths = imagery_paths(request.imagery)
    settings = Imagery(paths=tuple(paths), bands=band_numbers(request.bands))
    scenes, refused = [], []
    for path in paths:
        try:
            scenes.append(open_scene(path, settings))
        except ImageryError as error:
            refused.append(str(error))
            say(f"Left out: {error}")
    if not scenes:
        raise ImageryError(f"No image can be used. {refused[0]}")
    return named_apart(scenes)


def _reviewed(request: Request, scenes: Sequence[Scene]) -> gpd.GeoDataFrame | None:
    import geopandas as gpd

    from pipelines.labels import has_layer, read_reviewed

    table = None
    if request.reviewed_everything:
        parts = [gpd.GeoSeries([one.grid.outline()], crs=one.grid.crs).to_crs("EPSG:4326").iloc[0] for one in scenes]
        table = gpd.GeoDataFrame({"site": "", "image": [one.name for one in scenes]}, geometry=parts, crs="EPSG:4326")
    elif request.reviewed is not None:
        table = read_reviewed(request.reviewed, request.reviewed_layer, request.site_fields)
    elif has_layer(request.labels, request.reviewed_layer or "reviewed"):
        table = read_reviewed(request.labels, request.reviewed_layer, request.site_fields)
    if table is not None and request.site is not None:
        table["site"] = request.site
    return table


def _reviewed_on(reviewed: gpd.GeoDataFrame, placed: Placed, names: set[str]) -> gpd.GeoDataFrame:
    """Reviewed ground on a scene; where it does not name its site, the labels there do."""
    scene = placed.scene
    mine = reviewed[~reviewed["image"].isin(names) | (reviewed["image"] == scene.name)]
    outline = mine.to_crs(scene.grid.crs).intersects(scene.grid.outline())
    mine = mine[outline.to_numpy()]
    named = [str(one) for one in placed.labels["site"] if one]
    return mine.assign(site=[one or (named[0] if named else "") for one in mine["site"]])


def _sites(placed: Placed, request: Request) -> list[str]:
    return [request.site if request.site is not None else str(one) for one in placed.labels["site"]]


def _admit(request: Request, labels: gpd.GeoDataFrame, scenes: Sequence[Scene]) -> list[HazardClass]:
    """Admit the classes of --new-class, each as large as its labels are."""
    import numpy as np

    from pipelines.clipping import place
    from survey.errors import JobError
    from survey.hazards import FAMILIES, HazardClass, admit, classes
    from survey.settings import nearest

    admitted = []
    for given in request.new_classes:
        code, _, family = given.partition(":")
        family = family or "unknown"
        if family not in FAMILIES:
            raise JobError(f"--new-class {given}: no family {family!r}; did you mean {nearest(family, FAMILIES)!r}?")
        if code in classes():
            continue
        mine = labels[(labels["class_code"] == code) & labels.geometry.notna()]
        names = {scene.name for scene in scenes}
        placed = [place(mine, scene, names) for scene in scenes]
        drawn = [one.labels[~one.labels["is_point"]] for one in placed]
        lengths = np.concatenate([one["length_m"].to_numpy(float) for one in drawn])
        widths = np.concatenate([one["width_m"].to_numpy(float) for one in drawn])
        if not len(lengths):
            raise JobError(
                f"--new-class {code}: no label of it is an outline on this imagery, so nobody knows how large it is. "
                "Draw some as polygons."
            )
        length, width = float(np.median(lengths)), float(np.median(widths))
        coarsest = max(one.scene.grid.gsd_cm for one, some in zip(placed, drawn, strict=True) if len(some))
        label = code.replace("_", " ").strip().capitalize()
        one_class = HazardClass(code, label, family, length, width, max(coarsest, length * 10))
        admit(one_class)
        admitted.append(one_class)
    return admitted


def _write_audit(request: Request, problems: gpd.GeoDataFrame) -> Path | None:
    from survey.exports.whole import whole

    path = request.audit or request.memory / "audit.gpkg"
    if not len(problems):
        if request.audit is None:
            # What an earlier batch had wrong is no answer about this one. A file the user has named is the user's.
            path.unlink(missing_ok=True)
        return None
    with whole(path) as partial:
        partial.unlink()
        problems.to_file(partial, layer="audit", driver="GPKG", geometry_type="Polygon")
    return path


def show(learned: Learned) -> None:
    """Print what was learned, what was wrong, and what to do next."""
    for name, n in learned.counts.items():
        typer.echo(f"{name}: {n} learned, {learned.total.get(name, n)} in the memory")
    refused = learned.problems["action"].eq("refused").any() if len(learned.problems) else False
    if learned.segment is None and refused:
        typer.echo("Nothing was learned: the labels that are new were refused, for the reasons below.")
    elif learned.segment is None:
        typer.echo("Nothing new: the memory knows all of it.")
    elif learned.reviewed_ha:
        typer.echo(f"reviewed ground: {learned.reviewed_ha:.4f} ha")
    if len(learned.problems):
        groups = learned.problems.groupby(["problem", "action"])
        for (problem, action), rows in groups:
            typer.echo(f"{len(rows)} labels {action} ({problem}), for one: {rows['explanation'].iloc[0]}")
        typer.echo(f"Look at them in QGIS: {learned.audit_path}")
    for note in learned.notes:
        typer.echo(note)
