"""Alerts: thresholds on what a snapshot says, each of which holds, is exceeded, or cannot be judged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from docproc.states import OPEN

if TYPE_CHECKING:
    from docproc.settings import AlertsSettings
    from docproc.status import Snapshot

FEWEST = 10
"""Jobs that must have ended in the last 24 hours before the share of the failed ones says anything."""


class Verdict(StrEnum):
    """What is to be said of a threshold."""

    OFF = "off"
    HOLDS = "holds"
    FIRES = "fires"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Alert:
    """One threshold of ``[alerts]`` and what became of it.

    ``value`` and ``threshold`` are a share, seconds or USD, by ``unit``; ``value`` is None where there is nothing to
    measure. ``about`` says whose value it is, ``since`` when that began, ``next`` what to type.
    """

    name: str
    unit: str
    verdict: Verdict
    value: float | None
    threshold: float
    about: str
    since: datetime | None
    next: str

    @property
    def is_trouble(self) -> bool:
        """Whether somebody must look: it fires, or nobody can say whether it should."""
        return self.verdict in (Verdict.FIRES, Verdict.UNKNOWN)


@dataclass(frozen=True, slots=True)
class _Measured:
    """A value, and what there is to tell of it."""

    value: float | None
    about: str = ""
    since: datetime | None = None
    next: str = "docproc status"
    known: bool = True


def evaluate(snapshot: Snapshot, thresholds: AlertsSettings) -> tuple[Alert, ...]:
    """Every alert, in the order of ``[alerts]``; it fires when its value is above its threshold, not when equal."""
    return (
        _judged("failed_share", "share", thresholds.failed_share, _failed_share(snapshot)),
        _judged("oldest", "seconds", thresholds.oldest, _oldest(snapshot)),
        _judged("stuck", "seconds", thresholds.stuck, _stuck(snapshot)),
        _judged("no_success_for", "seconds", thresholds.no_success_for, _no_success(snapshot)),
        _judged("budget_usd_per_day", "usd", thresholds.budget_usd_per_day, _spent(snapshot, thresholds)),
    )


def troubles(alerts: Iterable[Alert]) -> tuple[Alert, ...]:
    """Those that somebody must look at."""
    return tuple(alert for alert in alerts if alert.is_trouble)


def _judged(name: str, unit: str, threshold: float, found: _Measured) -> Alert:
    if not threshold:
        verdict = Verdict.OFF
    elif not found.known:
        verdict = Verdict.UNKNOWN
    else:
        verdict = Verdict.FIRES if found.value is not None and found.value > threshold else Verdict.HOLDS
    return Alert(name, unit, verdict, found.value, threshold, found.about, found.since, found.next)


def _failed_share(snapshot: Snapshot) -> _Measured:
    failed, ended = snapshot.day.failed, snapshot.day.failed + snapshot.day.complete
    if ended < FEWEST:
        return _Measured(None, f"only {ended} jobs ended in the last 24 h")
    return _Measured(
        failed / ended, f"{failed:,} of {ended:,} jobs of the last 24 h failed", next="docproc status --failed"
    )


def _oldest(snapshot: Snapshot) -> _Measured:
    ages = {state: snapshot.states[state].oldest for state in OPEN if snapshot.states[state].documents}
    known = {state: age for state, age in ages.items() if age is not None}
    if not known:
        return _Measured(None, "nothing is open")
    state = max(known, key=lambda one: known[one])
    since = snapshot.at - timedelta(seconds=known[state])
    return _Measured(known[state], f"the oldest document in {state}", since, f"docproc status --state {state}")


def _stuck(snapshot: Snapshot) -> _Measured:
    stale_for = snapshot.workers.stale_for
    if stale_for is None:
        return _Measured(None, "no claim without a live process")
    since = snapshot.at - timedelta(seconds=stale_for)
    stale = snapshot.workers.stale
    return _Measured(stale_for, f"{stale:,} claim{'s' * (stale != 1)} of dead processes", since, "docproc run-all")


def _no_success(snapshot: Snapshot) -> _Measured:
    """A run that finds nothing to do leaves no trace, so that without work its absence says nothing."""
    if not snapshot.open:
        return _Measured(None, "nothing is open")
    good, last = snapshot.last_good_run, snapshot.last_run
    times = {"the last good run": None if good is None else good.finished_at}
    if last is not None and last.finished_at is None and snapshot.workers.alive:
        # One that goes on has time until the threshold, counted from its beginning.
        times["the run that goes on"] = last.started_at
    told = {which: at for which, at in times.items() if at is not None}
    if not told:
        return _never(snapshot)
    which = max(told, key=lambda one: told[one])
    seconds = (snapshot.at - told[which]).total_seconds()
    return _Measured(seconds, which, told[which], "docproc validate-deploy")


def _never(snapshot: Snapshot) -> _Measured:
    """No run ever ended well: counted from when the oldest open document came to where it stands."""
    oldest = _oldest(snapshot)
    return _Measured(oldest.value, "no run has ever ended well", oldest.since, "docproc validate-deploy")


def _spent(snapshot: Snapshot, thresholds: AlertsSettings) -> _Measured:
    midnight = snapshot.at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    told = [bought.usd for bought in snapshot.bought if bought.usd is not None]
    at_least = sum(told)
    known = len(told) == len(snapshot.bought)
    # What is known may be too much by itself.
    if known or at_least > thresholds.budget_usd_per_day:
        return _Measured(at_least, "an estimate of what was spent today", midnight)
    units = " and ".join(f"{bought.unit}s" for bought in snapshot.bought if bought.usd is None)
    return _Measured(None, f"no price is known for {units}", midnight, "docproc status --json", known=False)
