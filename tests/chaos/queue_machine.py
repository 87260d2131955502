"""Everything that can happen to the queue, as rules that Hypothesis plays in any order on database and model."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4

import hypothesis.strategies as st
import numpy as np
import psycopg
import pytest
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from docproc.model import Advance, Done, Embedded, Job
from docproc.postgres import products
from docproc.postgres.queue import Queue
from docproc.postgres.reads import Reads
from docproc.postgres.vectors import Vectors
from docproc.states import OPEN, Command, State, claimed_by, transition_from
from docproc.store import Chosen, Retried
from tests.chaos.outcomes import CODES, outcomes
from tests.chaos.queue_model import MAX_ATTEMPTS, Model, Row, ahead, rows_of
from tests.chaos.workers import SETTINGS, Worker
from tests.integration.bench import Bench, chunks_of

DATA = st.data()
STARTS = st.tuples(st.sampled_from(OPEN), st.integers(0, MAX_ATTEMPTS - 1), st.booleans())
"""A state, the tries so far, and whether the vectors are there already."""


class QueueMachine(RuleBasedStateMachine):
    """Three workers, some jobs, and everything that can happen to them."""

    bench: ClassVar[Bench]
    fired: ClassVar[Counter[str]]
    eye: ClassVar[psycopg.Connection[dict[str, Any]]]
    """Sees what is committed, past docproc."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.workers = [Worker.start(self.bench.database, here=here) for here in (True, True, False)]
        self.dead: set[str] = set()
        self.handles: list[tuple[Queue, Job]] = []
        """Every claim that anyone ever got, the dead and the beaten too: a zombie may use it at any time."""

    @initialize(starts=st.lists(STARTS, min_size=2, max_size=5))
    def jobs_exist(self, starts: list[tuple[State, int, bool]]) -> None:
        self.bench.sql("TRUNCATE docproc.upload_jobs, docproc.sources, docproc.document_chunk_buffer CASCADE")
        for n, (state, tries, owned) in enumerate(starts):
            job_id = self.bench.make(state, job_id=UUID(int=n), priority=n % 2, attempt=tries, fence=tries)
            self.bench.sql("INSERT INTO docproc.job_events (job_id, to_status) VALUES (%s, %s)", job_id, str(state))
            source = "SELECT user_id, source, document_id FROM docproc.upload_jobs WHERE job_id = %s"
            self.bench.sql(f"INSERT INTO docproc.sources (user_id, uri, document_id) {source}", job_id)
            row = Row(state, attempt=tries, fence=tries, events=[(None, state, None, 0, 0, None)])
            self.model.rows[job_id] = row
            if state in claimed_by(Command.EMBED):
                self._embed(job_id, vectors=owned)
                row.chunks, row.vectors = True, owned

    def _embed(self, job_id: UUID, *, vectors: bool) -> None:
        row = self.bench.row(job_id)
        job = Job(**{f.name: row[f.name] for f in fields(Job)})
        with self.bench.database.transaction() as conn:
            products.write_chunks(conn, job, chunks_of(f"first of {job_id}", f"second of {job_id}"))
        if vectors:
            self._buy(job)

    def _buy(self, job: Job) -> None:
        vectors = Vectors(self.bench.database, uuid4())
        pending = vectors.pending_chunks([job])
        vectors.save_vectors(uuid4(), [job], pending, Embedded(np.ones((len(pending), 4), np.float32), 1, None))

    # ── what workers do ─────────────────────────────────────────────────────────────────────────────────────────────

    @precondition(lambda self: self.model.claimable(OPEN))
    @rule(n=st.integers(0, 2), limit=st.integers(1, 4), data=DATA)
    def claim(self, n: int, limit: int, data: st.DataObject) -> None:
        likely = [
            claimed_by(transition_from(self.model.rows[id_].status).command) for id_ in self.model.claimable(OPEN)
        ]
        states = data.draw(st.sampled_from([OPEN, *likely, *likely, *map(claimed_by, Command)]))
        queue = self.workers[n].queue
        rows = {job_id: self.bench.row(job_id) for job_id in self.model.claimable(states)}
        wanted = sorted(rows, key=lambda id_: (-rows[id_]["priority"], rows[id_]["run_at"], id_))[:limit]
        jobs = queue.claim(states, limit)
        assert {job.job_id for job in jobs} == set(wanted)
        for job in sorted(jobs, key=lambda job: job.job_id):
            self.model.claim(queue.owner, job)
            self.handles.append((queue, job))
        self.fired["claim"] += len(jobs)

    @precondition(lambda self: self._held())
    @rule(data=DATA)
    def settle(self, data: st.DataObject) -> None:
        self._settle(*data.draw(st.sampled_from(self._held())), data)

    settle_oftener = settle_most = settle

    @precondition(lambda self: self.handles)
    @rule(data=DATA)
    def settle_as_a_zombie(self, data: st.DataObject) -> None:
        self._settle(*data.draw(st.sampled_from(self.handles)), data)

    @precondition(lambda self: self.handles)
    @rule(data=DATA)
    def settle_together(self, data: st.DataObject) -> None:
        """Claims of one worker, some of them lost: each is settled or refused as if it were alone."""
        queue, some = self._some_of_one(data)
        changes = [(job, data.draw(outcomes(job))) for job in {job.job_id: job for job in some}.values()]
        expected = [self.model.settle(queue.owner, job, outcome) for job, outcome in changes]
        moved = queue.settle_all(changes)
        assert [job.status if job else None for job in moved] == expected
        self.handles += [
            (queue, job) for job, (_, did) in zip(moved, changes, strict=True) if job and isinstance(did, Advance)
        ]
        self.fired["settled together"] += len(moved) - moved.count(None) if len(moved) > 1 else 0

    def _settle(self, queue: Queue, job: Job, data: st.DataObject) -> None:
        outcome = data.draw(outcomes(job))
        stale = not self.model.accepts(queue.owner, job)
        before = self._everything() if stale else None
        expected = self.model.settle(queue.owner, job, outcome)
        moved = queue.settle(job, outcome)
        assert (moved.status if moved else None) == expected
        assert not stale or self._everything() == before, "a refused settle changed something"
        if isinstance(outcome, Advance) and moved:
            self.handles.append((queue, moved))
        self.fired["refused" if stale else type(outcome).__name__] += 1
        self.fired["complete"] += moved is not None and moved.status is State.COMPLETE
        self.fired["incomplete"] += isinstance(outcome, Done) and moved is not None and moved.status is not outcome.to

    @precondition(lambda self: self._held())
    @rule(data=DATA)
    def settle_off_the_table(self, data: st.DataObject) -> None:
        queue, job = data.draw(st.sampled_from(self._held()))
        to = data.draw(st.sampled_from([s for s in State if s not in ahead(job.status) and s is not job.status]))
        before = self._everything()
        with pytest.raises(ValueError, match="does not lead"):
            queue.settle(job, Done(to))
        assert self._everything() == before

    @precondition(lambda self: self._embedding())
    @rule(data=DATA)
    def vectors_arrive(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self._embedding()))
        self._buy(job)
        self.model.rows[job.job_id].vectors = True

    @precondition(lambda self: self.handles)
    @rule(data=DATA, what=st.sampled_from(["renew", "release", "disown"]))
    def look_after(self, data: st.DataObject, what: str) -> None:
        queue, jobs = self._some_of_one(data)
        if what == "renew":
            assert queue.renew(jobs) == self.model.renew(queue.owner, jobs)
        elif what == "release":
            assert queue.release(jobs) == self.model.release(queue.owner, jobs)
        else:
            gone = queue.disown(jobs)
            assert gone == self.model.disown(queue.owner, {job.job_id for job in jobs})
            self.fired["disowned"] += gone

    @precondition(lambda self: self._holders() or any(row.owner in self.dead for row in self.model.rows.values()))
    @rule(n=st.integers(0, 2), later=st.sampled_from([False, False, False, True]))
    def rescue(self, n: int, later: bool) -> None:
        now = datetime.now(UTC) + timedelta(seconds=SETTINGS.lease + 60) if later else None
        failed = self._failed()
        freed = self.workers[n].queue.rescue(now=now)
        assert freed == self.model.rescue(self.dead, all_expired=later)
        self._even_out()
        self.fired["rescued"] += freed
        self.fired["given up"] += self._failed() - failed

    @precondition(lambda self: any(row.failed_from for row in self.model.rows.values()))
    @rule(n=st.integers(0, 2), codes=st.none() | st.sets(st.sampled_from([*CODES, "job.lease_expired"])))
    def retry(self, n: int, codes: set[str] | None) -> None:
        queue = self.workers[n].queue
        chosen = Chosen(codes=None if codes is None else sorted(codes))
        sent = queue.retry(chosen, parser="mock", max_submits=3, priced=False)
        assert sent == Retried(self.model.retry(queue.owner, codes), 0)
        self._even_out()
        self.fired["retried"] += sent.sent

    # ── what happens to them ────────────────────────────────────────────────────────────────────────────────────────

    @precondition(lambda self: self._holders())
    @rule(data=DATA)
    def kill(self, data: st.DataObject) -> None:
        n = data.draw(st.sampled_from(self._holders()))
        worker = self.workers[n]
        worker.kill()
        if worker.process:
            self.dead.add(worker.queue.owner)
        self.workers[n] = Worker.start(self.bench.database, here=worker.process is not None)
        self.fired["killed"] += 1

    @precondition(lambda self: self._held())
    @rule(data=DATA)
    def lease_runs_out(self, data: st.DataObject) -> None:
        _, job = data.draw(st.sampled_from(self._held()))
        statement = "UPDATE docproc.upload_jobs SET lease_until = now() - interval '1 s' WHERE job_id = %s"
        self.bench.sql(statement, job.job_id)
        self.model.rows[job.job_id].expired = True

    @precondition(lambda self: not all(row.due for row in self.model.rows.values()))
    @rule()
    def waits_end(self) -> None:
        self.bench.sql("UPDATE docproc.upload_jobs SET run_at = now() WHERE run_at > now()")
        self._even_out()
        for row in self.model.rows.values():
            row.due = True

    # ── what must hold ──────────────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def database_equals_model(self) -> None:
        self.fired["steps"] += 1
        rows = self._look(
            "SELECT job_id, status, run_at <= clock_timestamp() AS due, attempt, fence, claimed_by,"
            "       coalesce(lease_until < clock_timestamp(), false) AS expired, failed_from,"
            "       last_error ->> 'code' AS code,"
            "       EXISTS (SELECT FROM docproc.sources s WHERE s.live_job_id = j.job_id) AS live"
            "  FROM docproc.upload_jobs j"
        )
        assert {row.pop("job_id"): tuple(row.values()) for row in rows} == rows_of(self.model)
        columns = "job_id, from_status, to_status, worker, attempt, fence, code"
        events = self._look(f"SELECT {columns} FROM docproc.job_events ORDER BY event_id")
        told: dict[UUID, list[Any]] = {job_id: [] for job_id in self.model.rows}
        for event in events:
            told[event.pop("job_id")].append(tuple(event.values()))
        assert told == {job_id: row.events for job_id, row in self.model.rows.items()}

    def teardown(self) -> None:
        """Whatever happened: the invariants of the data hold, and no open job is out of reach."""
        try:
            if self.model.rows:
                assert Reads(self.bench.database).broken_invariants(lease=SETTINGS.lease, max_submits=3) == []
                self.rescue(2, later=True)
                self.waits_end()
                assert {job.job_id for job in self.workers[0].queue.claim(OPEN, 100)} == self.model.open()
        finally:
            for worker in self.workers:
                worker.kill()

    # ── how it draws and looks ──────────────────────────────────────────────────────────────────────────────────────

    def _held(self) -> list[tuple[Queue, Job]]:
        """The claims that their workers may still use."""
        return [(queue, job) for queue, job in self.handles if self.model.accepts(queue.owner, job)]

    def _holders(self) -> list[int]:
        """The workers that hold something."""
        owners = {row.owner for row in self.model.rows.values()}
        return [n for n, worker in enumerate(self.workers) if worker.queue.owner in owners]

    def _embedding(self) -> list[Job]:
        """What anyone claimed of jobs that have chunks and no vectors."""
        rows = self.model.rows
        return [job for _, job in self.handles if rows[job.job_id].chunks and not rows[job.job_id].vectors]

    def _some_of_one(self, data: st.DataObject) -> tuple[Queue, list[Job]]:
        """A worker, dead ones included, and some of the claims that it ever got."""
        queue, _ = data.draw(st.sampled_from(self.handles))
        own = [job for other, job in self.handles if other is queue]
        return queue, data.draw(st.lists(st.sampled_from(own), unique_by=id))

    def _everything(self) -> list[dict[str, Any]]:
        tables = ("upload_jobs", "job_events", "sources", "document_chunk_buffer", "document_vector_buffer")
        looks = (f"SELECT xmin::text, md5(t::text) AS row FROM docproc.{table} t" for table in tables)
        return self._look(f"{' UNION ALL '.join(looks)} ORDER BY 1, 2")

    def _even_out(self) -> None:
        """Makes what is due due since the same moment: several rows of one statement are else in an order by chance."""
        self.bench.sql("UPDATE docproc.upload_jobs SET run_at = now() WHERE run_at <= now() AND claimed_by IS NULL")

    def _look(self, statement: str) -> list[dict[str, Any]]:
        return self.eye.execute(statement.encode()).fetchall()

    def _failed(self) -> int:
        return len(self._look("SELECT job_id FROM docproc.upload_jobs WHERE failed_from IS NOT NULL"))
