"""The recipes: each is whole, its commands are understood, and cron's script tells what somebody should read."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.main import get_command

from docproc import cli
from docproc.cli.funnel import UsageError
from docproc.config import parse_duration
from docproc.errors import Exit
from docproc.init import RECIPES, RecipeName, recipes, settings_file
from docproc.report import FailOn
from docproc.settings import DEFAULT_PROFILE, Secrets
from tests.support import ROOT
from tests.unit.recipe_texts import files_of, run_script, stand_in, text

GROUP: Any = get_command(cli.app)
SILENT = {Exit.OK, Exit.WORK_LEFT, Exit.INTERRUPTED, Exit.TERMINATED}
"""What nobody need read: the next run goes on."""


# ── all of them ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_file_belongs_to_a_recipe_and_every_recipe_has_its_files() -> None:
    there = {path for path in RECIPES.rglob("*") if path.is_file()}
    named = {file.source for recipe in recipes() for file in (*recipe.files, *recipe.beside)}
    assert named == there | {settings_file().source}
    assert [recipe.name for recipe in recipes()] == list(RecipeName)


def test_every_recipe_stands_in_its_page_with_every_file() -> None:
    page = text(Path("docs/recipes.md"))
    for recipe in recipes():
        assert f"--recipe {recipe.name}" in page
        assert [file.place for file in recipe.files if Path(file.place).name not in page] == []


def spoken(words: list[str]) -> dict[str, Any]:
    """The parameters of a command line, as the real command line reads it. Raises UsageError for a wrong one."""
    top = GROUP.make_context("docproc", list(words))
    rest = [*getattr(top, "_protected_args", ()), *top.args]
    name, command, rest = GROUP.resolve_command(top, rest)
    return {"command": name, **command.make_context(name, rest, parent=top).params}


def command_lines(path: Path) -> Iterator[list[str]]:
    """The words after ``docproc`` of every command line in a recipe: those that are run, and those it tells of."""
    told = text(path)
    for line in re.findall(r"^(?:[^#\s]+ ){5}/\S+/docproc-cron\.sh (.*)$", told, re.M):
        yield shlex.split(line.replace("\\%", "%"))
    for line in re.findall(r"^ExecStart=/\S+/docproc (.*)$", told, re.M):
        yield shlex.split(line)
    for line in re.findall(r"^\s*(?:args:|CMD) \[(.*)\]$", told, re.M):
        yield [word.strip('" ') for word in line.split(",")]
    # An option or a name after a single blank belongs to the command; anything else ends it.
    for line in re.findall(rf"docproc ((?:{'|'.join(GROUP.commands)})(?: (?:[\w./-]+|\"[^\"]*\"))*)", told):
        yield shlex.split(line)


RUNNABLE = [
    *(file for file in files_of(*RecipeName) if file.name != "docproc.timer"),
    *(ROOT / "docs" / page for page in ("recipes.md", "migration-from-a-webhook-worker.md")),
]


@pytest.mark.parametrize("path", RUNNABLE, ids=lambda path: path.name)
def test_every_command_line_of_a_recipe_is_understood(path: Path) -> None:
    profiles = tomllib.loads(text(settings_file().source))["profile"]
    for words in command_lines(path):
        told = spoken(words)
        named = told.get("profile") or []
        assert {*([named] if isinstance(named, str) else named)} <= {*profiles, DEFAULT_PROFILE}, words
        if told.get("max_duration"):
            assert parse_duration(told["max_duration"]) >= 600
        if told["command"] == "run-all":
            FailOn.told(told["fail_on"])


def test_command_lines_are_found_where_recipes_run_docproc() -> None:
    found = {path.name: [spoken(words)["command"] for words in command_lines(path)] for path in RUNNABLE}
    running = ("crontab", "service", "yml", "yaml")
    for name in (*(f"docproc.{suffix}" for suffix in running), "docproc-workers.yaml", "Containerfile"):
        assert "run-all" in found[name], name
    assert found["docproc.crontab"] == ["run-all", "status", "cleanup"]
    assert found["docproc-direct.env"] == ["migrate", "deploy", "embed"]


@pytest.mark.parametrize("words", ["run-al documents", "run-all --max-durations 2h", "deploy --backup", "embed more"])
def test_a_command_line_that_docproc_does_not_know_is_found(words: str) -> None:
    with pytest.raises(UsageError):
        spoken(words.split())


@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.name)
def test_what_a_recipe_says_to_do_next_is_understood(recipe: Any) -> None:
    assert recipe.then
    for line in recipe.then:
        if line.startswith("docproc "):
            spoken(shlex.split(line)[1:])


# ── cron ────────────────────────────────────────────────────────────────────────────────────────────────────────────

RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def crontab_line(line: str) -> str:
    """The command of a line of a user's crontab. Raises ValueError for one that cron would not run as it is meant."""
    *when, command = line.split(None, 5)
    if len(when) != 5:
        raise ValueError(f"not five fields and a command: {line}")
    for field, (low, high) in zip(when, RANGES, strict=True):
        for part in field.split(","):
            found = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d*))?", part)
            if not found or any(not low <= int(number) <= high for number in found.groups()[:2] if number):
                raise ValueError(f"{field} is no field of a crontab: {line}")
    if re.search(r"(?<!\\)%", command):
        raise ValueError(f"a percent sign without a backslash ends the command: {line}")
    return command


def test_every_line_of_the_crontab_is_one() -> None:
    told = [line for line in text(RECIPES / "cron/docproc.crontab").splitlines() if line and not line.startswith("#")]
    variables = [line for line in told if re.fullmatch(r"[A-Z]+=\S+", line)]
    commands = [crontab_line(line) for line in told if line not in variables]
    assert [line.partition("=")[0] for line in variables] == ["SHELL", "PATH", "MAILTO"]
    assert sum("docproc-cron.sh" in command for command in commands) == 3
    for command in commands:  # as the shell gets it
        subprocess.run(["sh", "-nc", command.replace("\\%", "%")], check=True)


@pytest.mark.parametrize(
    "line", ["* * * * cmd", "60 * * * * cmd", "*/0 * * * * cmd", "a * * * * cmd", "* * * * * date +%F"]
)
def test_a_line_that_cron_would_not_run_as_it_is_meant_is_found(line: str) -> None:
    with pytest.raises(ValueError, match=r"fields|field of|percent"):
        crontab_line(line)


@pytest.fixture
def cron(tmp_path: Path) -> Mapping[str, str]:
    """The environment of cron: a docproc that ends as $ENDS says, a sleep that does not, and a file of secrets."""
    stand_in(tmp_path / "bin", "docproc", 'echo "docproc said $* with $OPENAI_API_KEY" ; echo >> "$CALLS" ; exit $ENDS')
    stand_in(tmp_path / "bin", "sleep", 'echo "$1" >> "$SLEPT"')
    (tmp_path / "docproc.env").write_text("OPENAI_API_KEY=from-the-file\n")
    names = {"CALLS": "calls", "SLEPT": "slept", "DOCPROC_ENV_FILE": "docproc.env"}
    places = {name: str(tmp_path / place) for name, place in names.items()}
    return {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", **places}


@pytest.mark.parametrize("code", list(Exit), ids=lambda code: code.name)
def test_cron_mails_what_somebody_should_read_and_nothing_else(cron: Mapping[str, str], code: Exit) -> None:
    done = run_script(RECIPES / "cron/docproc-cron.sh", "run-all", "a b", env={**cron, "ENDS": str(int(code))})
    assert (done.returncode, done.stderr) == (code, "")
    if code in SILENT:
        assert done.stdout == ""
        return
    first, *_, last = done.stdout.splitlines()
    assert f"exit {int(code)}: " in first
    assert "an exit code that docproc does not have" not in first
    assert last == "docproc said run-all a b with from-the-file"


def test_cron_mails_an_exit_code_that_it_does_not_know(cron: Mapping[str, str]) -> None:
    done = run_script(RECIPES / "cron/docproc-cron.sh", "status", env={**cron, "ENDS": "137"})
    assert "was it killed?" in done.stdout


def test_cron_tries_again_when_the_database_is_away_and_only_then(cron: Mapping[str, str]) -> None:
    for code, calls in ((Exit.DATABASE, 5), (Exit.CREDENTIALS, 1)):
        Path(cron["CALLS"]).unlink(missing_ok=True)
        run_script(RECIPES / "cron/docproc-cron.sh", "run-all", env={**cron, "ENDS": str(int(code))})
        assert len(Path(cron["CALLS"]).read_text().splitlines()) == calls
    assert Path(cron["SLEPT"]).read_text().split() == ["60"] * 4


# ── the environment files, and the image ────────────────────────────────────────────────────────────────────────────


def variables(path: Path) -> dict[str, str]:
    """NAME=value, line by line, as everything but a shell reads an environment file."""
    lines = [line for line in text(path).splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("name", ["docproc.env", "docproc-direct.env"])
def test_an_environment_file_means_the_same_to_a_shell_as_to_everybody_else(name: str) -> None:
    path = RECIPES / "environment" / name
    told = variables(path)
    script = 'set -eu; . "$1"; shift; for name; do eval "echo \\"\\$$name\\""; done'
    said = subprocess.run(
        ["sh", "-c", script, "sh", path, *told], env={}, check=True, text=True, capture_output=True, encoding="utf-8"
    )
    assert said.stdout.splitlines() == list(told.values())
    assert set(told) <= {"PGSSLROOTCERT", *(f.name.upper() for f in fields(Secrets))}
    assert all(re.fullmatch(r"[^\s\"'$&`;|<>()]+", value) for value in told.values())


def test_daily_work_goes_through_the_pooler_and_both_addresses_are_verified() -> None:
    pooled = urlsplit(variables(RECIPES / "environment/docproc.env")["DATABASE_URL"])
    direct = urlsplit(variables(RECIPES / "environment/docproc-direct.env")["DATABASE_URL"])
    assert (pooled.port, direct.port) == (6543, 5432)
    assert pooled.hostname != direct.hostname
    assert [parse_qs(url.query)["sslmode"] for url in (pooled, direct)] == [["verify-full"], ["verify-full"]]


def test_the_image_runs_docproc_itself_as_somebody_without_rights() -> None:
    told = text(RECIPES / "container/Containerfile")
    steps = re.findall(r"^([A-Z]+) (.*)$", re.sub(r"\\\n", " ", told), re.M)
    assert {name for name, _ in steps} <= {"FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "ENTRYPOINT", "CMD"}
    by_name = dict(steps)
    assert by_name["ENTRYPOINT"] == '["docproc"]'
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", by_name["USER"])
    assert "pip install --no-cache-dir docproc" in by_name["RUN"]
