"""The help: examples one below the other, nothing wider than the terminal, every command with its panel."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from docproc import cli
from docproc.cli.funnel import FIX, LOOK, PIPELINE, SETUP, in_lines
from tests.support import Docproc, bare_environment

GROUP: Any = get_command(cli.app)
COMMANDS = list(GROUP.commands)


def helped(*words: str, columns: int = 80) -> str:
    """The help of a command at a width."""
    said = CliRunner().invoke(cli.app, [*words, "--help"], env={"COLUMNS": str(columns), "TERM": "dumb"})
    assert said.exit_code == 0, said.output
    return said.output


def examples(command: str) -> list[str]:
    """The command lines that a command's help shows."""
    told = in_lines(GROUP.commands[command].help).partition("Examples:")[2]
    return [row.strip() for row in told.splitlines() if row.strip()]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_shows_some_examples_that_it_understands(command: str) -> None:
    shown = examples(command)
    assert 2 <= len(shown) <= 6, shown
    for example in shown:
        words = shlex.split(re.split(r" [|>] (?!.*docproc)", example)[0].rpartition("docproc ")[2])
        assert words[0] == command
        GROUP.get_command(None, command).make_context(command, words[1:], resilient_parsing=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_example_stands_on_a_line_of_its_own_at_80_columns(command: str) -> None:
    rows = [row.strip() for row in helped(command).splitlines()]
    assert all(example in rows for example in examples(command))
    assert max(map(len, rows)) <= 80


def test_the_commands_stand_in_panels_in_their_order() -> None:
    shown = helped()
    found = [shown.index(f"─ {panel} ─") for panel in (PIPELINE, LOOK, FIX, SETUP)]
    assert found == sorted(found)
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_json_and_all_but_the_looking_ones_have_quiet(command: str) -> None:
    options = {name for param in GROUP.commands[command].params for name in param.opts}
    assert "--json" in options
    assert "--quiet" in options or command in ("status", "search")


def test_prose_is_one_paragraph_and_examples_are_lines() -> None:
    told = in_lines("One thing\nand another.\n\nExamples: docproc a b     docproc c\n    docproc d")
    assert told == "One thing and another.\n\nExamples:\n  docproc a b\n  docproc c\n  docproc d"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("run-", ["run-all"]),
        ("retry --code parse.ti", ["parse.timeout"]),
        ("retry --state failed_c", ["failed_chunking"]),
        ("run-all --profile st", ["staging"]),
        ("run-all --rec", ["--receipt"]),
    ],
)
def test_the_shell_completes_commands_options_and_values_and_loads_nothing_heavy(
    tmp_path: Path, typed: str, offered: list[str]
) -> None:
    (tmp_path / "docproc.toml").write_text("[profile.staging]\n", encoding="utf-8")
    words = f"docproc {typed}"
    shell = {"_DOCPROC_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    said = Docproc(bare_environment(PYTHONPROFILEIMPORTTIME="1", **shell), tmp_path).run()
    assert sorted(said.stdout.split()) == sorted(offered)
    loaded = {row.rpartition("|")[2].strip().partition(".")[0] for row in said.stderr.splitlines()}
    assert "typer" in loaded
    assert not loaded & {"psycopg", "numpy", "openai", "llama_cloud", "requests", "tiktoken"}


def test_docproc_alone_shows_its_help_and_what_to_type_next(tmp_path: Path) -> None:
    alone = Docproc(bare_environment(), tmp_path)
    fresh = alone.run()
    assert (fresh.returncode, fresh.stdout.splitlines()[-1]) == (0, "next  docproc run-all FOLDER")
    assert alone.run(DATABASE_URL="postgresql://somewhere").stdout.splitlines()[-1] == "next  docproc status"
