"""Several runs on the same folder at once: each document is done once, and paid for once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.documents import PAGES, one_of_each, texts
from tests.e2e.tables import Tables
from tests.support import Docproc, Mocks


@pytest.mark.parametrize("runs", [2, 4])
def test_runs_at_once_share_the_work_and_do_each_document_once(
    docproc: Docproc, tables: Tables, services: Mocks, tmp_path: Path, runs: int
) -> None:
    folder = texts(one_of_each(tmp_path / "documents"), 12)
    before = services.bill()
    processes = [docproc.start("run-all", str(folder)) for _ in range(runs)]
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * runs, said
    tables.assert_whole(16)
    after = services.bill()
    assert after["pages_billed"] - before["pages_billed"] == PAGES
    assert after["embedding_inputs"] - before["embedding_inputs"] == tables.distinct_texts()
    completed = tables.number("SELECT count(*) FROM docproc.job_events WHERE to_status = 'complete'")
    assert completed == 16
