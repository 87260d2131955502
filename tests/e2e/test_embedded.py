"""A laptop without anything: docproc starts its own database and its own services, and leaves none of them behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.documents import pdf
from tests.support import Docproc, bare_environment, wait_until


@pytest.fixture
def laptop() -> Iterator[Docproc]:
    """docproc with nothing set but its home, whose path holds a space."""
    folder = Path(tempfile.mkdtemp(prefix="a laptop "))
    short_waits = {
        "DOCPROC_MOCKS_PROCESSING_DELAY": "0",
        "DOCPROC_PARSER_FIRST_POLL": "0.05",
        # A submit that the kill cut off is sent again after both.
        "DOCPROC_PARSER_TIMEOUT": "3",
        "DOCPROC_PARSER_RECONCILE_GRACE": "0.5",
    }
    yield Docproc(bare_environment(DOCPROC_HOME=str(folder / "docproc home"), **short_waits), folder)
    for pid in at_work(folder):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not at_work(folder))
    shutil.rmtree(folder)


def at_work(folder: Path) -> list[int]:
    """The processes that work in ``folder`` or name it on their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().decode(errors="replace")
            if str(folder) in words or str(folder) in str((process / "cwd").readlink()):
                found.append(int(process.name))
    return found


def test_two_files_become_searchable_with_nothing_set_and_nothing_is_left_running(laptop: Docproc) -> None:
    (laptop.folder / "note.md").write_text("# Gulls\n\nThe harbour master counts them at noon.\n", encoding="utf-8")
    (laptop.folder / "roof.pdf").write_bytes(pdf("A heron stands on the roof of the customs house."))
    files = [str(laptop.folder / name) for name in ("note.md", "roof.pdf")]

    killed = laptop.run("run-all", *files, DOCPROC_FAULT_POINT="settle.before_commit:4")
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    said = laptop.run("run-all", *files)
    assert said.returncode == 0, said.stderr
    assert "unchanged 2" in said.stderr
    assert "failed 0 · waiting 0" in said.stderr
    assert at_work(laptop.folder) == []
    found = laptop.run("search", "--json", "who counts the gulls")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["hits"][0]["source"] == files[0]
    assert at_work(laptop.folder) == []
