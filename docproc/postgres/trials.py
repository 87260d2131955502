"""Trials in the database: what became of a user's documents, and their removal without a trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from docproc.postgres.database import Database, query

if TYPE_CHECKING:
    from docproc.postgres.database import Conn

PREFIX = "docproc-trial-"
"""How the name of every user begins whose documents are there to be looked at and removed."""


TRIAL_PRIORITY = 1_000_000
"""Of a trial's jobs: a claim finds them at the beginning of its index, however many others are due."""


def command(user: str) -> str:
    """The command that the receipt of a trial's run names."""
    return f"trial {user}"


class Trials:
    """Documents of users that exist for one trial each."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def samples(self, user: str) -> list[dict[str, Any]]:
        """A row for each source of ``user``, by its path."""
        return self._db.rows("trial_samples", {"user": user})

    def calls(self, user: str) -> list[dict[str, Any]]:
        """What the documents of ``user`` cost: ``provider``, ``operation``, ``unit``, ``calls``, ``units``."""
        return self._db.rows("trial_calls", {"user": user})

    def in_use(self) -> bool:
        """Whether the database is known to be used with mock or with real services."""
        return bool(self._db.rows("providers"))

    def remove(self, user: str) -> list[UUID]:
        """Removes every row of ``user``; returns the ids of the documents. Raises ValueError for no trial's user."""
        if not user.startswith(PREFIX):
            raise ValueError(f"{user} is no trial's user")
        values = {"user": user, "command": command(user)}

        def write(conn: Conn) -> list[UUID]:
            # First the jobs are locked, so that what a worker has just written is seen by the statement that removes.
            documents = [row["document_id"] for row in conn.execute(query("trial_documents"), values)]
            conn.execute(query("remove_trial"), values)
            return documents

        return self._db.attempt(write)

    def forget_providers(self) -> None:
        """Forgets with which kind of services the database is used, where no job says so."""
        self._db.run("forget_providers")

    def traces(self, user: str, documents: Sequence[UUID]) -> dict[str, int]:
        """Rows that are left of ``user`` and of its ``documents``, by table; empty when there are none."""
        values = {"user": user, "command": command(user), "document_ids": list(documents)}
        return {row["name"]: row["rows"] for row in self._db.rows("trial_traces", values) if row["rows"]}

    def left_behind(self, seconds: float) -> list[str]:
        """Users of trials that were killed: nothing of them has changed for ``seconds``."""
        rows = self._db.rows("old_trials", {"pattern": f"{PREFIX}%", "seconds": seconds})
        return [row["user_id"] for row in rows]
