"""Trials in the database: what became of a user's documents, and their removal without a trace."""

from __future__ import annotations

from typing import Any

from docproc.postgres.database import Database

PREFIX = "docproc-trial-"
"""How the name of every user begins whose documents are there to be looked at and removed."""


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

    def remove(self, user: str) -> None:
        """Removes every row of ``user``. Raises ValueError for a user who is not a trial's."""
        if not user.startswith(PREFIX):
            raise ValueError(f"{user} is no trial's user")
        self._db.run("remove_trial", {"user": user, "command": command(user)})

    def forget_providers(self) -> None:
        """Forgets with which kind of services the database is used, where no job says so."""
        self._db.run("forget_providers")

    def traces(self, user: str) -> dict[str, int]:
        """Rows that are left of ``user``, by table; empty when there are none."""
        rows = self._db.rows("trial_traces", {"user": user, "command": command(user)})
        return {row["name"]: row["rows"] for row in rows if row["rows"]}

    def left_behind(self, seconds: float) -> list[str]:
        """Users of trials that were killed: nothing of them has changed for ``seconds``."""
        rows = self._db.rows("old_trials", {"pattern": f"{PREFIX}%", "seconds": seconds})
        return [row["user_id"] for row in rows]
