"""Three processes under one rate limit: together they keep to it, and each has its part."""

from __future__ import annotations

from pathlib import Path

from docproc.app import App
from docproc.errors import Exit
from docproc.limits import BURST, USED_SHARE
from docproc.stages.ingest import ingest
from docproc.states import Command
from tests.e2e.documents import texts
from tests.e2e.tables import Tables
from tests.integration.bench import drain
from tests.support import Docproc, Mocks

DOCUMENTS, INPUTS = 300, 4
REQUESTS_A_SECOND = 12
WINDOW = 2.0
"""Seconds in which the mock allows what a limit a minute lets through at most: its rate, the burst, and a second."""

SENT = """
SELECT run_id, extract(epoch FROM started_at)::float8, outcome
  FROM docproc.api_calls WHERE operation = 'embed' ORDER BY started_at
"""


def test_three_processes_keep_to_one_limit_and_each_has_its_part(
    app: App, docproc: Docproc, tables: Tables, services: Mocks, tmp_path: Path
) -> None:
    files = sorted(texts(tmp_path / "documents", DOCUMENTS).iterdir())
    catalogue, storage, settings = app.store.catalogue, app.storage, app.settings.ingest
    brought = list(ingest(files, target=app.target, catalogue=catalogue, storage=storage, settings=settings))
    assert len(brought) == DOCUMENTS
    drain(app, Command.PARSE, Command.VALIDATE, Command.CHUNK)
    allowed = int((WINDOW + BURST + 1) * REQUESTS_A_SECOND)
    services.set_faults(f"openai.rate_limit:over={allowed},per={WINDOW}")
    logged = len(services.log())
    limited = {
        "DOCPROC_EMBEDDER_MAX_INPUTS": str(INPUTS),
        "DOCPROC_EMBEDDER_REQUESTS_PER_MINUTE": str(60 * REQUESTS_A_SECOND),
    }
    processes = [docproc.start("embed", **limited) for _ in range(3)]
    said = [process.communicate(timeout=60)[1] for process in processes]

    # Who finds nothing left to claim says that others are still at work.
    assert {process.returncode for process in processes} <= {Exit.OK, Exit.WORK_LEFT}, said
    if any(process.returncode == Exit.WORK_LEFT for process in processes):
        # All may have left while one document waited for its turn: an embed does not stay for what is not due yet.
        assert docproc.run("run-all").returncode == Exit.OK
    tables.assert_whole(DOCUMENTS)
    assert not [row for row in services.log()[logged:] if row["faults"]]
    sent = tables.rows(SENT)
    assert {outcome for _, _, outcome in sent} == {"ok"}
    times = [at for _, at, _ in sent]
    assert times[-1] - times[0] >= (len(sent) - 1) / (REQUESTS_A_SECOND * USED_SHARE) - BURST - 1
    parts = [sum(run == one for run, _, _ in sent) for one in {run for run, _, _ in sent}]
    assert len(parts) >= 3 and sorted(parts)[-3] >= len(sent) / 20
