"""Sources and documents: what ingest knows already and what it adds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from docproc.errors import ConfigError
from docproc.model import Source, document_id
from docproc.postgres.database import Database, query
from docproc.states import INITIAL, State
from docproc.store import Ingested, Target

if TYPE_CHECKING:
    from docproc.postgres.database import Conn, Row


class Catalogue:
    """The catalogue over ``sources`` and ``upload_jobs``."""

    def __init__(self, database: Database, owner: str) -> None:
        self._db = database
        self._owner = owner

    def known(self, target: Target, sources: Sequence[Source]) -> list[Ingested]:
        """Those of ``sources`` that need nothing: same path, same bytes, and a job with this target."""
        ids = [document_id(target.user, source.sha) for source in sources]
        values = {"uris": [source.uri for source in sources], "document_ids": ids, **_target(target)}
        rows = self._db.rows("known_sources", values)
        return [Ingested(sources[row["n"] - 1], ids[row["n"] - 1], "unchanged") for row in rows]

    def add(self, target: Target, source: Source, raw_path: str) -> Ingested:
        """Records a source whose bytes are stored, with its job; the same bytes never make a second job."""
        values = {
            **_target(target),
            "uri": source.uri,
            "document_id": document_id(target.user, source.sha),
            "extension": source.extension,
            "raw_path": raw_path,
            "raw_sha": source.sha,
            "raw_bytes": source.size,
            "initial": str(INITIAL),
            "complete": str(State.COMPLETE),
            "owner": self._owner,
        }

        def write(conn: Conn) -> tuple[Row | None, Row | None]:
            job = conn.execute(query("add_job"), values).fetchone()
            return job, conn.execute(query("add_source"), values).fetchone()

        job, row = self._db.attempt(write)
        assert row is not None
        outcome = "duplicate" if job is None else "new" if row["is_new"] else "changed"
        return Ingested(source, document_id(target.user, source.sha), outcome)

    def record_providers(self, *, parser: str, embedder: str) -> None:
        """Records whether this database is used with ``mock`` or ``real`` services; the first word holds for ever.

        Raises ConfigError when the database is used with the other kind: mock and real vectors must not mix.
        """
        rows = self._db.rows("providers")
        if not rows:
            self._db.run("record_providers", {"parser": parser, "embedder": embedder})
            rows = self._db.rows("providers")
        (row,) = rows
        for what, have, now in (("parser", row["parser_kind"], parser), ("embedder", row["embedder_kind"], embedder)):
            if have != now:
                raise ConfigError(
                    "config.mixed_providers",
                    f"this database holds documents of a {have} {what}, the settings name a {now} one",
                    why="mock and real results in one database could not be told apart",
                )


def _target(target: Target) -> dict[str, object]:
    return {
        "user": target.user,
        "chunks_version": target.chunks_version,
        "embed_model": target.embed_model,
        "embed_version": target.embed_version,
    }
