"""The account of a deploy, step by step, and of a smoke."""

from __future__ import annotations

from collections.abc import Callable

from rich.markup import escape
from rich.table import Table

from docproc.deploy import Deployed, Step
from docproc.smoke import Smoke
from docproc.trials import Sample
from docproc.views.errors import show_error
from docproc.views.terminal import data, for_people, print_json, print_rows, show
from docproc.views.words import duration, safe, shortened

_MARKS = {"ok": "[green]✓[/]", "failed": "[red]✗[/]", "skipped": "[dim]-[/]"}
_NAME = 12  # characters: the longest name of a step and a blank


def telling(*, json: bool) -> Callable[[Step], None]:
    """Shows each step when it has ended: a deploy takes long, and whoever waits wants to see where it is."""
    if json:
        return lambda _: None
    return _show_step if for_people() else lambda s: print_rows([(s.name, s.state, f"{s.seconds:.3f}", s.said)])


def _show_step(step: Step) -> None:
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(width=1)
    grid.add_column(width=_NAME)
    grid.add_column(ratio=1)
    grid.add_column(justify="right", width=6)
    grid.add_row(_MARKS[step.state], step.name, escape(safe(step.said)), f"[dim]{duration(step.seconds)}[/]")
    data().print(grid)


def show_deployed(done: Deployed, *, json: bool) -> None:
    """How it ended, after its steps: the way back, or what went wrong."""
    if json:
        print_json(done.document())
        return
    moved = f"schema {done.schema[0]} → {done.schema[1]}" if done.schema[0] != done.schema[1] else ""
    at = f" at {done.stopped_at}" if done.error is not None and done.stopped_at else ""
    line = [f"{done.outcome}{at}", f"docproc {done.version}", moved, f"exit {done.exit_code:d}"]
    back = f"the way back  {' && '.join(done.way_back)}" if done.way_back and done.error is None else ""
    for text in filter(None, (" · ".join(filter(None, line)), back)):
        print_rows([(text,)]) if not for_people() else data().print(escape(text), soft_wrap=True)
    if done.error is not None:
        show_error(done.error)


def show_smoke(smoke: Smoke, *, json: bool) -> None:
    """Every sample with what became of it, and every difference from what was expected."""
    if json:
        print_json(smoke.document())
    elif not for_people():
        print_rows(
            (s.name, s.state, s.chunks, s.vectors, " ".join(map(str, s.dimensions)), s.code)
            for s in smoke.trial.samples
        )
        print_rows((f"{d.severity}", d.sample, d.what, d.found, d.expected) for d in smoke.differences)
    else:
        show(_samples(smoke))
        for difference in smoke.differences:
            colour = "red" if difference.severity == "error" else "yellow"
            data().print(f"[{colour}]{difference.severity}[/] {escape(safe(str(difference)))}")
        beside = "as in the profile local" if smoke.expected is not None else "compared with nothing"
        ended = f"{len(smoke.errors)} errors" if smoke.errors else f"well, {beside}"
        data().print(f"{smoke.said} · {duration(smoke.trial.seconds)} · {ended} · removed without a trace")


def _samples(smoke: Smoke) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("sample", "state", "chunks", "tokens", "dimensions", "time"):
        table.add_column(name, justify="left" if name in ("sample", "state") else "right", header_style="dim")
    for sample in smoke.trial.samples:
        table.add_row(*_cells(sample))
    return table


def _cells(sample: Sample) -> tuple[str, ...]:
    state = f"{sample.state} {sample.code}".strip()
    sizes = ", ".join(map(str, sample.dimensions))
    time = duration(sum(sample.seconds.values()))
    return escape(safe(shortened(sample.name, 32))), state, str(sample.chunks), str(sample.tokens), sizes, time
