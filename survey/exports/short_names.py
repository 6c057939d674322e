"""Column names of at most ten letters for Shapefiles: camelCase, no underscore, as MARS asks for.

Source: GICHD, MARS-Instructions, naming conventions (as summarised in the domain notes).
"""

from __future__ import annotations

from collections.abc import Iterable

LONGEST = 10

SHORT_NAMES = {
    "object_id": "objectId",
    "class_code": "classCode",
    "probability": "probabil",
    "evidence_class": "evidClass",
    "verification": "verified",
    "length_m": "lengthM",
    "width_m": "widthM",
    "area_m2": "areaM2",
    "area_ha": "areaHa",
    "gsd_cm": "gsdCm",
    "position_error_m": "posErrM",
    "acquired_at": "acquired",
    "district_code": "distCode",
    "district_name": "distName",
    "area_id": "areaId",
    "model_version": "modelVers",
    "run_id": "runId",
    "reviewer_role": "revRole",
    "reviewed_at": "revAt",
    "land_class": "landClass",
    "provisional": "provision",
    "n_objects": "nObjects",
    "n_confirmed": "nConfirm",
    "n_unverified": "nUnverif",
    "n_indicators": "nIndicat",
    "density_per_ha": "densPerHa",
    "density_low": "densLow",
    "density_high": "densHigh",
    "density_class": "densClass",
    "class_range": "classRange",
    "confirmed_class": "confClass",
    "contamination_class": "contClass",
    "method_primary": "method1",
    "method_sequence": "methodSeq",
    "method_reasons": "methodWhy",
    "rules_version": "rulesVers",
    "effort_days_min": "daysMin",
    "effort_days_typical": "daysTyp",
    "effort_days_max": "daysMax",
    "fadeout_m": "fadeoutM",
    "observed_fraction": "observed",
    "expected_objects": "expected",
    "detectability": "detectab",
    "district_ha": "distHa",
    "analysed_ha": "analysedHa",
    "not_assessable_ha": "notAssHa",
    "not_analysed_ha": "notAnalHa",
    "none_detected_ha": "noneDetHa",
    "low_ha": "lowHa",
    "medium_ha": "mediumHa",
    "high_ha": "highHa",
    "very_high_ha": "veryHighHa",
    "hazard_area_ha": "hazAreaHa",
    "n_areas": "nAreas",
    "imagery_from": "imageFrom",
    "imagery_to": "imageTo",
    "confirmed_none_detected_ha": "cNoneHa",
    "confirmed_low_ha": "cLowHa",
    "confirmed_medium_ha": "cMediumHa",
    "confirmed_high_ha": "cHighHa",
    "confirmed_very_high_ha": "cVeryHiHa",
    "bearing_deg": "bearing",
    "distance_m": "distanceM",
    "benchmark_bearing_deg": "bmBearing",
    "benchmark_distance_m": "bmDistM",
    "benchmark_lon": "bmLon",
    "benchmark_lat": "bmLat",
    "point_type": "pointType",
    "evidence_of_contamination": "evidOfCont",
    "direct_evidence": "directEv",
    "indirect_evidence": "indirectEv",
    "polygon_check": "polyCheck",
}
"""Declared short names; the rest are made by :func:`short_names`."""


def short_names(columns: Iterable[str]) -> dict[str, str]:
    """Return a short name for each column, all different; declared ones first, others by cutting words.

    Examples
    --------
    >>> short_names(["run_id", "slope_p50_deg", "slope_p90_deg"])
    {'run_id': 'runId', 'slope_p50_deg': 'slopP50Deg', 'slope_p90_deg': 'slopP90Deg'}
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for column in columns:
        name = SHORT_NAMES.get(column) or _cut(column)
        number = 1
        while name.lower() in taken:
            number += 1
            name = f"{_cut(column)[: LONGEST - len(str(number))]}{number}"
        taken.add(name.lower())
        found[column] = name
    return found


def _cut(column: str) -> str:
    first, *rest = column.split("_")
    camel = first + "".join(word.capitalize() for word in rest)
    if len(camel) <= LONGEST:
        return camel
    # Keep some of every word: shorten the longest until it fits.
    words = [first, *(word.capitalize() for word in rest)]
    while sum(map(len, words)) > LONGEST:
        longest = max(range(len(words)), key=lambda i: (len(words[i]), i))
        words[longest] = words[longest][:-1]
    return "".join(words)
