"""status DOCUMENT: one document's timeline, its pages as a strip, what failed of them, why, and what to try."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from math import ceil
from typing import Any

from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from docproc.states import FINAL
from docproc.views.terminal import data, for_people, print_json, print_rows
from docproc.views.words import duration, instant, safe, shortened, size

BARS = "▁▂▃▄▅▆▇█"
"""The first is a page without text; the others grow with the characters of the page."""

NOT_RETURNED = "·"

MOST_PAGES_NAMED = 10
"""Failed and missing pages that get a line of their own."""

Row = dict[str, Any]


def show_document(jobs: list[tuple[Row, list[Row]]], *, json: bool) -> None:
    """The timeline of each job of one document: when, which state, for how long, at what cost, by whom, and why."""
    if json:
        print_json({"jobs": [{**job, "history": history} for job, history in jobs]})
        return
    if not for_people():
        print_rows(_record(job, event) for job, history in jobs for event in history)
        return
    for job, history in jobs:
        _show_timeline(job, history)


def _record(job: Row, event: Row) -> tuple[object, ...]:
    bought = event.get("bought")
    moved = (event["from_status"], event["to_status"], event["seconds"], event["code"], event["note"])
    return (job["document_id"], instant(event["at"]), *moved, event.get("worker"), bought and bought["usd"])


def page_strip(characters: Sequence[int | None], width: int) -> str:
    """A bar a page, as high as it has characters beside the fullest; ``·`` where a page was not returned (None).

    With more pages than ``width`` each bar is the mean of several, and ``·`` when one of them was not returned: a
    strip must not hide it.
    """
    step = _to_a_bar(len(characters), width)
    bars = [_mean(characters[at : at + step]) for at in range(0, len(characters), step)]
    most = max((bar for bar in bars if bar is not None), default=0)
    return "".join(NOT_RETURNED if bar is None else _bar(bar, most) for bar in bars)


def _to_a_bar(numbers: int, width: int) -> int:
    return max(ceil(numbers / max(width, 1)), 1)


def _mean(characters: Sequence[int | None]) -> float | None:
    known = [count for count in characters if count is not None]
    return sum(known) / len(known) if len(known) == len(characters) else None


def _bar(characters: float, most: float) -> str:
    return BARS[ceil(characters / most * (len(BARS) - 1))] if characters else BARS[0]


def _show_timeline(job: Row, history: list[Row]) -> None:
    out, progress, error = data(), job["progress"], job["last_error"]
    out.print(f"[bold]{escape(shortened(safe(job['source']), out.width))}[/]", no_wrap=True)
    out.print(f"{job['document_id']}  {size(job['raw_bytes'])}")
    for words in ([job["chunks_version"], job["embed_model"]], _page_words(progress), _work_words(progress)):
        if words:
            out.print(Text(" · ".join(words), style="dim"))
    out.print()
    out.print(_timeline(job, history, ended_by=error, width=out.width))
    if "pages" in progress:
        _show_pages(progress)
    if error:
        why = f"{error['what']}: {error['why']}" if error["why"] else error["what"]
        out.print()
        out.print(_columns([("why", safe(why)), ("try", error["remedy"])]))
    out.print()


def _timeline(job: Row, history: list[Row], *, ended_by: Row | None, width: int) -> Table:
    """When, which state, for how long, at what cost, by whom, why; the reason of the end is told below."""
    rows = [("time", "state", "for", "cost", "worker", "why")]
    day = None
    for event in history:
        is_end = event is history[-1] and ended_by is not None and event["code"] == ended_by["code"]
        note = " ".join(filter(None, (event["code"], "" if is_end else event["note"])))
        at = event["at"].astimezone(UTC)
        rows.append(
            (
                f"{at:%m-%d %H:%M:%S}" if at.date() != day else f"      {at:%H:%M:%S}",
                event["to_status"] if event["from_status"] != event["to_status"] else "  again",
                _lasted(job, event),
                _cost(event.get("bought")),
                _worker(event.get("worker") or ""),
                safe(note),
            )
        )
        day = at.date()
    return _grid(rows, width)


def _lasted(job: Row, event: Row) -> str:
    """How long the job stood there; for the last event, how long it does."""
    lasted = event.get("lasted")
    if lasted is None and "asked_at" in job and event["to_status"] not in FINAL:
        return f"{duration((job['asked_at'] - event['at']).total_seconds())}…"
    return "" if lasted is None or lasted < 0.0005 else duration(lasted)


def _cost(bought: Row | None) -> str:
    """An estimate in USD; the units where it cost nothing, ``?`` where nobody knows."""
    if bought is None:
        return ""
    units = " ".join(f"{round(bought[name]):,} {name}" for name in ("pages", "tokens") if bought.get(name))
    usd = bought["usd"]
    if usd == 0:
        return units
    return "?" if usd is None else f"~${usd:.2f}" if usd >= 0.01 else "<$0.01"


def _worker(owner: str) -> str:
    """Host and process of an owner ``host-boot:pid:start:uuid``; the rest tells apart what people do not."""
    host, _, rest = owner.partition(":")
    name = host.rpartition("-")[0] or host
    pid = rest.partition(":")[0]
    return shortened(safe(f"{name}:{pid}" if pid else name), 16)


def _grid(rows: Sequence[Sequence[str]], width: int) -> Table:
    """``rows`` under the first of them; a column without a word is left out, and where room is short the worker."""
    keep = [n for n in range(len(rows[0])) if n < 2 or any(row[n] for row in rows[1:])]
    widths = [max(cell_len(row[n]) for row in rows) for n in range(len(rows[0]))]
    if sum(widths[n] + 2 for n in keep if n < 5) + 20 > width and 5 in keep and 4 in keep:
        keep.remove(4)
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    for n in keep:
        table.add_column(no_wrap=n < 5, justify="right" if n in (2, 3) else "left", overflow="fold")
    for n, row in enumerate(rows):
        table.add_row(*(Text(row[m], style="" if n else "dim") for m in keep))
    return table


def _columns(rows: Iterable[Sequence[str]]) -> Table:
    """``rows`` in columns of which only the last is wrapped, under itself."""
    lines = list(rows)
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    for _ in lines[0][:-1] if lines else ():
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for line in lines:
        table.add_row(*map(Text, line))
    return table


_PAGE_COUNTS = {
    "pages_failed": "failed",
    "pages_missing": "missing",
    "pages_empty": "without text",
    "pages_extra": "more than the file has",
    "characters": "characters",
    "characters_removed": "control characters removed",
}
"""Counts of the pages and their text, with the words for them; none is said when it is 0."""


def _page_words(progress: Row) -> list[str]:
    """What was counted of the document's pages: ``43 pages``, ``2 failed``."""
    pages = progress.get("pages_total")
    words = [] if pages is None else [f"{pages:,} page{'s' * (pages != 1)}"]
    return words + [f"{progress[name]:,} {word}" for name, word in _PAGE_COUNTS.items() if progress.get(name)]


def _work_words(progress: Row) -> list[str]:
    """What was made of the document: ``364 chunks``, ``12 of 364 embedded``."""
    if "chunks_total" not in progress:
        return []
    words = [f"{progress['chunks_total']:,} chunks"]
    if progress.get("embeds_total"):
        words.append(f"{progress.get('embeds_done', 0):,} of {progress['embeds_total']:,} embedded")
    return words


def _show_pages(progress: Row) -> None:
    """The strip of a document of several pages, and a line for each page whose text is not there."""
    out, pages = data(), progress["pages"]
    lost = list(_lost_pages(pages))[:MOST_PAGES_NAMED]
    more = progress["pages_failed"] + progress["pages_missing"] + len(pages["bad_text"]) - len(lost)
    if pages["total"] > 1:
        width = out.width - len("pages  ")
        strip = page_strip(pages["characters"], width)
        out.print(f"\npages  {strip}", no_wrap=True)
        legend = _legend(pages, strip, width)
        if legend:
            out.print(f"       [dim]{legend}[/]")
    elif lost:
        out.print()
    for number, why in lost:
        out.print(shortened(f"page {number}: {safe(why)}", out.width), markup=False, no_wrap=True)
    if more:
        out.print(f"and {more:,} pages more")


def _legend(pages: Row, strip: str, width: int) -> str:
    each = pages["pages_a_number"] * _to_a_bar(len(pages["characters"]), width)
    words = [f"{each} pages to a bar"] if each > 1 else []
    if NOT_RETURNED in strip:
        words.append(f"{NOT_RETURNED} {'holds a page that ' if each > 1 else ''}failed or is missing")
    words += [f"{BARS[0]} no text"] if BARS[0] in strip else []
    return "   ".join(words)


def _lost_pages(pages: Row) -> Iterator[tuple[int, str]]:
    """Number and reason of each page without text that should have some, in order of number."""
    lost = {int(number): why or "failed" for number, why in pages["failed"].items()}
    lost |= dict.fromkeys(pages["missing"], "not returned by the parser")
    lost |= dict.fromkeys(pages["bad_text"], "the parser gave a text that stands for none")
    yield from sorted(lost.items())
