"""The loop over a real queue: what a stage does wrong, who is stopped when, and what is given back."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from docproc.app import App
from docproc.errors import (
    AlikeError,
    DatabaseError,
    Exit,
    PermanentError,
    QuotaError,
    SchemaError,
    ThrottledError,
    TransientError,
)
from docproc.model import Done, Fail, Job, Wait
from docproc.runner import Runner, Tally
from docproc.stages import Context
from docproc.states import Command, State
from tests.integration.acting import QUICK, Acting, raising, runner, settling
from tests.integration.bench import Bench, bring_all, drain, pdf
from tests.support import Mocks


def untouched(bench: Bench) -> None:
    """No job is claimed, counted or changed."""
    for row in bench.jobs().values():
        assert (row["claimed_by"], row["lease_until"], row["attempt"], row["last_error"]) == (None, None, 0, None)
        assert row["status"] == State.PARSE_VALIDATED


# ── errors ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_unexpected_exception_becomes_a_retry_without_the_documents_text(bench: Bench) -> None:
    job_id = bench.make(State.PARSE_VALIDATED)
    tally = runner(bench, Acting(raising(KeyError("secret words of the document")))).drain(stay=False)
    row = bench.row(job_id)
    assert (row["status"], row["attempt"], row["claimed_by"]) == ("parse_validated", 1, None)
    assert (row["last_error"]["code"], row["last_error"]["what"]) == (
        "job.unexpected",
        "unexpected KeyError in chunk",
    )
    assert "secret" not in str(row["last_error"])
    assert row["run_at"] > row["now"]
    assert tally.left == 1


def test_an_exception_after_a_settle_does_not_touch_what_was_settled(bench: Bench) -> None:
    def work(jobs: Sequence[Job], context: Context) -> None:
        context.settle(jobs[0], Done())
        raise KeyError

    for _ in range(3):
        bench.make(State.PARSE_VALIDATED)
    runner(bench, Acting(work, batch=3)).drain(stay=False)
    states = sorted((row["status"], (row["last_error"] or {}).get("code")) for row in bench.jobs().values())
    assert states == [("chunks_stored", None)] + [("parse_validated", "job.unexpected")] * 2


@pytest.mark.parametrize(
    ("error", "status", "attempt"),
    [
        (TransientError("parse.unavailable", "away"), "parse_validated", 1),
        (ThrottledError("parse.throttled", "slower"), "parse_validated", 0),
        (PermanentError("chunk.none", "nothing"), "failed_chunking", 1),
    ],
)
def test_a_documents_error_becomes_the_outcome_of_all_that_were_not_settled(
    bench: Bench, error: Exception, status: str, attempt: int
) -> None:
    for _ in range(2):
        bench.make(State.PARSE_VALIDATED)
    tally = runner(bench, Acting(raising(error), batch=2)).drain(stay=False)
    assert [(row["status"], row["attempt"]) for row in bench.jobs().values()] == [(status, attempt)] * 2
    assert len(tally.failures) == (2 if status == "failed_chunking" else 0)


@pytest.mark.parametrize(
    "error",
    [QuotaError("quota.parser", "no money"), SchemaError("schema.old", "old"), DatabaseError("database.full", "full")],
    ids=lambda error: error.code,
)
def test_a_programs_error_stops_the_run_and_gives_everything_back(bench: Bench, error: Exception) -> None:
    for _ in range(5):
        bench.make(State.PARSE_VALIDATED)
    stage = Acting(raising(error), batch=2)
    with pytest.raises(type(error)):
        runner(bench, stage).drain(stay=True)
    untouched(bench)
    assert 1 <= len(stage.jobs) <= 5


def test_a_provider_that_refuses_us_does_not_stop_the_other_stages(bench: Bench) -> None:
    embedded = bench.make(State.CHUNKS_STORED)
    chunked = bench.make(State.PARSE_VALIDATED)
    chunk = Acting(settling(Done()))
    embed = Acting(raising(QuotaError("quota.embedder", "no money")), command=Command.EMBED)
    with pytest.raises(QuotaError):
        runner(bench, embed, chunk).drain(stay=True)
    assert bench.row(chunked)["status"] == State.CHUNKS_STORED
    assert (bench.row(embedded)["status"], bench.row(embedded)["claimed_by"]) == ("chunks_stored", None)
    assert embed.jobs[0].job_id == embedded


def test_document_after_document_failing_alike_stops_the_run(bench: Bench) -> None:
    for _ in range(12):
        bench.make(State.PARSE_VALIDATED)
    settings = replace(QUICK, stop_after_alike=4, cpu_threads=1)
    stage = Acting(settling(Fail(PermanentError("chunk.none", "x"))))
    with pytest.raises(AlikeError) as caught:
        runner(bench, stage, settings=settings).drain(stay=True)
    assert caught.value.exit_code == Exit.WORK_LEFT
    states = [row["status"] for row in bench.jobs().values()]
    assert (states.count("failed_chunking"), states.count("parse_validated")) == (4, 8)


# ── what is done, and when it ends ──────────────────────────────────────────────────────────────────────────────────


def test_a_command_moves_only_its_own_rows(app: App, bench: Bench, tmp_path: Path) -> None:
    bring_all(app, tmp_path, {"a.md": "# Tide\n\nHigh at noon.\n"})
    for command, reached in (
        (Command.CHUNK, "uploaded"),
        (Command.PARSE, "parsed"),
        (Command.PARSE, "parsed"),
        (Command.EMBED, "parsed"),
        (Command.VALIDATE, "parse_validated"),
        (Command.CHUNK, "chunks_stored"),
        (Command.EMBED, "complete"),
    ):
        drain(app, command)
        assert bench.states() == {"a.md": reached}, command


def test_without_stay_a_run_ends_when_nothing_is_due(bench: Bench) -> None:
    bench.make(State.PARSE_VALIDATED)
    bench.sql("UPDATE docproc.upload_jobs SET run_at = now() + interval '1 hour'")
    stage = Acting(raising(AssertionError("nothing is due")))
    started = time.monotonic()
    tally = runner(bench, stage).drain(stay=False)
    assert (tally.left, stage.jobs) == (1, [])
    assert time.monotonic() - started < 5


def test_with_stay_a_run_waits_for_what_becomes_due(bench: Bench) -> None:
    bench.make(State.PARSE_VALIDATED)

    def work(jobs: Sequence[Job], context: Context) -> None:
        for job in jobs:
            context.settle(job, Wait(0.1, "later") if len(stage.jobs) < 3 else Done())

    stage = Acting(work)
    tally = runner(bench, stage).drain(stay=True)
    assert (tally.left, len(stage.jobs), tally.reached[State.CHUNKS_STORED]) == (0, 3, 1)


def test_with_stay_a_run_waits_for_the_jobs_of_another_process(bench: Bench) -> None:
    other = bench.claim(State.PARSE_VALIDATED, owner="elsewhere:1:1:x")
    stage = Acting(raising(AssertionError("not ours")))
    running = runner(bench, stage)
    thread = threading.Thread(target=running.drain, kwargs={"stay": True})
    thread.start()
    thread.join(0.5)
    assert thread.is_alive()
    bench.queue("elsewhere:1:1:x").settle(other, Done())
    thread.join(20)
    assert not thread.is_alive() and stage.jobs == []


def test_a_stop_in_the_middle_finishes_what_is_in_flight_and_claims_no_more(bench: Bench) -> None:
    for _ in range(6):
        bench.make(State.PARSE_VALIDATED)
    stopped = threading.Event()

    def work(jobs: Sequence[Job], context: Context) -> None:
        running.stop()
        stopped.wait(20)
        for job in jobs:
            context.settle(job, Done())

    stage = Acting(work)
    running = runner(bench, stage)
    threading.Timer(0.2, stopped.set).start()
    tally = running.drain(stay=True)
    done = tally.reached[State.CHUNKS_STORED]
    assert 1 <= done == len(stage.jobs) <= QUICK.cpu_threads
    rows = list(bench.jobs().values())
    assert [row["claimed_by"] for row in rows] == [None] * 6
    assert (sum(row["status"] == "chunks_stored" for row in rows), tally.left) == (done, 6 - done)


def test_no_request_is_begun_after_a_stop(bench: Bench) -> None:
    job_id = bench.make(State.CHUNKS_STORED)
    answers: list[list[Job]] = []

    def work(jobs: Sequence[Job], context: Context) -> None:
        answers.append(context.advance(jobs, State.EMBEDDING_QUEUED))
        running.stop()
        assert answers[0]
        answers.append(context.advance(answers[0], State.EMBEDDING_IN_PROGRESS))

    running = runner(bench, Acting(work, command=Command.EMBED))
    running.drain(stay=True)
    row = bench.row(job_id)
    assert answers[1] == []
    assert (row["status"], row["claimed_by"], row["attempt"]) == ("embedding_queued", None, 0)


def test_the_tally_counts_states_and_failures(app: App, bench: Bench, services: Mocks, tmp_path: Path) -> None:
    services.set_faults("llamaparse.failed:times=1")
    bring_all(app, tmp_path, {"a.pdf": pdf("a ledger"), "b.md": "# Tide\n\nHigh.\n"})
    tally = drain(app)
    assert (tally.reached[State.COMPLETE], tally.reached[State.FAILED_PARSE], tally.left) == (1, 1, 0)
    (failure,) = tally.failures
    assert (Path(failure.source).name, failure.state, failure.error.code) == ("a.pdf", "failed_parse", "parse.failed")


def test_the_caller_hears_of_work_and_of_ticks(bench: Bench) -> None:
    seen: list[Any] = []
    stage = Acting(settling(Done()))
    settings = QUICK

    def tick(tally: Tally) -> None:
        seen.append(tally)

    def work() -> None:
        seen.append("work")

    Runner(bench.queue(), [stage], settings, on_work=work, on_tick=tick).drain(stay=True)
    assert "work" not in seen and seen
    bench.make(State.PARSE_VALIDATED)
    Runner(bench.queue(), [stage], settings, on_work=work, on_tick=tick).drain(stay=True)
    assert "work" in seen
