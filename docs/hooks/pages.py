"""Pages that are generated when the site is built: what the code says of itself is not written twice.

``reference/commands.md`` from the commands' help, ``job-file.md`` from the settings, ``layers.md`` from the declared
layers, ``classes.md`` from the classes the package knows, ``models.md`` from the cards of the shipped models; and the
notebooks: as executed, where ``build/notebooks`` has them (``.ci/run`` executes them there), else without outputs.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

from click import Context
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File
from pydantic import BaseModel
from typer.main import get_command

ROOT = Path(__file__).parents[2]


@event_priority(100)
def on_files(files, config):
    for name, text in {
        "reference/commands.md": commands(),
        "reference/job-file.md": job_file(),
        "reference/layers.md": layers(),
        "reference/classes.md": classes(),
        "reference/models.md": models(),
    }.items():
        files.append(File.generated(config, name, content=text))
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        executed = ROOT / "build" / "notebooks" / path.name
        folder = (executed if executed.exists() else path).parent.parent
        files.append(File(f"notebooks/{path.name}", str(folder), config.site_dir, config.use_directory_urls))
    return files


def on_page_content(html, page, config, files):
    """Show what Sphinx would link in the docstrings (:class:`Name`) as the name alone."""
    return re.sub(r":\w+:(?=<(?:code|autoref)\b)", "", html)


def commands() -> str:
    from pipelines.cli import app

    lines = ["# Commands", "", "Every command takes `--help`, `-v` (say more; `-vv` also traces errors) and `-q`.", ""]
    lines += ["Exit codes: 0 done; 1 failed, nothing usable; 2 misuse; 3 done, but some imagery could not be analysed;",
              "130 and 143 stopped, ready to go on.", ""]  # fmt: skip
    root = get_command(app)
    for name, command in root.commands.items():
        for path, one in _leaves(name, command):
            context = Context(one, info_name=f"survey {path}")
            summary, _, example = inspect.cleandoc(one.help or "").partition("Example: ")
            lines += [f"## survey {path}", "", summary.strip(), ""]
            if example:
                lines += ["```sh", example.strip(), "```", ""]
            rows = [(p, p.get_help_record(context)) for p in one.params if p.name not in ("verbose", "quiet", "help")]
            lines += ["| option | meaning |", "|---|---|"]
            lines += [f"| `{_spelled(p)}` | {_cell((record or ('', p.help or ''))[1])} |" for p, record in rows]
            lines += [""]
    return "\n".join(lines)


def _leaves(name, command):
    if not hasattr(command, "commands"):
        yield name, command
        return
    for inner, one in command.commands.items():
        yield from _leaves(f"{name} {inner}", one)


def _spelled(parameter) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name).upper()
    return ", ".join(parameter.opts)


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def job_file() -> str:
    from survey.settings import Job

    lines = [
        "# The job file",
        "",
        "TOML. Paths are relative to the file; unknown keys are refused by name, with the nearest valid one. Only",
        "`[job]`, `[imagery]` and `[districts]` are needed. `survey plan --json-schema` prints the same as a JSON Schema.",
        "This page is generated from the settings the program reads.",
        "",
    ]
    for table, field in Job.model_fields.items():
        lines += _table(table, _model_of(field.annotation))
    return "\n".join(lines)


def _table(name: str, model: type[BaseModel]) -> list[str]:
    """One table of the job file: what its docstring says, and each key with type, default and meaning."""
    text = inspect.getdoc(model) or ""
    summary, _, attributes = text.partition("Attributes\n----------\n")
    known = _described(attributes)
    lines = [
        f"## [{name}]",
        "",
        _markdown(summary.strip()),
        "",
        "| key | type | default | meaning |",
        "|---|---|---|---|",
    ]
    inner = []
    for key, field in model.model_fields.items():
        below = _model_of(field.annotation)
        if below is not None:
            inner += _table(f"{name}.{key}", below)
            continue
        default = "needed" if field.is_required() else f"`{_short(field.default)}`"
        lines.append(f"| `{key}` | {_type(field.annotation)} | {default} | {_cell(_markdown(known.get(key, '')))} |")
    return [*lines, "", *inner]


def _described(attributes: str) -> dict[str, str]:
    described: dict[str, str] = {}
    keys: list[str] = []
    for line in attributes.splitlines():
        if line and not line.startswith(" "):
            keys = [part.strip() for part in line.split(" : ")[0].split(",")]
        elif line.strip():
            for key in keys:
                described[key] = f"{described.get(key, '')} {line.strip()}".strip()
    return described


def _markdown(text: str) -> str:
    """Turn the few marks of the docstrings into Markdown."""
    text = re.sub(r":\w+:`~?\.?([^`]+)`", r"`\1`", text)
    return text.replace("``", "`")


def _model_of(annotation) -> type[BaseModel] | None:
    options = (annotation, *getattr(annotation, "__args__", ()))
    return next((one for one in options if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _type(annotation) -> str:
    text = (
        annotation.__name__ if isinstance(annotation, type) and not hasattr(annotation, "__args__") else str(annotation)
    )
    text = re.sub(r"\b(typing|pathlib|datetime|collections\.abc|_local)\.|", "", text).replace("NoneType", "None")
    return f"`{text.replace(' | None', '')}`".replace("|", "\\|")


def _short(value) -> str:
    if value is None or value == {}:
        return "-"
    text = str(value).lower() if isinstance(value, bool) else json.dumps(value, default=str, ensure_ascii=False)
    return (text if len(text) < 60 else text[:57] + "...").replace("|", "\\|")


def layers() -> str:
    from survey.layers import OUTPUT_LAYERS

    lines = ["# Layers", "", "Every layer of `survey.gpkg`, as `survey/layers` declares it. A layer exists even where it",
             "is empty, with its types.", ""]  # fmt: skip
    for layer in OUTPUT_LAYERS:
        geometry = getattr(layer, "geometry", None)
        lines += [
            f"## {layer.name}",
            "",
            f"{layer.title}. Geometry: {geometry or 'none'}.",
            "",
            "| column | kind | unit | meaning |",
            "|---|---|---|---|",
        ]
        lines += [f"| `{one.name}` | {one.kind} | {one.unit or ''} | {_meaning(one)} |" for one in layer.columns]
        lines += [""]
    return "\n".join(lines)


def _meaning(column) -> str:
    return _cell(column.description + (f": {', '.join(column.domain)}" if column.domain else ""))


def classes() -> str:
    from survey.hazards import classes as known

    lines = [
        "# Classes",
        "",
        "What a survey can look for, from `survey/hazards.toml`. Plan sizes are what a nadir camera sees. The coarsest pixel",
        "is where a class is no longer looked for: about 10 pixels across its longer side and 6 across the shorter, a rule of",
        "thumb for items with no published threshold; each is found better in finer imagery.",
        "",
        "| class | | family | plan size (m) | coarsest pixel (cm) |",
        "|---|---|---|---|---|",
    ]
    for one in known().values():
        size = f"{one.length_m:g} × {one.width_m:g}"
        lines.append(f"| `{one.code}` | {_cell(one.label)} | {one.family} | {size} | {one.max_gsd_cm:g} |")
    return "\n".join([*lines, ""])


def models() -> str:
    lines = [
        "# Model cards",
        "",
        "The models that come with the package, from the cards inside their files. **None has been validated in the",
        "field.** What they do on ground never seen stands in [The detector](../detection.md).",
        "",
    ]
    for path in sorted((ROOT / "survey" / "models").glob("*.json")):
        card = json.loads(path.read_text(encoding="utf-8"))
        data, metrics = card["data"], card["metrics"]
        lines += [f"## {card['version']}", "", f"**Limits.** {card['limits']}", ""]
        lines += [
            "| of the card | |",
            "|---|---|",
            f"| bands | {', '.join(card['roles'])} |",
            f"| measures | `{card['feature_set']}` |",
        ]
        lines += [f"| {_cell(key.replace('_', ' '))} | {_value(value)} |" for key, value in data.items()
                  if not isinstance(value, dict)]  # fmt: skip
        lines += [f"| {_cell(key.replace('_', ' '))} | {_value(value)} |" for key, value in metrics.items()
                  if not isinstance(value, dict)]  # fmt: skip
        lines += ["", "| class | looked for at (m) | candidates learned from |", "|---|---|---|"]
        counts = data.get("object_candidates_by_class", {})
        for code, scales in card["scales_by_class"].items():
            span = f"{min(scales):.2f} - {max(scales):.2f}" if len(scales) > 1 else f"{scales[0]:.2f}"
            lines.append(f"| `{code}` | {span} | {counts.get(code, '')} |")
        lines += [""]
    return "\n".join(lines)


def _value(value) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list):
        return _cell("; ".join(map(str, value)))
    return _cell(f"{value:,}" if isinstance(value, int) else str(value))
