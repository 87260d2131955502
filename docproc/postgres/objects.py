"""Stored objects as the jobs name them: which are of no job, and which a job lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from docproc.postgres.database import Database
from docproc.postgres.versions import FIRST, LOST
from docproc.states import FAILED, OPEN, Command, claimed_by

MOST_NEEDED = 100_000
"""Jobs whose objects are looked for in one listing: some ten megabytes."""


class Objects:
    """What the jobs of one ``user``, or of all, have in the storage."""

    def __init__(self, database: Database, user: str | None = None) -> None:
        self._db = database
        self._user = user

    def named(self, uris: Sequence[str], documents: Sequence[UUID | None]) -> set[str]:
        """Those of ``uris`` that a job names or may be about to name; ``documents`` are the ids in their names."""
        values = {"uris": list(uris), "document_ids": list(documents)}
        return {uris[row["n"] - 1] for row in self._db.rows("live_objects", values)}

    def validating(self) -> set[str]:
        """Users one of whose documents is being validated: it may be about to name another's parse."""
        states = [str(state) for state in claimed_by(Command.VALIDATE)]
        return {row["user_id"] for row in self._db.rows("users_validating", {"states": states})}

    def needed(self, older: float, documents: Sequence[UUID] | None = None) -> Iterator[Mapping[UUID, str]]:
        """By job the address of what it has still to read, for jobs that are ``older`` seconds; at least one page."""
        before_chunks = (*claimed_by(Command.VALIDATE), *claimed_by(Command.CHUNK))
        values: dict[str, Any] = {
            "with_raw": [str(state) for state in claimed_by(Command.PARSE)],
            "with_parse": [str(state) for state in before_chunks],
            "states": [str(state) for state in (*OPEN, *FAILED)],
            "document_ids": None if documents is None else list(documents),
            "user": self._user,
            "seconds": older,
            "limit": MOST_NEEDED,
        }
        after, full = FIRST, True
        while full:
            rows = self._db.rows("needed_objects", {**values, "after": after})
            yield {row["job_id"]: row["uri"] for row in rows if row["uri"]}
            full = len(rows) == MOST_NEEDED
            after = rows[-1]["job_id"] if rows else FIRST

    def failed_for_lack(self) -> set[UUID]:
        """Jobs that failed because what they had to read was gone or not what was written."""
        values = {"states": [str(state) for state in FAILED], "lost_codes": LOST, "user": self._user}
        return {row["job_id"] for row in self._db.rows("failed_for_lack", values)}

    def mark_lost(self, job_ids: Sequence[UUID]) -> int:
        """Notes that the bytes of these jobs are gone, so that the next ingest of their files stores them again."""
        return self._db.run("mark_lost", {"job_ids": sorted(job_ids)}) if job_ids else 0
