"""How the work went: documents by hour, money by day, the latest runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING, Any

from docproc.postgres.trends import Trends
from docproc.prices import Prices
from docproc.status import Run

if TYPE_CHECKING:
    from docproc.app import App
    from docproc.status import Snapshot

Row = Mapping[str, Any]

HOURS = 24
DAYS = 14


@dataclass(frozen=True, slots=True)
class Hour:
    """Documents that became complete and that failed within one hour; ``ago`` 0 is the latest."""

    ago: int
    complete: int
    failed: int


@dataclass(frozen=True, slots=True)
class Spending:
    """What was bought on one day (UTC).

    ``usd`` is an estimate at the prices of today's settings, None where one is not known. ``unknown`` calls have not
    said how many units they took.
    """

    day: date
    pages: int
    tokens: int
    unknown: int
    usd: float | None


@dataclass(frozen=True, slots=True)
class Ended:
    """A run and what it says of itself: documents ``done`` and ``failed``, None when it was killed or still goes on."""

    run: Run
    done: int | None
    failed: int | None


@dataclass(frozen=True, slots=True)
class Trend:
    """24 hours and 14 days, each the oldest first, and the latest runs, the latest first; ``free``: all with mocks."""

    hours: tuple[Hour, ...]
    days: tuple[Spending, ...]
    runs: tuple[Ended, ...]
    free: bool


def take_trend(app: App, snapshot: Snapshot) -> Trend:
    """Looks at the database of ``app``; its days are those before ``snapshot``. Raises DatabaseError."""
    settings = app.settings
    rows = Trends(app.database).look()
    free = app.store.reads.mocked_units()
    return read_trend(
        rows,
        snapshot,
        model=settings.embedder.model,
        tier=settings.parser.tier,
        free=free,
        prices=Prices.of(settings.prices),
    )


def read_trend(
    rows: Mapping[str, Sequence[Row]],
    snapshot: Snapshot,
    *,
    model: str,
    tier: str,
    free: frozenset[str],
    prices: Prices | None = None,
) -> Trend:
    """Makes the trend of what ``Trends.look`` returned; ``model`` and ``tier`` name the prices, ``free`` the mocks'."""
    hours = {row["hour"]: row for row in rows["ended_by_hour"]}
    days: dict[int, list[Row]] = {}
    for row in rows["bought_by_day"]:
        days.setdefault(row["day"], []).append(row)
    return Trend(
        hours=tuple(_hour(ago, hours.get(ago)) for ago in reversed(range(HOURS))),
        days=tuple(
            _spending(
                snapshot.at.astimezone(UTC).date() - timedelta(days=ago), days.get(ago, []), model, tier, free, prices
            )
            for ago in reversed(range(DAYS))
        ),
        runs=tuple(_ended(row) for row in rows["latest_runs"]),
        free=free == frozenset({"page", "token"}),
    )


def _hour(ago: int, row: Row | None) -> Hour:
    return Hour(ago, row["complete"], row["failed"]) if row else Hour(ago, 0, 0)


def _spending(
    day: date, rows: Sequence[Row], model: str, tier: str, free: frozenset[str], prices: Prices | None
) -> Spending:
    usd: float | None = 0.0
    units = {"page": 0, "token": 0}
    for row in rows:
        units[row["unit"]] = units.get(row["unit"], 0) + row["units"]
        price = 0.0 if row["unit"] in free else (prices or Prices()).row(row, tier=tier, model=model)
        usd = None if usd is None or price is None else usd + price
    return Spending(day, units["page"], units["token"], sum(row["unknown"] for row in rows), usd)


def _ended(row: Row) -> Ended:
    run = Run(row["command"], row["started_at"], row["finished_at"], row["exit_code"])
    return Ended(run, row["done"], row["failed"])
