"""status: where the work stands, what hangs, who must act; on a terminal, as tab-separated lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from docproc.budget import Spending
from docproc.states import FINAL, State
from docproc.status import Run, Snapshot
from docproc.views.terminal import for_people, print_json, print_rows
from docproc.views.words import instant

Row = Mapping[str, Any]


def show_status(snapshot: Snapshot, *, json: bool) -> None:
    """The snapshot, for whoever looks."""
    if json:
        print_json(as_document(snapshot))
    elif for_people():
        from docproc.views.status_screen import screen
        from docproc.views.terminal import show

        show(screen(snapshot))
    else:
        print_rows(_records(snapshot))


def show_documents(rows: Sequence[Row], *, json: bool) -> None:
    """The documents that were asked for, each with what is wrong with it and what to try."""
    if json:
        print_json({"documents": [_listed(row) for row in rows]})
    elif for_people():
        from docproc.views.status_screen import listing
        from docproc.views.terminal import show

        show(listing(rows))
    else:
        names = ("source", "status", "code", "what", "why", "remedy", "seconds", "document_id")
        print_rows([row[name] for name in names] for row in rows)


def as_document(snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot as JSON: durations in seconds, times in UTC; docs/status.md says what each key means."""
    return {
        "at": instant(snapshot.at),
        "profile": snapshot.title,
        "schema_version": snapshot.schema_version,
        "counts": "documents" if snapshot.counts_documents else "jobs",
        "jobs": sum(standing.jobs for standing in snapshot.states.values()),
        "documents": snapshot.total,
        "open": snapshot.open,
        "complete": snapshot.complete,
        "failed": snapshot.failed,
        "states": {str(state): _state(snapshot, state) for state in State},
        "last_hour": {
            "complete": snapshot.last_hour,
            "by_five_minutes": list(snapshot.parts),
            "documents_per_minute": round(snapshot.rate, 3),
        },
        "eta_seconds": None if snapshot.eta is None else round(snapshot.eta, 1),
        "last_24_hours": asdict(snapshot.day),
        "failures": [{**asdict(failure), "states": list(map(str, failure.states))} for failure in snapshot.failures],
        "buffers": asdict(snapshot.buffers),
        "workers": asdict(snapshot.workers),
        "runs": {"last": _run(snapshot.last_run), "last_good": _run(snapshot.last_good_run)},
        "search": None if snapshot.serving is None else {"user": snapshot.user, **asdict(snapshot.serving)},
        "bought_today": [asdict(bought) for bought in snapshot.bought],
        "usd_today": snapshot.usd_today,
        "budget": None if snapshot.spending is None else _budget(snapshot.spending),
        "latest_changes": [_change(asdict(change)) for change in snapshot.changes],
    }


def _budget(spending: Spending) -> dict[str, Any]:
    return {
        "usd_today": spending.today,
        "usd_month": spending.month,
        "usd_run": spending.run,
        "perhaps_paid_month": spending.perhaps_month,
        "caps": {name: float(cap) for name, cap in spending.budget.caps.items()},
        "left": spending.left,
    }


def _state(snapshot: Snapshot, state: State) -> dict[str, Any]:
    standing = snapshot.states[state]
    return {
        "documents": standing.documents,
        "jobs": standing.jobs,
        "claimed": standing.claimed,
        "waiting": standing.waiting,
        "due": 0 if state in FINAL else standing.due,
        "oldest_seconds": _rounded(standing.oldest),
        "next_due_seconds": _rounded(standing.next_due),
        "p50_seconds": _rounded(standing.p50),
        "p95_seconds": _rounded(standing.p95),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _run(run: Run | None) -> dict[str, Any] | None:
    return None if run is None else {name: _plain(value) for name, value in asdict(run).items()}


def _change(change: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in change.items()}


def _plain(value: Any) -> Any:
    return instant(value) if isinstance(value, datetime) else value


def _listed(row: Row) -> dict[str, Any]:
    return {name: str(value) if name == "document_id" else value for name, value in row.items()}


def _records(snapshot: Snapshot) -> Iterator[tuple[object, ...]]:
    for state in State:
        standing = snapshot.states[state]
        yield (
            state,
            standing.documents,
            *map(_rounded, (standing.oldest, standing.p50, standing.p95)),
            standing.claimed,
            standing.waiting,
            _rounded(standing.next_due),
        )
