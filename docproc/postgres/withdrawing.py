"""Sources whose files are gone: which are live under a folder, and hiding them from readers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from docproc.postgres.database import Database

PAGE = 1_000
"""Sources read or withdrawn in one transaction."""


class Withdrawing:
    """What ``sync`` asks of the table of sources, for one ``user``."""

    def __init__(self, database: Database, user: str) -> None:
        self._db = database
        self._user = user

    def now(self) -> datetime:
        """The time by the database's clock, the only one that rows are compared with."""
        now: datetime = self._db.rows("database_time")[0]["now"]
        return now

    def live_under(self, folder: str) -> Iterator[str]:
        """The paths of the live sources below the absolute ``folder``, by pages: never all of them in memory."""
        values = {"user": self._user, "prefix": f"{folder.rstrip('/')}/", "limit": PAGE}
        after = ""
        while rows := self._db.rows("live_under", {**values, "after": after}):
            yield from (row["uri"] for row in rows)
            after = rows[-1]["uri"]

    def withdraw(self, uris: Sequence[str], *, asked_at: datetime) -> int:
        """Hides the sources of ``uris`` in one transaction, but for those that came in since ``asked_at``; how many."""
        return self._db.run("withdraw", {"user": self._user, "uris": list(uris), "asked_at": asked_at})
