"""Versions that nothing shows any more: marked when they are found, deleted when they have been so for long enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from docproc.postgres.database import Database, query

if TYPE_CHECKING:
    from docproc.postgres.database import Conn

Row = dict[str, Any]

PAGE = 1_000
"""Documents looked at in one round trip."""

BATCH = 100
"""Documents deleted in one transaction."""

FIRST = UUID(int=0)

LOST = ["storage.missing", "storage.corrupt"]
"""Codes of jobs that failed because what they had to read is gone: their file is wanted once more."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """What one batch took.

    ``rows`` are the deleted jobs: ``document_id``, ``user_id``, ``raw_path``, ``raw_bytes`` and ``parsed_path``; their
    ``documents``, and those of them that are ``gone``, without any job now; withdrawn ``sources`` of these; the
    ids that their parses have at the service.
    """

    rows: tuple[Row, ...] = ()
    documents: tuple[UUID, ...] = ()
    gone: frozenset[UUID] = frozenset()
    sources: int = 0
    external_ids: tuple[str, ...] = ()


class Versions:
    """Superseded jobs of one ``user``, or of all."""

    def __init__(self, database: Database, user: str | None = None) -> None:
        self._db = database
        self._user = user

    def judged(self) -> Iterator[list[Row]]:
        """Every job, by pages that hold all the jobs of a document.

        ``job_id``, ``document_id``, ``superseded_at`` as marked, ``since`` as found now (None: something shows it, or
        will), ``seconds`` since then, ``raw_bytes``.
        """
        for documents in self._by_document("documents_page", {"user": self._user, "limit": PAGE}):
            yield self._db.rows("superseded", {"document_ids": documents})

    def mark(self, rows: Sequence[Row]) -> int:
        """Writes down since when each of ``rows`` is superseded, or that it is not; returns how many changed."""
        changed = [row for row in rows if row["since"] != row["superseded_at"]]
        if not changed:
            return 0
        values = {"job_ids": [row["job_id"] for row in changed], "since": [row["since"] for row in changed]}
        return self._db.run("mark_superseded", values)

    def expired(self, grace: float) -> Iterator[list[UUID]]:
        """Documents with a job that was marked more than ``grace`` seconds ago, by batches."""
        values = {"grace": grace, "user": self._user, "limit": BATCH}
        return self._by_document("expired_versions", values)

    def delete(self, documents: Sequence[UUID], grace: float) -> Deleted:
        """Deletes the jobs of ``documents`` that have been superseded for ``grace`` seconds, and what is theirs alone.

        Chunks and vectors are not among it: they belong to no job then, see ``Sweeping``.
        """
        return self._db.attempt(lambda conn: _delete(conn, list(documents), grace))

    def abandoned_parse_calls(self, seconds: float) -> Iterator[list[UUID]]:
        """Documents that have no job, and an intent to parse that is older than ``seconds``."""
        values = {"seconds": seconds, "user": self._user, "limit": PAGE}
        return self._by_document("abandoned_parse_calls", values)

    def delete_parse_calls(self, documents: Sequence[UUID]) -> list[str]:
        """Deletes the intents of those of ``documents`` that have no job; the ids of their parses at the service."""
        rows = self._db.rows("delete_parse_calls", {"document_ids": list(documents)})
        return [row["external_id"] for row in rows if row["external_id"]]

    def withdrawn_sources(self, documents: Sequence[UUID]) -> int:
        """How many withdrawn sources ``documents`` have."""
        return int(self._db.rows("count_withdrawn", {"document_ids": list(documents)})[0]["sources"])

    def _by_document(self, name: str, values: Row) -> Iterator[list[UUID]]:
        after = FIRST
        while rows := self._db.rows(name, {**values, "after": after}):
            documents = [row["document_id"] for row in rows]
            yield documents
            after = documents[-1]


def _delete(conn: Conn, documents: list[UUID], grace: float) -> Deleted:
    conn.execute(query("share_serving"), {"document_ids": documents})
    locked = {row["job_id"] for row in conn.execute(query("lock_expired"), {"document_ids": documents, "grace": grace})}
    # A statement of its own, which sees what was committed before the locks: one that came back in between stays.
    judged = conn.execute(query("superseded"), {"document_ids": documents}).fetchall()
    going = [row for row in judged if row["job_id"] in locked and row["since"] and row["seconds"] >= grace]
    if not going:
        return Deleted()
    rows = conn.execute(query("delete_jobs"), {"job_ids": [row["job_id"] for row in going]}).fetchall()
    touched = {"document_ids": sorted({row["document_id"] for row in rows})}
    left = {row["document_id"] for row in conn.execute(query("documents_with_jobs"), touched)}
    sources = conn.execute(query("delete_sources"), touched).rowcount
    calls = conn.execute(query("delete_parse_calls"), touched).fetchall()
    return Deleted(
        tuple(rows),
        tuple(touched["document_ids"]),
        frozenset(touched["document_ids"]) - left,
        sources,
        tuple(row["external_id"] for row in calls if row["external_id"]),
    )
