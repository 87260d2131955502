"""What a migration must prove before it is committed: the catalogue is as shipped, and the data are sound."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from psycopg.sql import SQL, Identifier

from docproc.errors import SchemaError
from docproc.model import sha256
from docproc.postgres import migration_builds
from docproc.postgres.database import query
from docproc.postgres.shipped import INDEX_ON_VECTORS, KINDS, Catalogue, Difference, catalogue, differences, invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from docproc.postgres.database import Conn
    from docproc.postgres.migration_files import Migration, Migrations

SHOWN = 10
"""Problems that a message names; the rest are counted."""


def live(conn: Conn) -> Catalogue:
    """Everything that stands in docproc's schema, with the allowed changes of state; every name is in full."""
    with conn.transaction(force_rollback=True):  # the way names are written is this reading's alone
        conn.execute(query("names_in_full"))
        found = {(row["kind"], row["name"]): row["definition"] for row in conn.execute(query("live_catalogue"))}
        if ("table", "legal_moves") in found:
            found |= {(f"move {row['source']}", row["target"]): "" for row in conn.execute(query("legal_moves"))}
    return found


def fingerprint(conn: Conn, ledger: Mapping[int, str]) -> str:
    """SHA-256 over the live catalogue and the ledger; empty where nothing is set up.

    Left out are the indexes on vectors, which come and go with the models, and the ledger's own tables.
    """
    things = [
        [kind, name, definition]
        for (kind, name), definition in sorted(live(conn).items())
        if name.partition(".")[0] != "schema_migrations" and not INDEX_ON_VECTORS.fullmatch(name)
    ]
    if not things and not ledger:
        return ""
    return sha256(json.dumps([things, sorted(ledger.items())], ensure_ascii=False).encode())


def deviations(conn: Conn, known: Migrations, version: int) -> list[Difference]:
    """How the live catalogue is not what ``known`` makes at ``version``; nothing when the catalogue is not known.

    What another version has and this one has not is left over. What no version knows is not docproc's and no fault
    of a migration; and an index of a second phase may still be missing.
    """
    if known.rows is None:
        return []
    shipped, have = catalogue(known.rows, version), live(conn)
    later = {f"docproc.{build.name}" for build in migration_builds.wanted(known, version)}
    moves = {kind for kind, _ in shipped if kind.startswith("move ")}
    wrong = differences(have, {*KINDS, *moves}, shipped)
    wrong += [found for found in invalid(have) if ("index", found.name) in shipped]
    docprocs = {(kind, name) for kind, name, *_ in known.rows}
    wrong += [Difference("left over", *key) for key in have if key in docprocs and key not in shipped]
    return [found for found in wrong if found.what == "changed" or found.name not in later]


def problems(conn: Conn, steps: Iterable[Migration]) -> list[str]:
    """What the checks of the data of ``steps`` find, in their words."""
    found = []
    for step in steps:
        if step.check:
            found += [str(next(iter(row.values()))) for row in conn.execute(step.check.encode()).fetchall()]
    return found


def refuse(what: str, found: list[str]) -> None:
    """Raises SchemaError when anything was found."""
    if found:
        more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise SchemaError("schema.check_failed", what, why="; ".join(found[:SHOWN]) + more)


def refuse_losses(conn: Conn, tables: Iterable[str]) -> None:
    """Raises SchemaError when one of ``tables``, which the way back empties, holds rows.

    They are counted before they are locked, so that a refusal stands in nobody's way; and again when they are, so
    that no row comes in meanwhile.
    """
    for statement in ("", "LOCK TABLE {} IN ACCESS EXCLUSIVE MODE"):
        held = []
        for table in tables:
            name = Identifier("docproc", table)
            if statement:
                conn.execute(SQL(statement).format(name))
            counted = conn.execute(SQL("SELECT count(*) AS rows FROM {}").format(name)).fetchone()
            if counted is not None and counted["rows"]:
                held.append(f"{table} ({counted['rows']:,} rows)")
        if held:
            why = f"it empties {', '.join(held)}"
            raise SchemaError("schema.would_lose_data", "the way back loses data; nothing was changed", why=why)
