"""Every command's exit code in every situation, the same on a terminal, in a pipe, with --json and with --quiet.

All four ways are tried for four commands of different kinds. The others, whose lines the same code prints, go without
the terminal when all is well, and in trouble tell their exit code and their JSON, as one funnel ends all of them. The
good runs of ``deploy`` and ``compare`` take minutes of other tests: they are here only for what stops them at once.
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from docproc.local import mocks
from tests.conftest import clone
from tests.e2e.conftest import local
from tests.e2e.documents import pdf
from tests.support import ROOT, Docproc, Mocks, always

SITUATIONS = (
    "success",
    "some failed",
    "all failed",
    "time limit",
    "no quota",
    "no database",
    "bad key",
    "bad config",
    "old schema",
)
STAGES = ("parse", "validate", "chunk", "embed", "run-all")
EVERYWHERE = {"no database": 10, "bad config": 2, "old schema": 13}
CODES: Mapping[str, Mapping[str, int]] = {
    "ingest": {"success": 0, "some failed": 3, "all failed": 1, **EVERYWHERE},
    "parse": {"success": 0, "some failed": 3, "all failed": 1, "time limit": 4, "no quota": 5, "bad key": 12}
    | EVERYWHERE,
    "validate": {"success": 0, "some failed": 3, "all failed": 1, "time limit": 4, **EVERYWHERE},
    "chunk": {"success": 0, "some failed": 3, "all failed": 1, "time limit": 4, **EVERYWHERE},
    "embed": {"success": 0, "some failed": 3, "all failed": 1, "time limit": 4, "no quota": 5, "bad key": 12}
    | EVERYWHERE,
    "run-all": {"success": 0, "some failed": 3, "all failed": 1, "time limit": 4, "no quota": 5, "bad key": 12}
    | EVERYWHERE,
    "status": {"success": 0, **EVERYWHERE},
    "search": {"success": 0, "no quota": 5, "bad key": 12, **EVERYWHERE},
    "retry": {"success": 0, **EVERYWHERE},
    "cleanup": {"success": 0, **EVERYWHERE},
    "validate-deploy": {"success": 0, "no database": 6, "bad key": 6, "bad config": 2, "old schema": 6},
    "migrate": {"success": 0, "no database": 10, "bad config": 2, "old schema": 13},
    "deploy": {"no database": 10, "bad config": 2},
    "compare": {"bad config": 2},
    "init": {"success": 0},
}
"""By command and situation; a situation that a command cannot be in is not there."""

WORDS: Mapping[str, tuple[str, ...]] = {
    "ingest": ("ingest", "good.txt"),
    "parse": ("parse", "--wait"),
    "search": ("search", "gulls"),
    "validate-deploy": ("validate-deploy", "--only", "database", "--only", "schema", "--only", "parser"),
    "deploy": ("deploy", "--no-rehearse"),
    "init": ("init", "--list"),
    "compare": ("compare", "good.txt", "--profile", "local", "--profile", "other"),
}
OLD_SCHEMA = {"migrate": ("migrate", "--check")}
LOUD = ("status", "search")
"""The commands without --quiet: they are asked for what they say."""

FULL = ("run-all", "retry", "migrate", "search")
"""The commands that are tried in all ways."""

SHAPES = ("success", "some failed", "time limit", "no database", "bad config", "old schema")
"""The situations in which they are: all is well, a summary, an error before there is one."""

MODES = ("terminal", "pipe", "json", "quiet")
FAULTS = {
    ("parse", "no quota"): "llamaparse.payment_required",
    ("run-all", "no quota"): "openai.insufficient_quota",
    ("embed", "no quota"): "openai.insufficient_quota",
    ("search", "no quota"): "openai.insufficient_quota",
    ("embed", "some failed"): "openai.bad_input:match=Bad",
    ("embed", "all failed"): "openai.bad_input",
}
KEYS = {
    "DOCPROC_PARSER_SERVICE": "real",
    "DOCPROC_EMBEDDER_SERVICE": "real",
    "LLAMA_CLOUD_API_KEY": "bad-0f7c51d2",
    "OPENAI_API_KEY": "sk-bad-93be4a60",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a command said in one mode, and its exit code."""

    mode: str
    exit_code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the commands run: a folder, a storage, mocks of its own, and a database for each state of the work."""

    server: str
    docproc: Docproc
    mocks: Mocks

    def said(self, command: str, situation: str) -> list[Said]:
        """Runs ``command`` in ``situation`` in every mode at once, each with a database of its own."""
        self.mocks.set_faults(*([FAULTS[command, situation]] if (command, situation) in FAULTS else []))
        words = _words(command, situation)
        with ThreadPoolExecutor(len(MODES)) as pool:
            modes = [mode for mode in _modes(command, situation) if mode != "quiet" or command not in LOUD]
            made = [self._environment(command, situation, mode) for mode in modes]
            return list(pool.map(lambda mode, environ: _run(self.docproc.folder, mode, words, environ), modes, made))

    def _environment(self, command: str, situation: str, mode: str) -> dict[str, str]:
        environ = dict(self.docproc.environ)
        if situation == "no database":
            return environ | {"DATABASE_URL": "postgresql://nobody:secret@127.0.0.1:9/none"}
        if situation == "bad config":
            return environ | {"DOCPROC_PARSER_TIER": "chaep"}
        if situation == "bad key":
            address = self.mocks.address
            environ |= KEYS | {"LLAMA_CLOUD_BASE_URL": address, "OPENAI_BASE_URL": f"{address}/v1"}
        name = _template(command, situation)
        if situation in ("some failed", "all failed") and command not in ("ingest", "run-all"):
            name = f"{name} {situation}"
        return environ | {"DATABASE_URL": clone(self.server, name, f"exits {command} {mode}")}


def _modes(command: str, situation: str) -> tuple[str, ...]:
    if command in FULL and situation in SHAPES:
        return MODES
    return ("pipe", "json", "quiet") if situation == "success" else ("json",)


def _words(command: str, situation: str) -> tuple[str, ...]:
    if situation == "old schema" and command in OLD_SCHEMA:
        return OLD_SCHEMA[command]
    if situation in ("some failed", "all failed") and command in ("ingest", "run-all"):
        return (command, "missing.txt", *(["good.txt"] if situation == "some failed" else []))
    more = ("--max-duration", "0.001s") if situation == "time limit" else ()
    return (*WORDS.get(command, (command,)), *more)


def _template(command: str, situation: str) -> str:
    """The database in whose copies a command runs: it has the work that the command is to do."""
    if situation == "old schema":
        return "template1"
    if command == "ingest" or (command == "run-all" and "failed" in situation):
        return "template_docproc"
    before = {"parse": "exits ingested", "validate": "exits parsed", "chunk": "exits validated"}
    if command == "run-all":
        return "exits ingested"
    return before.get(command, "exits chunked" if command == "embed" else "exits complete")


def _run(folder: Path, mode: str, words: tuple[str, ...], environ: dict[str, str]) -> Said:
    asked = {"json": ["--json"], "quiet": ["--quiet"]}.get(mode, [])
    line = [sys.executable, "-m", "docproc", *words, *asked]
    if mode == "terminal":
        return _on_terminal(folder, line, environ)
    made = subprocess.run(line, capture_output=True, text=True, cwd=folder, env=environ, timeout=60, check=False)
    return Said(mode, made.returncode, made.stdout, made.stderr)


def _on_terminal(folder: Path, line: list[str], environ: dict[str, str]) -> Said:
    ours, theirs = pty.openpty()
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    process = subprocess.Popen(line, cwd=folder, env={**environ, "TERM": "xterm", "COLUMNS": "80"}, **streams)  # type: ignore[call-overload]
    os.close(theirs)
    shown = b""
    try:
        while some := os.read(ours, 4096):
            shown += some
    except OSError:  # Linux's way to say that nobody has the other end any more
        pass
    os.close(ours)
    return Said("terminal", process.wait(timeout=60), shown.decode("utf-8", "replace"), "")


@pytest.fixture(scope="module")
def desk(server: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A folder with two documents, and the databases in which they wait for each stage."""
    folder = tmp_path_factory.mktemp("exits")
    with mocks.start(folder / "mocks", options=mocks.MockOptions(processing_delay=0.0)) as running:
        own = local(folder / "desk", clone(server, "template_docproc", "exits work"), running.address)
        (own.folder / "good.txt").write_text("Good gulls.\n", encoding="utf-8")
        (own.folder / "bad.txt").write_text("Bad gulls.\n", encoding="utf-8")
        (own.folder / "page.pdf").write_bytes(pdf("A page of gulls."))
        assert own.run("ingest", ".").returncode == 0
        _keep(server, "ingested", "parse")
        for stage, reached in zip(STAGES, ("parsed", "validated", "chunked", "complete"), strict=False):
            words = (stage, "--wait") if stage == "parse" else (stage,)
            done = own.run(*words)
            assert done.returncode == 0, done.stderr
            _keep(server, reached, STAGES[STAGES.index(stage) + 1])
        yield Desk(server, own, Mocks(running.address))


def _keep(server: str, reached: str, stage: str) -> None:
    """Keeps the database as it is now, and two copies of it in which one or all of the documents cannot go on."""
    name = f"exits {reached}"
    clone(server, "exits work", name)
    for situation, which in (("some failed", "source LIKE '%/bad.txt'"), ("all failed", "true")):
        with psycopg.connect(clone(server, name, f"{name} {situation}"), autocommit=True) as conn:
            conn.execute("ALTER TABLE docproc.upload_jobs DISABLE TRIGGER USER")
            for change in SPOILED.get(stage, ()):
                conn.execute(f"UPDATE docproc.upload_jobs SET {change} WHERE {which}".encode())
            conn.execute("ALTER TABLE docproc.upload_jobs ENABLE TRIGGER USER")


SPOILED: Mapping[str, tuple[str, ...]] = {
    "parse": ("raw_path = 'storage://raw/default/nothing.txt', extension = 'txt'",),
    "validate": ("parsed_path = 'storage://parsed/default/nothing.md'",),
    "chunk": ("chunks_version = 'nobody@1'",),
}
"""What makes a stage fail for a document: its bytes are gone, its chunker is unknown. Embed has faults for that."""

CELLS = [(c, s) for c, codes in CODES.items() for s in codes if c in FULL or s not in EVERYWHERE]
TELLING = [
    *(("run-all", s) for s in ("success", "some failed", "all failed", "time limit", "bad config")),
    *(("status", "success"), ("embed", "no quota"), ("chunk", "all failed"), ("search", "bad key")),
    *(("retry", "old schema"), ("ingest", "some failed")),
    *(("migrate", "no database"), ("cleanup", "success"), ("validate-deploy", "bad key")),
]
"""Tested in every run; one funnel ends all commands, the other cells are long."""


@pytest.mark.parametrize("cell", always(CELLS, *TELLING), ids=["-".join(cell).replace(" ", "_") for cell in CELLS])
def test_a_command_ends_with_the_same_code_however_it_is_read(desk: Desk, cell: tuple[str, str]) -> None:
    command, situation = cell
    for said in desk.said(command, situation):
        assert_said(said, CODES[command][situation])


@pytest.mark.parametrize("situation", EVERYWHERE)
def test_every_other_command_ends_with_its_code_and_a_document_that_tells_of_it(desk: Desk, situation: str) -> None:
    commands = [command for command, codes in CODES.items() if command not in FULL and situation in codes]
    with ThreadPoolExecutor(len(MODES)) as pool:
        told = list(pool.map(lambda command: desk.said(command, situation), commands))
    for command, (said,) in zip(commands, told, strict=True):
        assert_said(said, CODES[command][situation])


def assert_said(said: Said, wanted: int) -> None:
    """Fails unless the exit code is the one that is wanted, and what was said has the shape of its mode."""
    assert said.exit_code == wanted, (said.mode, said.out, said.err)
    assert "Traceback" not in said.out + said.err
    assert "secret" not in said.out + said.err
    SHAPE[said.mode](said, wanted)


def assert_terminal(said: Said, wanted: int) -> None:
    """A person is told of trouble."""
    if wanted:
        assert len(said.out.strip()) > 20


def assert_pipe(said: Said, wanted: int) -> None:
    """Nothing steers a terminal that is not there."""
    assert "\x1b" not in said.out + said.err
    assert "\r" not in said.out + said.err


def assert_json(said: Said, wanted: int) -> None:
    """Every line of standard output is a document with a version; what stopped the command is the last one."""
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert lines
    assert {line["schema"] for line in lines} == {1}
    if wanted in (2, 5, 10, 12, 13) and lines[-1].get("type") != "summary" and "pending" not in lines[-1]:
        told = lines[-1]
        assert (told["type"], told["exit"]) == ("exit_error", wanted)
        assert told["code"]
        assert told["reason"]
        assert f"[{told['code']}]" in said.err


def assert_quiet(said: Said, wanted: int) -> None:
    """Silent when all is well, and only then."""
    assert bool(said.out + said.err) == bool(wanted)


SHAPE: Mapping[str, Callable[[Said, int], None]] = {
    "terminal": assert_terminal,
    "pipe": assert_pipe,
    "json": assert_json,
    "quiet": assert_quiet,
}


def table() -> str:
    """The table of docs/command-line.md."""
    lines = ["| | " + " | ".join(SITUATIONS) + " |", "|---" * (len(SITUATIONS) + 1) + "|"]
    for command, codes in CODES.items():
        lines.append(f"| `{command}` | " + " | ".join(str(codes.get(one, "–")) for one in SITUATIONS) + " |")
    return "\n".join(lines) + "\n"


def test_the_table_stands_in_the_page_of_the_command_line() -> None:
    page = ROOT / "docs/command-line.md"
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition("<!-- exit codes -->\n")
    _, _, after = rest.partition("<!-- end -->\n")
    now = f"{before}<!-- exit codes -->\n{table()}<!-- end -->\n{after}"
    if os.environ.get("DOCPROC_WRITE_DOCS"):
        page.write_text(now, encoding="utf-8")
    assert text == now or os.environ.get("DOCPROC_WRITE_DOCS"), "write it with DOCPROC_WRITE_DOCS=1"
