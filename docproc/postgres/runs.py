"""The receipt of a run: written when the run first has something to do, closed at its end."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from uuid import UUID

from psycopg.types.json import Jsonb

from docproc.postgres.database import Database


class Runs:
    """The receipt of this process's run; a run that finds nothing to do writes nothing."""

    def __init__(self, database: Database, owner: str, run_id: UUID) -> None:
        self._db = database
        self._owner = owner
        self.run_id = run_id
        self._lock = threading.Lock()
        self._begun = False

    def begin(self, command: str, profile: str) -> None:
        """Writes the receipt, once."""
        with self._lock:
            if not self._begun:
                values = {"run_id": self.run_id, "command": command, "profile": profile, "owner": self._owner}
                self._db.run("begin_run", values)
                self._begun = True

    def end(self, exit_code: int, summary: Mapping[str, object]) -> None:
        """Closes the receipt, if there is one."""
        if self._begun:
            self._db.run("end_run", {"run_id": self.run_id, "exit_code": exit_code, "summary": Jsonb(dict(summary))})
