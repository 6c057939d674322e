"""What the documents say can be typed: every command parses, every path exists, every Python block compiles."""

from __future__ import annotations

import re
import shlex

import pytest
from documents import NOT_RUN, PAGES, ROOT, blocks, commands, help_examples, mentions, reason_not_to_run
from typer.main import get_command

from pipelines.cli import app

SHOWN = [(page.relative_to(ROOT).as_posix(), one) for page in PAGES for one in commands(page)]
SURVEY = [*SHOWN, *((f"survey {name} --help", example) for name, example in help_examples().items())]


def parse(words):
    """Let the command line read the words, and run nothing."""
    command, context = get_command(app), None
    words = list(words)
    while hasattr(command, "commands"):
        name = words.pop(0)
        assert name in command.commands, f"there is no command {name!r}"
        command = command.commands[name]
    context = command.make_context(name, words, resilient_parsing=False)
    return command, context


@pytest.mark.parametrize(("where", "shown"), [one for one in SURVEY if one[1].startswith("survey ")])
def test_a_command_that_is_shown_is_understood(where, shown):
    parse(shlex.split(shown)[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_and_options_named_in_a_sentence_exist(page):
    for named in mentions(page):
        command, words = get_command(app), named.split()[1:]
        while hasattr(command, "commands") and words and re.fullmatch(r"[a-z]+(\|[a-z]+)*", words[0]):
            names = words.pop(0).split("|")
            assert set(names) <= set(command.commands), f"{named}: there is no such command"
            command = command.commands[names[0]]
        known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        assert {word for word in words if word.startswith("--")} <= known, named


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_scripts_and_modules_that_a_page_names_exist(page):
    text = page.read_text(encoding="utf-8")
    for script in re.findall(r"\bpython3? ([\w/]+\.py)", text):
        assert (ROOT / script).exists(), script
    for module in re.findall(r"\bpython3? -m (pipelines\.\w+)", text):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module
    for path in re.findall(r"`((?:survey|pipelines|tests|docs|data|benchmarks|notebooks|qgis_plugin)/[\w./-]*)`", text):
        # data/sample/out appears when the sample is run, build/ when .ci/run executes.
        assert path.startswith("data/sample/out") or (ROOT / path).exists(), path


@pytest.mark.parametrize(("name", "example"), help_examples().items())
def test_every_command_has_an_example_of_itself(name, example):
    assert example.startswith(f"survey {name} ")


def test_every_command_of_a_document_is_run_or_says_why_not():
    """Those of survey are run by tests/real/test_documents.py."""
    silent = [one for one in SHOWN if not one[1].startswith("survey ") and reason_not_to_run(one[1]) is None]
    assert not silent, "run it in tests/real/test_documents.py, or say in tests/documents.py why not"


def test_no_reason_is_left_over():
    everything = [one for _, one in SURVEY]
    assert [pattern for pattern in NOT_RUN if not any(re.search(pattern, one) for one in everything)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_python_of_a_page_compiles(page):
    for block in blocks(page, "python"):
        compile(block, str(page), "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_inside_the_project_lead_somewhere(page):
    generated = {"commands.md", "job-file.md", "layers.md", "classes.md", "models.md"}
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text(encoding="utf-8")):
        name = target.rsplit("/", 1)[-1]
        if name in generated and "reference" in (page.parent / target).parts:
            continue
        path = (page.parent / target).resolve()
        inside = ROOT / "notebooks" / name
        assert path.exists() or (name.endswith(".ipynb") and inside.exists()), f"{page}: {target}"


def test_pictures_are_small_and_made_by_a_script():
    scripts = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "figures").glob("*.py"))
    for path in (ROOT / "docs" / "images").iterdir():
        assert path.stat().st_size <= 300_000, path
        assert f'"{path.name}"' in scripts, f"no script of docs/figures makes {path.name}"


def test_the_readme_is_a_short_read():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) < 1100
