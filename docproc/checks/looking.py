"""Looks into the database: one statement in a transaction that only reads and soon ends, tried once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from docproc.checks import SECONDS, Deployment
from docproc.postgres.database import query

if TYPE_CHECKING:
    from docproc.postgres.database import Conn


def look(
    it: Deployment,
    name: str,
    values: Mapping[str, object] | None = None,
    *,
    seconds: float = SECONDS,
    in_full: bool = False,
) -> list[dict[str, Any]]:
    """The rows of the statement ``name``; ``in_full`` has the server write every name with its schema."""
    with it.app.database.transaction() as conn:
        only_read(conn, seconds)
        if in_full:
            conn.execute(query("names_in_full"))
        return conn.execute(query(name), values).fetchall()


def only_read(conn: Conn, seconds: float = SECONDS) -> None:
    """Makes the transaction of ``conn`` refuse to write, to wait for a lock, and to run on when nobody listens."""
    # A little less than the check itself: the server's own word says more than "no answer".
    conn.execute(query("only_read"), {"milliseconds": str(int(seconds * 900))})
