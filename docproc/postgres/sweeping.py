"""Removing rows that belong to nothing."""

from __future__ import annotations

from docproc.postgres.database import Database


class Sweeping:
    """Deletes, or counts, chunks and vectors that no job names."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def orphaned_vectors(self, *, dry_run: bool) -> int:
        """Vectors of a model and version that no job of their document has."""
        return self._sweep("orphaned_vectors", dry_run=dry_run)

    def orphaned_chunks(self, *, dry_run: bool) -> int:
        """Chunks of a chunker that no job of their document has; their vectors go with them."""
        return self._sweep("orphaned_chunks", dry_run=dry_run)

    def _sweep(self, name: str, *, dry_run: bool) -> int:
        if dry_run:
            return int(self._db.rows(f"count_{name}")[0]["orphans"])
        return self._db.run(f"delete_{name}")
