"""What ``status`` reads: counts, latencies, failures and the history of one document."""

from __future__ import annotations

from typing import Any

from docproc.postgres.database import Database
from docproc.states import FAILED, State

Row = dict[str, Any]


class Reads:
    """Read-only questions about the jobs."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def states(self) -> dict[State, Row]:
        """For each state that has jobs: ``jobs``, ``oldest`` (seconds), ``claimed``, ``next_due`` (seconds or None)."""
        return {State(row["status"]): row for row in self._db.rows("count_states")}

    def latencies(self) -> dict[State, Row]:
        """For each state left in the last hour: ``p50`` and ``p95`` of the seconds spent in it."""
        return {State(row["status"]): row for row in self._db.rows("state_latencies")}

    def last_day(self) -> Row:
        """``jobs``, ``complete``, ``failed`` and ``average_minutes`` of the last 24 hours."""
        values = {"complete": str(State.COMPLETE), "failed": _failed()}
        return self._db.rows("last_day", values)[0]

    def latest_changes(self, limit: int = 10) -> list[Row]:
        """The latest changes of state, newest first."""
        return self._db.rows("latest_changes", {"limit": limit})

    def failures_by_code(self) -> list[Row]:
        """``code``, ``jobs`` and ``remedy``, most frequent first."""
        return self._db.rows("failures_by_code", {"failed": _failed()})

    def failed_jobs(self, limit: int) -> list[Row]:
        """The failed documents with what, why and remedy."""
        return self._db.rows("failed_jobs", {"failed": _failed(), "limit": limit})

    def buffers(self) -> Row:
        """Estimated rows and bytes of the chunk and vector buffers, and the number of workers with a claim."""
        return self._db.rows("buffers")[0]

    def jobs_of(self, user: str, name: str, path: str) -> list[Row]:
        """The jobs that ``name`` names: a document's id, a beginning of one, a source's ``path`` or file name."""
        prefix = name.lower() if name and set(name.lower()) <= set("0123456789abcdef-") else ""
        values = {"user": user, "path": path, "name": name, "prefix": f"{prefix}%" if len(prefix) >= 4 else ""}
        return self._db.rows("job_of", values)

    def history(self, job_id: object) -> list[Row]:
        """Every change of one job, oldest first."""
        return self._db.rows("history", {"job_id": job_id})

    def broken_invariants(self, *, lease: float, max_submits: int) -> list[Row]:
        """``invariant``, ``what``, ``times`` and an ``example`` for each invariant that the data break."""
        return self._db.rows("invariants", {"lease": lease, "max_submits": max_submits})

    def expired_leases(self) -> int:
        """Claims whose lease has run out."""
        return int(self._db.rows("expired_leases")[0]["expired"])

    def stored_uris(self) -> list[str]:
        """Every ``storage://`` address that a job names or may be about to name."""
        return [row["uri"] for row in self._db.rows("stored_uris")]


def _failed() -> list[str]:
    return [str(state) for state in FAILED]
