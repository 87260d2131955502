"""Removing rows that belong to nothing, a thousand in a transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from docproc.postgres.database import Database, query

if TYPE_CHECKING:
    from docproc.postgres.database import Conn

Row = dict[str, Any]

BATCH = 1_000
"""Rows deleted in one transaction."""

FIRST = UUID(int=0)

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows, and their bytes where they are known."""

    count: int = 0
    bytes: int = 0

    def __add__(self, other: Rows) -> Rows:
        return Rows(self.count + other.count, self.bytes + other.bytes)


class Sweeping:
    """Deletes, or counts, rows that nothing needs: those of one ``user``, or of all."""

    def __init__(self, database: Database, user: str | None = None) -> None:
        self._db = database
        self._user = user

    def orphaned_vectors(self, *, dry_run: bool, documents: Sequence[UUID] | None = None) -> Rows:
        """Vectors of a model and version that no job of their document has."""
        if dry_run:
            return self._counted("orphaned_vectors")

        def delete(conn: Conn, rows: Sequence[Row]) -> Rows:
            columns = {"chunk_ids": "chunk_id", "models": "embed_model", "versions": "embed_version"}
            return _deleted(conn, "vectors", {name: [row[key] for row in rows] for name, key in columns.items()})

        def after(row: Row) -> Row:
            return {"after": row["chunk_id"], "after_model": row["embed_model"], "after_version": row["embed_version"]}

        start = {"after": FIRST, "after_model": "", "after_version": ""}
        return self._swept("orphaned_vectors", documents, start, after, delete)

    def orphaned_chunks(self, *, dry_run: bool, documents: Sequence[UUID] | None = None) -> Rows:
        """Chunks of a chunker that no job of their document has; their vectors go with them."""
        if dry_run:
            return self._counted("orphaned_chunks")

        def delete(conn: Conn, rows: Sequence[Row]) -> Rows:
            return _deleted(conn, "chunks", {"chunk_ids": [row["chunk_id"] for row in rows]})

        return self._swept(
            "orphaned_chunks", documents, {"after": FIRST}, lambda row: {"after": row["chunk_id"]}, delete
        )

    def old_events(self, seconds: float, *, dry_run: bool) -> Rows:
        """Changes of finished jobs that are older than ``seconds``, but for the last of each job."""
        values = {"seconds": seconds, "user": self._user}
        if dry_run:
            (row,) = self._db.rows("count_old_events", values)
            return Rows(row["events"], int(row["bytes"]))
        total, place = Rows(), {"after": LONG_AGO, "after_id": 0}
        while rows := self._db.rows("old_events", {**values, **place, "limit": BATCH}):
            total += Rows(self._db.run("delete_events", {"event_ids": [row["event_id"] for row in rows]}))
            place = {"after": rows[-1]["at"], "after_id": rows[-1]["event_id"]}
        return total

    def old_runs(self, seconds: float, *, dry_run: bool) -> Rows:
        """Receipts of runs that ended more than ``seconds`` ago, but for the latest. The ledger of calls stays."""
        if dry_run:
            return Rows(self._db.rows("count_old_runs", {"seconds": seconds})[0]["runs"])
        total = Rows()
        # Few at a time: the calls of each are rows that change.
        while rows := self._db.rows("old_runs", {"seconds": seconds, "limit": BATCH // 10}):
            total += Rows(self._db.run("delete_runs", {"run_ids": [row["run_id"] for row in rows]}))
        return total

    def old_builds(self, seconds: float, *, dry_run: bool) -> Rows:
        """Claims to build an index that are older than ``seconds``."""
        names = [row["name"] for row in self._db.rows("old_builds", {"seconds": seconds})]
        if not dry_run:
            for name in names:
                self._db.run("end_build", {"name": name})
        return Rows(len(names))

    def _counted(self, name: str) -> Rows:
        (row,) = self._db.rows(f"count_{name}", {"user": self._user})
        return Rows(row["orphans"], int(row["bytes"]))

    def _swept(
        self,
        name: str,
        documents: Sequence[UUID] | None,
        place: Row,
        after: Callable[[Row], Row],
        delete: Callable[[Conn, Sequence[Row]], Rows],
    ) -> Rows:
        chosen = None if documents is None else list(documents)
        values = {"user": self._user, "document_ids": chosen, "limit": BATCH}

        def batch(conn: Conn) -> tuple[list[Row], Rows]:
            rows = conn.execute(query(name), {**values, **place}).fetchall()
            return rows, delete(conn, rows) if rows else Rows()

        rows, total = self._db.attempt(batch)
        while rows:
            place = after(rows[-1])
            rows, more = self._db.attempt(batch)
            total += more
        return total


def _deleted(conn: Conn, what: str, values: Row) -> Rows:
    gone = conn.execute(query(f"delete_{what}"), values).fetchall()
    return Rows(len(gone), sum(row["bytes"] for row in gone))
