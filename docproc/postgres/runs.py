"""The receipt of a run: written when the run first has something to do, closed at its end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from docproc.errors import DocprocError
from docproc.local.identity import is_dead
from docproc.postgres.database import Database, query

if TYPE_CHECKING:
    from docproc.model import Job
    from docproc.postgres.database import Conn
    from docproc.states import State

MOST_PAGES_ASKED = 100_000
"""Open jobs up to which their pages are added up when a run begins: it reads the row of each."""

SILENT_FOR = 86_400.0
"""Seconds without a trace after which a run on another host counts as dead: whether it lives cannot be known there."""


log = logging.getLogger(__name__)


class Runs:
    """The receipt of this process's run; a run that finds nothing to do writes nothing."""

    def __init__(self, database: Database, owner: str, run_id: UUID) -> None:
        self._db = database
        self._owner = owner
        self.run_id = run_id
        self._lock = threading.Lock()
        self._begun = False

    def begin(self, command: str, profile: str) -> None:
        """Writes the receipt, once. Before that closes those of killed runs: no budget is shared with them."""
        values = {"run_id": self.run_id, "command": command, "profile": profile, "owner": self._owner}

        def write(conn: Conn) -> None:
            conn.execute(query("lock_runs"))
            conn.execute(query("begin_run"), values)

        with self._lock:
            if not self._begun:
                self.bury()
                self._db.attempt(write)
                self._begun = True

    def end(self, exit_code: int, summary: Mapping[str, object]) -> None:
        """Closes the receipt, if there is one."""
        if self._begun:
            self._db.run("end_run", {"run_id": self.run_id, "exit_code": exit_code, "summary": Jsonb(dict(summary))})

    def bury(self) -> int:
        """Closes the receipts of runs whose process is dead, or silent for a day on another host; returns how many.

        Such a receipt has an end, no exit code, and ``{"ended": "killed"}``.
        """
        found = self._db.rows("open_runs", {"run_id": self.run_id, "silent": SILENT_FOR})
        dead = [row["run_id"] for row in found if row["silent"] or is_dead(row["worker"])]
        return self._db.run("bury_runs", {"run_ids": dead}) if dead else 0

    def spent(self) -> list[dict[str, Any]]:
        """The ledger's sums for this run, by provider: ``calls``, ``units``, and of how many calls they are

        ``estimated`` or ``unknown``, because the provider has not told them yet.
        """
        try:
            return self._db.rows("run_spent", {"run_id": self.run_id})
        except psycopg.Error as error:
            # It is only told; a server that refuses it, as for its time limit, must not end the run.
            log.warning("what this run has bought is not known", extra={"code": error.sqlstate})
            return []

    def pages(self, states: Sequence[State], jobs: int, *, only: str | None = None) -> int | None:
        """The pages of the open jobs in ``states``, of which there are about ``jobs``; None when not all are known."""
        if jobs > MOST_PAGES_ASKED:
            return None
        (row,) = self._db.rows("open_pages", {"states": [str(state) for state in states], "only": only})
        return None if row["unknown"] else int(row["pages"])

    def error_of(self, job: Job) -> DocprocError | None:
        """The error that the row of ``job`` keeps; None when it keeps none."""
        rows = self._db.rows("last_error", {"job_id": job.job_id})
        told = rows[0]["last_error"] if rows else None
        return None if told is None else DocprocError(told["code"], told["what"], why=told["why"], try_=told["remedy"])
