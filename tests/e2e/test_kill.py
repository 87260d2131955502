"""kill -9 at every named point of a run: the next run finishes the work, loses nothing and pays for nothing twice."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from docproc.faultpoints import POINTS
from tests.e2e.documents import PAGES, one_of_each
from tests.e2e.tables import Tables
from tests.support import Docproc, Mocks, always

LATER = {"database.statement": 40, "database.committed": 12}
"""Points that are reached before there is any work: how many times they are passed first."""

PATIENCE = {"DOCPROC_PARSER_TIMEOUT": "3", "DOCPROC_PARSER_RECONCILE_GRACE": "0.5"}
"""A submit that never arrived is sent again after both, counted from the first one."""


@pytest.mark.parametrize(
    "point",
    always(
        [*POINTS, "settle.before_commit:5"],
        *("parse.after_submit", "embed.after_response", "settle.before_commit", "database.committed"),
    ),
)
def test_a_killed_run_is_finished_by_the_next_and_nothing_is_paid_for_twice(
    docproc: Docproc, tables: Tables, services: Mocks, tmp_path: Path, point: str
) -> None:
    folder = one_of_each(tmp_path / "documents")
    before = services.bill()
    patient = Docproc({**docproc.environ, **PATIENCE}, docproc.folder)
    killed = patient.run(
        "run-all", str(folder), DOCPROC_FAULT_POINT=f"{point}:{LATER[point]}" if point in LATER else point
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert set(tables.states().values()) != {"complete"}
    in_flight = tables.open_calls("embed")

    again = patient.run("run-all", str(folder))

    assert again.returncode == 0, again.stderr
    tables.assert_whole(4)
    after = services.bill()
    assert after["pages_billed"] - before["pages_billed"] == PAGES
    assert after["jobs_created"] - before["jobs_created"] == 2
    paid = after["embedding_inputs"] - before["embedding_inputs"]
    assert tables.distinct_texts() <= paid <= tables.distinct_texts() + in_flight


def test_a_fault_point_that_does_not_exist_is_refused(docproc: Docproc) -> None:
    said = docproc.run("run-all", DOCPROC_FAULT_POINT="parse.somewhere")
    assert said.returncode not in (0, -signal.SIGKILL)
    assert "parse.somewhere" in said.stderr
