"""Takes the snapshot: one look at the database, and the prices of what was bought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from docproc.budget import Budget
from docproc.prices import Prices
from docproc.states import State
from docproc.status import Bought, Buffers, Change, Day, Failure, Run, Serving, Snapshot, Standing, Workers

if TYPE_CHECKING:
    from docproc.app import App

Row = Mapping[str, Any]

PARTS = 12
"""Parts of five minutes into which the last hour is cut."""

RECENT = 900.0
"""Seconds whose rate the ETA is made from."""


def take(app: App, *, patient: bool = True) -> Snapshot:
    """Looks at the database of ``app``. Raises DatabaseError; at once, when not ``patient``."""
    settings = app.settings
    rows = app.store.reads.look(settings.user, only=app.only, patient=patient)
    title = f"{settings.profile} · {app.database.address}" + (f" · {app.only}" if app.only else "")
    model, tier, prices = settings.embedder.model, settings.parser.tier, Prices.of(settings.prices)
    snapshot = read(rows, title=title, user=settings.user, model=model, tier=tier, prices=prices)
    has_budget = bool(Budget.of(settings.budget).caps)
    return replace(snapshot, spending=app.store.ledger.spending()) if has_budget else snapshot


def read(
    rows: Mapping[str, Sequence[Row]], *, title: str, user: str, model: str, tier: str, prices: Prices | None = None
) -> Snapshot:
    """Makes the snapshot of what ``Reads.look`` returned; ``model`` and ``tier`` name the ``prices``."""
    (facts,), (day,) = rows["status_facts"], rows["last_day"]
    runs = {row["which"]: _run(row) for row in rows["status_runs"]}
    return Snapshot(
        title=title,
        user=user,
        at=facts["at"],
        schema_version=facts["schema_version"],
        counts_documents="count_documents" in rows,
        states=_states(rows),
        parts=_parts(rows["throughput"]),
        rate=_rate(rows["throughput"]),
        day=Day(day["jobs"], day["complete"], day["failed"], day["average_minutes"]),
        failures=tuple(_failure(row) for row in rows["failures_by_code"]),
        buffers=Buffers(
            facts["chunks_estimated"], facts["chunk_bytes"], facts["vectors_estimated"], facts["vector_bytes"]
        ),
        changes=tuple(_change(row) for row in rows["latest_changes"]),
        workers=_workers(rows["claims"]),
        last_run=runs.get("last"),
        last_good_run=runs.get("well"),
        serving=_serving(facts),
        bought=tuple(_bought(row, facts, model, tier, prices) for row in rows["bought"]),
    )


def next_command(code: str, remedy: str) -> str:
    """What to type about the failures of one code: the command that the remedy names, else a look at them."""
    if "docproc retry" not in remedy:
        return f"docproc status --code {code}"
    paid = " --resubmit" if "--resubmit" in remedy else ""
    return f"docproc retry{paid} --code {code}"


def _states(rows: Mapping[str, Sequence[Row]]) -> dict[State, Standing]:
    counts = {row["status"]: row for row in rows.get("count_documents") or rows.get("count_jobs") or ()}
    waiting = {row["status"]: row for row in rows["waiting"]}
    left = {row["status"]: row["p"] for row in rows["state_latencies"]}
    made = {}
    for state in State:
        count, wait, times = counts.get(state, {}), waiting.get(state, {}), left.get(state, (None, None))
        made[state] = Standing(
            documents=count.get("documents", 0),
            jobs=count.get("jobs", 0),
            # Nothing hangs in complete.
            oldest=None if state is State.COMPLETE else count.get("oldest"),
            claimed=sum(int(row["jobs"]) for row in rows["claims"] if row["status"] == state),
            waiting=wait.get("jobs", 0),
            next_due=wait.get("next_due"),
            p50=times[0],
            p95=times[1],
        )
    return made


def _parts(rows: Sequence[Row]) -> tuple[int, ...]:
    found = {row["part"]: row["documents"] for row in rows}
    return tuple(found.get(part, 0) for part in reversed(range(PARTS)))


def _rate(rows: Sequence[Row]) -> float:
    """Documents a minute since the first of the latest quarter of an hour: a run that has just begun is not slow."""
    recent = [row for row in rows if row["part"] * 300 < RECENT]
    seconds = max((row["first"] for row in recent), default=0.0)
    return 60.0 * sum(int(row["documents"]) for row in recent) / max(float(seconds), 60.0)


def _failure(row: Row) -> Failure:
    code, remedy = row["code"], row["remedy"] or ""
    states = tuple(State(state) for state in row["states"])
    return Failure(code, row["documents"], row["jobs"], states, remedy, next_command(code, remedy))


def _change(row: Row) -> Change:
    return Change(row["at"], row["source"], str(row["document_id"]), row["from_status"], row["to_status"], row["code"])


def _workers(claims: Sequence[Row]) -> Workers:
    alive = {row["owner"] for row in claims if row["jobs"] > row["stale"]}
    stale = [row for row in claims if row["stale"]]
    return Workers(
        alive=len(alive),
        hosts=len({owner.partition(":")[0] for owner in alive}),
        stale=sum(row["stale"] for row in stale),
        stale_for=max((row["stale_for"] for row in stale), default=None),
    )


def _run(row: Row) -> Run:
    return Run(row["command"], row["started_at"], row["finished_at"], row["exit_code"])


def _serving(facts: Row) -> Serving | None:
    if facts["embed_model"] is None:
        return None
    index, whole = facts["index_kind"] or "none", facts["index_whole"]
    return Serving(facts["embed_model"], facts["embed_version"], index, ready=whole is not False)


def _bought(row: Row, facts: Row, model: str, tier: str, prices: Prices | None) -> Bought:
    kind = facts["embedder_kind"] if row["unit"] == "token" else facts["parser_kind"]
    mock = kind == "mock"
    usd = 0.0 if mock else (prices or Prices()).row(row, tier=tier, model=model)
    return Bought(row["unit"], row["calls"], row["units"], row["unknown"], usd, mock)
