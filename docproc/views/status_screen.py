"""The screens of ``status``: the table of states, what is said under it, and lists of documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any

from rich.box import Box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from docproc.states import FAILED, FINAL, State
from docproc.status import Bought, Run, Serving, Snapshot
from docproc.views.ledger import budgets
from docproc.views.words import duration, safe, shortened, size

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

Row = Mapping[str, Any]

BAR = (8, 40)
"""Widths of the longest bar, the least and the most. Bars scale to open work: scaled to all they would be empty."""

SPARKS = "▁▂▃▄▅▆▇█"

LABEL = 9
"""Characters before what is said under the table."""

CODES = 5
"""Error codes named on a screen; the rest is in ``status --failed``."""


class Screen:
    """A snapshot on a screen, as wide as the screen is when it is drawn; at most so many latest ``changes``.

    ``brief`` leaves out what seldom changes, for a screen that is low.
    """

    def __init__(self, snapshot: Snapshot, *, changes: int = 10, brief: bool = False) -> None:
        self._snapshot = snapshot
        self._brief = brief
        self._changes = changes

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draws it."""
        width = options.max_width
        yield _title(self._snapshot, width)
        yield Text()
        yield _table(self._snapshot, width)
        yield Text()
        yield _lines(self._snapshot, width, self._changes, brief=self._brief)


def screen(snapshot: Snapshot) -> Screen:
    """The whole snapshot."""
    return Screen(snapshot)


def listing(rows: Sequence[Row]) -> Group:
    """Documents with state, how long they have been in it and the error's code; below each, why and what to try."""
    if not rows:
        return Group(Text("no documents"))
    return Group(*(part for row in rows for part in _listed(row)))


# ── the head and the table ──────────────────────────────────────────────────────────────────────────────────────────


def _title(snapshot: Snapshot, width: int) -> Text:
    at = snapshot.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    version = "" if snapshot.schema_version is None else f" · schema {snapshot.schema_version}"
    name = "docproc status"
    said = shortened(safe(snapshot.title) + version, max(width - len(name) - len(at) - 6, 8))
    gap = max(width - len(name) - 3 - len(said) - len(at), 1)
    return Text.assemble((name, "bold"), "   ", said, " " * gap, (at, "dim"), no_wrap=True, overflow="crop")


def _table(snapshot: Snapshot, width: int) -> Table:
    cells = {state: _cells(snapshot, state) for state in State}
    names = ("docs" if snapshot.counts_documents else "jobs", "oldest", "p50", "p95", "needs")
    widths = [max(len(name), *(len(row[n]) for row in cells.values())) for n, name in enumerate(names)]
    left = width - max(map(len, State)) - sum(widths) - 2 * len(names)
    bar = min(left - 2, BAR[1])
    # Where room is short the bars go first, then the percentiles.
    told = [0, 1, 2, 3, 4] if left >= 0 else [0, 1, 4]
    # The column's separator is one blank, the padding another.
    table = Table(box=_RULED, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("state", no_wrap=True)
    for n in told:
        table.add_column(names[n], justify="left" if names[n] == "needs" else "right", no_wrap=True)
        if n == 0 and bar >= BAR[0]:
            table.add_column("share of open work"[: bar if bar >= 18 else 5], width=bar, no_wrap=True)
    most = max(standing.documents for state, standing in snapshot.states.items() if state is not State.COMPLETE)
    for state, row in cells.items():
        share = [_share(snapshot, state, most, bar)] if bar >= BAR[0] else []
        table.add_row(_named(snapshot, state), row[0], *share, *(row[n] for n in told[1:]))
    return table


_RULED = Box("    \n    \n────\n    \n    \n    \n    \n    \n")


def _cells(snapshot: Snapshot, state: State) -> tuple[str, str, str, str, str]:
    standing = snapshot.states[state]
    times = (standing.oldest, standing.p50, standing.p95)
    oldest, p50, p95 = (duration(seconds) for seconds in times)
    return f"{standing.documents:,}", oldest, p50, p95, _needs(snapshot, state)


def _named(snapshot: Snapshot, state: State) -> Text:
    there = snapshot.states[state].documents
    return Text(state, style="red" if state in FAILED and there else "green" if state in FINAL and there else "")


def _share(snapshot: Snapshot, state: State, most: int, width: int) -> str:
    documents = snapshot.states[state].documents
    if state is State.COMPLETE:
        share = f"{100 * documents / snapshot.total:.1f}%" if snapshot.total else ""
        of_all = f"{share} of {snapshot.total:,}"
        return of_all if share and len(of_all) <= width else share
    return "█" * max(round(width * documents / most), 1) if documents else ""


def _needs(snapshot: Snapshot, state: State) -> str:
    """Who must act: you, a worker, or time."""
    standing = snapshot.states[state]
    if state in FINAL:
        return "you" if state in FAILED and standing.documents else ""
    if standing.documents > standing.waiting and not snapshot.workers.alive:
        return "a run"
    return f"in {duration(standing.next_due)}" if standing.waiting and standing.waiting == standing.documents else ""


# ── what is said under the table ────────────────────────────────────────────────────────────────────────────────────


def _lines(snapshot: Snapshot, width: int, changes: int, *, brief: bool) -> Table:
    room = max(width - LABEL - 1, 20)
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=LABEL, no_wrap=True)
    grid.add_column(width=room, overflow="fold")
    facts = [*_pulse(snapshot, room), *([] if brief else _standing(snapshot)), *_stale(snapshot)]
    for label, said in facts:
        grid.add_row(Text(label, style="red" if label in ("failed", "stale") else "dim"), said)
    for n, change in enumerate(snapshot.changes[:changes]):
        move = f"{change.before or '·'} → {change.after}"
        name = shortened(safe(change.source.rpartition("/")[2]), max(width - LABEL - 13 - len(move), 8))
        line = Text.assemble((f"{change.at:%H:%M:%S} ", "dim"), name, (f"  {move}", "dim"), no_wrap=True)
        grid.add_row(Text("latest" if n == 0 else "", style="dim"), line)
    for label, said in _to_do(snapshot, room):
        grid.add_row(Text(label, style="red" if label == "failed" else "bold"), said)
    return grid


def _pulse(snapshot: Snapshot, width: int) -> Iterator[tuple[str, Text]]:
    yield "last hour", _packed([_pace(snapshot), _ahead(snapshot), _spent(snapshot), _at_work(snapshot)], width)
    day = snapshot.day
    average = "" if day.average_minutes is None else f" · {duration(60 * day.average_minutes)} on average"
    yield "last 24 h", Text(f"{day.jobs:,} new · {day.complete:,} complete · {day.failed:,} failed{average}")


def _standing(snapshot: Snapshot) -> Iterator[tuple[str, Text]]:
    held = snapshot.buffers
    chunks, vectors = _rows(held.chunks), _rows(held.vectors)
    yield (
        "buffers",
        Text(f"chunks {chunks} {size(held.chunk_bytes)} · vectors {vectors} {size(held.vector_bytes)}"),
    )
    if snapshot.serving is not None:
        yield "search", Text(_searched(snapshot.serving))
    if snapshot.spending is not None:
        yield "budget", Text(budgets(snapshot.spending))
    if snapshot.last_run is not None:
        yield "runs", Text(" · ".join(_runs(snapshot)))


def _stale(snapshot: Snapshot) -> Iterator[tuple[str, Text]]:
    if snapshot.workers.stale:
        since = duration(snapshot.workers.stale_for)
        yield "stale", Text(f"{snapshot.workers.stale:,} claims of dead workers, for {since}; any run takes them over")


def _searched(serving: Serving) -> str:
    index = "exact" if serving.index == "none" else serving.index if serving.ready else f"{serving.index} is not whole"
    return safe(f"{serving.model} {serving.version} · {index}")


def _packed(parts: Sequence[str], width: int) -> Text:
    """``parts`` side by side, and in more lines where there is no room; no part is cut unless it is too long itself."""
    lines: list[str] = []
    for part in filter(None, parts):
        if lines and len(lines[-1]) + 3 + len(part) <= width:
            lines[-1] += f"   {part}"
        else:
            lines.append(part)
    return Text("\n".join(lines))


def sparkline(numbers: Sequence[int]) -> str:
    """A bar a number, as high as it is beside the largest; the lowest is 0."""
    most = max(numbers, default=0) or 1
    return "".join(SPARKS[-(-n * (len(SPARKS) - 1) // most)] for n in numbers)


def _pace(snapshot: Snapshot) -> str:
    return f"{sparkline(snapshot.parts)} {_per_minute(snapshot.rate)} docs/min"


def _per_minute(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 9.5 or not rate else f"{rate:.1f}" if rate >= 0.095 else f"{rate:.2g}"


def _ahead(snapshot: Snapshot) -> str:
    if not snapshot.open:
        return "nothing open"
    return f"ETA {duration(snapshot.eta)}" if snapshot.eta is not None else "ETA ?"


def _spent(snapshot: Snapshot) -> str:
    if not snapshot.bought:
        return ""
    unknown = sum(bought.unknown for bought in snapshot.bought)
    if all(bought.mock for bought in snapshot.bought):
        return f"today {' · '.join(_units(bought) for bought in snapshot.bought)} (mocks)"
    usd = snapshot.usd_today
    return f"today {'?' if usd is None else f'~${usd:,.2f}'}" + (f" + {unknown} calls open" if unknown else "")


def _units(bought: Bought) -> str:
    return f"{bought.units:,} {bought.unit}{'s' * (bought.units != 1)}"


def _at_work(snapshot: Snapshot) -> str:
    it = snapshot.workers
    return f"workers {it.alive}" + (f" on {it.hosts} hosts" if it.hosts > 1 else "")


def _rows(estimate: int | None) -> str:
    return "?" if estimate is None else f"~{estimate:,}"


def _runs(snapshot: Snapshot) -> Iterator[str]:
    def ago(run: Run) -> str:
        return duration((snapshot.at - (run.finished_at or run.started_at)).total_seconds())

    last, good = snapshot.last_run, snapshot.last_good_run
    if last is not None:
        end = "began" if last.finished_at is None else f"exit {last.exit_code},"
        yield f"{last.command} {end} {ago(last)} ago"
    if good is None:
        yield "none ended well yet"
    elif good != last:
        yield f"the last good one {ago(good)} ago"


def _to_do(snapshot: Snapshot, width: int) -> Iterator[tuple[str, Text]]:
    failures = [failure for failure in snapshot.failures if failure.documents]
    if failures:
        words = [f"{failure.documents:,} {failure.code}" for failure in failures[:CODES]]
        more = snapshot.failed - sum(failure.documents for failure in failures[:CODES])
        words += [f"{more:,} more"] if more > 0 else []
        yield "failed", Text(" · ".join(words))
    commands = ["docproc status --failed", failures[0].next] if failures else []
    commands += ["docproc run-all"] if snapshot.open and not snapshot.workers.alive else []
    commands += ["docproc run-all FOLDER"] if not snapshot.total else []
    if commands:
        yield "next", _packed(commands, width)


# ── lists of documents ──────────────────────────────────────────────────────────────────────────────────────────────


class _Path:
    """A path cut in its middle to the width there is."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(shortened(safe(self._path), options.max_width), style="bold", no_wrap=True, overflow="crop")


def _listed(row: Row) -> Iterator[RenderableType]:
    yield _Path(row["source"])
    line = Text(f"  {row['status']}  {duration(row['seconds'])}")
    if row["code"]:
        line.append(f"  {row['code']}", style="red" if row["status"] in FAILED else "")
    if row["due_in"] and row["status"] not in FINAL:
        line.append(f"  in {duration(row['due_in'])}")
    yield line
    for label, said in (("why", ": ".join(filter(None, (row["what"], row["why"])))), ("try", row["remedy"])):
        if said:
            grid = Table.grid(padding=(0, 2, 0, 0))
            grid.add_column(width=5, no_wrap=True)
            grid.add_column(overflow="fold")
            grid.add_row(Text(f"  {label}", style="dim"), Text(safe(said)))
            yield grid
