"""Sources and documents: what ingest knows already and what it adds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from psycopg.types.json import Jsonb

from docproc.errors import ConfigError
from docproc.model import Source, document_id
from docproc.postgres.database import Database, query
from docproc.postgres.versions import LOST
from docproc.states import INITIAL, Command, State, claimed_by, transition_from
from docproc.store import Ingested, Switch, Target

if TYPE_CHECKING:
    from docproc.postgres.database import Conn, Row


class Catalogue:
    """The catalogue over ``sources`` and ``upload_jobs``; new jobs have ``priority``."""

    def __init__(self, database: Database, owner: str, *, priority: int = 0) -> None:
        self._db = database
        self._owner = owner
        self._priority = priority

    def known(self, target: Target, sources: Sequence[Source]) -> list[Ingested]:
        """Those of ``sources`` that need nothing: same path, same bytes, still stored, a job with this target."""
        ids = [document_id(target.user, source.sha) for source in sources]
        uris = [source.uri for source in sources]
        values = {"uris": uris, "document_ids": ids, "lost_codes": LOST, **target_values(target)}

        def read(conn: Conn) -> list[Row]:
            conn.execute(query("go_by_index"))
            return conn.execute(query("known_sources"), values).fetchall()

        rows = self._db.attempt(read)
        return [Ingested(sources[row["n"] - 1], ids[row["n"] - 1], "unchanged") for row in rows]

    def add_all(self, target: Target, brought: Sequence[tuple[Source, str]]) -> list[Ingested]:
        """Records sources whose bytes are stored, with their jobs; the same bytes never make a second job."""
        ids = [document_id(target.user, source.sha) for source, _ in brought]
        rows = [_source(n, *pair, ids[n]) for n, pair in enumerate(brought)]

        def write(conn: Conn) -> tuple[set[UUID], set[UUID], dict[str, Row]]:
            conn.execute(query("go_by_index"))
            restored = {row["document_id"] for row in conn.execute(query("take_up"), self._taken_up(ids))}
            made = self._add_jobs(conn, target, rows)
            conn.execute(query("lock_jobs"), {"document_ids": ids})
            values = {**target_values(target), "sources": Jsonb(rows), "complete": State.COMPLETE}
            added = conn.execute(query("add_sources"), values).fetchall()
            return made, restored, {row["uri"]: row for row in added}

        made, restored, added = self._db.attempt(write)
        told = []
        for (source, _), document in zip(brought, ids, strict=True):
            outcome = _outcome(added[source.uri], made=document in made, restored=document in restored)
            made.discard(document)  # the next path with the same bytes is a duplicate
            told.append(Ingested(source, document, outcome))
        return told

    def rebuild(self, target: Target) -> int:
        """Makes a job with ``target`` for every document that is shown with another model; returns how many."""

        def write(conn: Conn) -> int:
            rows = conn.execute(query("shown_elsewhere"), target_values(target)).fetchall()
            sources = [{**row, "document_id": str(row["document_id"]), "n": n} for n, row in enumerate(rows)]
            return len(self._add_jobs(conn, target, sources))

        return self._db.attempt(write)

    def switch(self, target: Target) -> Switch:
        """Shows all documents of the user with the model of ``target``, in one transaction, once none is without it."""
        if self.serving(target.user) in (None, target.model):
            return Switch()
        values = {**target_values(target), "complete": State.COMPLETE}

        def write(conn: Conn) -> Switch:
            conn.execute(query("lock_serving"), values)
            (row,) = conn.execute(query("switch_model"), values).fetchall()
            return Switch(**row)

        return self._db.attempt(write)

    def serving(self, user: str) -> tuple[str, str] | None:
        """Model and version that ``user`` is searched with; None before the first document is complete."""
        rows = self._db.rows("serving", {"user": user})
        return (rows[0]["embed_model"], rows[0]["embed_version"]) if rows else None

    def _taken_up(self, ids: Sequence[UUID]) -> dict[str, object]:
        return {
            "document_ids": list(ids),
            "lost_codes": LOST,
            "judged": claimed_by(Command.VALIDATE)[0],
            "handed_in": claimed_by(Command.PARSE)[-1],
            "owner": self._owner,
        }

    def _add_jobs(self, conn: Conn, target: Target, rows: Sequence[Row]) -> set[UUID]:
        # Locked before the look at them: a job that cleanup is about to delete must not be built upon.
        conn.execute(query("lock_jobs"), {"document_ids": [UUID(row["document_id"]) for row in rows]})
        values = {
            **target_values(target),
            **begins(),
            "sources": Jsonb(rows),
            "initial": INITIAL,
            "owner": self._owner,
            "priority": self._priority,
        }
        return {row["document_id"] for row in conn.execute(query("add_jobs"), values)}

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


def begins() -> dict[str, object]:
    """Where a job of a known document begins: at its validated parse, or at its chunks, which some states have."""
    reached = claimed_by(Command.EMBED)
    return {
        "validated": claimed_by(Command.CHUNK)[0],
        "chunked": reached[0],
        "with_chunks": [*reached, State.COMPLETE, transition_from(reached[0]).failure],
    }


def _outcome(row: Row, *, made: bool, restored: bool) -> str:
    if made:
        return "new" if row["is_new"] else "changed"
    if restored:
        return "restored"
    return "returned" if row["is_back"] else "duplicate"


def _source(n: int, source: Source, raw_path: str, document: UUID) -> Row:
    return {
        "n": n,
        "document_id": str(document),
        "uri": source.uri,
        "extension": source.extension,
        "raw_path": raw_path,
        "raw_sha": source.sha,
        "raw_bytes": source.size,
    }


def target_values(target: Target) -> dict[str, object]:
    """A target as the statements name its parts."""
    return {
        "user": target.user,
        "chunks_version": target.chunks_version,
        "embed_model": target.embed_model,
        "embed_version": target.embed_version,
    }
