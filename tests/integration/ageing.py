"""Time that passes for a test's database and storage."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from docproc.app import App
from tests.integration.bench import Bench

COLUMNS: Mapping[str, Sequence[str]] = {
    "upload_jobs": ("created_at", "updated_at", "state_since", "superseded_at", "raw_lost_at"),
    "sources": ("first_seen_at", "changed_at", "withdrawn_at"),
    "serving": ("since",),
    "job_events": ("at",),
    "runs": ("started_at", "finished_at"),
    "parse_calls": ("created_at",),
}


def pass_days(app: App, bench: Bench, days: float) -> None:
    """Makes all that is stored older by ``days``."""
    for table, columns in COLUMNS.items():
        sets = ", ".join(f"{column} = {column} - %s * interval '1 day'" for column in columns)
        bench.sql(f"UPDATE docproc.{table} SET {sets}", *[days] * len(columns))
    for path in (app.settings.home / "storage").rglob("*"):
        if path.is_file():
            when = path.stat().st_mtime - days * 86_400
            os.utime(path, (when, when))
