"""kill -9, zombies, terminated backends, crashes of Postgres and 20 % faults at once: nothing lost, nothing twice."""

from __future__ import annotations

import json
import os
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
from tests.chaos.library import CANARY, library
from tests.chaos.servers import OwnCluster, own_cluster
from tests.chaos.storm import EMBED_THREADS, ENVIRONMENT, FAULTS, LONG, MAX_INPUTS, MAX_SUBMITS, SHORT, Storm
from tests.e2e.conftest import local
from tests.e2e.tables import Tables
from tests.support import Docproc, Mocks

REFUSED = "a settle was refused"
"""What docproc logs when the loser of a lease comes too late."""

UNEXPECTED = ("Traceback", "docproc.runner unexpected", "program.unexpected")

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
    plan = LONG if os.environ.get("DOCPROC_CHAOS") == "long" else SHORT
    papers = library(tmp_path / "papers", plan.documents, seed=plan.seed)
    books = Books.open(own.conninfo, papers, stormy, max_submits=MAX_SUBMITS)
    docproc = local(tmp_path / "desk", own.conninfo, stormy.address, **ENVIRONMENT)
    (tmp_path / "logs").mkdir()
    storm = Storm(plan, docproc, own, papers, tmp_path / "logs")

    seconds = storm.run()
    clean = docproc.run("run-all", str(papers.folder), timeout=300)

    balance = books.balance()
    bound = sum(storm.happened.values()) * EMBED_THREADS * MAX_INPUTS
    said = list(storm.said())
    late = sum(REFUSED in line for line in said)
    show(storm, balance, stormy.log(), seconds, late=late, bound=bound)
    assert clean.returncode == 0, clean.stderr
    balance.assert_sound()
    assert 0 <= balance.inputs_twice <= bound
    assert storm.happened == Counter(plan.events()), "the work was over before the storm was"
    assert set(storm.ended) <= {0, -9, NO_DATABASE}, storm.ended
    assert not [line for line in said if any(word in line for word in (*UNEXPECTED, CANARY))]
    assert_a_further_run_does_nothing(books, docproc)


def assert_a_further_run_does_nothing(books: Books, docproc: Docproc) -> None:
    tables, folder = Tables(books.conninfo), str(books.library.folder)
    rows, asked = tables.dump(), len(books.mocks.log())
    again = docproc.run("run-all", folder, timeout=300)
    assert again.returncode == 0, again.stderr
    assert tables.dump() == rows
    assert len(books.mocks.log()) == asked
    states = json.loads(docproc.run("status", "--json").stdout)["states"]
    assert {name: row["jobs"] for name, row in states.items() if row["jobs"]} == {"complete": books.library.documents}


def show(storm: Storm, found: Balance, log: list[dict[str, Any]], seconds: float, *, late: int, bound: int) -> None:
    """One table of figures, for whoever runs it with ``-s``."""
    struck = Counter(fault for row in log for fault in row["faults"])
    asked = sum(row["operation"] != "versions" for row in log)
    rows = {
        "documents, files": f"{found.documents}, {found.files}",
        "processes at once, started": f"{storm.plan.processes}, {sum(storm.ended.values())}",
        "what happened": ", ".join(f"{name} {count}" for name, count in sorted(storm.happened.items())),
        "requests, faults struck": f"{asked}, {sum(struck.values())} of {len(struck)} kinds",
        "leases taken from the dead, failed tries": f"{found.rescued}, {found.failed_tries - found.rescued}",
        "late settles refused": late,
        "changes of state, missing, made twice": f"{found.steps}, {found.steps_missing}, {found.steps_twice}",
        "documents lost, jobs too many": f"{found.lost}, {found.jobs_too_many}",
        "pages parsed, paid twice; parse jobs twice": f"{found.pages}, {found.pages_twice}; {found.parse_jobs_twice}",
        "inputs embedded, in refused answers": f"{found.inputs}, {found.inputs_refused}",
        "inputs embedded twice, bound": f"{found.inputs_twice}, {bound}",
        "invariants broken": len(found.broken),
        "seconds": f"{seconds:.0f}",
    }
    table = Table("storm", str(storm.plan.seed), title_justify="left")
    for name, value in rows.items():
        table.add_row(name, str(value))
    Console(file=sys.stdout, width=120).print(table)
