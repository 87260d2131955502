"""The search over live, complete documents: by their vectors, or by vectors and words together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docproc.model import Hit
from docproc.postgres.database import Database, query

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from docproc.postgres.database import Conn, Row


class Search:
    """Asks the functions that applications can call too; the rules of ranking stand there."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def search(
        self,
        vector: NDArray[np.float32],
        *,
        user: str,
        model: str,
        version: str,
        limit: int,
        source: str | None = None,
        words: str | None = None,
    ) -> list[Hit]:
        """The best chunks, at most ``limit``: by cosine; with ``words`` by reciprocal rank of that and of full text.

        ``vector`` has shape (dimensions,); ``source`` is a LIKE pattern.
        """
        values = {"query": vector, "user": user, "model": model, "version": version, "limit": limit, "source": source}
        name = "search" if words is None else "search_hybrid"

        def look(conn: Conn) -> list[Row]:
            self._db.know_vectors(conn)
            return conn.execute(query(name), values | {"words": words}).fetchall()

        rows = self._db.attempt(look)
        return [Hit(**{**row, "heading_path": tuple(row["heading_path"])}) for row in rows]
