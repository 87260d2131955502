"""Taking one document out of every table, at once and whatever shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from docproc.errors import GuardError
from docproc.postgres.database import Database, query

if TYPE_CHECKING:
    from docproc.postgres.database import Conn


@dataclass(frozen=True, slots=True)
class Meant:
    """What is to be forgotten: ``documents`` with all their sources, and the source ``uri`` where one is named."""

    user: str
    documents: tuple[UUID, ...]
    uri: str | None = None

    @property
    def values(self) -> dict[str, object]:
        """As the statements name them."""
        return {"user": self.user, "document_ids": list(self.documents), "uri": self.uri}


class Forgetting:
    """Removes documents from the tables, and proves it."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def documents_of(self, user: str, uri: str) -> tuple[list[UUID], list[UUID]]:
        """The documents that the source ``uri`` has or had: its own alone, and those that another source has too."""
        rows = self._db.rows("forget_targets", {"user": user, "uri": uri})
        own, shared = (
            [row["document_id"] for row in rows if row["is_shared"] is is_shared] for is_shared in (False, True)
        )
        return own, shared

    def traces(self, meant: Meant) -> dict[str, int]:
        """How many rows there are of what is ``meant``, by table, zeros too."""
        return {row["name"]: row["rows"] for row in self._db.rows("document_traces", meant.values)}

    def external_ids(self, meant: Meant) -> list[str]:
        """The names that the documents' parses have at the service."""
        return [row["external_id"] for row in self._db.rows("external_parses", meant.values)]

    def borrowed(self, meant: Meant, uris: Sequence[str]) -> list[tuple[str, str]]:
        """Parses under ``uris`` that other documents name as theirs, each with the address of that document's own."""
        rows = self._db.rows("borrowed_parses", {**meant.values, "uris": list(uris)})
        return [(row["uri"], row["own"]) for row in rows]

    def refuse_held(self, meant: Meant) -> None:
        """Raises GuardError ``cleanup.in_flight`` when somebody works on one of the documents."""
        self._db.attempt(lambda conn: _lock(conn, meant))

    def forget(self, meant: Meant, uris: Sequence[str]) -> None:
        """Deletes sources, jobs with their history and intents to parse, in one transaction. Raises as ``refuse_held``.

        Other documents that name a parse under ``uris`` name their own then. The ledger of calls stays.
        """

        def write(conn: Conn) -> None:
            conn.execute(query("share_serving"), meant.values)
            jobs = _lock(conn, meant)
            conn.execute(query("own_parses"), {**meant.values, "uris": list(uris)})
            conn.execute(query("forget_sources"), meant.values)
            conn.execute(query("delete_jobs"), {"job_ids": jobs})
            conn.execute(query("forget_parse_calls"), meant.values)

        self._db.attempt(write)


def _lock(conn: Conn, meant: Meant) -> list[UUID]:
    rows = conn.execute(query("lock_documents"), meant.values).fetchall()
    held = next((row for row in rows if row["is_held"]), None)
    if held is not None:
        what = f"a run is at work on {held['source']}"
        raise GuardError("cleanup.in_flight", what, why=f"claimed by {held['claimed_by']}")
    return [row["job_id"] for row in rows]
