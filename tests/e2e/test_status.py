"""status as people and as programs read it: on a terminal, in a pipe, as JSON; of all work and of one document."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from rich.cells import cell_len

from docproc.states import State
from tests.e2e.conftest import FullRun, local
from tests.e2e.documents import one_of_each
from tests.e2e.tables import Tables
from tests.support import FIXTURES, Docproc, Mocks

HANDBOOK = str(FIXTURES / "documents" / "wind-farm-handbook.pdf")
WIDTH = 80


def on_terminal(docproc: Docproc, *words: str) -> list[str]:
    """The lines that a command shows on a terminal of 80 columns, without their colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, WIDTH, 0, 0))
    command = [sys.executable, "-m", "docproc", *words]
    environ = {**docproc.environ, "TERM": "xterm-256color", "COLUMNS": str(WIDTH)}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=docproc.folder, env=environ):
        os.close(theirs)
        shown = b""
        while True:
            try:
                some = os.read(ours, 65536)
            except OSError:  # how Linux says that the last writer has closed a terminal
                break
            shown += some
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).replace("\r", "").splitlines()


@pytest.fixture(scope="module")
def failed(server: str, migrated: str, mock_server: Mocks, tmp_path_factory: pytest.TempPathFactory) -> Docproc:
    """docproc after a run in which three documents failed, one of them in a folder with a long name."""
    from tests.conftest import clone

    folder = tmp_path_factory.mktemp("failed")
    long = folder / ("a folder whose name goes on " * 4)
    long.mkdir()
    (long / "blank.txt").write_text(" \n", encoding="utf-8")
    (folder / "white.md").write_text("\n\n", encoding="utf-8")
    (folder / "garbled.pdf").write_bytes(b"%PDF-1.7\nnothing of a PDF follows")
    docproc = local(folder / "desk", clone(server, "template_docproc", "failed"), mock_server.address)
    said = docproc.run("run-all", str(long), str(folder / "white.md"), str(folder / "garbled.pdf"))
    assert "failed 3" in said.stderr
    return docproc


def test_status_in_a_pipe_is_one_full_tab_separated_line_a_state(full_run: FullRun) -> None:
    said = full_run.docproc.run("status")
    rows = [line.split("\t") for line in said.stdout.splitlines()]
    assert [row[0] for row in rows] == [str(state) for state in State]
    assert {len(row) for row in rows} == {8}
    assert {row[0]: int(row[1]) for row in rows if int(row[1])} == {"complete": 17}
    assert "\x1b" not in said.stdout


def test_status_as_json_has_schema_1_and_every_state(full_run: FullRun) -> None:
    document = json.loads(full_run.docproc.run("status", "--json").stdout)
    assert document["schema"] == 1
    assert (document["documents"], document["complete"], document["open"], document["failed"]) == (17, 17, 0, 0)
    assert list(document["states"]) == [str(state) for state in State]
    assert document["states"]["complete"]["documents"] == 17
    assert document["counts"] == "documents"
    assert document["eta_seconds"] is None
    assert sum(document["last_hour"]["by_five_minutes"]) == 17
    assert document["runs"]["last"]["exit_code"] == 0
    assert document["search"]["model"] == "text-embedding-3-small"
    assert {bought["unit"]: bought["usd"] for bought in document["bought_today"]} == {"page": 0.0, "token": 0.0}
    assert document["last_24_hours"]["complete"] == 17
    assert document["failures"] == []
    assert len(document["latest_changes"]) == 10
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["at"])


def test_status_on_a_terminal_keeps_to_its_width(full_run: FullRun) -> None:
    lines = on_terminal(full_run.docproc, "status")
    assert [line for line in lines if cell_len(line) > WIDTH] == []
    assert [line for line in lines if re.match(r"complete +17 +100\.0% of 17", line)]
    assert [state for state in State if not any(line.startswith(f"{state} ") for line in lines)] == []


@pytest.mark.parametrize("words", [["status"], ["status", "--failed"], ["status", "white.md"]])
def test_failures_on_a_terminal_keep_to_its_width(failed: Docproc, words: list[str]) -> None:
    words = [str(failed.folder.parent / word) if word == "white.md" else word for word in words]
    lines = on_terminal(failed, *words)
    assert [line for line in lines if cell_len(line) > WIDTH] == []
    assert any("validate.empty" in line for line in lines)


def test_failed_documents_are_listed_with_code_and_remedy(failed: Docproc) -> None:
    rows = [line.split("\t") for line in failed.run("status", "--failed").stdout.splitlines()]
    assert sorted((Path(row[0]).name, row[2]) for row in rows) == [
        ("blank.txt", "validate.empty"),
        ("garbled.pdf", "parse.failed"),
        ("white.md", "validate.empty"),
    ]
    assert all(len(row) == 8 and row[5] for row in rows)


def test_the_failed_can_be_limited(failed: Docproc) -> None:
    assert len(failed.run("status", "--failed", "--limit", "2").stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--code", "validate.empty"], {"blank.txt", "white.md"}),
        (["--state", "failed_parse", "--source", "GARBLED"], {"garbled.pdf"}),
        (["--failed", "--code", "validate.empty", "--source", "white"], {"white.md"}),
        (["--since", "1h"], {"blank.txt", "white.md", "garbled.pdf"}),
        (["--state", "complete"], set()),
    ],
)
def test_lists_are_chosen_by_their_filters(failed: Docproc, words: list[str], names: set[str]) -> None:
    said = failed.run("status", *words)
    assert said.returncode == 0, said.stderr
    assert {Path(line.split("\t")[0]).name for line in said.stdout.splitlines()} == names
    documents = json.loads(failed.run("status", *words, "--json").stdout)["documents"]
    assert {Path(document["source"]).name for document in documents} == names


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--code", "parse.timout"], "did you mean parse.timeout?"),
        (["--state", "faild_parse"], "did you mean failed_parse?"),
        (["--until", "idel"], "did you mean idle?"),
        (["--since", "soon"], "is not a duration"),
        (["--failed", "--state", "complete"], "exclude each other"),
        (["--watch", "--failed"], "one thing at a time"),
        (["a.pdf", "--until", "idle"], "one thing at a time"),
        (["--max-duration", "5s"], "needs --watch or --until"),
    ],
)
def test_wrong_usage_is_told_with_what_is_near(failed: Docproc, words: list[str], said: str) -> None:
    told = failed.run("status", *words)
    assert (told.returncode, told.stdout) == (2, "")
    assert said in told.stderr


def test_a_name_of_several_documents_lists_them(failed: Docproc) -> None:
    folder = failed.folder.parent / "more"
    folder.mkdir()
    (folder / "white.md").write_text("\n\n\n", encoding="utf-8")
    assert failed.run("ingest", str(folder)).returncode == 0
    said = failed.run("status", "white.md")
    assert (said.returncode, said.stdout) == (2, "")
    assert "means 2 documents" in said.stderr
    assert "more/white.md" in said.stderr.replace("\n", "")


def test_one_document_is_found_by_its_path_and_by_the_beginning_of_its_id(full_run: FullRun) -> None:
    by_path = full_run.docproc.run("status", HANDBOOK).stdout
    rows = [line.split("\t") for line in by_path.splitlines()]
    assert rows[0][3] == "uploaded"
    assert rows[-1][3] == "complete"
    assert [row[2] for row in rows[1:]] == [row[3] for row in rows[:-1]]
    document_id = rows[0][0]
    assert full_run.docproc.run("status", document_id[:8]).stdout == by_path
    document = json.loads(full_run.docproc.run("status", "--json", document_id).stdout)
    assert document["schema"] == 1
    (job,) = document["jobs"]
    assert (job["source"], job["status"]) == (HANDBOOK, "complete")
    assert len(job["history"]) == len(rows)


def test_a_document_that_is_not_known_is_an_error_of_usage(full_run: FullRun) -> None:
    said = full_run.docproc.run("status", "no-such-document.pdf")
    assert said.returncode == 2
    assert said.stdout == ""
    assert "no-such-document.pdf" in said.stderr


def test_the_timeline_of_one_document_keeps_to_the_terminal(full_run: FullRun) -> None:
    lines = on_terminal(full_run.docproc, "status", HANDBOOK)
    assert [line for line in lines if cell_len(line) > WIDTH] == []
    assert any(re.search(r"\d\d:\d\d:\d\d  complete", line) for line in lines)
    assert any(re.search(r"uploaded .* 43 pages", line) for line in lines), lines


def test_status_shows_the_work_that_a_run_has_left(docproc: Docproc, tables: Tables, tmp_path: Path) -> None:
    assert docproc.run("ingest", str(one_of_each(tmp_path / "documents"))).returncode == 0
    rows = [line.split("\t") for line in docproc.run("status").stdout.splitlines()]
    assert {row[0]: int(row[1]) for row in rows if int(row[1])} == {"uploaded": 4}
    assert set(tables.states().values()) == {"uploaded"}
