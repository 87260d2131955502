"""Claims and settles: the only place where a job's status, lease and fence change."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg.types.json import Jsonb

from docproc import faultpoints
from docproc.errors import DocprocError, TransientError
from docproc.model import Advance, Chunked, Done, Fail, Job, Outcome, Parsed, Retry, Wait
from docproc.postgres import products
from docproc.postgres.database import Database, query
from docproc.states import TRANSITIONS, State, path, transition_from
from docproc.store import Backlog, Chosen, Retried

if TYPE_CHECKING:
    from datetime import datetime

    from docproc.postgres.database import Conn, Row
    from docproc.settings import RunnerSettings

log = logging.getLogger(__name__)

RESCUE_BATCH = 500


class Queue:
    """The queue over ``upload_jobs`` for one owner (one docproc process)."""

    def __init__(self, database: Database, owner: str, settings: RunnerSettings) -> None:
        self._db = database
        self.owner = owner
        self._settings = settings
        self.tries = 0

    def claim(self, states: Sequence[State], limit: int, *, now: datetime | None = None) -> list[Job]:
        """Claims up to ``limit`` due jobs in ``states``; ``now`` stands in for the database's clock in tests."""
        values = {
            "states": [str(s) for s in states],
            "limit": limit,
            "owner": self.owner,
            "lease": self._settings.lease,
            "now": now,
        }

        def write(conn: Conn) -> list[Row]:
            self.tries += 1
            return conn.execute(query("claim"), values).fetchall()

        return [_job(row) for row in self._db.attempt(write)]

    def settle(self, job: Job, outcome: Outcome) -> Job | None:
        """Turns ``outcome`` into the row change, its product and its history, in one transaction.

        Returns the job as it stands afterwards, None when its lease was lost and nothing was written. A product that
        turns out incomplete in the transaction becomes a Retry.
        """
        change = {**_change(job, outcome, self._settings), "owner": self.owner}
        tries = 0

        def write(conn: Conn) -> bool:
            nonlocal tries
            tries += 1
            if tries > 1 and conn.execute(query("settled"), change).fetchone() is not None:
                return True  # the answer to our COMMIT was lost, not the COMMIT
            if conn.execute(query("settle"), change).fetchone() is None:
                return False
            if isinstance(outcome, Done):
                self._write(conn, job, outcome)
            faultpoints.reach("settle.before_commit")
            return True

        try:
            held = self._db.attempt(write)
        except TransientError as error:
            return self.settle(job, Retry(error))
        if not held:
            log.info("a settle was refused: the lease was lost", extra={"job": str(job.job_id), "fence": job.fence})
        return replace(job, status=State(change["to"])) if held else None

    def renew(self, jobs: Iterable[Job]) -> set[UUID]:
        """Extends the leases of ``jobs`` by the lease's length; a job whose id does not come back is lost."""
        values = {**self._held(jobs), "lease": self._settings.lease}
        return {row["job_id"] for row in self._db.rows("renew", values)}

    def release(self, jobs: Iterable[Job]) -> int:
        """Gives claims back untouched, their attempt too; returns how many were still held."""
        return self._db.run("release", self._held(jobs))

    def disown(self, held: Iterable[Job]) -> int:
        """Gives back what this process claimed but does not know to hold; returns how many."""
        return self._db.run("disown", {"owner": self.owner, "held": [job.job_id for job in held]})

    def rescue(self, *, now: datetime | None = None) -> int:
        """Frees jobs whose lease ran out or whose process on this host is dead; returns how many."""
        from docproc.local.identity import is_dead

        owners = [row["claimed_by"] for row in self._db.rows("owners")]
        error = TransientError("job.lease_expired", "the process that worked on it died or hung, again and again")
        values = {
            "dead": [owner for owner in owners if is_dead(owner)],
            "now": now,
            "limit": RESCUE_BATCH,
            "max_attempts": self._settings.max_attempts,
            "error": Jsonb(told(error)),
            "code": error.code,
            "sources": [str(row.source) for row in TRANSITIONS],
            "failures": [str(row.failure) for row in TRANSITIONS],
        }
        return len(self._db.rows("rescue", values)) if owners else 0

    def retry(self, chosen: Chosen, *, parser: str, max_submits: int, priced: bool) -> Retried:
        """Sends failed jobs back to where they failed; those whose parse must be bought again only with ``priced``."""
        values = {
            "codes": chosen.codes,
            "states": chosen.states,
            "document_ids": chosen.document_ids,
            "parser": parser,
            "max_submits": max_submits,
            "priced": priced,
            "owner": self.owner,
        }
        return Retried(**self._db.rows("retry_jobs", values)[0])

    def backlog(self, states: Sequence[State]) -> Backlog:
        """How much is left to do in ``states``."""
        (row,) = self._db.rows("backlog", {"states": [str(s) for s in states]})
        return Backlog(row["open"], row["due"], row["next_due"])

    def _held(self, jobs: Iterable[Job]) -> dict[str, object]:
        held = list(jobs)
        return {"job_ids": [j.job_id for j in held], "fences": [j.fence for j in held], "owner": self.owner}

    def _write(self, conn: Conn, job: Job, outcome: Done) -> None:
        match outcome.product:
            case Parsed():
                products.write_parsed(conn, outcome.product)
            case Chunked():
                products.write_chunks(conn, job, outcome.product.chunks)
            case None:
                pass
        if _target(job, outcome) is State.COMPLETE:
            products.go_live(conn, job)


def told(error: DocprocError) -> dict[str, str]:
    """An error as ``last_error`` keeps it: code, what, why, remedy."""
    return {"code": error.code, "what": error.what, "why": error.why, "remedy": error.remedy}


def _target(job: Job, outcome: Done) -> State:
    return outcome.to or transition_from(job.status).target


def _change(job: Job, outcome: Outcome, settings: RunnerSettings) -> dict[str, Any]:
    """The parameters of ``settle.sql`` for an outcome."""
    change: dict[str, Any] = {
        "job_id": job.job_id,
        "fence": job.fence,
        "attempt": job.attempt,
        "from": str(job.status),
        "attempt_change": 0,
        "reset": False,
        "keep": False,
        "keep_error": True,
        "after": 0.0,
        "error": None,
        "failed": False,
        "progress": Jsonb({}),
        "parsed_path": None,
        "parsed_sha": None,
        "code": None,
        "note": None,
        "base": settings.backoff_base,
        "cap": settings.backoff_cap,
    }
    match outcome:
        case Done():
            states = path(job.status, _target(job, outcome))
            change |= {"reset": True, "keep_error": False, "after": outcome.after, "note": outcome.note or None}
            change |= _product(outcome)
        case Advance():
            states = path(job.status, outcome.to)
            change["keep"] = True
        case Wait():
            states = (job.status,)
            change |= {"attempt_change": -1, "after": outcome.seconds}
        case Retry() if job.attempt < settings.max_attempts:
            states = (job.status, job.status)
            change |= {"after": outcome.after, **_error(outcome.error)}
        case Retry() | Fail():
            states = (job.status, transition_from(job.status).failure)
            change |= {"failed": True, **_error(outcome.error)}
            if isinstance(outcome, Fail):
                change["progress"] = Jsonb(dict(outcome.progress))
    change |= {"to": str(states[-1]), "sources": [str(s) for s in states[:-1]], "targets": [str(s) for s in states[1:]]}
    return change


def _error(error: DocprocError) -> dict[str, Any]:
    return {"error": Jsonb(told(error)), "keep_error": False, "code": error.code, "note": str(error)}


def _product(outcome: Done) -> dict[str, Any]:
    match outcome.product:
        case Parsed() as parsed:
            return {"progress": Jsonb(dict(parsed.progress)), "parsed_path": parsed.path, "parsed_sha": parsed.sha}
        case Chunked() as chunked:
            total = len(chunked.chunks)
            progress = {"chunks_total": total, "chunks_done": total, "chunks_written": total}
            return {"progress": Jsonb(progress | {"embeds_total": total, "embeds_done": 0})}
    return {}


def _job(row: dict[str, Any]) -> Job:
    return Job(**{**row, "status": State(row["status"])})
