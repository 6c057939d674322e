"""What the command's JSON says, in words and as progress."""

from __future__ import annotations

import json
from pathlib import Path


class Told:
    """Listens to the events of ``survey run --json`` and ``survey map --json``, one JSON object a line.

    Attributes
    ----------
    folder : Path or None
        Where the outputs are, once the command has said so.
    """

    def __init__(self, feedback):
        self._feedback = feedback
        self.folder = None

    def hear(self, line):
        """Hand on one line; what is no event is handed on as it is."""
        try:
            event = json.loads(line)
            kind = event.pop("event")
        except (ValueError, AttributeError, KeyError):
            self._feedback.pushConsoleInfo(line)
            return
        reaction = {"begun": self._begun, "tile": self._tile, "note": self._note, "finished": self._finished}.get(kind)
        if reaction is not None:
            reaction(event)

    def _begun(self, event):
        self._total = event["hectares"]
        self._feedback.pushInfo(f"{event['tiles']} tiles to survey, {event['hectares']:.2f} ha.")

    def _tile(self, event):
        self._feedback.setProgress(100 * event["fraction"])
        left = event["seconds_left"]
        self._feedback.setProgressText(
            f"{event['hectares_done']:.2f} of {self._total:.2f} ha, {event['objects']} sightings"
            + ("" if left is None else f", about {clock(left)} left")
        )

    def _note(self, event):
        self._feedback.pushInfo(event["text"])

    def _finished(self, event):
        if event["outputs"]:
            self.folder = Path(event["outputs"][0]).parent
        for row in event["districts"]:
            self._feedback.pushInfo(
                f"{row['district_name']}: {row['analysed_ha']:.2f} ha analysed, {row['not_assessable_ha']:.2f} ha not "
                f"assessable, {row['not_analysed_ha']:.2f} ha not analysed, {row['n_objects']} suspected objects, "
                f"{row['hazard_area_ha']:.2f} ha of proposed hazard areas"
            )
        for problem in event["problems"]:
            self._feedback.reportError(f"Not analysed: {problem['image']}: {problem['reason']}", False)


def plan_lines(plan):
    """Yield a plan in sentences."""
    for scene in plan["scenes"]:
        missing = ", ".join(scene["classes_not_resolved"])
        yield (
            f"{scene['name']}: {scene['gsd_cm']:.2f} cm a pixel, {scene['tiles']} tiles; "
            + (f"cannot show {missing}" if missing else "can show every class that is wanted")
        )
    for name, hectares in plan["hectares_by_district"].items():
        yield f"{name}: {hectares:.2f} ha of imagery"
    for path in plan["outside"]:
        yield f"Outside the districts, not read: {path}"
    yield (
        f"{plan['tiles']} tiles, about {clock(plan['estimate_seconds'])} with {plan['workers']} process(es); "
        f"outputs in {plan['output']}"
    )


def clock(seconds):
    """Return a time for people."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
