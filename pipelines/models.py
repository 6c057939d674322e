"""``survey models``: the model register."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="The model register: list, show, promote, roll back.", no_args_is_help=True)

Models = Annotated[Path, typer.Option(help="Folder of the register.", show_default=False)]
Version = Annotated[str, typer.Argument(help="Version, as `survey models list` names it.", show_default=False)]


def list_versions(models: Models) -> None:
    """List the versions; the champion is marked.

    Example: survey models list --models models
    """
    from survey.memory.register import open_register

    register = open_register(models)
    champion = register.champion()
    for version in register.versions():
        card = register.card(version)
        mark = "*" if version == champion else " "
        known = ", ".join(card["scales_by_class"])
        elder = card.get("elder", {}).get("version")
        more = f"; others from {elder}" if elder else ""
        typer.echo(f"{mark} {version}  {'-'.join(card['roles'])}  {known}{more}{_held_out(card)}")
    if champion is None:
        typer.echo("No champion yet.")


def _held_out(card: Mapping[str, Any]) -> str:
    """Average precision on held-out objects; the champion's there beside it, for versions are asked about others."""
    metrics = card.get("metrics")
    overall = metrics.get("overall") if isinstance(metrics, Mapping) else None
    if not isinstance(overall, Mapping) or "challenger" not in overall:
        return ""
    said = f"  AP {overall['challenger']['ap']:.3f} of {overall['n_objects']} held-out objects"
    return said + (f" (champion then: {overall['champion']['ap']:.3f})" if "champion" in overall else "")


def show_version(version: Version, models: Models) -> None:
    """Print the card of a version.

    Example: survey models show rgb-1 --models models
    """
    from survey.memory.register import open_register

    card = open_register(models).card(version)
    card.pop("background", None)
    typer.echo(json.dumps(card, indent=1, sort_keys=True))


def promote_version(
    version: Version,
    models: Models,
    why: Annotated[str, typer.Option(help="Why; it is written down.", show_default=False)],
) -> None:
    """Make a version the champion.

    Example: survey models promote rgb-1 --models models --why "better on our own test ground"
    """
    from survey.memory.lock import only_writer
    from survey.memory.register import open_register

    register = open_register(models)
    with only_writer(models):
        register.promote(version, why, "survey models promote")
    typer.echo(f"{version} is the champion.")


def roll_back(
    models: Models, why: Annotated[str, typer.Option(help="Why; it is written down.")] = "no reason given"
) -> None:
    """Make the champion before the present one champion again.

    Example: survey models rollback --models models --why "too many false alarms in the hills"
    """
    from survey.memory.lock import only_writer
    from survey.memory.register import open_register

    register = open_register(models)
    with only_writer(models):
        version = register.rollback(why)
    typer.echo(f"{version} is the champion again.")


COMMANDS: dict[str, Callable[..., None]] = {
    "list": list_versions,
    "show": show_version,
    "promote": promote_version,
    "rollback": roll_back,
}
