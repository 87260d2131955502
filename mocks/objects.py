"""Keeps the buckets and objects of the mock storage: bytes in files of a folder, everything else in the state file."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

FIRST_BUCKET = "docproc"
"""The bucket that is there from the beginning: the default of ``[storage] bucket``."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (
    id TEXT PRIMARY KEY, public INTEGER NOT NULL, max_bytes INTEGER, types TEXT, created REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL, version TEXT NOT NULL, size INTEGER NOT NULL,
    md5 TEXT NOT NULL, type TEXT NOT NULL, cache_control TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL,
    PRIMARY KEY (bucket, name)
);
CREATE INDEX IF NOT EXISTS objects_by_lower_name ON objects (bucket, lower(name));
"""

# What stands in one folder: a folder in it once, whatever its case, under the name that comes first; and the objects.
_ENTRIES = """
WITH inside AS (
    SELECT *, substr(name, length(:prefix) + 1) AS rest FROM objects
    WHERE bucket = :bucket AND lower(name) >= lower(:prefix) AND (:prefix = '' OR lower(name) < lower(:beyond))
),
entries AS (
    SELECT substr(rest, 1, instr(rest, '/') - 1) AS entry, lower(substr(rest, 1, instr(rest, '/'))) AS place, 0 AS leaf,
           min(lower(name)), NULL AS id, NULL AS size, NULL AS md5, NULL AS type, NULL AS cache_control,
           NULL AS created, NULL AS updated
    FROM inside WHERE instr(rest, '/') > 0 GROUP BY place
    UNION ALL
    SELECT rest, lower(rest), 1, NULL, id, size, md5, type, cache_control, created, updated
    FROM inside WHERE instr(rest, '/') = 0
)
"""
_ORDERS = {"name": "place {0}", "created_at": "leaf, created {0}, place", "updated_at": "leaf, updated {0}, place"}
_ORDERS["last_accessed_at"] = _ORDERS["created_at"]


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket and what it takes: objects of ``max_bytes`` at most, of the media ``types``; None is no limit."""

    id: str
    public: bool = False
    max_bytes: int | None = None
    types: tuple[str, ...] | None = None
    created: float = 0.0


@dataclass(frozen=True, slots=True)
class Stored:
    """An object. ``version`` names its file, ``md5`` is of its bytes in hex; times are in seconds of the Unix epoch."""

    bucket: str
    name: str
    id: str
    version: str
    size: int
    md5: str
    type: str
    cache_control: str
    created: float
    updated: float


@dataclass(frozen=True, slots=True)
class Entry:
    """What a folder holds: an object by the last part of its name, or another folder, which has no more than a name."""

    entry: str
    id: str | None
    size: int | None
    md5: str | None
    type: str | None
    cache_control: str | None
    created: float | None
    updated: float | None


class Incoming:
    """Bytes on their way in. They are no object before ``Objects.keep``."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.size = 0
        self.kept = False
        self._file = file
        self._md5 = hashlib.md5(usedforsecurity=False)

    def write(self, data: bytes) -> None:
        """Adds ``data`` at the end."""
        self._file.write(data)
        self._md5.update(data)
        self.size += len(data)

    def end(self) -> str:
        """Closes the file; the MD5 of what was written, in hex."""
        self._file.close()
        return self._md5.hexdigest()


class Objects:
    """The buckets and objects whose rows stand in ``db`` and whose bytes stand in ``folder``.

    A row makes a file an object; a file without one, as a kill leaves it, is removed at the next start.
    """

    def __init__(self, db: sqlite3.Connection, folder: Path) -> None:
        self._db = db
        self._folder = folder
        db.executescript(_SCHEMA)
        self.add_bucket(Bucket(FIRST_BUCKET))
        self._sweep()

    def _sweep(self) -> None:
        if self._folder.is_dir():
            known = {version for (version,) in self._db.execute("SELECT version FROM objects")}
            for path in self._folder.iterdir():
                if path.name not in known:
                    path.unlink()

    # ── buckets ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def add_bucket(self, bucket: Bucket) -> bool:
        """Makes the bucket; False when there is one of that name."""
        types = None if bucket.types is None else json.dumps(bucket.types)
        values = (bucket.id, bucket.public, bucket.max_bytes, types, time.time())
        return self._db.execute("INSERT OR IGNORE INTO buckets VALUES (?, ?, ?, ?, ?)", values).rowcount == 1

    def bucket(self, id_: str) -> Bucket | None:
        """The bucket of that name."""
        row = self._db.execute("SELECT * FROM buckets WHERE id = ?", (id_,)).fetchone()
        return None if row is None else _bucket(row)

    def buckets(self) -> list[Bucket]:
        """All of them."""
        return [_bucket(row) for row in self._db.execute("SELECT * FROM buckets ORDER BY id")]

    # ── objects ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def receive(self) -> Iterator[Incoming]:
        """Takes bytes in; unless they are kept, nothing stays of them."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / str(uuid4())
        with path.open("xb") as file:
            incoming = Incoming(path, file)
            try:
                yield incoming
            finally:
                if not incoming.kept:
                    path.unlink()

    def keep(self, incoming: Incoming, bucket: str, name: str, type_: str, cache_control: str) -> Stored:
        """Makes all that came in the object of that name, replacing what was there."""
        md5, now, before = incoming.end(), time.time(), self.find(bucket, name)
        id_, created = (before.id, before.created) if before else (str(uuid4()), now)
        values = (bucket, name, id_, incoming.path.name, incoming.size, md5, type_, cache_control, created, now)
        self._db.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        incoming.kept = True
        if before:
            (self._folder / before.version).unlink()
        return Stored(*values)

    def find(self, bucket: str, name: str) -> Stored | None:
        """The object of that name."""
        row = self._db.execute("SELECT * FROM objects WHERE bucket = ? AND name = ?", (bucket, name)).fetchone()
        return None if row is None else Stored(*row)

    def open(self, stored: Stored) -> BinaryIO:
        """Its bytes, from the first; they stay readable when the object is replaced or removed meanwhile."""
        return (self._folder / stored.version).open("rb")

    def backdate(self, bucket: str, name: str, age: float) -> None:
        """Lets the object have been written ``age`` seconds ago."""
        self._db.execute(
            "UPDATE objects SET updated = ? WHERE bucket = ? AND name = ?", (time.time() - age, bucket, name)
        )

    def remove(self, bucket: str, names: Iterable[str]) -> list[Stored]:
        """Removes the objects of these names; those that there were."""
        found = [stored for name in names if (stored := self.find(bucket, name))]
        for stored in found:
            self._db.execute("DELETE FROM objects WHERE version = ?", (stored.version,))
            (self._folder / stored.version).unlink()
        return found

    def entries(
        self, bucket: str, prefix: str, *, limit: int, offset: int, column: str = "name", order: str = "asc"
    ) -> list[Entry]:
        """What stands in the folder ``prefix`` ("" or ending in a slash), whose case does not matter.

        Sorted by name they stand as their whole names do, in lower case; sorted by a time, folders come first.
        Raises KeyError for a ``column`` that is none.
        """
        ordered = _ORDERS[column].format("DESC" if order == "desc" else "ASC")
        columns = "entry, id, size, md5, type, cache_control, created, updated"
        query = f"{_ENTRIES} SELECT {columns} FROM entries ORDER BY {ordered} LIMIT :limit OFFSET :offset"  # noqa: S608
        values: dict[str, Any] = {"bucket": bucket, "prefix": prefix, "limit": limit, "offset": offset}
        # The character after the slash: the first name beyond all that begin with the prefix.
        values["beyond"] = f"{prefix[:-1]}0"
        return [Entry(*row) for row in self._db.execute(query, values)]


def _bucket(row: sqlite3.Row) -> Bucket:
    types = None if row["types"] is None else tuple(json.loads(row["types"]))
    return Bucket(row["id"], bool(row["public"]), row["max_bytes"], types, row["created"])
