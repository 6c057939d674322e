"""``report.html``: one page that a director reads, offline and printed; nothing in it asks the network.

The page forbids itself every request and every script but its own (Content-Security-Policy), and all text from
data is escaped, so that a district named like a piece of HTML shows as text.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from survey.exports.marks import mark_path
from survey.exports.report_map import LITTLE_SEEN, Thumbnail, as_data, map_payload
from survey.exports.styles import DENSITY, FAMILY_LABELS, FAMILY_MARKS
from survey.exports.whole import write_text
from survey.hazards import ITEM_FAMILIES, classes
from survey.layers import DISTRICT_CLASSES, OUTPUT_LAYERS
from survey.provenance import DISCLAIMER, canonical_json, plain

MOST_CERTAIN = 24
"""Objects shown with their chip."""
_CLASS_WORDS = {"none_detected": "No detection", **{name: name.replace("_", " ").capitalize() for name in DENSITY}}
_LAND_WORDS = {
    "cha_proposed": "Confirmed hazardous area, proposed",
    "sha_proposed": "Suspected hazardous area, proposed",
    "indication": "Indication",
}


def write_report(
    path: Path,
    layers: Mapping[str, pd.DataFrame],
    record: Mapping[str, Any],
    *,
    chips: Mapping[str, bytes] | None = None,
    thumbnails: Sequence[Thumbnail] = (),
) -> None:
    """Write ``report.html``, whole or not at all.

    Parameters
    ----------
    path : Path
    layers : mapping of str to DataFrame
        The result's layers in their declared form, as written to ``survey.gpkg``.
    record : mapping
        Content of ``run.json``. Shown where given: ``name``, ``run_id``, ``started_at``, ``finished_at``,
        ``software_version``, ``versions``, ``settings``, ``imagery``, ``model`` (card), ``notes``, ``problems``,
        ``evaluation``
        (as :func:`survey.memory.evaluation.evaluate` gives it).
    chips : mapping of str to bytes, optional
        PNG or JPEG of an object by ``object_id``.
    thumbnails : sequence of Thumbnail, optional
        Small pictures of the scenes, drawn beneath the map.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    write_text(path, render(layers, record, chips=chips, thumbnails=thumbnails))


def render(
    layers: Mapping[str, pd.DataFrame],
    record: Mapping[str, Any],
    *,
    chips: Mapping[str, bytes] | None = None,
    thumbnails: Sequence[Thumbnail] = (),
) -> str:
    """Return the report as text; the same input gives the same text. Parameters as for :func:`write_report`."""
    tables = {layer.name: layers.get(layer.name, layer.empty()) for layer in OUTPUT_LAYERS}
    facts = plain(record)
    script = _resource("report_map.js")
    payload = map_payload(tables, thumbnails)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(ha=_ha, count=_count, percent=_percent, moment=_moment)
    template = environment.from_string(_resource("report.html.j2"))
    return template.render(
        style=Markup(_resource("report.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii"),
        map_json=Markup(_in_script(payload)),
        map_layers=[(one["name"], one["label"], one["on"]) for one in payload["layers"]],
        left_out=payload["left_out"],
        families=_families(tables["hazard_objects"]),
        disclaimer=DISCLAIMER,
        record=facts,
        card=_card(facts.get("model") or {}),
        totals=_totals(tables),
        districts=_districts(tables["districts"]),
        classes_of_density=[(name, _CLASS_WORDS[name]) for name in DISTRICT_CLASSES],
        by_class=_by_class(tables["hazard_objects"]),
        by_land_class=_by_land_class(tables["hazard_areas"]),
        by_method=_by_method(tables["hazard_areas"]),
        coverage=_coverage(tables["coverage"]),
        by_family=_by_family(tables["district_coverage"]),
        unresolved=_unresolved(tables["coverage"]),
        certain=_most_certain(tables["hazard_objects"], chips or {}),
        settings=json.dumps(facts.get("settings"), indent=2, ensure_ascii=False) if facts.get("settings") else "",
        curves=_curves((facts.get("model") or {}).get("evaluation")),
    )


def _resource(name: str) -> str:
    return resources.files("survey.exports").joinpath("templates", name).read_text(encoding="utf-8")


def _in_script(value: Any) -> str:
    """JSON that may stand inside a script element: no tag can end it."""
    return canonical_json(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _ha(value: float) -> str:
    return f"{value:,.2f}"


def _count(value: float) -> str:
    return f"{int(value):,}"


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _moment(value: str | None) -> str:
    return "" if not value else datetime.fromisoformat(value).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _totals(tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    districts, objects, areas = tables["districts"], tables["hazard_objects"], tables["hazard_areas"]
    standing = objects[objects["verification"] != "rejected"]
    sums = {name: float(districts[name].sum()) for name in districts.columns if str(name).endswith("_ha")}
    return {
        **sums,
        "n_districts": len(districts),
        "n_objects": len(standing),
        "n_items": int(standing["family"].isin(ITEM_FAMILIES).sum()),
        "n_confirmed": int((standing["verification"] == "confirmed").sum()),
        "n_outside": int(standing["district_code"].isna().sum()),
        "n_areas": len(areas),
        "areas_ha": float(areas["area_ha"].sum()),
    }


def _card(model: Mapping[str, Any]) -> dict[str, Any]:
    """What the report shows of a model's card, its limits first."""
    # Curves are drawn above it; nobody reads hundreds of digests, nor the measures of the ground it learned from.
    shown = {key: said for key, said in model.items() if key not in ("evaluation", "images", "background")}
    return {key: shown.pop(key) for key in ("version", "limits") if key in shown} | shown


def _families(objects: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Words, colour and outline of the mark, of the families drawn."""
    there = set(objects["family"])
    return [
        (FAMILY_LABELS[one], colour, mark_path(mark)) for one, (mark, colour) in FAMILY_MARKS.items() if one in there
    ]


def _districts(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for row in pd.DataFrame(table.drop(columns="geometry", errors="ignore")).to_dict("records"):
        whole = row["analysed_ha"] + row["not_assessable_ha"]
        shares = {name: row[f"{name}_ha"] for name in (*DISTRICT_CLASSES, "not_assessable")}
        rows.append(
            {
                **{str(name): None if pd.isna(value) else value for name, value in row.items()},
                "words": _words_of(row["contamination_class"], row.get("mean_detectability")),
                "confirmed_words": _confirmed_words(row["confirmed_class"]),
                "bar": [(name, 100.0 * value / whole) for name, value in shares.items() if whole and value > 0],
                "looked_at_ha": whole,
            }
        )
    return rows


def _words_of(name: str | None, detectability: float | None) -> str:
    words = _CLASS_WORDS.get(name or "", "not assessed")
    little = detectability is not None and not pd.isna(detectability) and detectability < LITTLE_SEEN
    return f"{words}, and less than half could have been seen" if little and name == "none_detected" else words


def _confirmed_words(name: str | None) -> str:
    return "none confirmed" if name == "none_detected" else _CLASS_WORDS.get(name or "", "")


def _by_class(objects: pd.DataFrame) -> list[dict[str, Any]]:
    standing = objects[objects["verification"] != "rejected"]
    known = classes()
    rows: list[dict[str, Any]] = []
    for code, part in standing.groupby("class_code"):
        confirmed = int((part["verification"] == "confirmed").sum())
        rows.append(
            {
                "label": known[str(code)].label if str(code) in known else str(code),
                "n": len(part),
                "confirmed": confirmed,
                "expected": float(part["probability"].where(part["verification"] != "confirmed", 1.0).sum()),
            }
        )
    most = max((row["n"] for row in rows), default=1)
    for row in rows:
        row["confirmed_width"] = 100.0 * row["confirmed"] / most
        row["other_width"] = 100.0 * (row["n"] - row["confirmed"]) / most
    return sorted(rows, key=lambda row: (-row["n"], row["label"]))


def _by_land_class(areas: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {"label": words, "n": int((areas["land_class"] == name).sum()),
         "ha": float(areas.loc[areas["land_class"] == name, "area_ha"].sum())}
        for name, words in _LAND_WORDS.items()
    ]  # fmt: skip


def _by_method(areas: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {
            "label": str(method),
            "n": len(part),
            "ha": float(part["area_ha"].sum()),
            "provisional": int(part["provisional"].sum()),
            "days": [float(part[f"effort_days_{which}"].sum()) for which in ("min", "typical", "max")],
        }
        for method, part in areas.groupby("method_primary")
    ]
    most = max((float(row["ha"]) for row in rows), default=1.0) or 1.0
    for row in rows:
        row["width"] = 100.0 * float(row["ha"]) / most
    return sorted(rows, key=lambda row: (-float(row["ha"]), row["label"]))


def _coverage(table: pd.DataFrame) -> list[dict[str, Any]]:
    words = {"analysed": "Analysed", "not_assessable": "Not assessable", "not_analysed": "Not analysed"}
    rows: list[dict[str, Any]] = []
    for status, label in words.items():
        part = table[table["status"] == status]
        little = (part["detectability"] < LITTLE_SEEN).fillna(False) & (status == "analysed")
        looks = {status: part[~little], "little_seen": part[little]}
        for look, those in looks.items():
            for reason, some in those.groupby("reason"):
                said = "less than half could have been seen" if look == "little_seen" else str(reason)
                rows.append({"status": look, "label": label, "reason": said, "ha": float(some["area_ha"].sum())})
    return rows


def _by_family(table: pd.DataFrame) -> list[dict[str, Any]]:
    seen_ha = table["analysed_ha"] * table["detectability"].fillna(1.0)
    sums: Any = table.assign(seen_ha=seen_ha).groupby("family")[["analysed_ha", "not_assessable_ha", "seen_ha"]].sum()
    share = sums["seen_ha"] / sums["analysed_ha"].where(sums["analysed_ha"] > 0)
    order = [family for family in FAMILY_LABELS if family in sums.index]
    return [
        {"label": FAMILY_LABELS[family], "analysed": float(sums.at[family, "analysed_ha"]),
         "not_assessable": float(sums.at[family, "not_assessable_ha"]),
         "share": None if pd.isna(share[family]) else float(share[family])}
        for family in order
    ]  # fmt: skip


def _unresolved(coverage: pd.DataFrame) -> list[dict[str, Any]]:
    """Which classes each image is too coarse for."""
    seen = coverage[coverage["gsd_cm"].notna() & (coverage["status"] != "not_analysed") & coverage["image"].notna()]
    rows: list[dict[str, Any]] = []
    grouped: Any = seen.groupby(["image", "gsd_cm"])
    for (image, gsd), part in grouped:
        hidden = [one.label for one in classes().values()
                  if one.family not in ("unknown", "clutter") and not one.resolved_at(gsd)]  # fmt: skip
        rows.append({"image": str(image), "gsd": float(gsd), "ha": float(part["area_ha"].sum()), "hidden": hidden})
    return rows


def _most_certain(objects: pd.DataFrame, chips: Mapping[str, bytes]) -> list[dict[str, Any]]:
    standing = objects[(objects["verification"] != "rejected") & objects["family"].isin((*ITEM_FAMILIES, "unknown"))]
    if standing.empty:
        standing = objects[objects["verification"] != "rejected"]
    best = standing.sort_values(["probability", "object_id"], ascending=[False, True])[:MOST_CERTAIN]
    known = classes()
    rows: list[dict[str, Any]] = []
    for row in _rows(best):
        chip = chips.get(str(row.object_id))
        rows.append(
            {
                "label": known[row.class_code].label if row.class_code in known else row.class_code,
                "probability": row.probability,
                "verification": row.verification,
                "place": f"{row.lat:.6f}, {row.lon:.6f}",
                "district": None if pd.isna(row.district_name) else row.district_name,
                "image": row.image,
                "size": f"{row.length_m:.2f} x {row.width_m:.2f} m",
                "chip": None if chip is None else as_data(chip),
            }
        )
    return rows


def _rows(table: pd.DataFrame) -> Iterator[Any]:
    yield from table.itertuples()


def _curves(evaluation: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Polylines of FROC and reliability in a 300 x 200 box, as SVG points."""
    if not evaluation or not evaluation.get("curves"):
        return None
    curves = evaluation["curves"]
    froc, before = ["0,200"], 200.0
    for alarms, recall in zip(curves["fa_per_ha"], curves["recall"], strict=True):
        if alarms > 10.0:
            break
        # Square-root axis to 10 false alarms per hectare: the low rates are the ones that matter.
        x, y = 300.0 * (alarms / 10.0) ** 0.5, 200.0 * (1.0 - recall)
        froc += [f"{x:.1f},{before:.1f}", f"{x:.1f},{y:.1f}"]
        before = y
    froc.append(f"300.0,{before:.1f}")
    reliable = [f"{300 * one['claimed']:.1f},{200 * (1 - one['true']):.1f}" for one in curves["reliability"]]
    ticks = [(300.0 * (rate / 10.0) ** 0.5, f"{rate:g}") for rate in (0.0, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0)]
    return {"froc": " ".join(froc), "reliability": " ".join(reliable), "ticks": ticks, "figures": evaluation}
