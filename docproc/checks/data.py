"""Checks of the data: what must hold at every moment, whatever died; they read every row, so only with --data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docproc.checks import Check, Finding, ok

if TYPE_CHECKING:
    from docproc.app import App


def invariants(app: App) -> Finding:
    """No document lost, no chunk without its vector, no history with a gap, no failure without a remedy."""
    settings = app.settings
    broken = app.store.reads.broken_invariants(lease=settings.runner.lease, max_submits=settings.parser.max_submits)
    if not broken:
        return ok("every invariant holds")
    seen = "; ".join(f"{row['invariant']} {row['times']} × {row['what']}, as {row['example']}" for row in broken)
    return Finding("error", seen, "docproc status DOCUMENT shows its history; please report it")


CHECKS = (Check("data.invariants", invariants, ("database.schema",)),)
