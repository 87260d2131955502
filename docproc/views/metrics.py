"""Metrics in the text format of Prometheus: what a snapshot, the ledger, the alerts and a run say."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from docproc import __version__
from docproc.alerts import Alert, Verdict
from docproc.states import OPEN, TRANSITIONS, State
from docproc.store import OUTCOMES

if TYPE_CHECKING:
    from docproc.report import Report
    from docproc.status import Snapshot

Row = Mapping[str, Any]
Sample = tuple[Mapping[str, object], float | int | None]

GAUGE, COUNTER, SUMMARY = "gauge", "counter", "summary"

_STAGES = {row.source: row.command for row in TRANSITIONS}
_NO_LABELS: Mapping[str, object] = {}


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name, kind and meaning, and its samples, each with its labels; None is no sample."""

    name: str
    kind: str
    meaning: str
    samples: tuple[Sample, ...]

    @classmethod
    def one(cls, name: str, meaning: str, value: float | None) -> Family:
        """A gauge without labels."""
        return cls(name, GAUGE, meaning, ((_NO_LABELS, value),))


def exposition(families: Iterable[Family], profile: str) -> str:
    """The text of ``families``; every sample has the label ``profile``, so that two profiles of one host stay apart."""
    lines: list[str] = []
    for family in families:
        samples = [(labels, value) for labels, value in family.samples if value is not None]
        if samples:
            lines += [f"# HELP {family.name} {_meaning(family.meaning)}", f"# TYPE {family.name} {family.kind}"]
            lines += [f"{family.name}{_labels({'profile': profile, **has})} {_number(value)}" for has, value in samples]
    return "\n".join(lines) + "\n"


def of_snapshot(snapshot: Snapshot, calls: Sequence[Row], alerts: Sequence[Alert]) -> Iterator[Family]:
    """Everything that a look at the database says; ``calls`` are the sums of the ledger."""
    yield Family.one("docproc_up", "Whether the database answered the last look.", 1)
    yield _build(snapshot.schema_version)
    yield Family.one("docproc_snapshot_timestamp_seconds", "When the database was looked at.", _epoch(snapshot.at))
    yield from _of_states(snapshot)
    yield from _of_work(snapshot)
    yield from _of_money(snapshot, calls)
    yield from _of_runs(snapshot)
    yield from _of_alerts(alerts)


def of_trouble() -> Iterator[Family]:
    """What is known without the database."""
    yield Family.one("docproc_up", "Whether the database answered the last look.", 0)
    yield _build(None)


def of_run(report: Report, at: datetime) -> Iterator[Family]:
    """What one run says of itself; it ended ``at``."""
    named = {"command": report.command}
    documents = {"done": report.done, "failed": report.failed, "waiting": report.tally.left}
    documents |= {outcome: report.ingested[outcome] for outcome in OUTCOMES}
    samples = tuple(({**named, "outcome": outcome}, count) for outcome, count in documents.items())
    yield Family("docproc_run_documents", GAUGE, "Documents of the run that wrote this file, by outcome.", samples)
    for name, meaning, value in (
        ("docproc_run_duration_seconds", "How long the run that wrote this file took.", report.seconds),
        ("docproc_run_exit_code", "The exit code of the run that wrote this file.", int(report.exit_code)),
        ("docproc_run_end_timestamp_seconds", "When the run that wrote this file ended.", _epoch(at)),
    ):
        yield Family(name, GAUGE, meaning, ((named, value),))


# ── the parts ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _build(schema: int | None) -> Family:
    labels = {"version": __version__, "schema": "" if schema is None else schema}
    return Family("docproc_build_info", GAUGE, "The version of docproc, and of the database's schema.", ((labels, 1),))


def _of_states(snapshot: Snapshot) -> Iterator[Family]:
    states = snapshot.states
    yield _by_state("docproc_documents", "Documents by state.", {s: states[s].documents for s in State})
    yield _by_state(
        "docproc_documents_claimed", "Documents that a process holds.", {s: states[s].claimed for s in OPEN}
    )
    yield _by_state(
        "docproc_documents_waiting", "Documents whose next try is yet to come.", {s: states[s].waiting for s in OPEN}
    )
    yield _by_state(
        "docproc_oldest_seconds",
        "How long the oldest document has stood in its state.",
        {s: states[s].oldest for s in State},
    )
    times = tuple(
        ({"stage": _STAGES[state], "state": state, "quantile": quantile}, value)
        for state in OPEN
        for quantile, value in (("0.5", states[state].p50), ("0.95", states[state].p95))
    )
    meaning = "Seconds that documents spent in a state before they left it, in the last hour."
    yield Family("docproc_stage_seconds", SUMMARY, meaning, times)
    failures = tuple(({"code": failure.code}, failure.documents) for failure in snapshot.failures)
    yield Family("docproc_failures", GAUGE, "Failed documents by error code.", failures)


def _by_state(name: str, meaning: str, values: Mapping[State, float | None]) -> Family:
    return Family(name, GAUGE, meaning, tuple(({"state": state}, value) for state, value in values.items()))


def _of_work(snapshot: Snapshot) -> Iterator[Family]:
    workers, day, held = snapshot.workers, snapshot.day, snapshot.buffers
    yield Family.one("docproc_workers", "Processes that hold a lease.", workers.alive)
    yield Family.one("docproc_worker_hosts", "Hosts with such a process.", workers.hosts)
    yield Family.one("docproc_stale_leases", "Claims whose lease has run out.", workers.stale)
    yield Family.one("docproc_stale_lease_seconds", "How long ago the first of them ran out.", workers.stale_for)
    yield Family.one(
        "docproc_throughput_documents_per_second",
        "Documents that become complete, by the last 15 minutes.",
        snapshot.rate / 60,
    )
    yield Family.one("docproc_eta_seconds", "Until nothing is open, at this throughput.", snapshot.eta)
    outcomes = (("new", day.jobs), ("complete", day.complete), ("failed", day.failed))
    last_day = tuple(({"outcome": outcome}, count) for outcome, count in outcomes)
    yield Family("docproc_last_day_jobs", GAUGE, "Jobs of the last 24 hours by outcome.", last_day)
    rows = (({"buffer": "chunks"}, held.chunks), ({"buffer": "vectors"}, held.vectors))
    yield Family("docproc_buffer_rows", GAUGE, "Rows of a buffer, as the catalogue estimates them.", rows)
    sizes = (({"buffer": "chunks"}, held.chunk_bytes), ({"buffer": "vectors"}, held.vector_bytes))
    yield Family("docproc_buffer_bytes", GAUGE, "Size of a buffer with its indexes.", sizes)


def _of_money(snapshot: Snapshot, calls: Sequence[Row]) -> Iterator[Family]:
    def counted(column: str, *names: str) -> tuple[Sample, ...]:
        return tuple(({name: row[name] for name in names}, int(row[column])) for row in calls)

    yield Family(
        "docproc_api_calls_total", COUNTER, "Paid calls that were made.", counted("calls", "provider", "operation")
    )
    yield Family(
        "docproc_api_units_total",
        COUNTER,
        "Units that were bought by calls that are closed.",
        counted("units", "provider", "operation", "unit"),
    )
    unknown = tuple(({"unit": bought.unit}, bought.unknown) for bought in snapshot.bought)
    yield Family("docproc_calls_unpriced_today", GAUGE, "Calls of today that have not told their units yet.", unknown)
    usd = "An estimate of what was spent today (UTC); absent where no price is known."
    yield Family.one("docproc_spent_today_usd", usd, snapshot.usd_today)


def _of_runs(snapshot: Snapshot) -> Iterator[Family]:
    last, good = snapshot.last_run, snapshot.last_good_run
    if last is not None:
        named = {"command": last.command}
        for name, meaning, value in (
            ("docproc_last_run_start_timestamp_seconds", "When the last run began.", _epoch(last.started_at)),
            ("docproc_last_run_end_timestamp_seconds", "When the last run ended.", _epoch(last.finished_at)),
            ("docproc_last_run_exit_code", "The exit code of the last run.", last.exit_code),
        ):
            yield Family(name, GAUGE, meaning, ((named, value),))
    if good is not None:
        meaning = "When a run last ended with exit code 0."
        yield Family.one("docproc_last_success_timestamp_seconds", meaning, _epoch(good.finished_at))


def _of_alerts(alerts: Sequence[Alert]) -> Iterator[Family]:
    on = [alert for alert in alerts if alert.verdict is not Verdict.OFF]
    values = {Verdict.HOLDS: 0.0, Verdict.FIRES: 1.0, Verdict.UNKNOWN: float("nan")}
    samples = tuple(({"alert": alert.name}, values[alert.verdict]) for alert in on)
    meaning = "Whether an alert fires; NaN when it cannot be judged, absent when it is off."
    yield Family("docproc_alert", GAUGE, meaning, samples)
    limits = tuple(({"alert": alert.name}, alert.threshold) for alert in on)
    yield Family("docproc_alert_threshold", GAUGE, "The threshold of an alert: a share, seconds or USD.", limits)
    unknown = sum(alert.verdict is Verdict.UNKNOWN for alert in on)
    yield Family.one("docproc_alerts_unknown", "Alerts that are on and cannot be judged.", unknown)


# ── the text ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _epoch(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _meaning(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _labels(labels: Mapping[str, object]) -> str:
    return "{" + ",".join(f'{name}="{_label(str(value))}"' for name, value in labels.items()) + "}"


def _label(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return str(value) if isinstance(value, int) else repr(value)
