"""status --watch: the snapshot again and again; live on a terminal, one line an interval when piped."""

from __future__ import annotations

import json as jsons
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from docproc.errors import DatabaseError
from docproc.status import Snapshot
from docproc.views.status import as_document
from docproc.views.terminal import SCHEMA, data, for_people, messages, print_rows
from docproc.views.words import duration, instant, safe

if TYPE_CHECKING:
    from rich.console import RenderableType

MOST_CHANGES = 10
"""Latest changes on a screen that has room for them."""


class Shown(Protocol):
    """Where the snapshots go."""

    def show(self, snapshot: Snapshot) -> None:
        """Shows the next one."""

    def trouble(self, error: DatabaseError) -> None:
        """Says that the database did not answer."""

    def redraw(self) -> None:
        """Draws the last one anew, on a screen that may have another size."""


def watch(
    look: Callable[[], Snapshot],
    *,
    interval: float,
    until_idle: bool = False,
    json: bool = False,
    deadline: float | None = None,
) -> bool:
    """Looks every ``interval`` seconds; returns whether nothing was open at the last look.

    Goes on until it is interrupted, until ``deadline`` by the monotonic clock, or with ``until_idle`` until nothing is
    open. A database that does not answer is told of and asked again.
    """
    shown: Shown = Live(interval) if for_people() and not json else Lines(json=json)
    with woken_by_resizing() as resized:
        while True:
            idle = _looked(look, shown)
            if until_idle and idle:
                return True
            if not _waited(interval, deadline, resized, shown):
                return idle


def wait_until_idle(open_jobs: Callable[[], int], *, interval: float, deadline: float | None = None) -> bool:
    """Waits in silence until nothing is open; False when ``deadline`` came first."""
    while open_jobs():
        if deadline is not None and time.monotonic() >= deadline:
            return False
        time.sleep(interval if deadline is None else max(min(interval, deadline - time.monotonic()), 0.0))
    return True


def _looked(look: Callable[[], Snapshot], shown: Shown) -> bool:
    try:
        snapshot = look()
    except DatabaseError as error:
        shown.trouble(error)
        return False
    shown.show(snapshot)
    return not snapshot.open


def _waited(interval: float, deadline: float | None, resized: threading.Event, shown: Shown) -> bool:
    """Waits for the next look, drawing anew whenever the screen changes; False when the deadline came first."""
    end = time.monotonic() + interval
    if deadline is not None:
        end = min(end, deadline)
    while (left := end - time.monotonic()) > 0:
        if resized.wait(left):
            resized.clear()
            shown.redraw()
    return deadline is None or time.monotonic() < deadline


@contextmanager
def woken_by_resizing() -> Iterator[threading.Event]:
    """An event that is set when the terminal has another size."""
    event = threading.Event()
    before = signal.signal(signal.SIGWINCH, lambda *_: event.set())
    try:
        yield event
    finally:
        signal.signal(signal.SIGWINCH, before)


class Lines:
    """One line a look: tab-separated values, or a JSON document."""

    def __init__(self, *, json: bool) -> None:
        self._json = json

    def show(self, snapshot: Snapshot) -> None:
        """At, open, complete, failed, documents a minute, seconds to go, workers."""
        if self._json:
            document = {"schema": SCHEMA, **as_document(snapshot)}
            sys.stdout.write(jsons.dumps(document, default=str) + "\n")
        else:
            counts = (snapshot.open, snapshot.complete, snapshot.failed)
            eta = None if snapshot.eta is None else round(snapshot.eta)
            print_rows([(instant(snapshot.at), *counts, round(snapshot.rate, 1), eta, snapshot.workers.alive)])
        sys.stdout.flush()

    def trouble(self, error: DatabaseError) -> None:
        """Not among the data."""
        messages().print(safe(f"{error}; asked again"), markup=False)

    def redraw(self) -> None:
        """A line stands."""


class Live:
    """The screen, written over itself in one piece, so that nothing flickers."""

    def __init__(self, interval: float) -> None:
        self._foot = f"every {duration(interval)} · Ctrl-C ends"
        self._last: Snapshot | None = None
        self._said = ""
        self._lines = 0
        self._size = (0, 0)

    def show(self, snapshot: Snapshot) -> None:
        """Shows it in place of the last one."""
        self._last, self._said = snapshot, self._foot
        self.redraw()

    def trouble(self, error: DatabaseError) -> None:
        """Leaves the last one where it is and says below it since when it is old."""
        at = "" if self._last is None else f"as of {self._last.at:%H:%M:%S} · "
        self._said = f"{at}{safe(str(error))} · asked again"
        self.redraw()

    def redraw(self) -> None:
        """Writes the lines of the screen over those that were written last."""
        out = data()
        lines = self._drawn(out.height - 1)
        if (out.width, out.height) != self._size:
            # Lines that were wrapped anew cannot be counted: the screen begins afresh.
            start = "\x1b[2J\x1b[H" if self._lines else ""
        else:
            start = f"\x1b[{self._lines}A\r" if self._lines else ""
        text = "".join(f"{_rubbed_out(line, out.width)}\n" for line in lines)
        sys.stdout.write(f"{start}{text}\x1b[J")
        sys.stdout.flush()
        self._lines, self._size = len(lines), (out.width, out.height)

    def _drawn(self, height: int) -> list[str]:
        """The lines, at most ``height``: where it is low, the latest changes go first, then what seldom changes."""
        from rich.text import Text

        said = Text(self._said, style="dim", no_wrap=True, overflow="ellipsis")
        lines = list[str]()
        for changes in range(MOST_CHANGES, -2, -1):
            lines = self._lines_of(said, max(changes, 0), brief=changes < 0)
            if len(lines) <= height:
                return lines
        return [*lines[: height - 1], lines[-1]]

    def _lines_of(self, said: RenderableType, changes: int, *, brief: bool) -> list[str]:
        from docproc.views.status_screen import Screen

        out = data()
        with out.capture() as drawn:
            if self._last is not None:
                out.print(Screen(self._last, changes=changes, brief=brief))
            out.print(said)
        return drawn.get().splitlines()


def _rubbed_out(line: str, width: int) -> str:
    """``line`` and the end of what stood there; at the last column that would rub out the line's own end."""
    from rich.cells import cell_len

    return line if cell_len(_STYLES.sub("", line)) >= width else f"{line}\x1b[K"


_STYLES = re.compile(r"\x1b\[[0-9;]*m")
