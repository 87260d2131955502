"""Claims and settles: the only place where a job's status, lease and fence change."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence, Set
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from docproc import faultpoints, logs
from docproc.errors import DocprocError, PermanentError, TransientError
from docproc.model import Advance, Chunked, Done, Fail, Job, Outcome, Parsed, Retry, Wait
from docproc.postgres import products, publishing
from docproc.postgres.database import Database, query
from docproc.postgres.publishing import RefusedError
from docproc.redaction import redact
from docproc.states import FINAL, TRANSITIONS, State, path, transition_from
from docproc.store import Backlog, Chosen, Retried

if TYPE_CHECKING:
    from datetime import datetime

    from docproc.postgres.database import Conn, Row
    from docproc.settings import RunnerSettings

log = logging.getLogger(__name__)

RESCUE_BATCH = 500

LOWEST = -(2**31)
"""No job has a lower priority."""


class Queue:
    """The queue over ``upload_jobs`` for one owner (one docproc process).

    With ``only`` it is as if there were no jobs but that user's, and none of a lower priority than ``least``.
    """

    def __init__(
        self,
        database: Database,
        owner: str,
        settings: RunnerSettings,
        *,
        only: str | None = None,
        least: int = LOWEST,
    ) -> None:
        self._db = database
        self.owner = owner
        self._settings = settings
        self._only = only
        self._least = least
        self.tries = 0

    def claim(self, states: Sequence[State], limit: int, *, now: datetime | None = None) -> list[Job]:
        """Claims up to ``limit`` due jobs in ``states``; ``now`` stands in for the database's clock in tests."""
        values = {
            "states": [str(s) for s in states],
            "limit": limit,
            "owner": self.owner,
            "lease": self._settings.lease,
            "only": self._only,
            "least": self._least,
            "now": now,
        }

        def write(conn: Conn) -> list[Row]:
            self.tries += 1
            return conn.execute(query("claim"), values).fetchall()

        return [_job(row) for row in self._db.attempt(write)]

    def settle(self, job: Job, outcome: Outcome) -> Job | None:
        """``settle_all`` of one job."""
        return self.settle_all([(job, outcome)])[0]

    def settle_all(self, changes: Sequence[tuple[Job, Outcome]]) -> list[Job | None]:
        """Turns outcomes into row changes, their products and their history, in one transaction.

        Returns the jobs as they stand afterwards, in order; None for one whose lease was lost and of which nothing was
        written. A product that the store refuses becomes its own job's trouble and nobody else's.
        """
        rows = [_change(job, outcome, self._settings) for job, outcome in changes]
        values = {
            "changes": Jsonb(rows),
            "owner": self.owner,
            "base": self._settings.backoff_base,
            "cap": self._settings.backoff_cap,
        }
        tries = 0

        def write(conn: Conn) -> set[UUID]:
            nonlocal tries
            tries += 1
            if tries > 1:  # perhaps only the answer to our COMMIT was lost, not the COMMIT
                found = {row["job_id"] for row in conn.execute(query("settled"), values)}
                if found:
                    return found
            held = {row["job_id"] for row in conn.execute(query("settle"), values)}
            self._write(conn, [(job, o) for job, o in changes if isinstance(o, Done) and job.job_id in held])
            faultpoints.reach("settle.before_commit")
            return held

        try:
            held = self._db.attempt(write)
        except RefusedError as refused:
            _log_refused(changes, refused)
            return self.settle_all([(j, refused.instead.get(j.job_id, outcome)) for j, outcome in changes])
        except psycopg.Error as error:
            return self._apart(changes, error)
        return [self._moved(job, State(row["to_status"]), held) for (job, _), row in zip(changes, rows, strict=True)]

    def _moved(self, job: Job, to: State, held: Set[UUID]) -> Job | None:
        if job.job_id in held:
            return replace(job, status=to)
        log.info("a settle was refused: the lease was lost", extra=logs.of(job))
        return None

    def _apart(self, changes: Sequence[tuple[Job, Outcome]], error: psycopg.Error) -> list[Job | None]:
        """The database refused something in ``changes``: each is settled alone, and the culprit tries again."""
        if len(changes) > 1:
            return [self.settle(job, outcome) for job, outcome in changes]
        ((job, outcome),) = changes
        if not isinstance(outcome, Done):
            raise error
        seen = {"code": "job.unexpected", "sqlstate": error.sqlstate}
        log.error("the database refused a product", extra=logs.of(job) | seen)
        trouble = TransientError("job.unexpected", f"unexpected {type(error).__name__} while its product was written")
        return [self.settle(job, Retry(trouble))]

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

    def retry(
        self, chosen: Chosen, *, parser: str, max_submits: int, priced: bool, barren: Sequence[UUID] = ()
    ) -> Retried:
        """Sends failed jobs back to where they failed; those whose parse must be bought again only with ``priced``.

        ``barren`` are jobs whose parse is there and of no use.
        """
        values = {
            "codes": chosen.codes,
            "states": chosen.states,
            "document_ids": chosen.document_ids,
            "only": self._only,
            "parser": parser,
            "max_submits": max_submits,
            "priced": priced,
            "barren": list(barren),
            "judged": str(State.PARSED),
            "handed_in": str(State.PARSE_QUEUED),
            "lost_codes": ["storage.missing", "storage.corrupt"],
            "owner": self.owner,
        }
        return Retried(**self._db.rows("retry_jobs", values)[0])

    def backlog(self, states: Sequence[State]) -> Backlog:
        """How much is left to do in ``states``."""
        (row,) = self._db.rows("backlog", {"states": [str(s) for s in states], "only": self._only})
        return Backlog(row["open"], row["due"], row["next_due"])

    def _held(self, jobs: Iterable[Job]) -> dict[str, object]:
        held = list(jobs)
        return {"job_ids": [j.job_id for j in held], "fences": [j.fence for j in held], "owner": self.owner}

    def _write(self, conn: Conn, done: Sequence[tuple[Job, Done]]) -> None:
        """Writes the products and shows what became complete. Raises RefusedError for what cannot be."""
        for job, outcome in done:
            try:
                match outcome.product:
                    case Parsed():
                        products.write_parsed(conn, outcome.product)
                    case Chunked():
                        products.write_chunks(conn, job, outcome.product.chunks)
                    case None:
                        pass
            except PermanentError as error:
                raise RefusedError({job.job_id: Fail(error)}) from error
            except TransientError as error:
                raise RefusedError({job.job_id: Retry(error)}) from error
        complete = [job.job_id for job, outcome in done if _target(job, outcome) is State.COMPLETE]
        if complete:
            publishing.go_live(conn, complete)


def told(error: DocprocError) -> dict[str, str]:
    """An error as ``last_error`` keeps it: code, what, why, remedy, and no secret in any of them."""
    return {"code": error.code, "what": redact(error.what), "why": redact(error.why), "remedy": redact(error.remedy)}


def _target(job: Job, outcome: Done) -> State:
    return outcome.to or transition_from(job.status).target


def _change(job: Job, outcome: Outcome, settings: RunnerSettings) -> dict[str, Any]:
    """One job's row of ``settle.sql``."""
    change: dict[str, Any] = {
        "job_id": str(job.job_id),
        "fence": job.fence,
        "attempt": job.attempt,
        "from_status": job.status,
        "attempt_change": 0,
        "reset": False,
        "keep": False,
        "keep_error": True,
        "failed": False,
        "after": 0.0,
        "progress": {},
    }
    match outcome:
        case Done():
            states = path(job.status, _target(job, outcome))
            change |= {"reset": True, "keep_error": False, "after": outcome.after, "note": outcome.note or None}
            change |= _product(outcome)
        case Advance():
            if outcome.to in FINAL:
                raise ValueError(f"a job cannot stay claimed in {outcome.to}")
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
                change["progress"] = dict(outcome.progress)
    return change | {"to_status": states[-1], "steps": list(pairwise(states))}


def _error(error: DocprocError) -> dict[str, Any]:
    return {"error": told(error), "keep_error": False, "code": error.code, "note": redact(str(error))}


def _log_refused(changes: Sequence[tuple[Job, Outcome]], refused: RefusedError) -> None:
    for job, _ in changes:
        instead = refused.instead.get(job.job_id)
        if isinstance(instead, Retry | Fail):
            log.info("a product was refused", extra=logs.of(job) | {"code": instead.error.code})


def _product(outcome: Done) -> dict[str, Any]:
    match outcome.product:
        case Parsed() as parsed:
            return {"progress": dict(parsed.progress), "parsed_path": parsed.path, "parsed_sha": parsed.sha}
        case Chunked() as chunked:
            total = len(chunked.chunks)
            progress = {"chunks_total": total, "chunks_done": total, "chunks_written": total}
            return {"progress": progress | {"embeds_total": total, "embeds_done": 0}}
    return {}


def _job(row: dict[str, Any]) -> Job:
    return Job(**{**row, "status": State(row["status"])})
