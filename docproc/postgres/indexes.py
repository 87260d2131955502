"""The index on the vectors of one model: built once after a first bulk load, kept by Postgres from then on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psycopg

from docproc.errors import DatabaseError
from docproc.postgres.database import Database, connect, query
from docproc.redaction import words_of

if TYPE_CHECKING:
    from docproc.postgres.database import Conn
    from docproc.settings import SearchSettings

MOST_DIMENSIONS = {"hnsw": 2000, "halfvec": 4000}
"""What pgvector indexes, by kind of index."""

_BYTES = {"hnsw": 4, "halfvec": 2}
_GRAPH = 4 / 3
"""Memory of a vector in a graph under construction beside its own size: 8.2 KB were measured for one of 6.1 KB."""


@dataclass(frozen=True, slots=True)
class IndexState:
    """Where the index stands: ``whole``, ``absent``, ``few`` (vectors), ``unfinished``, ``failed``, or ``none`` wanted.

    ``kind`` is hnsw, halfvec or none; ``built`` says whether this very call built it; ``why`` is for people.
    """

    kind: str
    state: str
    built: bool = False
    why: str = ""


def kind_for(wanted: str, dimensions: int) -> str:
    """The kind of index that ``dimensions`` allow: halfvec above 2,000, none above 4,000."""
    kinds = {"hnsw": ("hnsw", "halfvec"), "halfvec": ("halfvec",)}.get(wanted, ())
    return next((kind for kind in kinds if dimensions <= MOST_DIMENSIONS[kind]), "none")


class Indexes:
    """Looks after the index; nothing here raises an error of the database, because no run may fail for an index."""

    def __init__(self, database: Database, settings: SearchSettings) -> None:
        self._db = database
        self._settings = settings
        self._building: Conn | None = None
        self._stopped = False

    def state(self, model: str, version: str, dimensions: int) -> IndexState:
        """Where the index of this model and version stands."""
        kind = kind_for(self._settings.index, dimensions)
        if kind == "none":
            return IndexState(kind, "none", why=self._why_none(dimensions))
        (found,) = self._db.rows("vector_index", _key(model, version, kind))
        return IndexState(kind, {True: "whole", False: "unfinished", None: "absent"}[found["whole"]])

    def analyze(self) -> bool:
        """Has the server look at what was written, if that is much; True when it did."""
        try:
            (found,) = self._db.rows("needs_statistics")
            if found["needed"]:
                self._db.run("analyze")
        except (psycopg.Error, DatabaseError):
            return False
        return bool(found["needed"])

    def keep(self, model: str, version: str, dimensions: int) -> IndexState:
        """Builds the index unless it exists, is being built elsewhere, or has too few vectors to be worth it."""
        kind = kind_for(self._settings.index, dimensions)
        try:
            before = self.state(model, version, dimensions)
            if before.state in ("none", "whole") or self._stopped:
                return before
            (counted,) = self._db.rows("count_vectors", {"model": model, "version": version})
            if counted["vectors"] < self._settings.index_from:
                why = f"{counted['vectors']} vectors of the {self._settings.index_from} from which on it is built"
                return IndexState(kind, "few", why=why)
            (way,) = self._db.rows("make_way_for_index", _key(model, version, kind))
            if way["free"]:
                self._build(model, version, kind, self._memory(counted["vectors"], dimensions, kind))
            after = self.state(model, version, dimensions)
            if after.state == "whole":
                return replace(after, built=way["free"])
            return replace(
                after, state="unfinished", why="the build was stopped" if way["free"] else "it is being built"
            )
        except psycopg.errors.InsufficientPrivilege:
            why = "only the owner of the tables can build it: docproc embed, once, with that role"
            return IndexState(kind, "unfinished", why=why)
        except (psycopg.Error, DatabaseError) as error:
            return IndexState(kind, "failed", why=words_of(error))

    def stop(self) -> None:
        """Ends a build that is under way, from a signal or another thread; the next run begins it anew."""
        self._stopped = True
        if self._building is not None:
            self._building.cancel_safe(timeout=5)

    def _build(self, model: str, version: str, kind: str, memory_kb: int) -> None:
        (wanted,) = self._db.rows("vector_index", _key(model, version, kind))
        try:
            with connect(self._db.conninfo) as conn:
                conn.autocommit = True
                direct = _prepare(conn, memory_kb)
                self._building = conn
                if self._stopped:
                    return
                try:
                    conn.execute(wanted["statement"].encode())
                except psycopg.errors.DiskFull:
                    if not direct:
                        raise
                    conn.execute(query("drop_unfinished_index"), _key(model, version, kind))
                    conn.execute(query("build_alone"))
                    conn.execute(wanted["statement"].encode())
        finally:
            self._building = None
            self._db.run("end_build", {"name": wanted["name"]})

    def _memory(self, vectors: int, dimensions: int, kind: str) -> int:
        """kB that hold the whole graph, as far as the settings allow; a build with less takes many times longer."""
        needed = int(vectors * dimensions * _BYTES[kind] * _GRAPH)
        return min(needed, self._settings.build_memory) // 1024

    def _why_none(self, dimensions: int) -> str:
        if self._settings.index == "none":
            return '[search] index = "none": search is exact'
        most = MOST_DIMENSIONS["halfvec"]
        return f"{dimensions} dimensions: no index has more than {most}, search is exact"


def _prepare(conn: Conn, memory_kb: int) -> bool:
    """Gives the session memory to build with; not behind a pooler, where the session is not ours: False then."""
    facts = conn.execute(query("build_session")).fetchone()
    assert facts is not None
    # A pooler answers with a process number of its own when a client connects.
    direct = bool(facts["pid"] == conn.info.backend_pid)
    if direct:
        conn.execute(query("prepare_build"), {"memory_kb": max(facts["memory_kb"], memory_kb)})
    return direct


def _key(model: str, version: str, kind: str) -> dict[str, object]:
    return {"model": model, "version": version, "kind": kind}
