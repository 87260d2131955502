"""SIGTERM while both services are slow: the run ends in time and hands every lease back; a second one ends it now."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.chaos.books import Books
from tests.chaos.library import CANARY, library
from tests.chaos.told import KEYS, assert_counts_are_true, assert_nothing_leaked, assert_receipts_are_true
from tests.e2e.conftest import local
from tests.e2e.tables import Tables
from tests.support import Mocks, Talking, wait_until

SOON = 10.0
"""Seconds that a container or a service manager leaves us at the least before it kills."""

AT_ONCE = 2.0

SLOW = ("llamaparse.slow:seconds=2", "openai.slow:seconds=2")


def test_a_busy_run_over_slow_services_ends_soon_and_holds_nothing(
    conninfo: str, services: Mocks, tmp_path: Path
) -> None:
    papers = library(tmp_path / "papers", 20, seed=hash(str(tmp_path)))
    books = Books.open(conninfo, papers, services)
    docproc, tables = local(tmp_path / "desk", conninfo, services.address, **KEYS), Tables(conninfo)
    services.set_faults(*SLOW)
    run = Talking(docproc.start("-v", "run-all", str(papers.folder)))
    wait_until(lambda: busy_with_both(tables))
    asked = time.monotonic()
    run.process.send_signal(signal.SIGTERM)
    said = run.end()

    assert time.monotonic() - asked < SOON
    assert run.process.returncode == 143, said
    assert tables.leases() == 0
    services.set_faults()
    again = docproc.run("run-all", str(papers.folder))
    assert again.returncode == 0, again.stderr
    balance = books.balance()
    balance.assert_sound()
    assert balance.inputs_twice == 0
    lines = [*said.splitlines(), *again.stderr.splitlines()]
    assert_counts_are_true(docproc.run, tables)
    assert_receipts_are_true(lines, tables)
    assert_nothing_leaked(CANARY, lines, tables)


def test_a_second_signal_ends_the_run_at_once(conninfo: str, services: Mocks, tmp_path: Path) -> None:
    papers = library(tmp_path / "papers", 10, seed=hash(str(tmp_path)))
    docproc, tables = local(tmp_path / "desk", conninfo, services.address), Tables(conninfo)
    services.set_faults("openai.slow:seconds=20", *SLOW[:1])
    run = docproc.start("run-all", str(papers.folder))
    wait_until(lambda: tables.open_calls("embed") > 0)
    run.send_signal(signal.SIGTERM)
    time.sleep(0.5)  # two that wait together arrive as one
    asked = time.monotonic()
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=60)
    assert time.monotonic() - asked < AT_ONCE
    assert run.returncode == 143
    services.set_faults()


def busy_with_both(tables: Tables) -> bool:
    """Whether requests to the parser and to the embedder are in flight."""
    submitting = tables.number("SELECT count(*) FROM docproc.parse_calls WHERE state = 'submitting'")
    return submitting > 0 and tables.open_calls("embed") > 0
