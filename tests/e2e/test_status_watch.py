"""status --watch and --until idle: on a terminal that changes its size, in a pipe, with a database that goes away."""

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
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from rich.cells import cell_len

from tests.e2e.conftest import FullRun, local
from tests.e2e.documents import one_of_each
from tests.support import Docproc, wait_until


class Terminal:
    """A terminal with a command in it; keeps all that the command wrote."""

    def __init__(self, docproc: Docproc, *words: str, width: int = 80, height: int = 45) -> None:
        self._ours, theirs = pty.openpty()
        self.resize(width, height, tell=False)
        environ = {**docproc.environ, "TERM": "xterm-256color"}
        command = [sys.executable, "-m", "docproc", *words]
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=docproc.folder, env=environ
        )
        os.close(theirs)
        self.shown = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def resize(self, width: int, height: int, *, tell: bool = True) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        if tell:
            self.process.send_signal(signal.SIGWINCH)

    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.shown.decode(errors="replace")).replace("\r", "")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        os.close(self._ours)

    def _read(self) -> None:
        while True:
            try:
                some = os.read(self._ours, 65536)
            except OSError:  # how Linux says that the last writer has closed a terminal
                return
            self.shown += some


@contextmanager
def terminal(docproc: Docproc, *words: str, **size: int) -> Iterator[Terminal]:
    made = Terminal(docproc, *words, **size)
    try:
        yield made
    finally:
        made.end()


def test_a_watch_is_drawn_over_itself_until_ctrl_c_and_ends_well(full_run: FullRun) -> None:
    with terminal(full_run.docproc, "status", "--watch", "--interval", "0.1") as it:
        wait_until(lambda: it.text().count("docproc status") >= 3)
        it.process.send_signal(signal.SIGINT)
        assert it.process.wait(20) == 0
        assert b"\x1b[2J" not in it.shown  # nothing is wiped, so nothing flickers
        assert b"\x1b[?1049h" not in it.shown  # the last look stays in the terminal's history
        assert "Traceback" not in it.text()


def test_a_watch_keeps_to_a_terminal_that_becomes_smaller(full_run: FullRun) -> None:
    with terminal(full_run.docproc, "status", "--watch", "--interval", "600", width=120) as it:
        wait_until(lambda: "Ctrl-C ends" in it.text())
        before = len(it.shown)
        it.resize(60, 20)
        wait_until(lambda: "Ctrl-C ends" in it.shown[before:].decode(errors="replace"))
        after = it.text()[len(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", it.shown[:before].decode()).replace("\r", "")) :]
        assert [line for line in after.splitlines() if cell_len(line) > 60] == []
        assert len(after.splitlines()) <= 20


def test_in_a_pipe_a_watch_is_one_line_a_look(full_run: FullRun) -> None:
    said = full_run.docproc.run("status", "--watch", "--interval", "0.1", "--max-duration", "1s")
    rows = [line.split("\t") for line in said.stdout.splitlines()]
    assert said.returncode == 0
    assert len(rows) >= 2
    assert {tuple(row[1:4]) for row in rows} == {("0", "17", "0")}
    said = full_run.docproc.run("status", "--watch", "--interval", "0.1", "--max-duration", "1s", "--json")
    assert {json.loads(line)["complete"] for line in said.stdout.splitlines()} == {17}


@pytest.mark.parametrize("watch", [[], ["--watch"]])
def test_until_idle_ends_at_once_when_nothing_is_open(full_run: FullRun, watch: list[str]) -> None:
    said = full_run.docproc.run("status", "--until", "idle", *watch)
    assert said.returncode == 0
    assert len(said.stdout.splitlines()) == len(watch)


@pytest.mark.parametrize("watch", [[], ["--watch"]])
def test_until_idle_is_over_when_the_work_is_done(docproc: Docproc, tmp_path: Path, watch: list[str]) -> None:
    assert docproc.run("ingest", str(one_of_each(tmp_path / "documents"))).returncode == 0
    early = docproc.run("status", "--until", "idle", *watch, "--interval", "0.1", "--max-duration", "0.3s")
    assert early.returncode == 4
    waiting = docproc.start("status", "--until", "idle", *watch, "--interval", "0.1")
    assert docproc.run("run-all").returncode == 0
    out, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 0, err
    if watch:
        assert [line.split("\t")[1] for line in out.splitlines()][-1] == "0"


def test_a_wait_that_is_interrupted_says_that_it_was_not_over(docproc: Docproc, tmp_path: Path) -> None:
    assert docproc.run("ingest", str(one_of_each(tmp_path / "documents"))).returncode == 0
    with terminal(docproc, "status", "--watch", "--until", "idle", "--interval", "0.1") as it:
        wait_until(lambda: it.text().count("docproc status") >= 2)
        it.process.send_signal(signal.SIGINT)
        assert it.process.wait(20) == 130


def test_a_watch_outlives_a_database_that_goes_away(full_run: FullRun, server: str, tmp_path: Path) -> None:
    conninfo = full_run.docproc.environ["DATABASE_URL"]
    name = psycopg.conninfo.conninfo_to_dict(conninfo)["dbname"]
    docproc = local(tmp_path / "desk", conninfo, full_run.mocks.address)
    with terminal(docproc, "status", "--watch", "--interval", "0.1") as it:
        wait_until(lambda: it.text().count("docproc status") >= 2)
        with psycopg.connect(server, autocommit=True) as conn:
            conn.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
            try:
                conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
                wait_until(lambda: "asked again" in it.text(), seconds=40)
            finally:
                conn.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())
        before = len(it.shown)
        wait_until(lambda: b"Ctrl-C ends" in it.shown[before:], seconds=40)
        it.process.send_signal(signal.SIGINT)
        assert it.process.wait(20) == 0
