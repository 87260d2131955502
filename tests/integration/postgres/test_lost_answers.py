"""The connection breaks after a COMMIT took place: nobody was told, and the second try must not do it twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
import pytest

from docproc.errors import PermanentError, TransientError
from docproc.model import Advance, Chunked, Done, Embedded, Fail, Outcome, Retry, Source, Wait, sha256
from docproc.postgres.catalogue import Catalogue
from docproc.postgres.database import Database, PassingError
from docproc.postgres.parse_calls import ParseCalls
from docproc.postgres.queue import Queue
from docproc.postgres.vectors import Vectors
from docproc.states import State
from docproc.store import Target
from tests.integration.bench import RUNNER, Bench, chunks_of

if TYPE_CHECKING:
    from docproc.postgres.database import Conn


class Forgetful(Database):
    """A database whose next answers are lost after the COMMIT."""

    lost = 0

    @contextmanager
    def transaction(self) -> Iterator[Conn]:
        with super().transaction() as conn:
            yield conn
        if self.lost:
            self.lost -= 1
            raise PassingError.unreachable(self.conninfo, "the answer was lost")


@pytest.fixture
def forgetful(conninfo: str) -> Iterator[Forgetful]:
    opened = Forgetful(conninfo)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("outcome", "status", "steps"),
    [
        (Done(), "chunks_stored", 1),
        (Advance(State.CHUNKS_STORED), "chunks_stored", 1),
        (Wait(5, "later"), "parse_validated", 0),
        (Retry(TransientError("parse.unavailable", "away")), "parse_validated", 1),
        (Fail(PermanentError("chunk.none", "nothing")), "failed_chunking", 1),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str | int) else "",
)
def test_a_settle_takes_place_once_and_is_known_to_have(
    bench: Bench, forgetful: Forgetful, outcome: Outcome, status: str, steps: int
) -> None:
    if isinstance(outcome, Advance):
        job, target = bench.claim(State.CHUNKS_STORED), State.EMBEDDING_QUEUED
        outcome, status = Advance(target), target
    else:
        job = bench.claim(State.PARSE_VALIDATED, attempt=1)
    queue = Queue(forgetful, "host:1:1:tester", RUNNER)
    forgetful.lost = 1
    moved = queue.settle(job, outcome)
    assert moved is not None and moved.status == status
    row = bench.row(job.job_id)
    assert (row["status"], len(bench.events(job.job_id))) == (status, steps)
    assert row["attempt"] == {Done: 0, Advance: 1, Wait: 1, Retry: 2, Fail: 2}[type(outcome)]


def test_a_settle_whose_lease_was_lost_stays_refused_in_the_second_try(bench: Bench, forgetful: Forgetful) -> None:
    job = bench.claim(State.PARSE_VALIDATED)
    bench.sql("UPDATE docproc.upload_jobs SET fence = fence + 1")
    forgetful.lost = 1
    assert Queue(forgetful, "host:1:1:tester", RUNNER).settle(job, Done(product=Chunked(chunks_of("x")))) is None
    assert bench.count("document_chunk_buffer") == 0


def test_what_a_lost_claim_took_is_given_back(bench: Bench, forgetful: Forgetful) -> None:
    for _ in range(3):
        bench.make()
    queue = Queue(forgetful, "host:1:1:tester", RUNNER)
    forgetful.lost = 1
    tries = queue.tries
    jobs = queue.claim([State.UPLOADED], 2)
    assert (len(jobs), queue.tries - tries) == (1, 2)
    assert queue.disown(jobs) == 2
    claimed = [row for row in bench.jobs().values() if row["claimed_by"]]
    assert [row["job_id"] for row in claimed] == [jobs[0].job_id]
    assert sorted(row["attempt"] for row in bench.jobs().values()) == [0, 0, 1]


def test_a_source_and_its_job_are_added_once(bench: Bench, forgetful: Forgetful) -> None:
    forgetful.lost = 1
    target = Target("default", "markdown-simple@1", "m", "d4-f1")
    source = Source("/a.md", ".md", sha256(b"a"), 1)
    Catalogue(forgetful, "host:1:1:tester").add_all(target, [(source, "storage://raw/default/a.md")])
    assert (bench.count("upload_jobs"), bench.count("sources"), bench.count("job_events")) == (1, 1, 1)


def test_a_submit_is_counted_once(bench: Bench, forgetful: Forgetful) -> None:
    job = bench.claim()
    calls = ParseCalls(forgetful, uuid4())
    call = calls.parse_call(job, "llamaparse:fast:1")
    forgetful.lost = 1
    assert not calls.begin_submit(call, job), "in doubt it must look as if another process were at it"
    assert calls.parse_call(job, "llamaparse:fast:1").submits == 1
    assert bench.count("api_calls") == 1


def test_vectors_and_their_call_are_written_once(bench: Bench, forgetful: Forgetful) -> None:
    job = bench.claim(State.PARSE_VALIDATED)
    bench.queue().settle(job, Done(product=Chunked(chunks_of("one", "two"))))
    (job,) = bench.queue().claim([State.CHUNKS_STORED], 1)
    vectors = Vectors(forgetful, uuid4())
    pending = vectors.pending_chunks([job])
    forgetful.lost = 1
    call = vectors.begin_call("embed", [job], tokens=2, inputs=2)
    forgetful.lost = 1
    vectors.save_vectors(call, [job], pending, Embedded(np.ones((2, 4), np.float32), 2, None))
    assert (bench.count("document_vector_buffer"), bench.count("api_calls")) == (2, 1)
    assert bench.row(job.job_id)["progress"]["embeds_done"] == 2
    assert bench.sql("SELECT outcome FROM docproc.api_calls") == [{"outcome": "ok"}]


def test_a_connection_that_was_killed_is_replaced(bench: Bench, database: Database) -> None:
    bench.make()
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    other = Database(database.conninfo)
    assert other.rows("backlog", {"states": ["uploaded"], "only": None})[0]["open"] == 1
    bench.sql(kill)
    assert other.rows("backlog", {"states": ["uploaded"], "only": None})[0]["open"] == 1
    other.close()
