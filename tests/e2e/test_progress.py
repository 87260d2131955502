"""A run as it is followed: the first sign, the line on a terminal, JSON lines, receipts, and runs that were killed."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.documents import pdf, texts
from tests.e2e.tables import Tables
from tests.support import Docproc, Mocks, wait_until

LATE = "openai.slow:seconds=2"


def lines(said: str) -> list[dict[str, Any]]:
    """The JSON documents in ``said``, one a line."""
    found = [json.loads(line) for line in said.splitlines()]
    assert {line["schema"] for line in found} == {1}
    return found


def run_row(tables: Tables) -> tuple[Any, ...]:
    """The one row of ``runs``."""
    (row,) = tables.rows("SELECT command, exit_code, finished_at IS NOT NULL, summary FROM docproc.runs")
    return row


def on_terminal(docproc: Docproc, *words: str, columns: int = 80) -> tuple[str, float]:
    """What a terminal of a width gets from a run, and after how many seconds the first of it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "docproc", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=docproc.folder,
        env={**docproc.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    shown, first = b"", 0.0
    try:
        while some := os.read(ours, 4096):
            first = first or time.monotonic() - started
            shown += some
    except OSError:  # Linux's way to say that nobody has the other end any more
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 0
    return shown.decode(), first


def test_a_terminal_is_told_at_once_and_then_where_the_run_stands(
    docproc: Docproc, services: Mocks, tmp_path: Path
) -> None:
    services.set_faults(LATE)
    shown, first = on_terminal(docproc, "run-all", str(texts(tmp_path / "documents", 4)), columns=60)
    assert first < 3.0  # loosely: the interpreter's start is in it, on a machine that other tests use
    painted = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", part) for part in re.split(r"[\r\n]+", shown)]
    assert painted[0].strip() == "starting"
    assert [part for part in painted if re.search(r"done [0-4]/4 docs", part)]
    assert max(len(part) for part in painted[:-2]) <= 60
    assert re.fullmatch(r"done 4 · new 4 · failed 0 · waiting 0 · [0-9.a-z]+ · exit 0", painted[-2])
    assert shown.count("\x1b[?25h") == shown.count("\x1b[?25l")


def test_a_second_signal_gives_the_cursor_back(docproc: Docproc, services: Mocks, tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, threading, time\n"
        "from docproc.run import stoppable\n"
        "with stoppable():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(0.01)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(10)\n"
    )
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", script], stderr=theirs, env=dict(docproc.environ))
    assert process.wait(timeout=30) == 130
    assert os.read(ours, 100) == b"\x1b[?25h"
    os.close(ours)
    os.close(theirs)


def test_json_lines_begin_name_every_document_that_ends_and_sum_up(
    docproc: Docproc, tables: Tables, services: Mocks, tmp_path: Path
) -> None:
    services.set_faults("llamaparse.failed:times=1")
    (tmp_path / "gull.pdf").write_bytes(pdf(f"A gull of {tmp_path.name}."))
    (tmp_path / "tern.txt").write_text(f"A tern of {tmp_path.name}.\n", encoding="utf-8")
    said = docproc.run("run-all", str(tmp_path / "gull.pdf"), str(tmp_path / "tern.txt"), "missing.txt", "--json")
    assert said.returncode == 3
    assert said.stderr == ""
    told = lines(said.stdout)
    assert [told[0]["type"], told[-1]["type"]] == ["start", "summary"]
    ended = {Path(one["source"]).name: (one["state"], one["code"]) for one in told if one["type"] == "document"}
    assert ended == {
        "gull.pdf": ("failed_parse", "parse.failed"),
        "tern.txt": ("complete", None),
        "missing.txt": ("refused", "ingest.missing"),
    }
    ids = {str(found) for (found,) in tables.rows("SELECT document_id FROM docproc.upload_jobs")}
    assert {one["id"] for one in told if one["type"] == "document" and one["id"]} == ids
    summary = told[-1]
    assert (summary["done"], summary["failed"], summary["refused"], summary["exit"]) == (1, 2, 1, 3)
    assert summary["run_id"] == told[0]["run_id"]
    assert run_row(tables)[:3] == ("run-all", 3, True)


def test_an_ingest_names_what_came_in_and_not_what_is_known(docproc: Docproc, tmp_path: Path) -> None:
    folder = str(texts(tmp_path / "documents", 2))
    first = [one for one in lines(docproc.run("ingest", folder, "--json").stdout) if one["type"] == "document"]
    assert [(one["state"], one["outcome"]) for one in first] == [("uploaded", "new")] * 2
    assert [one["type"] for one in lines(docproc.run("ingest", folder, "--json").stdout)] == ["start", "summary"]


def test_a_reader_of_json_lines_that_goes_away_does_not_end_the_run(
    docproc: Docproc, tables: Tables, tmp_path: Path
) -> None:
    run = docproc.start("run-all", str(texts(tmp_path / "documents", 4)), "--json")
    assert run.stdout is not None
    run.stdout.close()
    assert run.wait(timeout=60) == 0
    assert run.stderr is not None
    assert run.stderr.read() == ""
    run.stderr.close()
    tables.assert_whole(4)


def test_the_receipt_says_what_the_run_did_and_what_it_bought(docproc: Docproc, tables: Tables, tmp_path: Path) -> None:
    (tmp_path / "gull.pdf").write_bytes(pdf(f"A gull of {tmp_path.name}."))
    file = tmp_path / "receipt.json"
    assert docproc.run("run-all", str(tmp_path / "gull.pdf"), "--receipt", str(file)).returncode == 0
    told = json.loads(file.read_text(encoding="utf-8"))
    assert (told["schema"], told["command"], told["profile"], told["exit"]) == (1, "run-all", "local", 0)
    assert (told["ingested"], told["done"], told["reached"]["complete"]) == ({"new": 1}, 1, 1)
    assert [(one["provider"], one["unit"], one["calls"]) for one in told["spent"]] == [
        ("llamaparse", "page", 1),
        ("openai", "token", 1),
    ]
    assert re.fullmatch("[0-9a-f]{64}", told["settings"])
    kept = run_row(tables)[3]
    assert {key: kept[key] for key in ("run_id", "settings", "done", "spent", "version")} == {
        key: told[key] for key in ("run_id", "settings", "done", "spent", "version")
    }


def test_a_run_that_is_stopped_has_its_receipt(
    docproc: Docproc, tables: Tables, services: Mocks, tmp_path: Path
) -> None:
    services.set_faults(LATE)
    file = tmp_path / "receipt.json"
    run = docproc.start("run-all", str(texts(tmp_path / "documents", 4)), "--receipt", str(file))
    wait_until(lambda: tables.open_calls("embed") > 0)
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=60)
    told = json.loads(file.read_text(encoding="utf-8"))
    assert (run.returncode, told["exit"], told["signal"]) == (143, 143, "SIGTERM")
    assert run_row(tables)[1:3] == (143, True)


def test_a_run_that_could_not_begin_has_its_receipt(docproc: Docproc, tmp_path: Path) -> None:
    file = tmp_path / "receipt.json"
    nobody = "postgresql://nobody@127.0.0.1:9/none"
    assert docproc.run("run-all", "--receipt", str(file), DATABASE_URL=nobody).returncode == 10
    told = json.loads(file.read_text(encoding="utf-8"))
    assert (told["exit"], told["stopped_by"], told["done"]) == (10, "database.unreachable", 0)


def test_a_killed_run_is_closed_by_the_next_one(
    docproc: Docproc, tables: Tables, services: Mocks, tmp_path: Path
) -> None:
    services.set_faults("openai.slow:seconds=8")
    run = docproc.start("run-all", str(texts(tmp_path / "documents", 4)))
    wait_until(lambda: tables.open_calls("embed") > 0)
    run.kill()
    run.communicate(timeout=30)
    assert run_row(tables)[1:3] == (None, False)
    services.set_faults()
    assert docproc.run("run-all").returncode == 0
    ended = tables.rows("SELECT exit_code, finished_at IS NOT NULL, summary ->> 'ended' FROM docproc.runs ORDER BY 1")
    assert ended == [(0, True, None), (None, True, "killed")]


def test_a_run_of_another_host_is_closed_only_after_a_silent_day(
    docproc: Docproc, tables: Tables, tmp_path: Path
) -> None:
    for name, days in (("young", 0.9), ("old", 1.1)):
        tables.change(
            "INSERT INTO docproc.runs (run_id, command, profile, worker, started_at) VALUES"
            " (gen_random_uuid(), %s, 'local', 'elsewhere:1:1:1', now() - make_interval(hours => %s))",
            name,
            int(days * 24),
        )
    assert docproc.run("run-all", str(texts(tmp_path / "documents", 1))).returncode == 0
    ended = dict(tables.rows("SELECT command, finished_at IS NOT NULL FROM docproc.runs"))
    assert ended == {"young": False, "old": True, "run-all": True}


def test_the_time_limit_that_passes_before_the_stages_leaves_work(docproc: Docproc, tmp_path: Path) -> None:
    said = docproc.run("run-all", str(texts(tmp_path / "documents", 2)), "--max-duration", "0.001s")
    assert said.returncode == 4
    assert "waiting 2" in said.stderr or "waiting 1" in said.stderr


@pytest.mark.parametrize("words", [["retry"], ["cleanup", "--dry-run"]])
def test_what_mends_tells_one_document(docproc: Docproc, words: list[str]) -> None:
    said = docproc.run(*words, "--json")
    assert said.returncode == 0
    assert len(lines(said.stdout)) == 1
