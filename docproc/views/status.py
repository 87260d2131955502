"""status: where the work stands, what hangs, who must act; as a table, as tab-separated lines and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from docproc.postgres.reads import Reads
from docproc.states import FAILED, FINAL, State
from docproc.views.terminal import data, for_people, print_json, print_rows
from docproc.views.words import duration, instant, safe, shortened, size

BAR = 18
"""Width of the longest bar; bars scale to open work, because scaled to all documents they would be empty."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that one look at the database says."""

    title: str
    at: datetime
    states: dict[State, Row]
    latencies: dict[State, Row]
    last_day: Row
    changes: list[Row]
    failures: list[Row]
    buffers: Row

    @classmethod
    def take(cls, reads: Reads, title: str) -> Snapshot:
        """Reads the database once."""
        return cls(
            title,
            datetime.now(UTC),
            reads.states(),
            reads.latencies(),
            reads.last_day(),
            reads.latest_changes(),
            reads.failures_by_code(),
            reads.buffers(),
        )

    def jobs(self, state: State) -> int:
        """Jobs that stand in ``state``."""
        return int(self.states[state]["jobs"]) if state in self.states else 0

    @property
    def total(self) -> int:
        """All jobs."""
        return sum(self.jobs(state) for state in State)


def show_status(snapshot: Snapshot, *, json: bool) -> None:
    """The snapshot, for whoever looks."""
    if json:
        print_json(as_document(snapshot))
    elif not for_people():
        print_rows(_record(snapshot, state) for state in State)
    else:
        _show(snapshot)


def as_document(snapshot: Snapshot) -> Row:
    """The snapshot as JSON: durations in seconds, times in UTC."""
    return {
        "at": instant(snapshot.at),
        "jobs": snapshot.total,
        "states": {
            str(state): {
                "jobs": snapshot.jobs(state),
                "claimed": snapshot.states.get(state, {}).get("claimed", 0),
                "oldest_seconds": _oldest(snapshot, state),
                "p50_seconds": snapshot.latencies.get(state, {}).get("p50"),
                "p95_seconds": snapshot.latencies.get(state, {}).get("p95"),
            }
            for state in State
        },
        "last_24_hours": snapshot.last_day,
        "failures": snapshot.failures,
        "buffers": snapshot.buffers,
        "latest_changes": [{**change, "at": instant(change["at"])} for change in snapshot.changes],
    }


def _record(snapshot: Snapshot, state: State) -> tuple[object, ...]:
    latency = snapshot.latencies.get(state, {})
    return (state, snapshot.jobs(state), _oldest(snapshot, state), latency.get("p50"), latency.get("p95"))


def _oldest(snapshot: Snapshot, state: State) -> float | None:
    """How long the longest-standing job has been in ``state``; not said of complete ones, which hang nowhere."""
    return None if state is State.COMPLETE or state not in snapshot.states else float(snapshot.states[state]["oldest"])


def _show(snapshot: Snapshot) -> None:
    out = data()
    at = snapshot.at.strftime("%Y-%m-%d %H:%M UTC")
    title = shortened(safe(snapshot.title), out.width - len(at) - 21)
    out.print(f"[bold]docproc status[/]   {escape(title)}   [dim]{at}[/]\n", no_wrap=True)
    out.print(_table(snapshot))
    day, buffers = snapshot.last_day, snapshot.buffers
    minutes = "" if day["average_minutes"] is None else f" · {duration(day['average_minutes'] * 60)} on average"
    out.print(f"\nlast 24 h  {day['jobs']} new · {day['complete']} complete · {day['failed']} failed{minutes}")
    out.print(
        f"buffers    chunks {size(buffers['chunk_bytes'])} · vectors {size(buffers['vector_bytes'])}"
        f"   workers {buffers['workers']}"
    )
    _show_changes(snapshot)
    if snapshot.failures:
        codes = " · ".join(f"{row['jobs']} {row['code']}" for row in snapshot.failures[:5])
        out.print(f"[red]failed[/]     {escape(codes)}")
        out.print("next       docproc status --failed")
    elif not snapshot.total:
        out.print("next       docproc run-all FOLDER")


def _show_changes(snapshot: Snapshot) -> None:
    out = data()
    for n, change in enumerate(snapshot.changes[:10]):
        move = f"{change['from_status'] or '·'} → {change['to_status']}"
        name = shortened(safe(change["source"].rpartition("/")[2]), max(out.width - 13 - 9 - len(move), 10))
        label = "latest" if n == 0 else ""
        out.print(f"{label:10} [dim]{change['at']:%H:%M:%S}[/] {escape(name)}  [dim]{move}[/]", no_wrap=True)


def _table(snapshot: Snapshot) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("state")
    table.add_column("docs", justify="right")
    table.add_column("share of open work")
    for name in ("oldest", "p50", "p95"):
        table.add_column(name, justify="right")
    table.add_column("needs")
    most = max((snapshot.jobs(s) for s in State if s is not State.COMPLETE), default=0)
    for state in State:
        latency = snapshot.latencies.get(state, {})
        jobs = snapshot.jobs(state)
        style = "red" if state in FAILED and jobs else "green" if state is State.COMPLETE and jobs else ""
        table.add_row(
            Text(state, style=style),
            f"{jobs:,}",
            _share(snapshot, state, most),
            duration(_oldest(snapshot, state)),
            duration(latency.get("p50")),
            duration(latency.get("p95")),
            _needs(snapshot, state),
        )
    return table


def _share(snapshot: Snapshot, state: State, most: int) -> str:
    jobs = snapshot.jobs(state)
    if state is State.COMPLETE:
        return f"{100 * jobs / snapshot.total:.1f}% of {snapshot.total:,}" if snapshot.total else ""
    return "█" * max(round(BAR * jobs / most), 1) if jobs else ""


def _needs(snapshot: Snapshot, state: State) -> str:
    row = snapshot.states.get(state)
    if row is None or state is State.COMPLETE:
        return ""
    if state in FINAL:
        return "you"
    return f"waits {duration(row['next_due'])}" if row["next_due"] and row["jobs"] > row["claimed"] else ""


def show_failed(rows: list[Row], *, json: bool) -> None:
    """The failed documents, each with code, why and what to try."""
    if json:
        print_json({"failed": rows})
        return
    if not for_people():
        print_rows((r["source"], r["status"], r["code"], r["what"], r["why"], r["remedy"]) for r in rows)
        return
    out = data()
    for row in rows:
        out.print(f"[bold]{escape(shortened(safe(row['source']), out.width))}[/]", no_wrap=True)
        out.print(f"  {row['status']}  [red]{row['code']}[/]  {escape(safe(row['why'] or row['what']))}")
        out.print(f"  try  {escape(row['remedy'])}")
    if not rows:
        out.print("no failed documents")
