"""What learning is worth, measured with the commands a researcher uses.

``python benchmarks/learning.py thermal --data DIR`` learns the real thermal frames session by session and evaluates on
a session that was never learned. ``python benchmarks/learning.py newclass`` draws ground with a kind of object that no
shipped model knows, learns 25 of them, and asks what is found of it, and what is still found of the old classes.
``python benchmarks/learning.py elevation`` draws ground with its elevation model, and learns it with and without.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import rasterio
import shapely

from survey.synthetic.scene import SceneSettings, draw_scene
from survey.synthetic.site import training_sites

NEW = "plate_mine"
NEW_M = 0.34
FIGURES = ("ap", "recall_max")


def survey(*arguments, quiet=False):
    """Run a command line and return what it says; its time goes to the standard error stream."""
    line = [str(one) for one in arguments]
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "pipelines.cli", *line], capture_output=True, text=True)
    print(f"  $ survey {' '.join(line)[:150]}   [{time.perf_counter() - begun:.0f} s]", file=sys.stderr, flush=True)
    if done.returncode:
        raise SystemExit(f"{done.stdout}\n{done.stderr}")
    if not quiet:
        print(done.stdout, file=sys.stderr)
    return done.stdout


def write_job(folder, images, model, families=None):
    """Write a job over images, its one district the ground around them; returns the job file."""
    parts = []
    for path in images:
        with rasterio.open(path) as dataset:
            parts.append(gpd.GeoSeries([shapely.box(*dataset.bounds)], crs=dataset.crs).to_crs("EPSG:4326").iloc[0])
    ground = shapely.union_all(parts).envelope.buffer(0.0005)
    folder.mkdir(parents=True, exist_ok=True)
    gpd.GeoDataFrame({"name": ["ground"]}, geometry=[ground], crs="EPSG:4326").to_file(folder / "districts.geojson")
    listed = ", ".join(json.dumps(str(path)) for path in images)
    wanted = "" if families is None else f"[detection]\nfamilies = {json.dumps(families)}\n"
    (folder / "job.toml").write_text(
        f'[job]\nname = "learning"\noutput = "out"\n[imagery]\npaths = [{listed}]\n[districts]\n'
        f'path = "districts.geojson"\nname_field = "name"\n[model]\npath = {json.dumps(str(model))}\n{wanted}'
    )
    return folder / "job.toml"


def judge(folder, images, model, truth, *options):
    """Survey images with a model and evaluate; returns the report."""
    survey("run", write_job(folder, images, model), quiet=True)
    return json.loads(survey("evaluate", folder / "out" / "survey.gpkg", truth, "--json", *options, quiet=True))


def part_of(labels, reviewed, chosen, path):
    """Write the labels and reviewed ground of some sessions as a file a researcher would hand in."""
    labels[labels["session"].isin(chosen)].to_file(path, layer="labels")
    reviewed[reviewed["session"].isin(chosen)].to_file(path, layer="reviewed")
    return path


def thermal(data, work):
    """Learn session 1, then 2 to 5; evaluate on session 6."""
    source = data / "thermal"
    labels, reviewed = (gpd.read_file(source / "labels.gpkg", layer=name) for name in ("labels", "reviewed"))
    for table in (labels, reviewed):
        table["site"] = table["session"].astype(str) + "/" + table["zone"].astype(str)

    def images(*sessions):
        return [path for one in sessions for path in sorted((source / "images").glob(f"s{one:02d}_*.tif"))]

    truth = part_of(labels, reviewed, [6], work / "truth.gpkg")
    rows = []
    for name, sessions in (("session 1", (1,)), ("sessions 1 to 5", (2, 3, 4, 5))):
        handed_in = part_of(labels, reviewed, sessions, work / f"labels-{sessions[0]}.gpkg")
        survey("learn", "--memory", work / "memory", "--labels", handed_in, *images(*sessions), quiet=True)
        verdict = json.loads(
            survey("train", "--memory", work / "memory", "--models", work / "models", "--champion", "none", "--json",
                   quiet=True)
        )  # fmt: skip
        model = work / "models" / "versions" / f"{verdict['version']}.survey-model"
        report = judge(work / f"after-{sessions[-1]}", images(6), model, truth)
        rows.append((name, verdict, report))
    print("\n| learned | held-out AP | promoted | AP on session 6 (90 %) | recall | blobs' AP | blind |")
    print("|---|---|---|---|---|---|---|")
    for name, verdict, report in rows:
        low, high = report["ap_interval"] or (float("nan"),) * 2
        baseline = (report.get("baseline") or {}).get("ap", float("nan"))
        print(
            f"| {name} | {verdict['comparison']['overall']['challenger']['ap']:.3f} | {verdict['promoted']} | "
            f"{report['ap']:.3f} ({low:.3f} to {high:.3f}) | {report['recall_max']:.3f} | {baseline:.3f} | "
            f"{report['blind_ap']:.3f} |"
        )


def draw(folder, seed, new, classes=("mine_at",)):
    """Draw ground with old objects and plates; write it and return (path, labels, footprint)."""
    site = training_sites(1, first=5000 + seed)[0]
    side, gsd = 1000, 0.016
    hectares = (side * gsd) ** 2 / 1e4
    settings = SceneSettings(
        width_px=side, height_px=side, gsd_m=gsd, bands=("red", "green", "blue"),
        objects_per_ha=dict.fromkeys(classes, 7 / hectares), site=site,
    )  # fmt: skip
    drawn = draw_scene(settings, 5000 + seed)
    pixels = drawn.pixels.copy()
    transform = rasterio.Affine(gsd, 0, 690_000 + 300 * seed, 0, -gsd, 4_370_000)
    rng = np.random.default_rng(seed)
    old = drawn.labels
    local = shapely.transform(old.geometry.to_numpy(), lambda p: np.column_stack(~drawn.transform * (p[:, 0], p[:, 1])))
    outlines = [shapely.transform(one, lambda p: np.column_stack(transform * (p[:, 0], p[:, 1]))) for one in local]
    codes = list(old["class_code"])
    row, col = np.mgrid[:side, :side]
    for _ in range(new):
        centre = rng.uniform(60, side - 60, 2)
        angle, half = rng.uniform(0, np.pi), NEW_M / 2 / gsd
        along = (row - centre[0]) * np.cos(angle) + (col - centre[1]) * np.sin(angle)
        across = (col - centre[1]) * np.cos(angle) - (row - centre[0]) * np.sin(angle)
        plate = (np.abs(along) < half) & (np.abs(across) < half)
        bar = plate & (np.abs(across) < half / 4)
        ground = pixels[:, plate].mean(axis=1)
        for band in range(3):
            pixels[band][plate] = np.clip(0.55 * ground[band] + rng.normal(0, 4, plate.sum()), 0, 255)
            pixels[band][bar] = np.clip(1.5 * ground[band] + rng.normal(0, 4, bar.sum()), 0, 255)
        x, y = transform * (centre[1], centre[0])
        outlines.append(shapely.affinity.rotate(shapely.box(x - 0.17, y - 0.17, x + 0.17, y + 0.17), np.degrees(angle)))
        codes.append(NEW)
    path = folder / f"drawn_{seed}.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=side, height=side, count=3, dtype="uint8", crs="EPSG:32638",
        transform=transform, tiled=True,
    ) as image:  # fmt: skip
        image.write(pixels)
        image.descriptions = ("red", "green", "blue")
    labels = gpd.GeoDataFrame({"class_code": codes, "site": f"drawn {seed}"}, geometry=outlines, crs="EPSG:32638")
    box = shapely.box(transform.c, transform.f - side * gsd, transform.c + side * gsd, transform.f)
    return path, labels, gpd.GeoDataFrame({"site": [f"drawn {seed}"]}, geometry=[box], crs="EPSG:32638")


def newclass(work):
    """Learn 25 objects of a new kind; what is found of it and of the old classes on other ground."""
    import pandas as pd

    def together(seeds, new, path):
        drawn = [draw(work, seed, new) for seed in seeds]
        for name, part in (("labels", 1), ("reviewed", 2)):
            gpd.GeoDataFrame(pd.concat([one[part] for one in drawn])).to_file(path, layer=name)
        return [one[0] for one in drawn]

    # Old objects lie on the ground that is learned from, too; a person who looked at everything labels everything.
    learned = together(range(5), 5, work / "labels.gpkg")
    tested = together(range(20, 44), 4, work / "truth.gpkg")
    shipped = next(path for path in (Path(__file__).parents[1] / "survey" / "models").glob("rgb.survey-model"))
    before = judge(work / "before", tested, shipped, work / "truth.gpkg")
    survey("learn", "--memory", work / "memory", "--labels", work / "labels.gpkg", "--new-class", f"{NEW}:AT", *learned)
    verdict = json.loads(
        survey("train", "--memory", work / "memory", "--models", work / "models", "--json", quiet=True)
    )
    model = work / "models" / "versions" / f"{verdict['version']}.survey-model"
    after = judge(work / "after", tested, model, work / "truth.gpkg")
    print(f"\npromoted: {verdict['promoted']} {verdict['against']}")
    print("| class | known | AP before | AP after | recall as any class before | after |")
    print("|---|---|---|---|---|---|")
    for code in (NEW, "mine_at"):
        old, now = (report["by_class"].get(code, {}) for report in (before, after))
        cells = [old.get("ap"), now.get("ap"), old.get("found_as_any"), now.get("found_as_any")]
        shown = " | ".join("" if one is None else f"{one:.3f}" for one in cells)
        print(f"| {code} | {now.get('n_truth')} | {shown} |")
    print(f"| items together | {after['n_truth']} | {before['ap']:.3f} | {after['ap']:.3f} | | |")


def with_elevation(folder, seed):
    """Draw ground with mines and craters, its elevation model beside it, both bound in a VRT; as :func:`draw`."""
    site = training_sites(1, first=5400 + seed)[0]
    side, gsd = 1400, 0.025
    hectares = (side * gsd) ** 2 / 1e4
    settings = SceneSettings(
        width_px=side, height_px=side, gsd_m=gsd, bands=("red", "green", "blue"),
        objects_per_ha={"mine_at": 9 / hectares, "crater": 4 / hectares}, site=site,
    )  # fmt: skip
    drawn = draw_scene(settings, 5400 + seed)
    transform = rasterio.Affine(gsd, 0, 690_000 + 300 * seed, 0, -gsd, 4_370_000)
    rng = np.random.default_rng(seed)
    row, col = np.mgrid[:side, :side] * gsd
    # What image matching makes of it: on a slope, smoothed over some pixels, off by centimetres here and there.
    noise = cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), 4.0)
    elevation = 312 + rng.normal(0, 0.06) * row + rng.normal(0, 0.06) * col
    elevation += cv2.GaussianBlur(drawn.heights.astype(float), (0, 0), 1.5) + 0.015 * noise / noise.std()
    for name, bands in (("colour", drawn.pixels), ("elevation", elevation[None].astype(np.float32))):
        with rasterio.open(
            folder / f"{name}_{seed}.tif", "w", driver="GTiff", width=side, height=side, count=len(bands),
            dtype=bands.dtype, crs="EPSG:32638", transform=transform, tiled=True,
        ) as image:  # fmt: skip
            image.write(bands)
    parts = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{number}"><Description>{role}</Description><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{name}_{seed}.tif</SourceFilename><SourceBand>{band}</SourceBand>'
        "</SimpleSource></VRTRasterBand>"
        for number, (role, kind, name, band) in enumerate(
            (("red", "Byte", "colour", 1), ("green", "Byte", "colour", 2), ("blue", "Byte", "colour", 3),
             ("elevation", "Float32", "elevation", 1)), start=1
        )
    )  # fmt: skip
    path = folder / f"ground_{seed}.vrt"
    place = ", ".join(map(repr, transform.to_gdal()))
    path.write_text(
        f'<VRTDataset rasterXSize="{side}" rasterYSize="{side}"><SRS>EPSG:32638</SRS>'
        f"<GeoTransform>{place}</GeoTransform>{parts}</VRTDataset>"
    )
    to = (transform.a, 0, 0, transform.e, transform.c, transform.f)
    back = ~drawn.transform
    local = [shapely.affinity.affine_transform(one, (back.a, back.b, back.d, back.e, back.c, back.f))
             for one in drawn.labels.geometry]  # fmt: skip
    outlines = [shapely.affinity.affine_transform(one, to) for one in local]
    labels = (
        drawn.labels[["class_code", "occlusion"]].assign(site=f"drawn {seed}").set_geometry(outlines, crs="EPSG:32638")
    )
    box = shapely.box(transform.c, transform.f - side * gsd, transform.c + side * gsd, transform.f)
    return path, labels, gpd.GeoDataFrame({"site": [f"drawn {seed}"]}, geometry=[box], crs="EPSG:32638")


def elevation(work):
    """Learn mines and craters by colour alone, and by colour and elevation; what is found on other ground."""
    import pandas as pd

    def together(seeds, path):
        drawn = [with_elevation(work, seed) for seed in seeds]
        for name, part in (("labels", 1), ("reviewed", 2)):
            gpd.GeoDataFrame(pd.concat([one[part] for one in drawn])).to_file(path, layer=name)
        return [one[0] for one in drawn]

    learned, tested = together(range(8), work / "labels.gpkg"), together(range(20, 28), work / "truth.gpkg")
    survey("learn", "--memory", work / "memory", "--labels", work / "labels.gpkg", *learned)
    print("\n| bands | class | objects | AP | recall of all emitted |")
    print("|---|---|---|---|---|")
    for bands in ("red,green,blue", "red,green,blue,elevation"):
        name = bands.replace(",", "-")
        verdict = json.loads(
            survey("train", "--memory", work / "memory", "--models", work / name, "--bands", bands, "--champion",
                   "none", "--json", quiet=True)
        )  # fmt: skip
        model = work / name / "versions" / f"{verdict['version']}.survey-model"
        report = judge(work / f"after-{name}", tested, model, work / "truth.gpkg")
        for code in ("mine_at", "crater"):
            row = report["by_class"][code]
            print(f"| {bands} | {code} | {row['n_truth']} | {row['ap']:.3f} | {row['recall_max']:.3f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("thermal", "newclass", "elevation"))
    parser.add_argument("--data", type=Path, help="folder with the thermal frames")
    parser.add_argument("--work", type=Path, help="folder to work in; default a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        if options.what == "thermal":
            thermal(options.data, work)
        elif options.what == "newclass":
            newclass(work)
        else:
            elevation(work)


if __name__ == "__main__":
    main()
