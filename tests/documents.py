"""Commands and code that README, the documentation and `--help` show, and why some of them are not run by a test."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if "figures" not in path.parts),
]

NOT_RUN = {
    r"python3 -m venv \.venv .*survey run": "run by .ci/run as it stands, from a fresh installation",
    r"python3 -m venv \.venv .*pytest": "run by .ci/run as it stands: it is the test",
    r"pip install": "installs packages; .ci/run installs what it needs",
    r"dask (scheduler|worker)": "a cluster of machines; tests/pipelines/test_cluster.py runs one in the process",
    r"survey run .* --cluster": "needs that cluster; tests/pipelines/test_cluster.py",
    r"survey export .* --to postgresql:": "needs that database; tests/real/test_postgis.py makes one",
    r"pipelines\.make_models (rgb|cir|thermal) ": "takes hours and photographs; tests/pipelines/test_make_models.py",
    r"pipelines\.textures ": "needs a package of textures; tests/pipelines/test_textures.py",
    r"gdalbuildvrt -separate": "needs GDAL 3.8 and an elevation model; tests/imagery/test_heights.py binds such images",
    r"mkdocs (serve|build)": "tests/real/test_documents.py builds the site",
    r"pre-commit": "changes a checkout; its hooks are the checks of .ci/run",
    r"pytest": "runs these tests",
    r"survey models rollback": "needs two promotions; tests/memory/test_register.py",
    r"survey ledger evidence": "no accident of the sample has its place recorded; tests/ledger/test_ledger_commands.py",
    r"survey merge out/fuzuli-april": "needs two surveys of neighbouring ground; tests/exports/test_merge.py",
}
"""Pattern of a command to the reason why no test runs it as it stands in a document."""


def blocks(path: Path, language: str) -> list[str]:
    """Fenced blocks of a language in a page, without their indentation."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", path.read_text(encoding="utf-8"), re.M | re.S)
    return [re.sub(rf"^{indent}", "", text, flags=re.M) for indent, text in found]


def commands(path: Path) -> list[str]:
    """Commands of a page, one a line, in their order."""
    found = []
    for block in blocks(path, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            command = re.sub(r"\s+#.*$", "", line).strip()
            if command and not command.startswith("#"):
                found.append(" ".join(command.split()))
    return found


def mentions(path: Path) -> list[str]:
    """Commands of survey that a page names in a sentence, with what options it names."""
    prose = re.sub(r"^ *```.*?^ *```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    return [" ".join(found.split()) for found in re.findall(r"`(survey [a-z][^`]*)`", prose)]


def reason_not_to_run(command: str) -> str | None:
    return next((reason for pattern, reason in NOT_RUN.items() if re.search(pattern, command)), None)


def help_examples() -> dict[str, str]:
    """Example of every command, by the command's name."""
    from typer.main import get_command

    from pipelines.cli import app

    def leaves(name, command):
        if not hasattr(command, "commands"):
            yield name, command
            return
        for inner, one in command.commands.items():
            yield from leaves(f"{name} {inner}".strip(), one)

    found = {}
    for name, command in leaves("", get_command(app)):
        match = re.search(r"Example: (survey .+)", command.help or "")
        found[name] = match[1].strip() if match else ""
    return found
