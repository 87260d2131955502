"""When the next call to a provider may be sent: one row a limit, shared by all processes."""

from __future__ import annotations

from docproc.postgres.database import Database


class RateLimits:
    """The limits over ``rate_limits``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def reserve(self, name: str, *, seconds: float, burst: float, patience: float) -> float:
        """Takes ``seconds`` of the limit and returns in how many seconds they begin, 0 at once."""
        values = {"name": name, "seconds": seconds, "burst": burst, "patience": patience}
        return max(0.0, float(self._db.rows("reserve", values)[0]["seconds"]))

    def pause(self, name: str, seconds: float) -> None:
        """Nobody may send before ``seconds`` have passed."""
        self._db.run("pause_limit", {"name": name, "seconds": seconds})
