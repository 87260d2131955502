"""The log of whole runs: what a program reads in it, what a person sees, and when there is nothing to see."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from docproc.logs import FIELDS
from tests.e2e.documents import one_of_each, texts
from tests.e2e.tables import Tables
from tests.support import Docproc, Mocks

Told = list[dict[str, Any]]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the log goes."""
    return tmp_path / "docproc.log"


def read(log: Path) -> Told:
    """The records of a log file."""
    return [json.loads(line) for line in log.read_text("ascii").splitlines()]


def events(told: Told, event: str) -> Told:
    """The records of one event."""
    return [record for record in told if record["event"] == event]


def test_the_log_tells_every_move_that_the_history_has(
    docproc: Docproc, tables: Tables, log: Path, tmp_path: Path
) -> None:
    said = docproc.run("--log-file", str(log), "run-all", "-q", str(one_of_each(tmp_path / "documents")))
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
    told = read(log)
    ((run_id, worker),) = tables.rows("SELECT run_id::text, worker FROM docproc.runs")
    assert {(record["run_id"], record["worker"], record["profile"], record["command"]) for record in told} == {
        (run_id, worker, "local", "run-all")
    }
    moves = tables.rows(
        "SELECT job_id::text, fence, max(attempt), (array_agg(to_status ORDER BY event_id DESC))[1]"
        "  FROM docproc.job_events WHERE worker IS NOT NULL AND from_status <> to_status GROUP BY job_id, fence"
    )
    settled = events(told, "settled")
    assert {(r["job"], r["fence"], r["attempt"], r["to"]) for r in settled} >= set(moves)
    assert all(record["seconds"] >= 0 and record["stage"] for record in settled)
    assert len(events(told, "submitted")) == 2
    (ended,) = events(told, "run ended")
    assert (ended["done"], ended["failed"], ended["left"], ended["exit"]) == (4, 0, 0, 0)
    assert ended["ingested"] == {"new": 4}
    assert [record["event"] for record in told[:2]] == ["run began", "claimed"]
    assert {name for record in told for name in record} <= set(FIELDS)


def test_embedding_requests_are_counted_up_to_the_last_chunk(docproc: Docproc, log: Path, tmp_path: Path) -> None:
    folder = texts(tmp_path / "documents", 12)
    for command in (["ingest", str(folder)], ["parse"], ["validate"], ["chunk"]):
        assert docproc.run(*command).returncode == 0
    said = docproc.run("--log-file", str(log), "embed", DOCPROC_EMBEDDER_MAX_INPUTS="5")
    assert said.returncode == 0, said.stderr
    told = events(read(log), "embedded")
    assert [record["batch"] for record in told] == [1, 2, 3]
    assert {(record["of"], record["embeds_total"]) for record in told} == {(3, 12)}
    assert sorted(record["inputs"] for record in told) == [2, 5, 5]
    done = [record["embeds_done"] for record in told]
    assert (done, done[-1]) == (sorted(done), 12)
    assert all(record["tokens"] > record["inputs"] and record["seconds"] > 0 for record in told)


def test_a_document_that_fails_is_told_with_its_code(
    docproc: Docproc, services: Mocks, log: Path, tmp_path: Path
) -> None:
    services.set_faults("openai.server_error:times=1", "llamaparse.failed:times=1")
    said = docproc.run("--log-file", str(log), "run-all", str(one_of_each(tmp_path / "documents")))
    assert said.returncode == 3
    settled = events(read(log), "settled")
    assert {r["code"] for r in settled if r["outcome"] == "retry"} == {"embed.unavailable"}
    (failed,) = [record for record in settled if record["outcome"] == "fail"]
    assert (failed["code"], failed["to"], failed["stage"]) == ("parse.failed", "failed_parse", "parse")


def test_a_pipe_gets_json_from_info_on_with_v(docproc: Docproc, tmp_path: Path) -> None:
    said = docproc.run("-v", "ingest", "-q", str(texts(tmp_path / "documents", 1)))
    told = [json.loads(line) for line in said.stderr.splitlines()]
    assert [record["event"] for record in told] == ["run began", "run ended"]
    assert {record["level"] for record in told} == {"INFO"}


def test_a_terminal_gets_lines_for_people(docproc: Docproc, tmp_path: Path) -> None:
    folder = texts(tmp_path / "documents", 1)
    master, terminal = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "docproc", "-v", "ingest", "-q", str(folder)],
        cwd=docproc.folder,
        env=dict(docproc.environ),
        stderr=terminal,
        stdout=subprocess.DEVNULL,
    )
    os.close(terminal)
    said = b""
    while True:
        try:
            block = os.read(master, 65536)
        except OSError:  # what Linux says at the end of a terminal
            break
        if not block:
            break
        said += block
    os.close(master)
    assert running.wait(timeout=30) == 0
    assert b" INFO  run      run began\r\n" in said
    assert b"{" not in said.partition(b"run ended")[0]


def test_a_log_file_that_cannot_be_written_is_told_in_three_lines(docproc: Docproc) -> None:
    said = docproc.run("--log-file", "no/such/folder/log", "status")
    assert said.returncode == 2
    assert "[config.invalid]" in said.stderr
    assert "Traceback" not in said.stderr


def test_an_error_that_docproc_does_not_know_is_three_lines_and_has_its_frames_only_with_vv(
    docproc: Docproc, tables: Tables, log: Path
) -> None:
    tables.change("ALTER TABLE docproc.upload_jobs RENAME COLUMN state_since TO renamed")
    try:
        plain, verbose = docproc.run("status"), docproc.run("-vv", "--log-file", str(log), "status")
    finally:
        tables.change("ALTER TABLE docproc.upload_jobs RENAME COLUMN renamed TO state_since")
    assert (plain.returncode, verbose.returncode) == (1, 1)
    assert [line.split()[0] for line in plain.stderr.splitlines()] == ["error", "why", "try"]
    assert "UndefinedColumn" in plain.stderr and "[program.unexpected]" in plain.stderr
    (told,) = events(read(log), "ended by an error")
    assert (told["code"], told["exit"], told["error"]) == ("program.unexpected", 1, "UndefinedColumn")
    assert any("docproc" in line for line in told["traceback"])
