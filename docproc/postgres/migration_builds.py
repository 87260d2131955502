"""The second phase of a migration: indexes that are built after its transaction, one by one, as often as it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg.sql import SQL, Identifier

from docproc.errors import DatabaseError
from docproc.postgres.database import Database, connect, query
from docproc.redaction import words_of

if TYPE_CHECKING:
    from docproc.postgres.database import Conn
    from docproc.postgres.migration_files import Build, Migrations

TRIES = 3
"""How often an index is begun that somebody else builds too: the server ends one of the two."""

_IN_THE_WAY = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.DuplicateTable,
    psycopg.errors.UniqueViolation,
    psycopg.errors.UndefinedObject,
)


def wanted(known: Migrations, version: int) -> tuple[Build, ...]:
    """What the second phases up to ``version`` come to: of two statements on one index the later holds."""
    return tuple({build.name: build for step in known.upto(version) for build in step.builds}.values())


def pending(conn: Conn, known: Migrations, version: int) -> tuple[Build, ...]:
    """What of the second phases up to ``version`` is still to be done, as the catalogue shows it."""
    builds = wanted(known, version)
    have = _states(conn, [build.name for build in builds]) if builds else {}
    return tuple(build for build in builds if not _is_done(build, have))


def finish(database: Database, builds: tuple[Build, ...], lock: float) -> dict[str, str]:
    """Does ``builds`` and returns why those that could not be done were not, by the name of their index.

    ``lock`` is in seconds: how long a build of another process, or of one that was killed, is waited for.
    No error is raised: the pipeline works without an index, and the next ``docproc migrate`` goes on.
    """
    failed = {}
    for build in builds:
        try:
            why = _done(database, build, lock)
        except psycopg.errors.LockNotAvailable:
            why = f"another build, or somebody's transaction, held the table for longer than {lock:g} s"
        except (psycopg.Error, DatabaseError) as error:
            why = words_of(error)
        if why:
            failed[build.name] = why
    return failed


def _done(database: Database, build: Build, lock: float) -> str:
    """``_run``, once more where another process was at the same index at the same moment."""
    for _ in range(TRIES - 1):
        try:
            return _run(database, build, lock)
        except _IN_THE_WAY:
            continue
    return _run(database, build, lock)


def _run(database: Database, build: Build, lock: float) -> str:
    with connect(database.conninfo) as conn:
        conn.autocommit = True
        _prepare(conn)
        if build.table:
            _drop_unfinished(conn, build, lock)
        conn.execute(build.statement.encode())
        return "" if _is_done(build, _states(conn, [build.name])) else "its build came to no end"


def _prepare(conn: Conn) -> None:
    """Takes away the limits of the session; not behind a pooler, where the session is not ours."""
    facts = conn.execute(query("build_session")).fetchone()
    assert facts is not None
    if facts["pid"] == conn.info.backend_pid:
        conn.execute(query("prepare_build"), {"memory_kb": facts["memory_kb"]})


def _drop_unfinished(conn: Conn, build: Build, lock: float) -> None:
    """Drops what a build that died has left. A build holds the lock asked for here to its end.

    The lock comes first, before any snapshot is taken: a build waits for the snapshots of others, and would wait for
    this one.
    """
    with conn.transaction():
        conn.execute(query("migration_limits"), {"lock": str(round(lock * 1000)), "statement": "0"})
        conn.execute(SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(Identifier("docproc", build.table)))
        if _states(conn, [build.name]).get(build.name) is False:
            conn.execute(SQL("DROP INDEX {}").format(Identifier("docproc", build.name)))


def _states(conn: Conn, names: list[str]) -> dict[str, bool]:
    return {row["name"]: row["whole"] for row in conn.execute(query("index_states"), {"names": names}).fetchall()}


def _is_done(build: Build, have: dict[str, bool]) -> bool:
    return have.get(build.name) is True if build.table else build.name not in have
