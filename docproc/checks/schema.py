"""Checks of docproc's schema: its migrations, and the live catalogue against the shipped one."""

from __future__ import annotations

from collections.abc import Callable

from docproc.checks import Check, Deployment, Finding, ok, problem
from docproc.checks.looking import look, only_read
from docproc.postgres import migrations
from docproc.postgres.shipped import SHIPPED, Catalogue, Difference, differences, invalid, unexpected


def current(it: Deployment) -> Finding:
    """Has every migration of this docproc been applied?"""
    have = _applied(it)
    pending = [f"{m.version:04}_{m.name}" for m in migrations.shipped() if m.version not in have]
    if not have:
        return problem("the database is not set up for docproc")
    return problem(f"pending: {', '.join(pending)}") if pending else ok(f"schema {max(have)}")


def known(it: Deployment) -> Finding:
    """Does this docproc know every migration that the database has?"""
    unknown = sorted(set(_applied(it)) - {m.version for m in migrations.shipped()})
    if unknown:
        return problem(f"schema {unknown[-1]}, this docproc knows {migrations.latest()}")
    return ok(f"none above {migrations.latest()}")


def unedited(it: Deployment) -> Finding:
    """Are the migrations the very files that were applied?"""
    have = _applied(it)
    edited = [f"{m.version:04}_{m.name}" for m in migrations.shipped() if have.get(m.version, m.checksum) != m.checksum]
    return problem(f"edited since: {', '.join(edited)}") if edited else ok(f"{len(have)} checksums agree")


def moves(it: Deployment) -> Finding:
    """Are the changes of state that the database allows those that docproc makes?"""
    wanted = {(kind[5:], name) for kind, name in SHIPPED if kind.startswith("move ")}
    have = {(row["source"], row["target"]) for row in look(it, "legal_moves")}
    if wanted == have:
        return ok(f"{len(have)} moves")
    seen = [*(f"missing {a} → {b}" for a, b in sorted(wanted - have))]
    seen += [f"unexpected {a} → {b}" for a, b in sorted(have - wanted)]
    insert = [f"INSERT INTO docproc.legal_moves VALUES ('{a}', '{b}');" for a, b in sorted(wanted - have)]  # noqa: S608 - to show
    delete = [
        f"DELETE FROM docproc.legal_moves WHERE (source, target) = ('{a}', '{b}');"  # noqa: S608 - to show
        for a, b in sorted(have - wanted)
    ]
    return problem("; ".join(seen), "\n".join([*insert, *delete]))


def _of(*kinds: str) -> Callable[[Deployment], Finding]:
    def ask(it: Deployment) -> Finding:
        wanted = sum(kind in kinds for kind, _ in SHIPPED)
        return _told(differences(_live(it), kinds), f"{wanted} as shipped")

    ask.__doc__ = f"Is every one of docproc's {' and '.join(_PLURALS[kind] for kind in kinds)} there, as it was made?"
    return ask


def validity(it: Deployment) -> Finding:
    """Are all indexes valid?"""
    return _told(invalid(_live(it)), "all valid")


def extras(it: Deployment) -> Finding:
    """Is there nothing in the schema that docproc did not make?"""
    return _told(unexpected(_live(it)), "nothing that is not docproc's")


def _told(found: list[Difference], well: str) -> Finding:
    """What was found, with the SQL that mends it; an index that is built after its migration is for ``migrate``."""
    if not found:
        return ok(well)
    later = {f"docproc.{build.name}" for build in migrations.builds()}
    remedies = [_MIGRATE if one.what != "changed" and one.name in later else one.sql for one in found]
    return problem("; ".join(map(str, found)), "\n".join(dict.fromkeys(remedies)) if all(remedies) else "")


def _live(it: Deployment) -> Catalogue:
    return {(row["kind"], row["name"]): row["definition"] for row in look(it, "live_catalogue", in_full=True)}


def _applied(it: Deployment) -> dict[int, str]:
    with it.app.database.transaction() as conn:
        only_read(conn)
        return migrations.applied(conn)


def _check(
    id_: str, severity: str, expected: str, remedy: str, ask: Callable[[Deployment], Finding], *needs: str
) -> Check:
    return Check(f"schema.{id_}", "schema", severity, expected, remedy, ask, needs)


_PLURALS = {
    "table": "tables",
    "column": "columns",
    "constraint": "constraints",
    "index": "indexes",
    "statistics": "statistics",
    "trigger": "triggers",
    "function": "functions",
    "view": "views",
}
_AS_SHIPPED = "as the migrations make it"
_MEND = "run the SQL that is given, or restore a backup"
_MIGRATE = "docproc migrate"
_LEDGER, _SET_UP = ("database.readable",), ("schema.current", "schema.known", "extension.installed")
_COLUMNS = "schema.columns"
CHECKS = (
    _check("current", "error", "every migration applied", "run: docproc migrate", current, *_LEDGER),
    _check(
        "known",
        "error",
        "no migration of a later docproc",
        "install the docproc version that the database was migrated with",
        known,
        *_LEDGER,
    ),
    _check(
        "unedited",
        "error",
        "the files that were applied",
        "restore the migration files from the release",
        unedited,
        *_LEDGER,
    ),
    _check("tables", "error", _AS_SHIPPED, "restore a backup: a lost table was not empty", _of("table"), *_SET_UP),
    _check("columns", "error", _AS_SHIPPED, _MEND, _of("column"), "schema.tables"),
    _check("constraints", "error", _AS_SHIPPED, _MEND, _of("constraint"), _COLUMNS),
    _check("indexes", "error", _AS_SHIPPED, _MEND, _of("index", "statistics"), _COLUMNS),
    _check("validity", "error", "every index valid", "REINDEX INDEX CONCURRENTLY …;", validity, _COLUMNS),
    _check("triggers", "error", _AS_SHIPPED, _MEND, _of("trigger"), _COLUMNS),
    _check("functions", "error", _AS_SHIPPED, _MEND, _of("function"), _COLUMNS),
    _check("views", "error", _AS_SHIPPED, _MEND, _of("view"), _COLUMNS),
    _check("moves", "error", "the moves of docproc's table of states", _MEND, moves, _COLUMNS),
    _check(
        "extras",
        "warn",
        "docproc's own things alone",
        "see who made it, and move it to a schema of its own",
        extras,
        _COLUMNS,
    ),
)
