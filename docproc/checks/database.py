"""Checks of the database: reachable, new enough, pgvector, schema, the kind of its vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docproc.checks import Check, Finding, ok
from docproc.postgres import migrations

if TYPE_CHECKING:
    from docproc.app import App

OLDEST = 150000
"""Postgres 15, what docproc's SQL is written for."""

GOOD_PGVECTOR = (0, 8, 4)
"""Before it, vacuum could corrupt an HNSW index."""


def reachable(app: App) -> Finding:
    """The server answers and lets us in."""
    app.database.rows("server_facts")
    return ok(app.database.address)


def version(app: App) -> Finding:
    """The server is new enough."""
    (facts,) = app.database.rows("server_facts")
    if facts["number"] < OLDEST:
        return Finding("error", f"Postgres {facts['version']}", "upgrade the server to Postgres 15 or later")
    return ok(f"Postgres {facts['version']}")


def extension(app: App) -> Finding:
    """Pgvector is installed, in a version without known damage."""
    (facts,) = app.database.rows("extension_facts")
    if facts["available"] is None:
        return Finding(
            "error", "pgvector is not on the server", "install pgvector on the server, then: docproc migrate"
        )
    if facts["installed"] is None:
        return Finding("error", "pgvector is not in this database", "run: docproc migrate")
    number = tuple(int(part) for part in facts["installed"].split("."))
    if number < GOOD_PGVECTOR:
        return Finding("warn", f"pgvector {facts['installed']}", "ALTER EXTENSION vector UPDATE, to 0.8.4 or later")
    return ok(f"pgvector {facts['installed']}")


def schema(app: App) -> Finding:
    """The schema is the one this docproc knows, with unaltered migrations; the embedded database migrates itself."""
    if app.embedded:
        migrations.migrate(app.database)
    return ok(f"schema {migrations.check(app.database)}")


def kind(app: App) -> Finding:
    """Mock and real vectors do not meet."""
    have = app.database.rows("providers")
    if not have:
        return ok("no job yet")
    wanted = (app.parser_service.kind, app.embedder_service.kind)
    found = (have[0]["parser_kind"], have[0]["embedder_kind"])
    if found != wanted:
        seen = f"parser and embedder were {' and '.join(found)}, the settings name {' and '.join(wanted)}"
        return Finding("error", seen, "use one database for mock and another for real services (DATABASE_URL)")
    return ok(f"parser {found[0]}, embedder {found[1]}")


CHECKS = (
    Check("database.reachable", reachable),
    Check("database.version", version, ("database.reachable",)),
    Check("database.extension", extension, ("database.reachable",)),
    Check("database.schema", schema, ("database.reachable",)),
    Check("database.kind", kind, ("database.schema",)),
)
