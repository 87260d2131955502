"""What a run would do and pay: a table on a terminal, tab-separated values in a pipe, JSON."""

from __future__ import annotations

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from docproc.forecast import BOUGHT, HERE, Forecast, Line
from docproc.store import OUTCOMES
from docproc.views.errors import show_failures
from docproc.views.terminal import for_people, messages, print_json, print_rows, show
from docproc.views.words import dollars, safe

_FREE = {HERE: "parsed here for nothing", BOUGHT: "handed in before"}
_UNKNOWN = {"page": "that cannot be counted", "token": "whose text is not known yet"}


def show_forecast(forecast: Forecast, *, title: str, json: bool) -> None:
    """The files by what would become of them, a line a command, and the sum."""
    if json:
        print_json({"dry_run": True, **forecast.document()})
        return
    if for_people():
        show(f"{escape(safe(title))} · dry run: nothing was written, nothing was paid")
        show(_table(forecast))
    else:
        print_rows(_rows(forecast))
    show_failures(forecast.refused)
    for remark in _remarks(forecast):
        messages().print(escape(remark))


def _table(forecast: Forecast) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    for column in ("left", "right", "left", "right"):
        table.add_column(justify="right" if column == "right" else "left")
    if forecast.files:
        told = " · ".join(f"{forecast.files[one]:,} {one}" for one in OUTCOMES if forecast.files[one])
        table.add_row("files", f"{forecast.files.total():,}", told, "")
    for line in forecast.lines():
        usd = "" if line.unit is None else dollars(line.usd) + ("+" if line.unknown else "")
        table.add_row(line.command, f"{line.documents:,}", "\n".join(_what(line)), usd)
    table.add_row("total", "", "", f"[bold]{dollars(forecast.usd)}{'' if forecast.is_whole else '+'}[/]")
    return table


def _what(line: Line) -> Iterator[str]:
    if line.unit is None or not line.documents:
        return
    yield f"{line.units:,} {line.unit}s"
    if line.unknown:
        yield f"and those of {line.unknown:,} {_UNKNOWN[line.unit]}"
    if line.owned:
        yield f"{line.owned:,} more are owned"
    for how, count in line.free.items():
        yield f"{count:,} {_FREE.get(how, how)}"


def _rows(forecast: Forecast) -> Iterator[tuple[object, ...]]:
    for outcome in OUTCOMES:
        if forecast.files[outcome]:
            yield ("files", forecast.files[outcome], outcome)
    for line in forecast.lines():
        yield (line.command, line.documents, line.unit, line.units, line.unknown, line.usd)
    yield ("total", None, None, None, sum(line.unknown for line in forecast.lines()), forecast.usd)


def _remarks(forecast: Forecast) -> Iterator[str]:
    if not any(line.documents for line in forecast.lines()):
        yield "nothing to do"
        return
    refused = [work for work in forecast.works if work.refused]
    if refused:
        yield f"{len(refused):,} documents would fail: {', '.join(sorted({str(work.refused) for work in refused}))}"
    if not forecast.is_whole:
        yield "+ and what is not known before the parse: this is the least that it costs"
    if forecast.is_over:
        yield f"more than the budget of {dollars(forecast.cap)}: the run would stop there, with exit 5"
    prices = f"at the prices of {forecast.prices.as_of}"
    if forecast.prices.stale:
        prices += ", which are old: see the providers' price pages, then [prices] in docproc.toml"
    yield prices + ("; the mocks charge nothing" if forecast.mock else "")
