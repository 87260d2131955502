"""The ledger of paid calls: every unit that is billed has its row and its cost, and the counters are their sums."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from docproc.app import App
from docproc.errors import ProgramError
from docproc.model import Embedded
from docproc.postgres.ledger import SUMS, Call, Ledger
from docproc.postgres.trials import command
from docproc.search import search
from docproc.settings import Settings
from docproc.states import Command, State
from tests.conftest import MakeApp
from tests.integration.bench import Bench, Row, bring_all, drain, pdf
from tests.support import Mocks

PAGE = Decimal("0.00375")
"""USD for a page of the tier cost_effective."""

TOKEN = Decimal("0.00000002")
"""USD for a token of text-embedding-3-small."""

DOCUMENTS: Mapping[str, bytes | str] = {
    "a.md": "# Tide\n\nHigh at noon.\n",
    "b.md": "# Wind\n\nLow at dusk, and from the north until the morning.\n",
}


def ledger(app: App) -> Ledger:
    return app.store.ledger


def calls(app: App, operation: str) -> list[Row]:
    return [row for row in ledger(app).rows() if row["operation"] == operation]


def miscounted(app: App) -> list[Row]:
    """Counters of money that are not the sum of their calls."""
    found = app.store.reads.broken_invariants(lease=1000.0, max_submits=99)
    return [row for row in found if row["invariant"] == "I11"]


def papers(*pages: str) -> dict[str, bytes | str]:
    return {**DOCUMENTS, "c.pdf": pdf(*(pages or ("the harbour ledger", "the second page")))}


# ── what a row says ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_row_says_whose_what_and_how_much_as_estimated_and_as_reported(
    app: App, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    before = services.bill()
    app.refuse_mixing()
    app.store.runs.begin("run-all", "local")
    bring_all(app, tmp_path, papers())
    drain(app)
    after, jobs = services.bill(), bench.jobs()
    (parse,) = calls(app, "parse")
    assert (parse["provider"], parse["stage"], parse["model"], parse["attempt"]) == (
        "llamaparse",
        "parse",
        "cost_effective",
        1,
    )
    assert (parse["outcome"], parse["units_estimated"], parse["units_reported"]) == ("ok", 2, 2)
    assert parse["usd_estimated"] == parse["usd_reported"] == parse["usd"] == 2 * PAGE
    assert parse["document_ids"] == [jobs["c.pdf"]["document_id"]] and parse["job_ids"] == [jobs["c.pdf"]["job_id"]]
    embeds = calls(app, "embed")
    tokens = after["embedding_tokens"] - before["embedding_tokens"]
    assert sum(row["usd"] for row in embeds) == tokens * TOKEN
    for row in (parse, *embeds):
        assert (row["mock"], row["run_id"], row["perhaps_paid"], row["difference"]) == (True, app.run_id, 0, 0)
        assert row["request_id"] and len(row["shares"]) == len(row["job_ids"]) == len(row["document_ids"])
        assert sum(row["shares"]) == row["units_reported"]
    assert miscounted(app) == []


def test_a_search_is_in_the_ledger_without_document(app: App, tmp_path: Path) -> None:
    bring_all(app, tmp_path, DOCUMENTS)
    drain(app)
    search(app, "tide at noon", limit=1)
    (row,) = calls(app, "search")
    assert (row["outcome"], row["model"], row["job_ids"], row["shares"]) == ("ok", "text-embedding-3-small", [], [])
    assert row["usd"] == row["units_reported"] * TOKEN
    assert {r["key"]: r["calls"] for r in ledger(app).rows("document")}[None] == 1


def test_pages_that_cannot_be_counted_are_reserved(app: App, bench: Bench) -> None:
    job = bench.claim()
    call = app.store.parse_calls.parse_call(job, "any")
    assert app.store.parse_calls.begin_submit(call, job, tier="cost_effective", pages=None)
    (row,) = ledger(app).rows()
    assert (row["units_estimated"], row["usd_estimated"], row["usd"]) == (None, None, 10 * PAGE)
    assert ledger(app).spending().today == pytest.approx(float(10 * PAGE))


def test_an_unknown_price_is_unknown_and_not_zero(make_app: MakeApp, settings: Settings, tmp_path: Path) -> None:
    app = make_app(prices=replace(settings.prices, usd_per_million_tokens={}))
    bring_all(app, tmp_path, DOCUMENTS)
    drain(app)
    rows = calls(app, "embed")
    assert rows and {row["usd"] for row in rows} == {None}
    assert {row["usd"] for row in ledger(app).rows("day")} == {None}
    assert ledger(app).spending().today == 0


# ── shares ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def closed(app: App, bench: Bench, shares: list[int], reported: int | None) -> list[int]:
    """The shares of a request of several jobs once the provider has reported its usage."""
    jobs = [bench.claim(State.CHUNKS_STORED) for _ in shares]
    vectors = app.store.vectors
    call = vectors.begin_call("embed", jobs, tokens=sum(shares), inputs=len(shares), shares=shares)
    vectors.end_call(call, "ok", Embedded(np.zeros((0, 0), np.float32), reported, "req"))
    (row,) = [row for row in ledger(app).rows() if row["call_id"] == call]
    return list(row["shares"])


@pytest.mark.parametrize(
    ("shares", "reported", "wanted"),
    [
        ([1, 2, 4], 7, [1, 2, 4]),
        ([1, 2, 4], None, [1, 2, 4]),
        ([1, 1, 1], 4, [2, 1, 1]),
        ([1, 2, 4], 10, [1, 3, 6]),
        ([5, 0], 3, [3, 0]),
        ([0, 0], 3, [0, 0]),
    ],
)
def test_a_shared_request_is_divided_in_whole_units(
    app: App, bench: Bench, shares: list[int], reported: int | None, wanted: list[int]
) -> None:
    assert closed(app, bench, shares, reported) == wanted


def test_whatever_is_divided_the_parts_are_the_whole(bench: Bench) -> None:
    dice = random.Random(7)
    for _ in range(200):
        parts = [dice.randrange(1, 3000) for _ in range(dice.randrange(1, 40))]
        total = dice.randrange(0, 2 * sum(parts))
        (row,) = bench.sql("SELECT docproc.divided(%s, %s::bigint[]) AS parts", total, parts)
        assert sum(row["parts"]) == total
        assert all(abs(got - part * total / sum(parts)) < 1 for got, part in zip(row["parts"], parts, strict=True))


def test_the_sums_by_document_are_the_sum_of_the_calls(app: App, bench: Bench) -> None:
    closed(app, bench, [1, 1, 1], 10)
    closed(app, bench, [3, 7], None)
    total = sum(row["usd"] for row in ledger(app).rows())
    assert total == 20 * TOKEN
    for by in SUMS:
        rows = ledger(app).rows(by)
        assert sum(row["usd"] for row in rows) == pytest.approx(total, abs=Decimal("1e-11"))
        assert sum(row["units"] for row in rows) == 20
    assert len(ledger(app).rows("document")) == 5


def test_other_usage_than_was_counted_is_told_once_a_run_and_shown(
    app: App, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="docproc")
    closed(app, bench, [10], 10)
    assert caplog.records == []
    closed(app, bench, [10], 12)
    closed(app, bench, [10], 13)
    (record,) = caplog.records
    assert "10 tokens were counted, 12 are reported" in vars(record)["note"]
    (day,) = ledger(app).rows("day")
    assert day["difference"] == 5 * TOKEN and day["usd"] == 35 * TOKEN
    assert miscounted(app) == []


# ── ends ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "fault",
    [
        "openai.unauthorized",
        "openai.model_not_found",
        "openai.insufficient_quota",
        "openai.bad_input:times=1",
        "openai.rate_limit:times=1,retry_after=0.05",
        "llamaparse.payment_required",
        "llamaparse.unprocessable",
        "llamaparse.rate_limit:times=1,retry_after=0.05,on=submit",
    ],
)
def test_what_was_refused_costs_nothing(app: App, services: Mocks, tmp_path: Path, fault: str) -> None:
    services.set_faults(fault)
    bring_all(app, tmp_path, papers())
    with suppress(ProgramError):  # the run ends, and the ledger is what is looked at
        drain(app)
    refused = [row for row in ledger(app).rows() if row["outcome"] == "refused"]
    assert refused and {row["usd"] for row in refused} == {0}
    assert all(row["code"] for row in refused)
    assert miscounted(app) == []


SPOILED = [
    "llamaparse.error_after_accept:times=1",
    "llamaparse.reset:times=1",
    "llamaparse.empty_answer:times=1",
    "llamaparse.slow:times=1,seconds=1.5",
    "llamaparse.server_error:times=1",
    "llamaparse.failed_pages",
    "llamaparse.expired:times=1",
    "llamaparse.stuck:times=1",
    "openai.server_error:times=1",
    "openai.truncated:times=1",
    "openai.reset:times=1",
    "openai.slow:times=1,seconds=1.5",
    "openai.too_few:times=1",
    "openai.nan:times=1",
    "openai.wrong_order",
]


@pytest.mark.parametrize("fault", SPOILED)
def test_whatever_goes_wrong_every_billed_unit_has_its_row(
    make_app: MakeApp, settings: Settings, services: Mocks, tmp_path: Path, fault: str
) -> None:
    app = make_app(
        parser=replace(settings.parser, timeout=0.7, deadline=3.0),
        embedder=replace(settings.embedder, timeout=0.7, max_inputs=1),
        validate=replace(settings.validate, max_failed_pages=1.0),
    )
    before = services.bill()
    services.set_faults(fault)
    bring_all(app, tmp_path, papers())
    drain(app)
    after = services.bill()
    billed = {
        "token": (after["embedding_tokens"] - before["embedding_tokens"]) * TOKEN,
        "page": (after["credits_billed"] - before["credits_billed"]) * Decimal("0.00125"),
    }
    for row in ledger(app).rows("day"):
        least, most = row["usd"] - row["perhaps_paid"], row["usd"]
        assert least <= billed[row["unit"]] <= most, (row, billed)
    requests = after["embedding_requests"] - before["embedding_requests"]
    assert requests <= len([row for row in calls(app, "embed") if row["outcome"] in ("ok", "uncertain")])
    created = after["jobs_created"] - before["jobs_created"]
    assert created <= len([row for row in calls(app, "parse") if row["outcome"] in ("ok", "uncertain")])
    if "server_error" not in fault and "stuck" not in fault:
        assert {row["outcome"] for row in ledger(app).rows()} <= {"ok", "uncertain"}
    assert miscounted(app) == []


def test_a_request_that_never_left_costs_nothing(
    make_app: MakeApp, settings: Settings, services: Mocks, app: App, tmp_path: Path
) -> None:
    bring_all(app, tmp_path, DOCUMENTS)
    drain(app, Command.PARSE, Command.VALIDATE, Command.CHUNK)
    nowhere = make_app(
        mocks=replace(settings.mocks, address="http://127.0.0.1:9"),
        runner=replace(settings.runner, max_attempts=1),
    )
    drain(nowhere, Command.EMBED)
    rows = calls(app, "embed")
    assert {(row["outcome"], row["code"], row["usd"]) for row in rows} == {("refused", "embed.unavailable", 0)}


def test_a_call_without_an_end_is_perhaps_paid_once_its_run_is_over(app: App, bench: Bench) -> None:
    app.store.runs.begin("embed", "local")
    job = bench.claim(State.CHUNKS_STORED)
    app.store.vectors.begin_call("embed", [job], tokens=100, inputs=1)
    (row,) = ledger(app).rows()
    assert (row["outcome"], row["usd"], row["perhaps_paid"]) == ("open", 100 * TOKEN, 100 * TOKEN)
    assert ledger(app).spending().perhaps_today == 0
    bench.sql("UPDATE docproc.runs SET finished_at = now()")
    (row,) = ledger(app).rows()
    assert row["outcome"] == "uncertain"
    assert ledger(app).spending().perhaps_today == ledger(app).spending().perhaps_month == pytest.approx(2e-6)


# ── sums and counters ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_sums_are_of_days_documents_sources_and_models_from_a_time_on(
    app: App, bench: Bench, tmp_path: Path
) -> None:
    bring_all(app, tmp_path, papers())
    drain(app)
    today = str(datetime.now(UTC).date())
    assert {row["key"] for row in ledger(app).rows("day")} == {today}
    assert {Path(row["key"]).name for row in ledger(app).rows("source")} == {"a.md", "b.md", "c.pdf"}
    assert {row["key"] for row in ledger(app).rows("model")} == {"cost_effective", "text-embedding-3-small"}
    assert {row["key"] for row in ledger(app).rows("document")} == {
        str(job["document_id"]) for job in bench.jobs().values()
    }
    columns = ["key", "provider", "unit", "calls", "units", "usd_estimated", "usd_reported", "usd", "perhaps_paid"]
    assert list(ledger(app).rows("day")[0]) == [*columns, "difference"]
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert [ledger(app).rows(by, later) for by in ("call", *SUMS)] == [[]] * 5
    for by in SUMS:
        (view,) = bench.sql(f"SELECT sum(usd) AS usd, sum(units) AS units FROM docproc.spend_by_{by}")
        rows = ledger(app).rows(by)
        assert (view["usd"], view["units"]) == (sum(r["usd"] for r in rows), sum(r["units"] for r in rows))
    with pytest.raises(KeyError):
        ledger(app).rows("weather")


def test_calls_from_before_have_no_cost_and_stay_readable(app: App, bench: Bench) -> None:
    bench.sql(
        "INSERT INTO docproc.api_calls (call_id, provider, operation, job_ids, unit, units_estimated, outcome)"
        " VALUES (%s, 'openai', 'embed', %s, 'token', 5, 'ok')",
        uuid4(),
        [uuid4(), uuid4()],
    )
    (row,) = ledger(app).rows()
    assert (row["usd"], row["perhaps_paid"], row["shares"], row["units_estimated"]) == (None, 0, None, 5)
    (day,) = ledger(app).rows("day")
    assert (day["usd"], day["units"], day["calls"]) == (None, 5, 1)
    assert miscounted(app) == []


def test_what_a_removed_trial_cost_stays_counted(app: App, bench: Bench, tmp_path: Path) -> None:
    user = "docproc-trial-x"
    trial = App(replace(app.settings, user=user))
    with trial:
        trial.store.runs.begin(command(user), "local")
        bring_all(trial, tmp_path, papers())
        drain(trial)
        spent = ledger(trial).spending()
        assert spent.today > 0
        trial.store.trials.remove(user)
    assert bench.count("api_calls") == 0
    assert ledger(app).spending().today == spent.today
    assert miscounted(app) == []


def test_a_counter_that_is_not_the_sum_of_its_calls_breaks_an_invariant(app: App, bench: Bench, tmp_path: Path) -> None:
    bring_all(app, tmp_path, papers())
    drain(app)
    bench.sql("UPDATE docproc.spending SET usd = usd + 1 WHERE period LIKE 'month%%'")
    assert [row["example"][:5] for row in miscounted(app)] == ["month"]


def test_a_second_try_after_a_lost_answer_counts_once(app: App, bench: Bench) -> None:
    call_id, job = uuid4(), bench.claim(State.CHUNKS_STORED)
    call = Call("openai", "embed", "embed", "text-embedding-3-small", "token", (job,), (100,), 100)
    answer: Any = Embedded(np.zeros((0, 0), np.float32), 120, "req")
    for _ in range(2):
        app.database.attempt(lambda conn: ledger(app).begin(conn, call_id, call))
    for _ in range(2):
        app.database.attempt(lambda conn: ledger(app).end(conn, call_id, "ok", answer))
    assert ledger(app).spending().today == pytest.approx(120 * float(TOKEN))
    assert miscounted(app) == []
