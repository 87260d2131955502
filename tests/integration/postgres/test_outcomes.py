"""Every outcome on every row of the table of states, and the table as the database itself holds it."""

from __future__ import annotations

import re
from itertools import combinations

import psycopg
import pytest

from docproc.errors import PermanentError, TransientError
from docproc.model import Advance, Done, Fail, Outcome, Retry, Wait
from docproc.states import FAILED, FINAL, TRANSITIONS, State, Transition, claimed_by, failable_into
from tests.integration.bench import RUNNER, Bench

PASSING = TransientError("embed.unavailable", "the service is away")
LASTING = PermanentError("parse.rejected", "the file cannot be opened")

WITHIN_A_COMMAND = [row for row in TRANSITIONS if row.target in claimed_by(row.command)]

rows = pytest.mark.parametrize("row", TRANSITIONS, ids=lambda row: row.source.value)
outcomes = pytest.mark.parametrize(
    "outcome",
    [Done(), Wait(5, "later"), Retry(PASSING), Fail(LASTING)],
    ids=lambda outcome: type(outcome).__name__.lower(),
)


@rows
@outcomes
def test_every_outcome_moves_a_job_as_the_table_says(bench: Bench, row: Transition, outcome: Outcome) -> None:
    job = bench.claim(row.source)
    bench.make_whole(job.job_id)
    targets = {Done: row.target, Wait: row.source, Retry: row.source, Fail: row.failure}
    moved = bench.queue().settle(job, outcome)
    seen = bench.row(job.job_id)
    assert moved is not None and moved.status is targets[type(outcome)]
    assert seen["status"] == targets[type(outcome)]
    assert (seen["claimed_by"], seen["lease_until"]) == (None, None)
    assert seen["attempt"] == {Done: 0, Wait: 0, Retry: 1, Fail: 1}[type(outcome)]
    assert seen["failed_from"] == (row.source if isinstance(outcome, Fail) else None)
    steps = [] if isinstance(outcome, Wait) else [(row.source, targets[type(outcome)])]
    assert bench.steps(job.job_id) == steps


@rows
def test_the_last_retry_gives_up_into_the_rows_failure_state(bench: Bench, row: Transition) -> None:
    job = bench.claim(row.source, attempt=RUNNER.max_attempts - 1)
    bench.queue().settle(job, Retry(PASSING))
    seen = bench.row(job.job_id)
    assert (seen["status"], seen["failed_from"], seen["is_final"]) == (row.failure, row.source, True)
    assert bench.queue().claim(list(State), 1) == []


@pytest.mark.parametrize("row", WITHIN_A_COMMAND, ids=lambda row: row.source.value)
def test_advance_takes_every_row_within_a_command_with_the_lease_kept(bench: Bench, row: Transition) -> None:
    job = bench.claim(row.source)
    moved = bench.queue().settle(job, Advance(row.target))
    assert moved is not None and moved.status is row.target
    assert bench.row(job.job_id)["claimed_by"] == "host:1:1:tester"
    assert bench.steps(job.job_id) == [(row.source, row.target)]


def test_the_database_knows_exactly_the_states_of_the_table(bench: Bench) -> None:
    (check,) = bench.sql(
        "SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE conrelid = 'docproc.upload_jobs'::regclass"
        " AND contype = 'c' AND pg_get_constraintdef(oid) LIKE '%uploaded%'"
    )
    assert sorted(words(check["text"])) == sorted(State)


def test_the_database_calls_exactly_the_tables_final_states_final(bench: Bench) -> None:
    (generated,) = bench.sql(
        "SELECT pg_get_expr(d.adbin, d.adrelid) AS text FROM pg_attrdef d JOIN pg_attribute a ON a.attnum = d.adnum"
        " AND a.attrelid = d.adrelid WHERE d.adrelid = 'docproc.upload_jobs'::regclass AND a.attname = 'is_final'"
    )
    assert sorted(words(generated["text"])) == sorted(FINAL)
    for state in State:
        assert bench.row(bench.make(state))["is_final"] is (state in FINAL)


def test_the_database_allows_exactly_the_moves_of_the_table(bench: Bench) -> None:
    moves = {(row.source, row.failure) for row in TRANSITIONS}
    moves |= {(failure, state) for failure in FAILED for state in failable_into(failure)}
    for command in {row.command for row in TRANSITIONS}:
        chain = [*claimed_by(command), [row.target for row in TRANSITIONS if row.command is command][-1]]
        moves |= set(combinations(chain, 2))
    found = bench.sql("SELECT source, target FROM docproc.legal_moves")
    assert {(row["source"], row["target"]) for row in found} == moves


def test_a_move_that_the_table_does_not_have_is_refused(bench: Bench) -> None:
    job_id = bench.make(State.PARSED)
    with pytest.raises(psycopg.errors.CheckViolation, match="may not move from parsed to complete"):
        bench.sql("UPDATE docproc.upload_jobs SET status = 'complete'")
    with pytest.raises(psycopg.errors.CheckViolation, match="fence"):
        bench.sql("UPDATE docproc.upload_jobs SET fence = fence - 1")
    assert bench.row(job_id)["status"] == State.PARSED


def test_a_failed_job_without_a_code_is_refused(bench: Bench) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        bench.make(State.FAILED_PARSE, last_error=None)


def test_a_failed_job_and_no_other_says_where_it_failed(bench: Bench) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        bench.make(State.FAILED_PARSE, failed_from=None)
    with pytest.raises(psycopg.errors.CheckViolation):
        bench.make(State.PARSED, failed_from="uploaded")


def words(definition: str) -> list[str]:
    """The quoted words of a constraint's definition."""
    return re.findall(r"'(\w+)'::text", definition)
