"""Checks of the workers: leases that nobody holds any more, and when a run last ended well."""

from __future__ import annotations

from docproc.checks import Check, Deployment, Finding, ok, problem
from docproc.checks.looking import look


def leases(it: Deployment) -> Finding:
    """Is there no lease that ran out long ago, with nobody to take the work over?"""
    (row,) = look(it, "stale_leases", {"grace": it.thresholds.grace})
    if not row["jobs"]:
        return ok("none")
    return problem(f"{row['jobs']} left by {row['owner']}, as {row['source']}")


def last_run(it: Deployment) -> Finding:
    """While work is due, does a run end well now and then?"""
    (row,) = look(it, "last_runs")
    last = (
        "no run yet" if row["well_ago"] is None else f"the last one ended well {row['well_ago'] / 3600:.1f} hours ago"
    )
    if not row["due"]:
        return ok(f"{last}, nothing is due")
    quiet = min(ago for ago in (row["well_ago"], row["due_since"]) if ago is not None)
    seen = f"{last}, {row['due']} due for {row['due_since'] / 3600:.1f} hours"
    return ok(seen) if quiet <= it.thresholds.last_run else problem(seen)


CHECKS = (
    Check(
        "workers.leases",
        "workers",
        "warn",
        "none that ran out 2 minutes ago",
        "docproc run-all",
        leases,
        ("schema.columns",),
    ),
    Check(
        "workers.last_run",
        "workers",
        "warn",
        "one a day while work is due",
        "docproc run-all",
        last_run,
        ("schema.columns",),
    ),
)
