"""What ``status`` reads: one look at all work, lists of documents, and the history of one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from docproc.postgres.database import Database, query
from docproc.states import FAILED, State

if TYPE_CHECKING:
    from docproc.postgres.database import Conn

Row = dict[str, Any]

FEW = 32_000_000
"""Bytes of ``upload_jobs`` (about 40,000 jobs) up to which each job is looked at to count a document once."""

ONE_MOMENT = b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
"""What begins a look. In it now() is the time of the moment, and unlike clock_timestamp() one that indexes can be asked
for."""

_NO_ID = "00000000-0000-0000-0000-000000000000"


class Reads:
    """Read-only questions about the jobs."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def look(self, user: str, *, only: str | None = None, patient: bool = True, few: int = FEW) -> dict[str, list[Row]]:
        """The rows of everything that ``status`` says, by the name of the statement, all of one moment.

        ``user`` is the one whose search is told of, ``only`` the one whose documents count, None for all. Up to ``few``
        bytes of jobs are counted as documents, else as jobs: then there is ``count_jobs`` in place of
        ``count_documents``. Not ``patient``: a database that is away is not waited for. Raises DatabaseError.
        """
        if patient:
            return self._db.attempt(lambda conn: _look(conn, user, only, few))
        with self._db.transaction() as conn:
            return _look(conn, user, only, few)

    def documents(
        self,
        states: Sequence[State],
        *,
        code: str | None = None,
        since: float | None = None,
        source: str | None = None,
        limit: int,
        only: str | None = None,
    ) -> list[Row]:
        """The documents in ``states`` whose error has ``code``, changed in the last ``since`` seconds, and so on."""
        wanted = [str(state) for state in states]
        values = {"states": wanted, "code": code, "since": since, "source": source, "limit": limit, "only": only}
        return self._db.rows("list_jobs", values)

    def jobs_of(self, user: str, name: str, path: str) -> list[Row]:
        """The jobs that ``name`` names: a source's ``path``, a beginning of a document's id, else a file's name."""
        first, last = _ids(name)
        values = {"user": user, "path": path, "name": name}
        return self._db.rows("job_of", values | {"first": first, "last": last}) or self._db.rows("job_named", values)

    def history(self, job_id: object) -> list[Row]:
        """Every change of one job, oldest first."""
        return self._db.rows("history", {"job_id": job_id})

    def calls_of(self, job_id: UUID, since: datetime) -> list[Row]:
        """The paid calls since ``since`` in which a job took part; ``jobs`` says how many shared each."""
        return self._db.rows("calls_of", {"job_id": job_id, "since": since})

    def mocked_units(self) -> frozenset[str]:
        """Of ``page`` and ``token`` those that a mock sells, free of charge."""
        kinds = self._db.rows("providers")
        units = {"page": "parser_kind", "token": "embedder_kind"}
        return frozenset(unit for unit, name in units.items() if any(row[name] == "mock" for row in kinds))

    def broken_invariants(self, *, lease: float, max_submits: int) -> list[Row]:
        """``invariant``, ``what``, ``times`` and an ``example`` for each invariant that the data break."""
        return self._db.rows("invariants", {"lease": lease, "max_submits": max_submits})

    def expired_leases(self) -> int:
        """Claims whose lease has run out."""
        return int(self._db.rows("expired_leases")[0]["expired"])


def _look(conn: Conn, user: str, only: str | None, few: int) -> dict[str, list[Row]]:
    def rows(name: str, **values: object) -> list[Row]:
        return conn.execute(query(name), values or None).fetchall()

    conn.execute(ONE_MOMENT)
    (facts,) = rows("status_facts", user=user)
    every = facts["job_bytes"] > few and only is None
    counts = "count_jobs" if every else "count_documents"
    complete, failed = str(State.COMPLETE), [str(state) for state in FAILED]
    return {
        "status_facts": [facts],
        counts: rows(counts) if every else rows(counts, only=only),
        "claims": rows("claims", only=only),
        "waiting": rows("waiting", only=only),
        "state_latencies": rows("state_latencies", only=only),
        "throughput": rows("throughput", complete=complete, only=only),
        "last_day": rows("last_day", complete=complete, failed=failed, only=only),
        "latest_changes": rows("latest_changes", limit=10, only=only),
        "failures_by_code": rows("failures_by_code", failed=failed, every=every, only=only),
        "bought": rows("bought"),
        "status_runs": rows("status_runs"),
    }


def _ids(name: str) -> tuple[str, str]:
    """The first and the last id that begin with ``name``, which has four digits at least; else an id that none has."""
    digits = name.lower().replace("-", "")
    if not 4 <= len(digits) <= 32 or not set(digits) <= set("0123456789abcdef") or name.startswith("-"):
        return _NO_ID, _NO_ID
    return digits.ljust(32, "0"), digits.ljust(32, "f")
