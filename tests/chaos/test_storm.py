"""kill -9, zombies, cut backends, crashes, cleanups and 20 % faults at once: nothing lost, nothing twice."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from docproc.local import mocks
from tests.chaos.books import Balance, Books
from tests.chaos.conftest import LONG as IS_LONG
from tests.chaos.library import CANARY, library
from tests.chaos.servers import OwnCluster, own_cluster
from tests.chaos.storm import (
    EMBED_THREADS,
    ENVIRONMENT,
    FAULTS,
    FROZEN,
    LONG,
    MARGIN,
    MAX_INPUTS,
    MAX_SUBMITS,
    SHORT,
    Storm,
)
from tests.chaos.told import assert_counts_are_true, assert_nothing_leaked, assert_receipts_are_true
from tests.e2e.conftest import local
from tests.e2e.tables import Tables
from tests.support import Docproc, Mocks

REFUSED = "a settle was refused"
"""What docproc logs when the loser of a lease comes too late."""

UNEXPECTED = ("Traceback", "an unexpected error", "program.unexpected")

REFUSED_ANSWERS = "SELECT * FROM docproc.api_calls WHERE code = 'embed.bad_response'"

NO_DATABASE = 10
"""How a process ends that is started while Postgres is away: only what runs already waits for it."""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[OwnCluster]:
    with own_cluster(tmp_path / "cluster") as running:
        yield running


@pytest.fixture
def stormy(tmp_path: Path) -> Iterator[Mocks]:
    """Mock services with faults at every fifth request."""
    plan = mocks.MockOptions(processing_delay=0.3, faults=FAULTS, seed=7)
    with mocks.start(tmp_path / "mocks", options=plan) as running:
        yield Mocks(running.address)


def test_a_storm_loses_nothing_and_does_nothing_twice(own: OwnCluster, stormy: Mocks, tmp_path: Path) -> None:
    plan = LONG if IS_LONG else SHORT
    papers = library(tmp_path / "papers", plan.documents, seed=plan.seed)
    books = Books.open(own.conninfo, papers, stormy, max_submits=MAX_SUBMITS)
    at = {"LLAMA_CLOUD_BASE_URL": stormy.address, "OPENAI_BASE_URL": f"{stormy.address}/v1"}
    docproc = local(tmp_path / "desk", own.conninfo, stormy.address, **ENVIRONMENT, **at)
    (tmp_path / "logs").mkdir()
    storm = Storm(plan, docproc, own, papers, tmp_path / "logs")

    seconds = storm.run()
    clean = docproc.run("run-all", str(papers.folder), timeout=300)

    balance, tables = books.balance(), Tables(own.conninfo)
    bound = sum(storm.happened.values()) * EMBED_THREADS * MAX_INPUTS
    said = [*storm.said(), *clean.stderr.splitlines()]
    late = sum(REFUSED in line for line in said)
    show(storm, balance, stormy.log(), seconds, late=late, bound=bound)
    assert clean.returncode == 0, clean.stderr
    balance.assert_sound()
    assert 0 <= balance.inputs_twice <= bound, tables.rows(REFUSED_ANSWERS)
    assert storm.happened == Counter(plan.events()), "the work was over before the storm was"
    assert set(storm.ended) <= {0, -9, NO_DATABASE}, storm.ended
    assert set(storm.cleaned) <= {0, NO_DATABASE}, storm.cleaned
    assert not [line for line in said if any(word in line for word in UNEXPECTED)]
    assert_counts_are_true(docproc.run, tables)
    assert_receipts_are_true(said, tables)
    assert_nothing_leaked(CANARY, said, tables, own.log)
    assert_a_further_run_does_nothing(books, docproc)


def assert_a_further_run_does_nothing(books: Books, docproc: Docproc) -> None:
    tables, folder = Tables(books.conninfo), str(books.library.folder)
    rows, asked = tables.dump(), len(books.mocks.log())
    again = docproc.run("run-all", folder, timeout=300)
    assert again.returncode == 0, again.stderr
    assert tables.dump() == rows
    assert len(books.mocks.log()) == asked


def show(storm: Storm, found: Balance, log: list[dict[str, Any]], seconds: float, *, late: int, bound: int) -> None:
    """One table of figures, for whoever runs it with ``-s``."""
    struck = Counter(fault for row in log for fault in row["faults"])
    asked = sum(row["operation"] != "versions" for row in log)
    always, no_longer_still = "always", f"while nobody stands still for {FROZEN + MARGIN:g} s inside a submit"
    rows = {
        "documents, files": (f"{found.documents}, {found.files}", ""),
        "processes at once, started": (f"{storm.plan.processes}, {sum(storm.ended.values())}", ""),
        "what happened": (", ".join(f"{name} {count}" for name, count in sorted(storm.happened.items())), ""),
        "requests, faults struck": (f"{asked}, {sum(struck.values())} of {len(struck)} kinds", ""),
        "leases taken from the dead, failed tries": (f"{found.rescued}, {found.failed_tries - found.rescued}", ""),
        "late settles refused": (late, ""),
        "changes of state": (found.steps, ""),
        "changes of state missing, made twice": (f"{found.steps_missing}, {found.steps_twice}", always),
        "documents lost, jobs too many": (f"{found.lost}, {found.jobs_too_many}", always),
        "invariants broken": (len(found.broken), always),
        "pages parsed, submits of one document at most": (f"{found.pages}, {MAX_SUBMITS}", always),
        "pages paid twice, parse jobs twice": (f"{found.pages_twice}, {found.parse_jobs_twice}", no_longer_still),
        "inputs embedded, in refused answers": (f"{found.inputs}, {found.inputs_refused}", ""),
        "inputs embedded twice": (found.inputs_twice, f"always at most {bound}: what was in flight at each blow"),
        "seconds": (f"{seconds:.0f}", ""),
    }
    table = Table("storm", str(storm.plan.seed), "guaranteed; without a word: measured", title_justify="left")
    for name, (value, promise) in rows.items():
        table.add_row(name, str(value), promise)
    Console(file=sys.stdout, width=150).print(table)
