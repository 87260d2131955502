"""The ledger of paid calls: a table on a terminal, tab-separated values in a pipe, CSV, JSON."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.markup import escape
from rich.table import Table

from docproc.budget import Spending
from docproc.views.terminal import for_people, print_json, print_rows, show
from docproc.views.words import dollars, instant, safe, shortened

Row = Mapping[str, Any]

_NUMBERS = ("calls", "units", "units_estimated", "units_reported", "inputs")
_MONEY = ("usd", "usd_estimated", "usd_reported", "perhaps_paid", "difference")
_SHOWN = ("key", "provider", "unit", "calls", "units", "usd", "perhaps_paid", "difference")
_SHOWN_CALL = ("started_at", "provider", "stage", "units", "usd", "outcome")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def show_ledger(rows: Sequence[Row], *, by: str, as_csv: bool, json: bool) -> None:
    """``rows`` as they are summed ``by``; whole in CSV, JSON and a pipe, as much as there is room for on a terminal."""
    plain = [{name: _plain(value) for name, value in row.items()} for row in rows]
    if json:
        print_json({"by": by, "rows": plain})
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(plain[0] if plain else _SHOWN)
        writer.writerows([_no_formula(value) for value in row.values()] for row in plain)
    elif not for_people():
        print_rows(tuple(row.values()) for row in plain)
    else:
        show(_table(rows, _SHOWN_CALL if by == "call" else _SHOWN, by))


def budgets(spending: Spending) -> str:
    """What was spent of each budget there is: ``today $0.01 of $5.00 · month $1.20 of $50.00``."""
    spent = {"day": ("today", spending.today), "month": ("month", spending.month), "run": ("run", spending.run or 0.0)}
    words = [f"{spent[name][0]} {dollars(spent[name][1])} of {dollars(float(cap))}" for name, cap in _caps(spending)]
    words += [f"perhaps paid {dollars(spending.perhaps_month)}"] if spending.perhaps_month else []
    return " · ".join(words) + (" (list prices: mocks)" if spending.mock else "")


def _caps(spending: Spending) -> Sequence[tuple[str, Decimal]]:
    return list(spending.budget.caps.items())


def _table(rows: Sequence[Row], names: Sequence[str], by: str) -> Table:
    shown = [name for name in names if any(_counts(row.get(name)) for row in rows)]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in shown:
        right = name in _NUMBERS or name in _MONEY
        heading = by if name == "key" else name.replace("_", " ")
        table.add_column(heading, justify="right" if right else "left", overflow="fold", header_style="dim")
    for row in rows:
        table.add_row(*(escape(_cell(name, row[name])) for name in shown))
    totals = {name: sum(row[name] or 0 for row in rows) for name in ("calls", "usd") if name in shown}
    if len(rows) > 1 and totals:
        cells = [_cell(name, totals[name]) if name in totals else "" for name in shown]
        table.add_section()
        table.add_row(*cells, style="bold")
    return table


def _counts(value: object) -> bool:
    """Whether a column is worth its room: one of nothing but zeros is not."""
    return value not in (None, "", 0)


def _cell(name: str, value: object) -> str:
    if value is None:
        return ""
    if name in _MONEY:
        usd = float(str(value))
        return f"-{dollars(-usd)}" if usd < 0 else dollars(usd)
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, int):
        return f"{value:,}"
    return shortened(safe(str(value)), 60)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, Decimal):
        return float(value)
    return value if isinstance(value, int | float | bool | list) or value is None else str(value)


def _no_formula(value: object) -> object:
    """A path that a spreadsheet would take for a formula is quoted for it (CWE-1236)."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
