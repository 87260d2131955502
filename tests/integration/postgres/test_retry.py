"""retry at the queue: failed jobs go back to where they failed, and only those that were meant."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from docproc.postgres.parse_calls import ParseCalls
from docproc.states import FAILED, State, failable_into
from docproc.store import Chosen, Retried
from tests.integration.bench import Bench

PARSER = "llamaparse:fast:1"


def retry(bench: Bench, chosen: Chosen | None = None, *, priced: bool = False) -> Retried:
    return bench.queue().retry(chosen or Chosen(), parser=PARSER, max_submits=3, priced=priced)


def failed(bench: Bench, state: State = State.FAILED_PARSE, code: str = "parse.failed", **columns: object) -> UUID:
    error = {"code": code, "what": "it broke", "why": "", "remedy": "look"}
    return bench.make(state, **{"last_error": Jsonb(error), "attempt": 5, "fence": 9, **columns})


@pytest.mark.parametrize(
    ("failure", "origin"), [(failure, origin) for failure in FAILED for origin in failable_into(failure)]
)
def test_a_failed_job_goes_back_to_where_it_failed(bench: Bench, failure: State, origin: State) -> None:
    job_id = failed(bench, failure, failed_from=origin)
    assert retry(bench) == Retried(sent=1, priced=0)
    row = bench.row(job_id)
    assert (row["status"], row["failed_from"], row["last_error"]) == (origin, None, None)
    assert (row["attempt"], row["fence"], row["claimed_by"]) == (0, 9, None)
    assert [(e["from_status"], e["to_status"], e["note"]) for e in bench.events(job_id)] == [
        (failure, origin, "retry of parse.failed")
    ]
    assert [job.job_id for job in bench.queue().claim([origin], 5)] == [job_id]


def test_only_the_chosen_go_back(bench: Bench) -> None:
    document = uuid4()
    jobs = {
        "code": failed(bench, code="parse.timeout"),
        "state": failed(bench, State.FAILED_CHUNKING, "chunk.none"),
        "document": failed(bench, document_id=document),
        "other": failed(bench),
        "complete": bench.make(State.COMPLETE),
    }
    assert retry(bench, Chosen(codes=["parse.timeout"])).sent == 1
    assert bench.row(jobs["code"])["failed_from"] is None
    assert retry(bench, Chosen(states=["failed_chunking"])).sent == 1
    assert bench.row(jobs["state"])["failed_from"] is None
    assert retry(bench, Chosen(document_ids=[document])).sent == 1
    assert retry(bench, Chosen(codes=["parse.failed"], states=["failed_chunking"])).sent == 0
    assert bench.row(jobs["other"])["status"] == State.FAILED_PARSE
    assert bench.row(jobs["complete"])["status"] == State.COMPLETE


@pytest.mark.parametrize("state", ["failed", "submitting"])
def test_what_must_be_paid_again_goes_back_only_when_that_is_asked_for(bench: Bench, state: str) -> None:
    job = bench.claim()
    calls = ParseCalls(bench.database, uuid4())
    call = calls.parse_call(job, PARSER)
    bench.sql("UPDATE docproc.parse_calls SET state = %s, submits = 3", state)
    bench.queue().release([job])
    bench.sql("DELETE FROM docproc.upload_jobs")
    failed(bench, document_id=job.document_id, failed_from="parse_queued")
    assert retry(bench) == Retried(sent=0, priced=1)
    assert retry(bench, priced=True) == Retried(sent=1, priced=0)
    anew = calls.parse_call(job, PARSER)
    assert anew.submits == 0 and anew.client_ref != call.client_ref
    assert anew.state == ("failed" if state == "failed" else "intent")
