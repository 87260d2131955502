"""Migrations: the files in ``sql/``, a ledger with checksums, all pending ones and their proofs in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from docproc.errors import DatabaseError, SchemaError
from docproc.postgres import migration_builds, migration_checks, migration_files
from docproc.postgres.database import Database, query
from docproc.postgres.migration_plans import LIMITS, Limits, Plan, applied, milliseconds, plan, refuse_foreign, script
from docproc.redaction import words_of

if TYPE_CHECKING:
    from docproc.postgres.database import Conn
    from docproc.postgres.migration_files import Build, Migration, Migrations
    from docproc.postgres.shipped import Difference

__all__ = [
    "LIMITS",
    "Limits",
    "Migrated",
    "Plan",
    "Verified",
    "applied",
    "builds",
    "check",
    "fingerprint",
    "latest",
    "migrate",
    "open_ledger",
    "pending",
    "shipped",
    "verify",
    "version",
    "written",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a migration came to: the versions, the steps ``done`` (``up 0001_pipeline``), the indexes ``built`` after.

    ``pending`` has the indexes that could not be built, with the reason: the pipeline works without them, and the
    next ``docproc migrate`` goes on there.
    """

    before: int
    after: int
    done: tuple[str, ...] = ()
    built: tuple[str, ...] = ()
    pending: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Verified:
    """How a database is not what its version says: its schema, its data, and the indexes still to be built."""

    version: int
    differences: tuple[Difference, ...] = ()
    problems: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing was found."""
        return not (self.differences or self.problems or self.pending)


def shipped() -> tuple[Migration, ...]:
    """The migrations that this version of docproc knows, in order."""
    return migration_files.known().steps


def latest() -> int:
    """The schema version that this docproc works with."""
    return migration_files.known().latest


def builds() -> tuple[Build, ...]:
    """The indexes that are built after the transaction of their migration, as this docproc wants them."""
    return migration_builds.wanted(migration_files.known(), latest())


def version(database: Database) -> int:
    """The last migration that the database has, whoever knows it; 0 when it has none."""
    with database.transaction() as conn:
        return max(applied(conn), default=0)


def fingerprint(database: Database) -> str:
    """SHA-256 over the live schema and the ledger's versions and checksums; empty where nothing is set up."""
    with database.transaction() as conn:
        return migration_checks.fingerprint(conn, applied(conn))


def check(database: Database) -> int:
    """The database's schema version. Raises SchemaError unless it is exactly the one this docproc knows."""
    with database.transaction() as conn:
        have = applied(conn)
    found = max(have, default=0)
    if found < latest():
        what = "the database is not set up for docproc" if not have else f"the database has schema {found}"
        raise SchemaError("schema.old", what, why=f"this docproc needs schema {latest()}")
    refuse_foreign(have, migration_files.known())
    return found


def open_ledger(database: Database) -> None:
    """Makes the schema with its ledger and the history of deployments where they are not there yet."""
    with database.transaction() as conn:
        _make_ledger(conn)


def pending(database: Database, *, to: int | None = None, known: Migrations | None = None) -> Plan:
    """What ``migrate`` would do; changes nothing, and raises what it would raise before the first step."""
    with database.transaction() as conn:
        return plan(conn, to=to, known=known)


def written(database: Database, *, to: int | None = None, lose_data: bool = False, limits: Limits = LIMITS) -> str:
    """The script for psql that does what ``migrate`` would do. It depends on what the database has."""
    known = migration_files.known()
    with database.transaction() as conn:
        return script(conn, plan(conn, to=to, known=known), known, lose_data=lose_data, limits=limits)


def verify(database: Database, *, known: Migrations | None = None, limits: Limits = LIMITS) -> Verified:
    """Compares a database with what its version says, its data too; only reads.

    Raises SchemaError when the database is not set up, or has migrations that ``known`` has not.
    """
    known = known or migration_files.known()
    with database.transaction() as conn:
        conn.execute(query("only_read"), {"milliseconds": milliseconds(limits.statement)})
        have = applied(conn)
        if not have:
            raise SchemaError("schema.old", "the database is not set up for docproc", why="it has no migration")
        refuse_foreign(have, known)
        at = max(have)
        differences = migration_checks.deviations(conn, known, at)
        problems = [] if differences else migration_checks.problems(conn, known.upto(at))
        left = migration_builds.pending(conn, known, at)
    return Verified(at, tuple(differences), tuple(problems), tuple(build.name for build in left))


def migrate(
    database: Database,
    *,
    to: int | None = None,
    lose_data: bool = False,
    known: Migrations | None = None,
    limits: Limits = LIMITS,
) -> Migrated:
    """Brings the schema to version ``to`` (default: the latest), whole and proven or not at all; then builds indexes.

    One process at a time. Raises SchemaError, with nothing changed, when the database holds migrations that ``known``
    (default: the shipped ones) has not or whose file was edited since; when somebody is in the way for longer than
    ``limits`` allow; when the schema or the data are not as they should be afterwards; and when a step back would lose
    rows, unless ``lose_data``.
    """
    known = known or migration_files.known()
    found = pending(database, to=to, known=known)
    left = found.builds
    if found.steps or not found.ledger:
        with database.transaction() as conn:
            found = _take_turn(conn, to, known, limits)
            if found.steps:
                _go(conn, found, known, lose_data=lose_data)
            left = migration_builds.pending(conn, known, found.after)
    for step in found.steps:
        log.info("migrated", extra={"migration": step})
    failed = migration_builds.finish(database, left, limits.lock)
    built = tuple(build.name for build in left if build.name not in failed)
    return Migrated(found.before, found.after, found.steps, built, tuple(failed.items()))


def _take_turn(conn: Conn, to: int | None, known: Migrations, limits: Limits) -> Plan:
    """Waits for its turn, makes the ledger, and looks again: another process may have been at it meanwhile."""
    _limit(conn, limits.turn, limits)
    try:
        conn.execute(query("migration_lock"))
    except psycopg.errors.LockNotAvailable:
        why = f"it was waited for {limits.turn:g} s; nothing was changed"
        raise SchemaError("schema.busy", "another process migrates this database", why=why) from None
    _limit(conn, limits.lock, limits)
    _make_ledger(conn)
    return plan(conn, to=to, known=known)


def _make_ledger(conn: Conn) -> None:
    with _told("0000_ledger"):
        conn.execute(query("create_ledger"))


def _go(conn: Conn, found: Plan, known: Migrations, *, lose_data: bool) -> None:
    stood = {str(difference) for difference in migration_checks.deviations(conn, known, found.before)}
    if not lose_data:
        with _told("back"):
            migration_checks.refuse_losses(conn, found.losses)
    for step in found.up:
        with _told(step.title):
            conn.execute(step.up.encode())
        _prove_data(conn, step)
        values = {"version": step.version, "name": step.name, "checksum": step.checksum}
        conn.execute(query("record_migration"), values)
    for step in found.down:
        with _told(step.title):
            conn.execute(step.down.encode())
        conn.execute(query("forget_migration"), {"version": step.version})
    if found.down and found.after:
        _prove_data(conn, known.upto(found.after)[-1])
    elif found.down:
        conn.execute(query("drop_put_aside"))
    wrong = [str(difference) for difference in migration_checks.deviations(conn, known, found.after)]
    told = [f"{one} (was so before)" if one in stood else one for one in wrong]
    migration_checks.refuse(f"the schema is not version {found.after} afterwards; nothing was changed", told)


def _prove_data(conn: Conn, step: Migration) -> None:
    with _told(f"{step.title}.check"):
        found = migration_checks.problems(conn, [step])
    migration_checks.refuse(f"the data are not as {step.title} needs them; nothing was changed", found)


def _limit(conn: Conn, lock: float, limits: Limits) -> None:
    values = {"lock": milliseconds(lock), "statement": milliseconds(limits.statement)}
    conn.execute(query("migration_limits"), values)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Says which migration an error of the database belongs to."""
    try:
        yield
    except psycopg.Error as error:
        raise _failed(name, error) from error


def _failed(name: str, error: psycopg.Error) -> Exception:
    why = words_of(error)
    if isinstance(error, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected):
        return SchemaError("schema.busy", f"migration {name} did not get its lock; nothing was changed", why=why)
    if isinstance(error, psycopg.errors.UndefinedFile | psycopg.errors.FeatureNotSupported) and "extension" in why:
        return DatabaseError("database.extension", "pgvector is not installed on the server", why=why)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return DatabaseError(
            "database.rights",
            f"migration {name} was refused; nothing was changed",
            why=why,
            try_="run docproc migrate with a role that may create schemas and the extension vector",
        )
    if isinstance(error, psycopg.OperationalError) and not isinstance(error, psycopg.errors.QueryCanceled):
        return error
    return SchemaError("schema.failed", f"migration {name} failed; nothing was changed", why=why)
