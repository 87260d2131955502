"""What ``migrate`` did, would do, or found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from docproc.views.terminal import for_people, messages, print_json, print_rows, show
from docproc.views.words import safe

if TYPE_CHECKING:
    from docproc.postgres.migration_plans import Plan
    from docproc.postgres.migrations import Migrated, Verified


def show_migrated(it: Migrated, *, json: bool) -> None:
    """One line a step and an index; the versions before and after are a message."""
    if json:
        left = [{"name": name, "why": why} for name, why in it.pending]
        print_json({"before": it.before, "after": it.after, "done": it.done, "built": it.built, "pending": left})
        return
    print_rows([step] for step in it.done)
    print_rows([f"built {name}"] for name in it.built)
    print_rows([f"pending {name}", why] for name, why in it.pending)
    if it.done:
        messages().print(f"schema {it.before} → {it.after}")
    elif not it.built and not it.pending:
        print_rows([[f"schema {it.after}: nothing to do"]])


def show_plan(it: Plan, *, json: bool) -> None:
    """One line a step and an index that ``migrate`` would do."""
    builds = [build.name for build in it.builds]
    if json:
        print_json({"before": it.before, "after": it.after, "pending": [*it.steps, *(f"build {n}" for n in builds)]})
        return
    print_rows([f"pending {step}"] for step in it.steps)
    print_rows([f"pending build {name}"] for name in builds)
    if not it.steps and not builds:
        print_rows([[f"schema {it.after}: nothing to do"]])


def show_verified(it: Verified, *, json: bool) -> None:
    """One line a difference, with the SQL that mends it where there is any; then the problems of the data."""
    rows = [(str(found), found.sql) for found in it.differences]
    rows += [(problem, "") for problem in it.problems]
    rows += [(f"pending build {name}", "docproc migrate") for name in it.pending]
    if json:
        print_json({"version": it.version, "problems": [{"what": what, "remedy": remedy} for what, remedy in rows]})
    elif not rows:
        print_rows([[f"schema {it.version}: as shipped"]])
    elif for_people():
        for what, remedy in rows:
            show(escape(f"{safe(what)}\n{remedy}".rstrip()))
    else:
        print_rows(rows)
