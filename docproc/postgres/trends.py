"""What the status page and the metrics read beside the snapshot: hours, days, runs, and the whole ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docproc.postgres.database import Database, query
from docproc.postgres.reads import ONE_MOMENT
from docproc.states import FINAL, State

if TYPE_CHECKING:
    from docproc.postgres.database import Conn

Row = dict[str, Any]

RUNS = 10
"""Runs that are listed."""


class Trends:
    """Read-only sums over time."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def look(self) -> dict[str, list[Row]]:
        """The rows of ``ended_by_hour``, ``bought_by_day`` and ``latest_runs``, all of one moment.

        Raises DatabaseError.
        """
        return self._db.attempt(_look)

    def bought_ever(self) -> list[Row]:
        """``calls`` and ``units`` by provider, operation and unit: sums over the whole ledger, which only grow.

        Reads every row of the ledger: 0.2 s for a million calls. Raises DatabaseError.
        """
        return self._db.rows("bought_ever")


def _look(conn: Conn) -> dict[str, list[Row]]:
    values: dict[str, dict[str, object]] = {
        "ended_by_hour": {"complete": str(State.COMPLETE), "ended": [str(state) for state in FINAL]},
        "bought_by_day": {},
        "latest_runs": {"limit": RUNS},
    }
    conn.execute(ONE_MOMENT)
    return {name: conn.execute(query(name), told or None).fetchall() for name, told in values.items()}
