"""kill -9 half way through the embedding of many documents, with several requests in flight."""

from __future__ import annotations

import signal
from pathlib import Path

from docproc.settings import RunnerSettings
from tests.e2e.documents import texts
from tests.e2e.tables import Tables
from tests.support import Docproc, Mocks, wait_until

DOCUMENTS, INPUTS = 200, 10
BACKENDS = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


def test_a_run_killed_half_way_buys_again_no_more_than_what_was_in_flight(
    docproc: Docproc, tables: Tables, services: Mocks, tmp_path: Path
) -> None:
    folder = texts(tmp_path / "documents", DOCUMENTS)
    before = services.bill()["embedding_inputs"]
    # What comes before is done before: from a slow storage texts would come one by one, and never fill the requests.
    for words in (["ingest", str(folder)], ["parse"], ["validate"], ["chunk"]):
        assert docproc.run(*words).returncode == 0
    # The mock bills a request when it comes, and lets its answer wait.
    services.set_faults("openai.slow:seconds=0.7")
    running = docproc.start("embed", DOCPROC_EMBEDDER_MAX_INPUTS=str(INPUTS))
    threads = RunnerSettings().embed_threads

    def half_way() -> bool:
        stored = tables.number("SELECT count(*) FROM docproc.document_vector_buffer")
        return stored >= DOCUMENTS / 4 and tables.open_calls("embed") >= INPUTS * (threads - 1)

    try:
        wait_until(half_way)
    finally:
        running.kill()
        running.communicate()
    assert running.returncode == -signal.SIGKILL
    # What it had sent to the server may still be committed.
    wait_until(lambda: tables.number(BACKENDS) == 0)
    in_flight = tables.open_calls("embed")
    assert tables.number("SELECT count(*) FROM docproc.document_vector_buffer") < DOCUMENTS

    services.set_faults()
    again = docproc.run("run-all", str(folder))

    assert again.returncode == 0, again.stderr
    tables.assert_whole(DOCUMENTS)
    twice = services.bill()["embedding_inputs"] - before - tables.distinct_texts()
    assert 0 < twice <= in_flight <= INPUTS * threads
