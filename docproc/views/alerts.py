"""Alerts as lines for people, as tab-separated records, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from docproc.alerts import Alert, Verdict, troubles
from docproc.views.terminal import data, for_people, messages, print_json, print_rows
from docproc.views.words import duration, instant


def show_alerts(alerts: Sequence[Alert], at: datetime, *, json: bool, quiet: bool) -> None:
    """A line for each alert that somebody must look at; when there is none one that says so, unless ``quiet``."""
    found = troubles(alerts)
    if json:
        print_json({"at": instant(at), "alerts": [as_document(alert) for alert in alerts], "firing": len(found)})
    elif for_people():
        for alert in found:
            data().print(line(alert), markup=False, soft_wrap=True)
    else:
        print_rows(_record(alert) for alert in found)
    if not (found or json or quiet):
        messages().print(_all_well(alerts), markup=False)


def show_firing(alerts: Sequence[Alert]) -> None:
    """A line on standard error for each alert that somebody must look at: at the end of a run."""
    for alert in troubles(alerts):
        messages().print(line(alert), markup=False, soft_wrap=True)


def line(alert: Alert) -> str:
    """``alert.oldest  1d 2h (the oldest document in parsed), limit 1d 0h, since …  next  docproc status …``."""
    return f"alert.{alert.name}  {facts(alert)}  next  {alert.next}"


def facts(alert: Alert) -> str:
    """The value, whose it is, the limit, and since when."""
    since = "" if alert.since is None else f", since {instant(alert.since)}"
    if alert.verdict is Verdict.UNKNOWN:
        return f"cannot be judged: {alert.about}{since}"
    return f"{said(alert.value, alert.unit)} ({alert.about}), limit {said(alert.threshold, alert.unit)}{since}"


def said(value: float | None, unit: str) -> str:
    """``12.5%``, ``4m10s``, ``$0.69``; ``?`` for what is not known."""
    if value is None:
        return "?"
    if unit == "share":
        return f"{100 * value:.1f}%"
    return duration(value) if unit == "seconds" else f"${value:,.2f}"


def as_document(alert: Alert) -> dict[str, Any]:
    """The alert as JSON: ``value`` and ``threshold`` are a share, seconds or USD."""
    return {
        "name": f"alert.{alert.name}",
        "verdict": str(alert.verdict),
        "value": alert.value,
        "threshold": alert.threshold,
        "unit": alert.unit,
        "about": alert.about,
        "since": None if alert.since is None else instant(alert.since),
        "next": alert.next,
    }


def _record(alert: Alert) -> tuple[object, ...]:
    since = None if alert.since is None else instant(alert.since)
    return f"alert.{alert.name}", alert.verdict, alert.value, alert.threshold, since, alert.about, alert.next


def _all_well(alerts: Sequence[Alert]) -> str:
    on = [alert.name for alert in alerts if alert.verdict is not Verdict.OFF]
    off = [alert.name for alert in alerts if alert.verdict is Verdict.OFF]
    held = "no alert: " + ", ".join(on) if on else "no alert is on"
    return held + (f" · off: {', '.join(off)}" if off and on else "")
