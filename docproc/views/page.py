"""The status page: the snapshot as one HTML file that needs no server, no script and nothing from elsewhere."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from docproc import __version__
from docproc.alerts import Alert, troubles
from docproc.states import FAILED, OPEN, State
from docproc.views.alerts import facts
from docproc.views.page_parts import Column, Html, bar, behind, columns, section, table, tag
from docproc.views.page_style import STYLE
from docproc.views.words import duration, instant

if TYPE_CHECKING:
    from docproc.status import Bought, Change, Failure, Snapshot
    from docproc.status.trends import Ended, Hour, Spending, Trend


def page(snapshot: Snapshot, trend: Trend, alerts: Sequence[Alert]) -> str:
    """The whole page. What comes from documents (names of files above all) is text in it, never markup."""
    body = tag(
        "body",
        _header(snapshot),
        _firing(alerts),
        tag("main", *_sections(snapshot, trend)),
        tag("footer", f"docproc {__version__}. The page shows one moment; write it again to renew it.", class_="quiet"),
    )
    return "<!DOCTYPE html>\n" + tag("html", _head(snapshot), body, lang="en") + "\n"


def _head(snapshot: Snapshot) -> Html:
    # Nothing is loaded and nothing runs, even where an escape had been forgotten; the style is allowed by its hash.
    digest = b64encode(sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="robots", content="noindex"),
        tag("title", f"docproc status · {snapshot.title}"),
        tag("style", Html(STYLE)),
    )


def _sections(snapshot: Snapshot, trend: Trend) -> Iterator[Html]:
    yield _funnel(snapshot)
    yield _latencies(snapshot)
    yield _throughput(trend.hours)
    yield _cost(trend)
    yield _failures(snapshot)
    yield _changes(snapshot.changes)
    yield _runs(trend.runs)


# ── the head of the page ────────────────────────────────────────────────────────────────────────────────────────────


def _header(snapshot: Snapshot) -> Html:
    at = tag("time", instant(snapshot.at), datetime=instant(snapshot.at))
    schema = "" if snapshot.schema_version is None else f" · schema {snapshot.schema_version}"
    numbers = (
        ("complete", f"{snapshot.complete:,}"),
        ("open", f"{snapshot.open:,}"),
        ("failed", f"{snapshot.failed:,}"),
        ("a minute", _rate(snapshot.rate)),
        ("ETA", duration(snapshot.eta) or ("–" if not snapshot.open else "?")),
        ("today", _today(snapshot.bought, snapshot.usd_today)),
        ("workers", f"{snapshot.workers.alive:,}"),
    )
    told = (tag("div", tag("dt", name), tag("dd", number)) for name, number in numbers)
    title = tag("p", snapshot.title, schema, " · ", at, class_="quiet")
    return tag("header", tag("h1", "docproc status"), title, tag("dl", *told, class_="numbers"))


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 9.5 or not rate else f"{rate:.2g}"


def _today(bought: Sequence[Bought], usd: float | None) -> str:
    if bought and all(one.mock for one in bought):
        return "$0 (mocks)"
    return _dollars(usd)


def _dollars(usd: float | None) -> str:
    """An estimate; never a false 0."""
    if not usd:
        return "$?" if usd is None else "$0"
    return f"~${usd:,.2f}" if usd >= 0.005 else "<$0.01"


def _firing(alerts: Sequence[Alert]) -> Html:
    found = troubles(alerts)
    if not found:
        return Html()
    lines = (
        tag("li", tag("p", tag("code", f"alert.{one.name}"), " ", facts(one)), _told("next", tag("code", one.next)))
        for one in found
    )
    return tag("section", tag("h2", "Alerts", class_="bad"), tag("ul", *lines), class_="alerts")


# ── states ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _funnel(snapshot: Snapshot) -> Html:
    """Bars scale to the work that is not complete: scaled to all documents they would be empty."""
    counts = {state: snapshot.states[state].documents for state in State}
    most = max(count for state, count in counts.items() if state is not State.COMPLETE) or 1
    rows = []
    for state, count in counts.items():
        whole = snapshot.total if state is State.COMPLETE else most
        drawn = bar(count / (whole or 1), _kind(state), f"{state}: {count:,}")
        rows.append((state, f"{count:,}", duration(snapshot.states[state].oldest), drawn))
    unit, short = ("documents", "docs") if snapshot.counts_documents else ("jobs", "jobs")
    caption = f"{snapshot.total:,} {unit}; bars are measured by the fullest state, that of complete by all {unit}"
    return section("States", _states(caption, ("state", short, "oldest", "share"), rows, (1, 2)))


def _kind(state: State) -> str:
    return "complete" if state is State.COMPLETE else "failed" if state in FAILED else "open"


def _states(caption: str, heads: Sequence[str], rows: Sequence[Sequence[object]], numbers: Sequence[int]) -> Html:
    return tag("div", table(caption, heads, rows, numbers=numbers), class_="states")


def _latencies(snapshot: Snapshot) -> Html:
    times = {state: (snapshot.states[state].p50, snapshot.states[state].p95) for state in OPEN}
    most = max((p95 for _, p95 in times.values() if p95), default=1.0)
    rows = []
    for state, (p50, p95) in times.items():
        meaning = f"{state}: p50 {duration(p50) or '–'}, p95 {duration(p95) or '–'}"
        drawn = bar((p95 or 0.0) / most, "open", meaning, begin=(p50 or 0.0) / most)
        rows.append((state, duration(p50) or "–", duration(p95) or "–", drawn))
    caption = "seconds in a state before it was left, in the last hour; bars reach from p50 to p95"
    return section("Latencies", _states(caption, ("state", "p50", "p95", "p50–p95"), rows, (1, 2)))


# ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _throughput(hours: Sequence[Hour]) -> Html:
    complete, failed = sum(hour.complete for hour in hours), sum(hour.failed for hour in hours)
    parts = [
        Column(_ago(hour.ago), (("complete", hour.complete), ("failed", hour.failed)), _said(hour)) for hour in hours
    ]
    most = max((hour.complete + hour.failed for hour in hours), default=0)
    said = f"{complete:,} became complete and {failed:,} failed in the last 24 hours"
    chart = columns("throughput", "Throughput of the last 24 hours", said, parts, most=f"{most:,} an hour at most")
    rows = [(_ago(hour.ago), f"{hour.complete:,}", f"{hour.failed:,}") for hour in hours]
    behind_it = table("by hour", ("hour", "complete", "failed"), rows, numbers=(1, 2))
    return section("Throughput, 24 hours", tag("p", said), chart, behind("as a table", behind_it))


def _ago(hours: int) -> str:
    return "the last hour" if hours == 0 else f"{hours + 1} h ago"


def _said(hour: Hour) -> str:
    return f"{_ago(hour.ago)}: {hour.complete:,} complete, {hour.failed:,} failed"


def _cost(trend: Trend) -> Html:
    days = trend.days
    parts = [Column(str(day.day), _height(day, free=trend.free), f"{day.day}: {_dollars(day.usd)}") for day in days]
    unknown = sum(day.usd is None for day in days)
    total = sum(day.usd or 0.0 for day in days)
    said = "mocks: nothing is paid; columns show pages" if trend.free else f"{_dollars(total)} in 14 days"
    said += f", and {unknown} day{'s' * (unknown != 1)} of unknown price (?)" if unknown else ""
    highest = max((part.height for part in parts), default=0.0)
    most = f"{highest:,.0f} pages a day at most" if trend.free else f"{_dollars(highest)} a day at most"
    chart = columns("cost", "Cost of the last 14 days", said, parts, most=most)
    rows = [
        (day.day, _dollars(day.usd), f"{day.pages:,}", f"{day.tokens:,}", _open_calls(day)) for day in reversed(days)
    ]
    heads = ("day (UTC)", "estimate", "pages", "tokens", "calls not told yet")
    behind_it = table("at the prices of today's settings", heads, rows, numbers=(1, 2, 3, 4))
    return section("Cost, 14 days", tag("p", said), chart, behind("as a table", behind_it))


def _height(day: Spending, *, free: bool) -> Sequence[tuple[str, float]] | None:
    if free:
        return (("spent", float(day.pages)),)
    return None if day.usd is None else (("spent", day.usd),)


def _open_calls(day: Spending) -> str:
    return f"{day.unknown:,}" if day.unknown else ""


# ── what failed, what changed, what ran ─────────────────────────────────────────────────────────────────────────────


def _failures(snapshot: Snapshot) -> Html:
    if not snapshot.failures:
        return section("Failures", tag("p", "none"), wide=True)
    return section("Failures", tag("ul", *(_failure(failure) for failure in snapshot.failures)), wide=True)


def _failure(failure: Failure) -> Html:
    states = tag("span", f" in {', '.join(failure.states)}", class_="quiet")
    first = tag("p", tag("span", f"{failure.documents:,} ", class_="bad"), tag("code", failure.code), states)
    lines = [_told("try", tag("span", failure.remedy))] if failure.remedy else []
    return tag("li", first, *lines, _told("next", tag("code", failure.next)))


def _told(key: str, what: Html) -> Html:
    return tag("p", tag("span", key, class_="key"), what, class_="told")


def _changes(changes: Sequence[Change]) -> Html:
    rows = [
        (tag("time", instant(change.at)[11:19], datetime=instant(change.at)), *_change(change)) for change in changes
    ]
    found = table("the latest first", ("time", "document", "change"), rows) if rows else tag("p", "none")
    return section("Latest changes", found)


def _change(change: Change) -> tuple[object, object]:
    name = tag("span", change.source.rpartition("/")[2] or change.source, title=change.source, class_="name")
    code = (" ", tag("code", change.code)) if change.code else ()
    return name, tag("span", f"{change.before or 'new'} → {change.after}", *code, class_="name")


def _runs(runs: Sequence[Ended]) -> Html:
    rows = [_run(ended) for ended in runs]
    heads = ("command", "began", "lasted", "done", "failed", "exit")
    found = table("the latest first", heads, rows, numbers=(2, 3, 4, 5)) if rows else tag("p", "none")
    return section("Runs", found)


def _run(ended: Ended) -> tuple[object, ...]:
    run = ended.run
    lasted = "" if run.finished_at is None else duration((run.finished_at - run.started_at).total_seconds())
    done, failed = ("" if count is None else f"{count:,}" for count in (ended.done, ended.failed))
    began = tag("time", instant(run.started_at)[5:16].replace("T", " "), datetime=instant(run.started_at))
    end = "–" if run.exit_code is None else tag("span", run.exit_code, class_="bad" if run.exit_code else None)
    return run.command, began, lasted, done, failed, end
