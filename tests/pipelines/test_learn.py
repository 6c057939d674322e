from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from drawn_job import DISC_M, GSD, write_scene
from drawn_labels import write_labels, write_site

from pipelines.learn import Request, learn
from pipelines.suggest import suggestions
from survey.errors import JobError, LayerError, MemoryFolderError
from survey.layers import CANDIDATES, HAZARD_OBJECTS, conform
from survey.memory.audit import Policy
from survey.memory.clips import read_group
from survey.memory.examples import open_memory
from survey.memory.lock import only_writer

ROOT = Path(__file__).parents[2]


@pytest.fixture
def handed_in(tmp_path):
    """One site: image, labels and reviewed ground in one file."""
    image, labels, reviewed = write_site(tmp_path, 1)
    return image, labels, reviewed, write_labels(tmp_path / "labels.gpkg", labels, reviewed)


def request(tmp_path, path, *images, **more):
    return Request(tmp_path / "memory", path, tuple(map(str, images)), **more)


def test_labels_become_examples_with_their_pixels(tmp_path, handed_in):
    image, labels, _, path = handed_in
    learned = learn(request(tmp_path, path, image))
    assert learned.counts == {"mine_at": len(labels)}
    assert learned.reviewed_ha == pytest.approx((420 * GSD) ** 2 / 1e4, rel=1e-3)
    examples = open_memory(tmp_path / "memory").examples()
    assert len(examples) == len(labels)
    assert set(examples["event"]) == {"add"}
    assert set(examples["site"]) == {"site 1"}
    assert examples["length_m"].median() == pytest.approx(DISC_M, rel=0.05)
    apart = examples.to_crs(labels.crs).geometry.centroid.distance(labels.union_all())
    assert apart.max() == 0
    segment = open_memory(tmp_path / "memory").segments[0]
    clips = [clip for group in segment.clips()["group"].unique() for clip in read_group(segment.clips_path, group)]
    import rasterio

    with rasterio.open(image) as dataset:
        pixels = dataset.read()
    for clip in clips:
        here = pixels[:, clip.row : clip.row + clip.pixels.shape[1], clip.col : clip.col + clip.pixels.shape[2]]
        assert (clip.pixels == here).all()
        assert clip.reviewed.all()


def test_the_same_labels_twice_are_one_example_each(tmp_path, handed_in):
    image, labels, _, path = handed_in
    learn(request(tmp_path, path, image))
    again = learn(request(tmp_path, path, image))
    assert again.segment is None
    assert again.counts == {}
    assert set(again.problems["action"]) == {"merged"}
    assert len(open_memory(tmp_path / "memory").segments) == 1
    # Also from another file, in another CRS, with the outlines drawn a little otherwise.
    other = labels.assign(geometry=labels.buffer(0.01)).to_crs("EPSG:4326")
    other.to_file(tmp_path / "other.geojson")
    assert learn(request(tmp_path, tmp_path / "other.geojson", image)).counts == {}


def test_points_become_discs_of_the_plan_size(tmp_path, handed_in):
    image, labels, *_ = handed_in
    points = labels.assign(geometry=labels.centroid)
    points.to_file(tmp_path / "points.shp")
    learned = learn(request(tmp_path, tmp_path / "points.shp", image))
    assert learned.counts == {"mine_at": len(labels)}
    assert any("No reviewed ground" in note for note in learned.notes)
    examples = open_memory(tmp_path / "memory").examples()
    assert examples["is_point"].all()
    assert set(examples["length_m"]) == {0.32}


def test_a_label_by_itself_keeps_ground_around_it(tmp_path, handed_in):
    image, labels, *_ = handed_in
    write_labels(tmp_path / "one.gpkg", labels.iloc[:1])
    learn(request(tmp_path, tmp_path / "one.gpkg", image))
    clips = open_memory(tmp_path / "memory").clips()
    assert len(clips) == 1
    assert clips["reviewed_share"].iloc[0] == 0
    row0, row1, col0, col1 = clips["core"].iloc[0]
    assert (row1 - row0) * GSD < 4 * DISC_M
    assert (col1 - col0) * GSD < 4 * DISC_M
    assert clips["height"].iloc[0] > row1 - row0


def shifted(labels, row, x=0.0, y=0.0, **values):
    """Labels with one changed."""
    table = labels.copy()
    table.loc[row, "geometry"] = shapely.affinity.translate(table.geometry.iloc[row], x, y)
    for name, value in values.items():
        table.loc[row, name] = value
    return table


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda t: shifted(t, 2, x=5000.0), "outside"),
        (lambda t: shifted(t, 2, class_code="mine_att"), "unknown_class"),
        (lambda t: shifted(t, 2, class_code="mine_scatterable"), "size"),
        (lambda t: pd.concat([t, t.iloc[[2]]], ignore_index=True), "duplicate"),
        (lambda t: pd.concat([t, t.iloc[[2]].assign(class_code="mine_ap")], ignore_index=True), "contradicts"),
        (lambda t: shifted(t, 2, x=0.3), "offset"),
        (lambda t: t.assign(geometry=[*t.geometry.iloc[:2], None, *t.geometry.iloc[3:]]), "no_outline"),
    ],
)
def test_the_audit_finds(tmp_path, handed_in, change, problem):
    image, labels, reviewed, _ = handed_in
    bad = gpd.GeoDataFrame(change(labels), crs=labels.crs)
    write_labels(tmp_path / "bad.gpkg", bad, reviewed)
    learned = learn(request(tmp_path, tmp_path / "bad.gpkg", image))
    assert problem in set(learned.problems["problem"])
    written = gpd.read_file(learned.audit_path, layer="audit")
    assert len(written) == len(learned.problems)
    assert sum(learned.counts.values()) <= len(labels)
    assert sum(learned.counts.values()) >= len(labels) - 2


def test_clean_labels_pass_the_audit(tmp_path, handed_in):
    image, *_, path = handed_in
    assert len(learn(request(tmp_path, path, image)).problems) == 0


def test_ground_without_data_is_no_place_for_a_label(tmp_path):
    image, labels, _ = write_site(tmp_path, 1)
    import rasterio

    with rasterio.open(image) as dataset:
        pixels = dataset.read()
    centre = labels.geometry.iloc[0].centroid
    col, row = int((centre.x - labels.total_bounds[0]) / GSD), 0
    west = 690_000.0 + 400
    col, row = int((centre.x - west) / GSD), int((4_370_000.0 - centre.y) / GSD)
    pixels[:, row - 12 : row + 12, col - 12 : col + 12] = 0
    write_scene(image, pixels, west=west, nodata=0)
    path = write_labels(tmp_path / "labels.gpkg", labels)
    problems = learn(request(tmp_path, path, image)).problems
    assert problems["problem"].tolist() == ["nodata"]
    assert problems["row"].tolist() == [0]


def test_what_is_fixed_sits_on_the_object(tmp_path, handed_in):
    image, labels, *_ = handed_in
    write_labels(tmp_path / "bad.gpkg", shifted(labels, 2, x=0.3))
    learned = learn(request(tmp_path, tmp_path / "bad.gpkg", image, policy=Policy(fix=("offset",))))
    assert learned.problems["action"].tolist() == ["fixed"]
    assert sum(learned.counts.values()) == len(labels)
    centres = open_memory(tmp_path / "memory").examples().to_crs(labels.crs).geometry.centroid
    assert centres.distance(labels.geometry.iloc[2].centroid).min() < 2 * GSD


def test_a_poisoned_batch_is_refused_whole(tmp_path, handed_in):
    image, labels, reviewed, _ = handed_in
    bad = labels.copy()
    bad.loc[bad.index[::3], "class_code"] = "mine_scatterable"
    write_labels(tmp_path / "bad.gpkg", bad, reviewed)
    with pytest.raises(LayerError, match=r"4 of 12 labels look wrong \(size 4\).*Nothing was learned.*audit.gpkg"):
        learn(request(tmp_path, tmp_path / "bad.gpkg", image))
    assert open_memory(tmp_path / "memory").segments == ()
    assert len(gpd.read_file(tmp_path / "memory" / "audit.gpkg")) == 4


def test_a_new_class_has_to_be_admitted(tmp_path, handed_in):
    image, labels, reviewed, _ = handed_in
    path = write_labels(tmp_path / "new.gpkg", labels.assign(class_code="mine_tm62"), reviewed)
    with pytest.raises(LayerError, match="unknown_class 12"):
        learn(request(tmp_path, path, image))
    explained = gpd.read_file(tmp_path / "memory" / "audit.gpkg")["explanation"]
    assert "--new-class mine_tm62" in explained.iloc[0]
    with pytest.raises(JobError, match="did you mean 'AT'"):
        learn(request(tmp_path, path, image, new_classes=("mine_tm62:ATT",)))
    learned = learn(request(tmp_path, path, image, new_classes=("mine_tm62:AT",)))
    assert learned.counts == {"mine_tm62": len(labels)}
    admitted = open_memory(tmp_path / "memory").segments[0].classes["mine_tm62"]
    assert admitted.family == "AT"
    assert admitted.length_m == pytest.approx(DISC_M, rel=0.05)


def test_a_later_word_is_a_new_event(tmp_path, handed_in):
    image, labels, _, path = handed_in
    learn(request(tmp_path, path, image))
    changed = shifted(labels, 3, class_code="unknown_object")
    write_labels(tmp_path / "changed.gpkg", changed)
    refused = learn(request(tmp_path, tmp_path / "changed.gpkg", image))
    assert "contradicts" in set(refused.problems["problem"])
    assert refused.counts == {}
    accepted = learn(request(tmp_path, tmp_path / "changed.gpkg", image, policy=Policy(accept=("contradicts",))))
    assert accepted.counts == {"unknown_object": 1}
    memory = open_memory(tmp_path / "memory")
    assert len(memory.events()) == len(labels) + 1
    assert len(memory.examples()) == len(labels)
    assert memory.examples()["class_code"].value_counts().to_dict() == {"mine_at": 11, "unknown_object": 1}


def test_a_corrected_outline_is_kept(tmp_path, handed_in):
    image, labels, _, path = handed_in
    learn(request(tmp_path, path, image))
    small = labels.assign(geometry=labels.scale(0.75, 0.75, origin="centroid"))
    write_labels(tmp_path / "small.gpkg", small)
    learned = learn(request(tmp_path, tmp_path / "small.gpkg", image))
    assert learned.counts == {"mine_at": len(labels)}
    assert set(learned.problems["action"]) == {"accepted"}
    memory = open_memory(tmp_path / "memory")
    assert set(memory.events().tail(len(labels))["event"]) == {"edit"}
    examples = memory.examples()
    assert len(examples) == len(labels)
    shares = examples.to_crs(labels.crs).area.sum() / labels.area.sum()
    assert shares == pytest.approx(0.75**2, rel=0.02)


def test_sites_come_from_the_option_the_columns_or_the_ground(tmp_path, handed_in):
    image, labels, reviewed, path = handed_in
    learn(request(tmp_path, path, image, site="hill"))
    assert set(open_memory(tmp_path / "memory").clips()["site"]) == {"hill"}
    labels = labels.assign(zone=4, flight="b")
    path = write_labels(tmp_path / "zones.gpkg", labels, reviewed.assign(zone=4, flight="b"))
    learn(Request(tmp_path / "other", path, (str(image),), site_fields=("zone", "flight")))
    assert set(open_memory(tmp_path / "other").clips()["site"]) == {"4/b"}


def test_a_second_learner_waits_and_is_refused_in_words(tmp_path, handed_in):
    image, *_, path = handed_in
    learn(request(tmp_path, path, image))
    with (
        only_writer(tmp_path / "memory"),
        pytest.raises(MemoryFolderError, match=f"Another process \\({os.getpid()}\\) has been writing"),
    ):
        learn(request(tmp_path, path, image, wait_s=0.3))


def start(tmp_path, path, image, *more):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", "learn", "--memory", str(tmp_path / "memory"), "--labels", str(path),
         *more, str(image)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_two_learners_at_once_lose_nothing(tmp_path):
    sites = [write_site(tmp_path, number) for number in (1, 2)]
    files = [write_labels(tmp_path / f"{n}.gpkg", *site[1:]) for n, site in enumerate(sites)]
    learners = [start(tmp_path, path, site[0]) for path, site in zip(files, sites, strict=True)]
    for learner in learners:
        out, err = learner.communicate(timeout=200)
        assert learner.returncode == 0, out + err
    memory = open_memory(tmp_path / "memory")
    assert len(memory.segments) == 2
    assert len(memory.examples()) == sum(len(site[1]) for site in sites)


KILLED = """
import os, signal, sys
from pathlib import Path
from pipelines.learn import Request, learn
import survey.memory.examples as examples

def end(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

point, memory, labels, image = sys.argv[1:]
if point == "while clips are written":
    write = examples.write_clips
    examples.write_clips = lambda path, clips: (write(path, clips), end())
elif point == "before the rename":
    examples.os.fsync = end
else:
    examples._segment = end
learn(Request(Path(memory), Path(labels), (image,)))
"""


@pytest.mark.parametrize(
    ("point", "kept"), [("while clips are written", False), ("before the rename", False), ("after the rename", True)]
)
def test_a_kill_leaves_the_memory_whole(tmp_path, handed_in, point, kept):
    image, labels, _, path = handed_in
    arguments = [point, str(tmp_path / "memory"), str(path), str(image)]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=200,
        capture_output=True,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(open_memory(tmp_path / "memory").examples()) == (len(labels) if kept else 0)
    learn(request(tmp_path, path, image))
    assert len(open_memory(tmp_path / "memory").examples()) == len(labels)
    assert not list((tmp_path / "memory" / "segments").glob(".part-*"))


def test_a_damaged_segment_is_named(tmp_path, handed_in):
    image, *_, path = handed_in
    learn(request(tmp_path, path, image))
    segment = open_memory(tmp_path / "memory").segments[0]
    with segment.clips_path.open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(MemoryFolderError, match=f"{segment.name}.*cut short"):
        open_memory(tmp_path / "memory")


def test_options_are_refused_in_words(survey, tmp_path, handed_in):
    image, *_, path = handed_in
    memory = ["--memory", tmp_path / "memory"]
    for arguments, said in (
        ([*memory, image], "--labels FILE"),
        (["--labels", path, image], "--memory DIR"),
        ([*memory, "--labels", path], "Name the imagery"),
        ([*memory, "--labels", path, "--accept", "sise", image], "did you mean 'size'"),
        ([*memory, "--labels", path, "--bands", "rad=1", image], "did you mean 'red'"),
        ([*memory, "--labels", path, tmp_path / "none*.tif"], "names no imagery"),
    ):
        code, _, err = survey("learn", *arguments)
        assert code == 2, err
        assert said in err


def reviewed_result(folder, image, labels, verdicts, probabilities=None):
    """Write a result whose objects are the labels, with verdicts as QGIS leaves them."""
    outlines = labels.to_crs("EPSG:4326").geometry
    count = len(outlines)
    table = gpd.GeoDataFrame(
        {
            "object_id": [f"object-{n}" for n in range(count)], "class_code": "mine_at", "family": "AT",
            "probability": probabilities or [0.9] * count, "evidence_class": "indication", "verification": verdicts,
            "lon": 47.2, "lat": 39.4, "length_m": 0.3, "width_m": 0.3, "area_m2": 0.07,
            "gsd_cm": 4.0, "position_error_m": 1.0, "image": image.name, "model_version": "m", "run_id": "r",
        },
        geometry=[shapely.MultiPolygon([one]) for one in outlines], crs="EPSG:4326",
    )  # fmt: skip
    conform(table, HAZARD_OBJECTS).to_file(folder / "survey.gpkg", layer="hazard_objects")
    CANDIDATES.empty("EPSG:4326").to_file(folder / "survey.gpkg", layer="candidates", geometry_type="MultiPolygon")
    return folder / "survey.gpkg"


def test_verdicts_of_a_reviewed_result_are_learned(tmp_path, handed_in):
    image, labels, *_ = handed_in
    verdicts = ["confirmed"] * 6 + ["rejected"] * 3 + ["uncertain", "unverified", "unverified"]
    path = reviewed_result(tmp_path, image, labels, verdicts)
    learned = learn(request(tmp_path, path, image))
    assert learned.counts == {"mine_at": 6, "rejected": 3}
    examples = open_memory(tmp_path / "memory").examples()
    assert set(examples["object_id"]) == {f"object-{n}" for n in range(9)}
    # Who confirmed it looks again and rejects it: an event more, not an example more.
    path.unlink()
    path = reviewed_result(tmp_path, image, labels, ["rejected", *verdicts[1:]])
    os.utime(path, (time.time() + 60, time.time() + 60))
    assert learn(request(tmp_path, path, image)).counts == {"rejected": 1}
    memory = open_memory(tmp_path / "memory")
    assert memory.examples()["event"].value_counts().to_dict() == {"add": 5, "reject": 4}
    assert len(memory.events()) == 10


def test_the_review_queue_asks_about_doubts_first(tmp_path, handed_in):
    image, labels, *_ = handed_in
    path = reviewed_result(tmp_path, image, labels.iloc[:4], ["unverified"] * 3 + ["confirmed"], [0.99, 0.51, 0.2, 0.5])
    assert suggestions(path, 2)["probability"].tolist() == [0.51, 0.2]
