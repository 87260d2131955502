"""The history of deployments, and the turn that one deploy at a time has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from docproc.errors import Exit, ProgramError
from docproc.postgres.database import Database, connect, query


class BusyError(ProgramError):
    """Another deploy is at work on this database."""

    exit_code = Exit.PROBLEMS

    def __init__(self) -> None:
        super().__init__("deploy.busy", "another deploy is at work on this database", why="one at a time")


class Deployments:
    """What was deployed to a database, and when. Where it is not set up yet there is no history, and no error."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keeps every other deploy out. Raises BusyError where one is at work."""
        # A connection of its own: the pool checks and closes those that are idle.
        conn = connect(self._db.conninfo)
        try:
            row = conn.execute(query("deploy_turn")).fetchone()
            if row is None or not row["ours"]:
                raise BusyError
            yield
        finally:
            conn.close()  # and with it the lock, wherever the connection has got to meanwhile

    def give_up_abandoned(self) -> list[dict[str, Any]]:
        """Closes what killed deploys have left open; what they were at. Only for whoever has the turn."""
        return self._db.rows("abandoned_deployments") if self._present() else []

    def last_version(self) -> str:
        """The docproc of the last deployment that ended well; empty when there is none."""
        rows = self._db.rows("last_deployment") if self._present() else []
        return str(rows[0]["version"]) if rows else ""

    def begin(self, version: str, schema: int, profile: str, configuration: str, *, seconds: float) -> int | None:
        """Records a deployment that began ``seconds`` ago; returns its id, None where there is no history yet."""
        if not self._present():
            return None
        values = {"version": version, "schema": schema, "profile": profile, "configuration": configuration}
        return int(self._db.rows("begin_deployment", {**values, "seconds": seconds})[0]["deployment_id"])

    def end(self, deployment: int, outcome: str, schema: int, stopped_at: str | None = None) -> None:
        """Closes it: ``done``, ``rolled back`` or ``failed``, with the schema that is there now."""
        if self._present():  # the way back to nothing takes the history along
            values = {"deployment_id": deployment, "outcome": outcome, "schema": schema, "stopped_at": stopped_at}
            self._db.run("end_deployment", values)

    def _present(self) -> bool:
        return bool(self._db.rows("deployments_exist")[0]["present"])
