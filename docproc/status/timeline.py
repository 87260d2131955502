"""The history of one job with what every step cost: each paid call belongs to the state in which it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from docproc.prices import Prices

if TYPE_CHECKING:
    from docproc.app import App

Row = Mapping[str, Any]


def costed(app: App, job: Row, history: Sequence[Row]) -> list[dict[str, Any]]:
    """The events of ``job``, each with ``lasted`` (seconds in the state, None for the last) and what was ``bought``.

    ``bought`` holds ``usd`` (an estimate, None where no price is known) and units by name; a call that several jobs
    shared counts with its part.
    """
    calls = app.store.reads.calls_of(job["job_id"], job["created_at"])
    free = app.store.reads.mocked_units()
    prices, tier = Prices.of(app.settings.prices), app.settings.parser.tier
    return priced(history, calls, model=job["embed_model"], tier=tier, free=free, prices=prices)


def priced(
    history: Sequence[Row],
    calls: Sequence[Row],
    *,
    model: str,
    tier: str,
    free: frozenset[str] = frozenset(),
    prices: Prices | None = None,
) -> list[dict[str, Any]]:
    """``history`` with ``lasted`` and ``bought``; units in ``free`` cost nothing."""
    told = []
    for n, event in enumerate(history):
        following = history[n + 1]["at"] if n + 1 < len(history) else None
        within = [call for call in calls if _belongs(call["started_at"], event["at"], following, first=n == 0)]
        lasted = None if following is None else (following - event["at"]).total_seconds()
        told.append({**event, "lasted": lasted, "bought": _sum(within, model, tier, free, prices or Prices())})
    return told


def _belongs(at: datetime, begin: datetime, end: datetime | None, *, first: bool) -> bool:
    return (first or begin <= at) and (end is None or at < end)


def _sum(calls: Sequence[Row], model: str, tier: str, free: frozenset[str], prices: Prices) -> dict[str, Any] | None:
    if not calls:
        return None
    units: dict[str, float] = {}
    usd: float | None = 0.0
    for call in calls:
        part = None if call["units"] is None else call["units"] / max(call["jobs"], 1)
        units[call["unit"]] = units.get(call["unit"], 0.0) + (part or 0.0)
        price = (
            0.0
            if call["unit"] in free
            else None
            if part is None
            else part * call["usd_per_unit"]
            if call.get("usd_per_unit") is not None
            else prices.units(call["unit"], part, tier=tier, model=model)
        )
        usd = None if usd is None or price is None else usd + price
    return {"usd": usd, "calls": len(calls), **{f"{unit}s": round(count, 1) for unit, count in units.items()}}
