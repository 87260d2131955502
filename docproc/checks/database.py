"""Checks of the database server and of the role that docproc has there."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from docproc.checks import Check, Deployment, Finding, ok, problem
from docproc.checks.looking import look, only_read
from docproc.errors import SchemaError
from docproc.postgres import migrations
from docproc.postgres.database import query
from docproc.postgres.shipped import SHIPPED

OLDEST = 150000
"""Postgres 15, what docproc's SQL is written for."""

STRONG = ("require", "verify-ca", "verify-full")

WRITES: Mapping[str, tuple[str, ...]] = {
    "api_calls": ("DELETE", "INSERT", "UPDATE"),
    "document_chunk_buffer": ("DELETE", "INSERT", "UPDATE"),
    "document_vector_buffer": ("DELETE", "INSERT", "UPDATE"),
    "index_builds": ("DELETE", "INSERT", "UPDATE"),
    "installation": ("DELETE", "INSERT"),
    "job_events": ("DELETE", "INSERT"),
    "parse_calls": ("DELETE", "INSERT", "UPDATE"),
    "rate_limits": ("DELETE", "INSERT", "UPDATE"),
    "runs": ("DELETE", "INSERT", "UPDATE"),
    "serving": ("DELETE", "INSERT", "UPDATE"),
    "sources": ("DELETE", "INSERT", "UPDATE"),
    "upload_jobs": ("DELETE", "INSERT", "UPDATE"),
}
"""What docproc's statements do to its tables beside reading them; a test reads it from the statements.

Jobs, sources and history are deleted by cleanup, calls of the ledger by trials alone, which remove what they brought.
"""


def reachable(it: Deployment) -> Finding:
    """Does the server answer, and let us in? (The embedded one is started, and migrates itself.)"""
    if it.app.embedded:
        with suppress(SchemaError):  # the checks of the schema tell which migration is not right
            migrations.migrate(it.app.database)
    look(it, "server_facts")
    return ok(it.app.database.address)


def version(it: Deployment) -> Finding:
    """Is the server new enough?"""
    (facts,) = look(it, "server_facts")
    seen = f"Postgres {facts['version']}"
    return ok(seen) if facts["number"] >= OLDEST else problem(seen)


def primary(it: Deployment) -> Finding:
    """Does the server take writes, rather than being a standby or set to read only?"""
    facts = _facts(it)
    if facts["standby"]:
        return problem("a standby, which takes no writes", "name the primary in DATABASE_URL")
    if facts["read_only"]:
        reset = f"ALTER DATABASE {facts['quoted_database']} RESET default_transaction_read_only;"
        return problem("default_transaction_read_only is on", f"BEGIN READ WRITE; {reset} COMMIT;")
    return ok("takes writes")


def pooler(it: Deployment) -> Finding:
    """Is the connection the server's own, without a pooler between?"""
    with it.app.database.transaction() as conn:
        only_read(conn)
        facts = conn.execute(query("session_facts")).fetchone()
        assert facts is not None
        # A pooler answers with a process number of its own when a client connects.
        direct = facts["pid"] == conn.info.backend_pid
    return ok("direct") if direct else problem("a pooler is in the way: docproc works, index builds get less memory")


def tls(it: Deployment) -> Finding:
    """Is a connection that leaves this machine encrypted, whatever the server offers?"""
    with it.app.database.transaction() as conn:
        option = {o.keyword: (o.val or b"").decode() for o in conn.pgconn.info}
        host, mode, encrypted = option[b"host"], option[b"sslmode"], bool(conn.pgconn.ssl_in_use)
    if not host or host.startswith(("/", "@", "127.")) or host in ("localhost", "::1"):
        return ok("does not leave this machine")
    seen = f"sslmode={mode}, {'encrypted' if encrypted else 'NOT encrypted'}"
    return ok(seen) if mode in STRONG else problem(seen)


def clock(it: Deployment) -> Finding:
    """Do this machine's clock and the server's agree?"""
    before = it.clock()
    now = _facts(it)["now"].timestamp()
    after = it.clock()
    # Within the time of the question itself the two cannot be told apart.
    offset = max(before - now, now - after, 0.0)
    seen = f"{offset:.1f} s apart"
    return ok(seen) if offset <= it.thresholds.clock else problem(seen, expected=f"at most {it.thresholds.clock:g} s")


def role(it: Deployment) -> Finding:
    """Has the role no more rights than it needs: no superuser, outside the profile local?"""
    facts = _facts(it)
    who = facts["quoted_role"]
    if it.app.settings.profile == "local":
        return ok(f"{who}, any role will do in the profile local")
    if facts["superuser"]:
        return problem(f"{who} is a superuser", f"ALTER ROLE {who} NOSUPERUSER;")
    if facts["attributes"]:
        off = " ".join(f"NO{attribute}" for attribute in facts["attributes"].split(", "))
        return problem(f"{who} has {facts['attributes']}", f"ALTER ROLE {who} {off};")
    return ok(f"{who}, no superuser")


def readable(it: Deployment) -> Finding:
    """May the role read docproc's tables and views, and call its functions?"""
    names = [name.removeprefix("docproc.") for kind, name in SHIPPED if kind in ("table", "view")]
    values = {"tables": names, "privileges": ["SELECT"] * len(names), "temporary": False}
    return _rights(it, values, "reads everything")


def writable(it: Deployment) -> Finding:
    """May the role write what docproc writes?"""
    pairs = [(table, privilege) for table, privileges in WRITES.items() for privilege in privileges]
    tables, privileges = map(list, zip(*pairs, strict=True))
    return _rights(it, {"tables": tables, "privileges": privileges, "temporary": True}, "writes what docproc writes")


def _rights(it: Deployment, values: Mapping[str, object], well: str) -> Finding:
    missing = [row["remedy"] for row in look(it, "missing_rights", values)]
    if not missing:
        return ok(well)
    lacking = "; ".join(grant.removeprefix("GRANT ").rpartition(" TO ")[0] for grant in missing)
    return problem(f"lacks {lacking}", "\n".join(missing))


def _facts(it: Deployment) -> dict[str, Any]:
    return look(it, "session_facts")[0]


def _check(id_: str, severity: str, expected: str, remedy: str, ask: Any, *needs: str) -> Check:
    return Check(f"database.{id_}", "database", severity, expected, remedy, ask, needs)


_REACHED = "database.reachable"
CHECKS = (
    _check("reachable", "error", "an answer", "check DATABASE_URL and that the server answers", reachable),
    _check("version", "error", "Postgres 15 or later", "upgrade the server to Postgres 15 or later", version, _REACHED),
    _check("primary", "error", "a server that takes writes", "name the primary in DATABASE_URL", primary, _REACHED),
    _check(
        "pooler",
        "warn",
        "a direct connection",
        "name the server itself in DATABASE_URL, not its pooler",
        pooler,
        _REACHED,
    ),
    _check(
        "tls",
        "warn",
        f"sslmode {', '.join(STRONG[:-1])} or {STRONG[-1]}",
        "add sslmode=verify-full, or at least require, to DATABASE_URL",
        tls,
        _REACHED,
    ),
    _check("clock", "warn", "at most 5 s", "have both machines keep time by NTP", clock, _REACHED),
    _check("role", "warn", "a role of docproc's own", "ALTER ROLE … NOSUPERUSER, or another role", role, _REACHED),
    _check("readable", "error", "USAGE, SELECT and EXECUTE", "GRANT what is named", readable, _REACHED),
    _check("writable", "error", "INSERT, UPDATE, DELETE, TEMPORARY", "GRANT what is named", writable, _REACHED),
)
