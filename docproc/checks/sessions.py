"""Checks of what other sessions and the planner do to the queue: old transactions, dead rows, the claim's plan."""

from __future__ import annotations

from typing import Any

from docproc.checks import Check, Deployment, Finding, ok, problem
from docproc.checks.looking import look, only_read
from docproc.postgres.database import query
from docproc.states import OPEN

INDEX = "upload_jobs_due"
"""What a claim must be planned with: without it, it reads the whole queue."""

FEW = 10_000
"""Jobs below which the planner is told to prefer indexes: so few it may rightly read one after the other."""


def transactions(it: Deployment) -> Finding:
    """Does no session sit in an open transaction, or hold an old snapshot?"""
    told = it.thresholds
    rows = look(it, "long_transactions", {"idle": told.idle, "snapshot": told.snapshot})
    if not rows:
        return ok("no old transaction")
    seen = [
        f"{r['name']} {'runs' if r['active'] else 'is idle in a transaction'} for {r['seconds']:.0f} s" for r in rows
    ]
    return problem("; ".join(seen), "\n".join(f"SELECT pg_terminate_backend({row['pid']});" for row in rows))


def dead_rows(it: Deployment) -> Finding:
    """Does autovacuum keep up with the dead rows?"""
    rows = look(it, "dead_rows", {"least": it.thresholds.dead_rows})
    if not rows:
        return ok("few")
    seen = "; ".join(f"{row['name']} {row['dead']:,} dead, {row['live']:,} live" for row in rows)
    return problem(seen, "\n".join(f"VACUUM docproc.{row['name']};" for row in rows))


def claim(it: Deployment) -> Finding:
    """Is a claim planned with its index?"""
    values = {
        "states": [str(state) for state in OPEN],
        "limit": 10,
        "owner": "",
        "lease": 1.0,
        "only": None,
        "least": 0,
        "now": None,
    }
    with it.app.database.transaction() as conn:
        only_read(conn)
        facts = conn.execute(query("planner")).fetchone()
        assert facts is not None
        if facts["rows"] < FEW:
            conn.execute(query("prefer_indexes"))
        row = conn.execute(b"EXPLAIN (FORMAT JSON) " + query("claim"), values).fetchone()
    assert row is not None
    if any(_goes_through(plan["Plan"]) for plan in row["QUERY PLAN"]):
        return ok(f"uses {INDEX}")
    off = [f"ALTER DATABASE {facts['quoted_database']} RESET {name};" for name in facts["switched_off"]]
    why = f", with {', '.join(facts['switched_off'])} off" if off else ""
    return problem(f"does not use {INDEX}{why}", "\n".join(off) or "ANALYZE docproc.upload_jobs;")


def _goes_through(node: dict[str, Any]) -> bool:
    """Whether the plan reads the index in its order: a bitmap of it would have to be sorted."""
    here = node["Node Type"] in ("Index Scan", "Index Only Scan") and node.get("Index Name") == INDEX
    return here or any(_goes_through(below) for below in node.get("Plans", ()))


def _check(id_: str, group: str, expected: str, remedy: str, ask: Any, *needs: str) -> Check:
    return Check(f"{group}.{id_}", group, "warn", expected, remedy, ask, needs)


CHECKS = (
    _check(
        "transactions",
        "database",
        "none idle for 5 minutes, none older than an hour",
        "SELECT pg_terminate_backend(…);",
        transactions,
        "database.reachable",
    ),
    _check("dead_rows", "database", "fewer than half of the live ones", "VACUUM …;", dead_rows, "database.reachable"),
    _check(
        "claim_plan",
        "workers",
        f"a plan with {INDEX}",
        "ANALYZE docproc.upload_jobs; and the planner's settings as they were",
        claim,
        "schema.indexes",
        "schema.validity",
        "database.writable",
    ),
)
