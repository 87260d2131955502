"""The answer to a settle is lost, and the job is claimed again before the second try: it took place all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from docproc.model import Advance, Done, Job, Outcome
from docproc.postgres.database import Database, PassingError
from docproc.postgres.queue import Queue
from docproc.states import State
from tests.integration.bench import RUNNER, Bench

if TYPE_CHECKING:
    from docproc.postgres.database import Conn


class Overtaken(Database):
    """A database whose first answer is lost, and while nobody knows of it another process claims what is due."""

    lost = False

    @contextmanager
    def transaction(self) -> Iterator[Conn]:
        with super().transaction() as conn:
            yield conn
        if not self.lost:
            self.lost = True
            others = Database(self.conninfo)
            Queue(others, "host:2:2:other", RUNNER).claim(list(State), 10)
            others.close()
            raise PassingError.unreachable(self.conninfo, "the answer was lost")


@pytest.fixture
def overtaken(conninfo: str) -> Iterator[Overtaken]:
    opened = Overtaken(conninfo)
    yield opened
    opened.close()


def test_a_settle_whose_job_was_claimed_since_is_known_to_have_taken_place(
    database: Database, overtaken: Overtaken
) -> None:
    job = Bench(database).claim(State.PARSE_VALIDATED)
    moved = settle(overtaken, job, Done())
    assert moved is not None and moved.status is State.CHUNKS_STORED
    row = Bench(database).row(job.job_id)
    assert (row["claimed_by"], row["fence"]) == ("host:2:2:other", job.fence + 1)


def test_a_request_is_not_sent_for_a_job_that_was_rescued_since(database: Database, overtaken: Overtaken) -> None:
    job = Bench(database).claim(State.CHUNKS_STORED)
    overtaken.lost = True
    Bench(database).sql("UPDATE docproc.upload_jobs SET fence = fence + 1")
    assert settle(overtaken, job, Advance(State.EMBEDDING_QUEUED)) is None


def settle(database: Database, job: Job, outcome: Outcome) -> Job | None:
    return Queue(database, "host:1:1:tester", RUNNER).settle(job, outcome)
