"""What docproc does before it does anything: help, version, and a start that loads nothing heavy."""

from __future__ import annotations

from pathlib import Path

import pytest

from docproc import __version__
from tests.support import Docproc, bare_environment

HEAVY = ("psycopg", "numpy", "openai", "llama_cloud", "requests", "tiktoken", "httpx", "kreuzberg", "pgvector")
PIPELINE = ("ingest", "parse", "validate", "chunk", "embed", "run-all")
COMMANDS = (*PIPELINE, "status", "search", "retry", "cleanup", "validate-deploy", "migrate")


@pytest.fixture
def alone(tmp_path: Path) -> Docproc:
    """docproc of a user who has set nothing."""
    return Docproc(bare_environment(), tmp_path)


def imported(importtime: str) -> set[str]:
    """The packages in Python's report of import times."""
    lines = [line for line in importtime.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_nothing_heavy(alone: Docproc, option: str) -> None:
    said = alone.run(option, PYTHONPROFILEIMPORTTIME="1")
    assert said.returncode == 0
    found = imported(said.stderr)
    assert "typer" in found
    assert not found & set(HEAVY)


def test_the_report_of_import_times_would_show_a_heavy_import(alone: Docproc) -> None:
    said = alone.run("status", PYTHONPROFILEIMPORTTIME="1", DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    assert "psycopg" in imported(said.stderr)


def test_help_names_every_command_and_makes_nothing(alone: Docproc) -> None:
    said = alone.run("--help")
    listed = [line.split()[1] for line in said.stdout.splitlines() if line.startswith("│") and len(line.split()) > 2]
    assert [command for command in COMMANDS if command not in listed] == []
    assert list(alone.folder.iterdir()) == []


def test_every_command_has_a_help_of_its_own(alone: Docproc) -> None:
    for command in COMMANDS:
        said = alone.run(command, "--help")
        assert said.returncode == 0
        assert f"{command} [OPTIONS]" in said.stdout


def test_docproc_alone_prints_its_help(alone: Docproc) -> None:
    said = alone.run()
    assert "Usage:" in said.stdout + said.stderr
    assert "run-all" in said.stdout + said.stderr
    assert list(alone.folder.iterdir()) == []


def test_version_is_the_package_version(alone: Docproc) -> None:
    assert alone.run("--version").stdout == f"docproc {__version__}\n"
