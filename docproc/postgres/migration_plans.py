"""What lies between a database and a version of the schema: the steps, and the same as a script for psql."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from docproc import __version__
from docproc.errors import ConfigError, SchemaError
from docproc.postgres import migration_builds, migration_files
from docproc.postgres.database import query

if TYPE_CHECKING:
    from docproc.postgres.database import Conn
    from docproc.postgres.migration_files import Build, Migration, Migrations


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a migration waits: for another migration, for the lock on a table, for one statement.

    ``lock`` is short because all who come after a waiting migration wait behind it. ``statement`` is long because a
    step may write every chunk anew, and a million of them take many minutes.
    """

    turn: float = 30.0
    lock: float = 5.0
    statement: float = 3600.0


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps ``up`` or ``down`` from version ``before`` to ``after``, then the indexes of ``builds``.

    ``ledger`` says whether the ledger is there.
    """

    before: int
    after: int
    up: tuple[Migration, ...]
    down: tuple[Migration, ...]
    builds: tuple[Build, ...]
    ledger: bool

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps by name, in the order in which they are done."""
        return (*(f"up {step.title}" for step in self.up), *(f"down {step.title}" for step in self.down))

    @property
    def losses(self) -> tuple[str, ...]:
        """The tables whose rows the way back takes away for good."""
        return tuple(sorted({table for step in self.down for table in step.loses}))


def applied(conn: Conn) -> dict[int, str]:
    """Version and checksum of the migrations that a database has; empty when it has none."""
    exists = conn.execute(query("ledger_exists")).fetchone()
    if exists is None or not exists["present"]:
        return {}
    return {row["version"]: row["checksum"] for row in conn.execute(query("ledger")).fetchall()}


def plan(conn: Conn, *, to: int | None = None, known: Migrations | None = None) -> Plan:
    """What ``migrate`` would do. Raises as it does where the database or ``to`` is none that ``known`` has."""
    known = known or migration_files.known()
    target = known.latest if to is None else to
    if target not in (0, *(step.version for step in known.steps)):
        raise ConfigError("config.invalid", f"there is no migration {target}", why=f"versions are 1 to {known.latest}")
    have = applied(conn)
    refuse_foreign(have, known)
    exists = conn.execute(query("ledger_exists")).fetchone()
    up = tuple(step for step in known.upto(target) if step.version not in have)
    down = tuple(step for step in reversed(known.steps) if step.version in have and step.version > target)
    builds = migration_builds.pending(conn, known, target)
    return Plan(max(have, default=0), target, up, down, builds, bool(exists and exists["whole"]))


def refuse_foreign(have: dict[int, str], known: Migrations) -> None:
    """Raises SchemaError when the ledger ``have`` holds a migration that is unknown, or was edited since."""
    ours = {step.version: step for step in known.steps}
    for number, checksum in have.items():
        if number not in ours:
            raise SchemaError(
                "schema.new", f"the database has schema {number}", why=f"this docproc knows {known.latest}"
            )
        if checksum != ours[number].checksum:
            raise SchemaError("schema.edited", f"migration {number:04} is not the file that was applied")


def script(conn: Conn, found: Plan, known: Migrations, *, lose_data: bool = False, limits: Limits = LIMITS) -> str:
    """The SQL that ``migrate`` would run, for psql: one transaction with its ledger rows, then the indexes.

    It stops by itself when the database is no longer as ``found`` says, and when a check of the data finds something.
    It does not compare the catalogue: ``docproc migrate --verify`` does that afterwards.
    """
    cursor = psycopg.ClientCursor(conn)

    def statement(name: str, /, **values: object) -> str:
        return f"{cursor.mogrify(query(name).decode(), values or None).strip()};"

    def limit(lock: float) -> str:
        return statement("migration_limits", lock=milliseconds(lock), statement=milliseconds(limits.statement))

    def record(name: str, step: Migration) -> str:
        values = {"version": step.version, "name": step.name, "checksum": step.checksum}
        return statement(name, **(values if name == "record_migration" else {"version": step.version}))

    def parts() -> Iterator[str]:
        yield f"-- docproc {__version__}: schema {found.before} to {found.after}\n\\set ON_ERROR_STOP on"
        yield f"BEGIN;\n{limit(limits.turn)}\n{statement('migration_lock')}\n{limit(limits.lock)}"
        yield statement("create_ledger")
        yield _still(found.before)
        if not lose_data:
            yield from (_empty(table) for table in found.losses)
        for step in found.up:
            yield f"-- up {step.title}\n{step.up.strip()}"
            yield from _proof(step)
            yield record("record_migration", step)
        for step in found.down:
            yield f"-- down {step.title}\n{step.down.strip()}\n{record('forget_migration', step)}"
        if found.down and found.after:
            yield from _proof(known.upto(found.after)[-1])
        yield "COMMIT;"
        yield from (f"-- after the transaction\n{build.statement};" for build in found.builds)

    return "\n\n".join(parts()) + "\n"


def milliseconds(seconds: float) -> str:
    """``seconds`` as the server's settings take them."""
    return str(round(seconds * 1000))


def _proof(step: Migration) -> Iterator[str]:
    if step.check:
        raise_ = "RAISE EXCEPTION '%', problem;"
        loop = f"FOR problem IN\n{step.check.strip()}\nLOOP {raise_} END LOOP;"
        yield f"DO $docproc$ DECLARE problem text; BEGIN\n{loop}\nEND $docproc$;"


def _still(version: int) -> str:
    have = "(SELECT coalesce(max(version), 0) FROM docproc.schema_migrations)"
    return _refuse(f"{have} <> {version}", f"this script is for schema {version}, and the database has another")


def _empty(table: str) -> str:
    return _refuse(f"EXISTS (SELECT FROM docproc.{table})", f"{table} holds rows, and the way back loses them")


def _refuse(when: str, what: str) -> str:
    return f"DO $docproc$ BEGIN IF {when} THEN\n  RAISE EXCEPTION '{what}';\nEND IF; END $docproc$;"
