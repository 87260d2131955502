"""A process that is frozen between its mark and the paid request: the world goes on, and it must not buy once more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.tables import Tables
from tests.integration.bench import bought, pdf
from tests.support import Docproc, Mocks, wait_until

FREEZES = """
import signal, sys, threading
from docproc import faultpoints

wanted = sys.argv.pop(1)
reach = faultpoints.reach

def freeze(point, at=""):
    if point == wanted:
        # To this very thread: sent to the process, another would take it, and this one would run on for a moment.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
    reach(point, at)

faultpoints.reach = freeze
from docproc.cli import main
main()
"""
WAITS = {"DOCPROC_PARSER_TIMEOUT": "1", "DOCPROC_PARSER_RECONCILE_GRACE": "0"}


@pytest.mark.parametrize(("point", "submits"), [("parse.before_submit", 2), ("parse.after_submit", 1)])
def test_a_frozen_process_that_wakes_after_another_took_over_buys_nothing_more(
    docproc: Docproc, tables: Tables, services: Mocks, tmp_path: Path, point: str, submits: int
) -> None:
    paper = tmp_path / "a.pdf"
    paper.write_bytes(pdf("the harbour ledger", "the second page"))
    patient = Docproc({**docproc.environ, **WAITS}, docproc.folder)
    assert patient.run("ingest", str(paper)).returncode == 0
    before = services.bill()
    frozen = subprocess.Popen(
        [sys.executable, "-c", FREEZES, point, "parse"],
        cwd=patient.folder,
        env=dict(patient.environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: is_stopped(frozen.pid))
        late = "UPDATE docproc.upload_jobs SET lease_until = now() - interval '1 second' WHERE claimed_by IS NOT NULL"
        assert tables.change(late) == 1
        other = patient.run("parse", "--wait")
        assert other.returncode == 0, other.stderr
        assert set(tables.states().values()) == {"parsed"}
        frozen.send_signal(signal.SIGCONT)
        _, said = frozen.communicate(timeout=30)
    finally:
        frozen.kill()
        frozen.wait()
    assert "Traceback" not in said
    assert bought(services, before) == (1, 2)
    assert set(tables.states().values()) == {"parsed"}
    assert tables.number("SELECT sum(submits) FROM docproc.parse_calls") == submits
    assert tables.number("SELECT count(*) FROM docproc.parse_calls WHERE state = 'collected'") == 1


def is_stopped(pid: int) -> bool:
    """Whether the process stands still after a SIGSTOP."""
    found, status = os.waitpid(pid, os.WUNTRACED | os.WNOHANG)
    if found and not os.WIFSTOPPED(status):
        raise AssertionError(f"it ended instead: {status}")
    return found == pid
