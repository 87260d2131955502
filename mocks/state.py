"""Keeps the mock services' files, jobs, objects, bill and log in an SQLite file, so that they outlive every process."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .objects import Objects

RETENTION_SECONDS = 48 * 3600
"""How long LlamaParse keeps a source file and may answer the same request from its cache."""

LOG_ROWS = 200_000
"""Older rows of the log are dropped at start."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, external_id TEXT, purpose TEXT, sha TEXT NOT NULL, data BLOB NOT NULL,
    created REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS jobs (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, file_id TEXT NOT NULL, name TEXT NOT NULL, sha TEXT NOT NULL,
    tier TEXT NOT NULL, metadata TEXT, client_ref TEXT NOT NULL, cache_key TEXT NOT NULL, origin TEXT,
    faults TEXT NOT NULL, created REAL NOT NULL, ready REAL NOT NULL,
    ended TEXT, error TEXT, pages TEXT, billed INTEGER, settled REAL
);
CREATE INDEX IF NOT EXISTS jobs_by_cache_key ON jobs (cache_key, created);
CREATE INDEX IF NOT EXISTS jobs_open ON jobs (ready) WHERE ended IS NULL;
CREATE TABLE IF NOT EXISTS embeddings (
    seq INTEGER PRIMARY KEY, at REAL NOT NULL, model TEXT NOT NULL, inputs INTEGER NOT NULL, tokens INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS log (
    seq INTEGER PRIMARY KEY, at REAL NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, operation TEXT NOT NULL,
    status INTEGER NOT NULL, faults TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class File:
    """An uploaded file; ``created`` is in seconds of the Unix epoch."""

    id: str
    name: str
    external_id: str | None
    purpose: str | None
    sha: str
    data: bytes
    created: float


@dataclass(frozen=True, slots=True)
class Job:
    """A parse job. ``faults`` maps a fault's name to its options; ``ended`` is its final state once settled.

    ``pages`` is the stored result, ``billed`` the pages that were charged for; times are in seconds of the Unix epoch.
    """

    seq: int
    id: str
    file_id: str
    name: str
    sha: str
    tier: str
    metadata: Mapping[str, str] | None
    client_ref: str
    cache_key: str
    origin: str | None
    faults: Mapping[str, Mapping[str, Any]]
    created: float
    ready: float
    ended: str | None = None
    error: str | None = None
    pages: tuple[Mapping[str, Any], ...] = ()
    billed: int | None = None
    settled: float | None = None


class State:
    """The SQLite file. One process writes it; killing that process at any moment loses nothing that was answered."""

    def __init__(self, path: Path | None) -> None:
        """Opens ``path``, or a database in memory for None; the bytes of stored objects are in a folder beside it."""
        self._temporary = None if path else tempfile.TemporaryDirectory(prefix="docproc-mocks-")
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        # Against kill -9 the operating system's cache is enough: no wait for the disk.
        for pragma in ("journal_mode=WAL", "synchronous=OFF", "busy_timeout=5000"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SCHEMA)
        self._forget()
        folder = Path(self._temporary.name) if self._temporary else Path(f"{path}-objects")
        self.objects = Objects(self._db, folder)

    def _forget(self) -> None:
        self._db.execute("DELETE FROM log WHERE seq <= (SELECT max(seq) FROM log) - ?", (LOG_ROWS,))
        self._db.execute(
            "DELETE FROM files WHERE created < ? AND id NOT IN (SELECT file_id FROM jobs WHERE ended IS NULL)",
            (time.time() - RETENTION_SECONDS,),
        )

    def close(self) -> None:
        """Closes the file; nothing is left to be written."""
        self._db.close()
        if self._temporary:
            self._temporary.cleanup()

    # ── files and jobs ──────────────────────────────────────────────────────────────────────────────────────────────

    def add_file(self, file: File) -> None:
        """Stores an upload."""
        values = (file.id, file.name, file.external_id, file.purpose, file.sha, file.data, file.created)
        self._db.execute("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def file(self, id_: str) -> File | None:
        """The uploaded file, or None when it was never uploaded or its retention is over."""
        row = self._db.execute("SELECT * FROM files WHERE id = ?", (id_,)).fetchone()
        return None if row is None else File(**dict(row))

    def add_job(self, job: Job) -> None:
        """Stores an accepted job; its ``seq`` is given by the file."""
        self._db.execute(
            "INSERT INTO jobs (id, file_id, name, sha, tier, metadata, client_ref, cache_key, origin, faults, created,"
            " ready) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(job.id, job.file_id, job.name, job.sha, job.tier),
                None if job.metadata is None else json.dumps(job.metadata),
                *(job.client_ref, job.cache_key, job.origin, json.dumps(job.faults), job.created, job.ready),
            ),
        )

    def job(self, id_: str) -> Job | None:
        """The job, or None when it does not exist or was deleted."""
        row = self._db.execute("SELECT * FROM jobs WHERE id = ?", (id_,)).fetchone()
        return None if row is None else _job(row)

    def jobs(self) -> list[Job]:
        """All jobs, the newest first, without their results."""
        rows = self._db.execute(
            "SELECT seq, id, file_id, name, sha, tier, metadata, client_ref, cache_key, origin, faults, created, ready,"
            " ended, error, NULL AS pages, billed, settled FROM jobs WHERE id NOT LIKE 'deleted:%' ORDER BY seq DESC"
        ).fetchall()
        return [_job(row) for row in rows]

    def due_jobs(self, now: float) -> list[Job]:
        """The jobs whose time has come and whose end is not stored yet."""
        rows = self._db.execute("SELECT * FROM jobs WHERE ended IS NULL AND ready <= ? ORDER BY seq", (now,))
        return [_job(row) for row in rows.fetchall()]

    def cached(self, cache_key: str, now: float) -> Job | None:
        """The job whose end answers an equal request: the first of the last 48 hours that completed or failed."""
        row = self._db.execute(
            "SELECT * FROM jobs WHERE cache_key = ? AND created >= ? AND ended IN ('COMPLETED', 'FAILED')"
            " AND id NOT LIKE 'deleted:%'"
            " ORDER BY seq LIMIT 1",
            (cache_key, now - RETENTION_SECONDS),
        ).fetchone()
        return None if row is None else _job(row)

    def end_job(
        self,
        id_: str,
        ended: str,
        *,
        error: str | None = None,
        pages: tuple[Mapping[str, Any], ...] = (),
        billed: int = 0,
    ) -> bool:
        """Stores how the job ended and what it cost, once: False when it had ended before."""
        cursor = self._db.execute(
            "UPDATE jobs SET ended = ?, error = ?, pages = ?, billed = ?, settled = ? WHERE id = ? AND ended IS NULL",
            (ended, error, json.dumps(pages), billed, time.time(), id_),
        )
        return cursor.rowcount == 1

    def delete_job(self, id_: str) -> None:
        """Hides the job and its result from the API; the bill keeps it."""
        self._db.execute("UPDATE jobs SET id = 'deleted:' || id, pages = NULL WHERE id = ?", (id_,))

    # ── bill and log ────────────────────────────────────────────────────────────────────────────────────────────────

    def add_embeddings(self, model: str, inputs: int, tokens: int) -> None:
        """Bills one embeddings request."""
        self._db.execute(
            "INSERT INTO embeddings (at, model, inputs, tokens) VALUES (?, ?, ?, ?)",
            (time.time(), model, inputs, tokens),
        )

    def add_log(self, method: str, path: str, operation: str, status: int, faults: list[str]) -> None:
        """Logs one request; status 0 stands for a connection that was broken."""
        self._db.execute(
            "INSERT INTO log (at, method, path, operation, status, faults) VALUES (?, ?, ?, ?, ?, ?)",
            (time.time(), method, path, operation, status, json.dumps(faults)),
        )

    def log(self, after: int = 0) -> list[dict[str, Any]]:
        """The requests after number ``after``, the oldest first."""
        rows = self._db.execute("SELECT * FROM log WHERE seq > ? ORDER BY seq", (after,)).fetchall()
        return [{**dict(row), "faults": json.loads(row["faults"])} for row in rows]

    def billing(self, credits_a_page: Mapping[str, int]) -> dict[str, Any]:
        """What the two services would charge for, and how often they were asked."""
        one = self._db.execute
        tiers = one("SELECT tier, coalesce(sum(billed), 0) FROM jobs GROUP BY tier").fetchall()
        embedded = one("SELECT count(*), coalesce(sum(inputs), 0), coalesce(sum(tokens), 0) FROM embeddings").fetchone()
        return {
            "pages_billed": sum(pages for _, pages in tiers),
            "credits_billed": sum(pages * credits_a_page.get(tier, 0) for tier, pages in tiers),
            "files_uploaded": one("SELECT count(*) FROM files").fetchone()[0],
            "jobs_created": one("SELECT count(*) FROM jobs").fetchone()[0],
            "jobs_by_client_ref": dict(one("SELECT client_ref, count(*) FROM jobs GROUP BY client_ref").fetchall()),
            "pages_by_client_ref": dict(
                one("SELECT client_ref, coalesce(sum(billed), 0) FROM jobs GROUP BY client_ref").fetchall()
            ),
            "embedding_requests": embedded[0],
            "embedding_inputs": embedded[1],
            "embedding_tokens": embedded[2],
            "requests": dict(one("SELECT operation, count(*) FROM log GROUP BY operation").fetchall()),
        }


def _job(row: sqlite3.Row) -> Job:
    values = dict(row)
    for column in ("metadata", "faults", "pages"):
        values[column] = json.loads(values[column]) if values[column] is not None else None
    values["pages"] = tuple(values["pages"] or ())
    return Job(**values)
