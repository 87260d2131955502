"""Budgets: reserved before a call in one step that all processes share, settled after it, and refused in good order."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from docproc.app import App
from docproc.budget import Budget
from docproc.errors import BudgetError, Exit
from docproc.local.identity import owner_name
from docproc.model import Job
from docproc.postgres.ledger import Call, Ledger
from docproc.postgres.runs import Runs
from docproc.settings import Settings
from docproc.states import Command, State
from tests.conftest import MakeApp
from tests.integration.bench import Bench, bring_all, drain, pdf
from tests.support import Mocks

PAGE = 0.00375
MODEL = "text-embedding-3-small"
MILLION = 1_000_000
"""Tokens that cost two cents."""


def opened(bench: Bench, run_id: UUID | None = None, **caps: Any) -> Ledger:
    return Ledger(bench.database, run_id or uuid4(), budget=Budget(**caps))


def buy(bench: Bench, ledger: Ledger, tokens: int = MILLION, jobs: tuple[Job, ...] = ()) -> UUID:
    """Begins a call that costs two cents a million tokens."""
    call_id = uuid4()
    call = Call("openai", "embed", "embed", MODEL, "token", jobs, (tokens,) * len(jobs), tokens)
    bench.database.attempt(lambda conn: ledger.begin(conn, call_id, call))
    return call_id


def refused(bench: Bench, ledger: Ledger, tokens: int = MILLION) -> str:
    with pytest.raises(BudgetError) as caught:
        buy(bench, ledger, tokens)
    return caught.value.code


def begin(bench: Bench, owner: str | None = None) -> Runs:
    run = Runs(bench.database, owner or owner_name(), uuid4())
    run.begin("run-all", "local")
    return run


def counters(bench: Bench) -> Mapping[str, Decimal]:
    rows = bench.sql("SELECT split_part(period, ' ', 1) AS name, sum(usd) AS usd FROM docproc.spending GROUP BY 1")
    return {row["name"]: row["usd"] for row in rows}


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("period", ["day", "month", "run"])
def test_the_call_that_would_go_over_is_refused_and_leaves_nothing(bench: Bench, period: str) -> None:
    ledger = opened(bench, None, **{f"per_{period}": 0.05})
    buy(bench, ledger)
    buy(bench, ledger)
    before = counters(bench)
    assert refused(bench, ledger) == f"budget.{period}"
    assert (bench.count("api_calls"), counters(bench)) == (2, before)
    buy(bench, ledger, MILLION // 2)
    assert counters(bench)[period] == Decimal("0.05")


def test_a_first_call_over_the_cap_is_refused(bench: Bench) -> None:
    assert refused(bench, opened(bench, per_day=0.01)) == "budget.day"
    assert (bench.count("api_calls"), bench.count("spending")) == (0, 0)


def test_what_was_spent_without_a_budget_counts_for_one_that_comes_later(bench: Bench) -> None:
    buy(bench, opened(bench))
    assert refused(bench, opened(bench, per_month=0.03)) == "budget.month"


def test_what_was_spent_before_today_counts_for_the_month_alone(bench: Bench) -> None:
    bench.sql(
        "INSERT INTO docproc.spending (period, usd) SELECT unnest(docproc.spending_periods(t, NULL)), 5"
        " FROM (SELECT now() - interval '40 days' AS t) before"
    )
    buy(bench, opened(bench, per_month=0.03, per_day=0.03))


def test_without_a_price_a_budget_cannot_be_kept(bench: Bench) -> None:
    ledger = opened(bench, per_day=5.0)
    call = Call("openai", "embed", "embed", "a model to come", "token", (), (), 1)
    with pytest.raises(BudgetError) as caught:
        bench.database.attempt(lambda conn: ledger.begin(conn, uuid4(), call))
    assert caught.value.code == "budget.no_price" and "a model to come" in str(caught.value)
    assert bench.count("api_calls") == 0


# ── one step for all ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("cap", [0.01, 0.05, 0.10])
def test_however_many_buy_at_once_their_reserves_never_go_over(bench: Bench, cap: float) -> None:
    group = begin(bench).run_id
    together = threading.Barrier(6)
    got: list[bool] = []

    def buyer(n: int) -> None:
        ledger = opened(bench, group, per_run=cap, per_month=10.0 + n)
        together.wait(timeout=30)
        for _ in range(4):
            try:
                buy(bench, ledger, 250_000)
                got.append(True)
            except BudgetError:
                got.append(False)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(buyer, range(6)))
    assert len(got) == 24 and sum(got) == min(24, round(cap / 0.005))
    assert counters(bench)["run"] == counters(bench)["month"] == Decimal("0.005") * sum(got)


def test_what_a_call_does_not_cost_is_given_back_and_what_it_costs_more_is_added(bench: Bench) -> None:
    ledger = opened(bench, per_day=0.05)
    calls = [buy(bench, ledger), buy(bench, ledger)]
    bench.database.attempt(lambda conn: ledger.end(conn, calls[0], "refused"))
    assert counters(bench)["day"] == Decimal("0.02")
    bench.database.attempt(lambda conn: ledger.end(conn, calls[1], "uncertain"))
    assert counters(bench)["day"] == Decimal("0.02")
    bench.sql("UPDATE docproc.api_calls SET usd_counted = 0.07 WHERE call_id = %s", calls[1])
    assert refused(bench, ledger, 1) == "budget.day"
    spent = opened(bench, per_day=0.05).spending()
    assert spent.today == pytest.approx(0.07)
    assert spent.left == {"day": 0.0}


# ── runs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_runs_that_go_on_at_the_same_time_share_one_budget(bench: Bench) -> None:
    first, second = begin(bench), begin(bench)
    buy(bench, opened(bench, first.run_id, per_run=0.03))
    assert refused(bench, opened(bench, second.run_id, per_run=0.03)) == "budget.run"
    assert opened(bench, second.run_id).spending().run == pytest.approx(0.02)
    first.end(0, {})
    third = begin(bench)
    assert refused(bench, opened(bench, third.run_id, per_run=0.03)) == "budget.run"
    second.end(0, {})
    third.end(0, {})
    buy(bench, opened(bench, begin(bench).run_id, per_run=0.03))


def test_runs_that_begin_at_the_same_moment_share_one_budget(bench: Bench) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: begin(bench), range(6)))
    (row,) = bench.sql("SELECT count(DISTINCT budget_group) AS groups, count(*) AS runs FROM docproc.runs")
    assert (row["groups"], row["runs"]) == (1, 6)


def test_a_killed_run_leaves_its_budget_to_nobody(bench: Bench) -> None:
    host, _, rest = owner_name().partition(":")
    dead = begin(bench, f"{host}:4194000:1:gone")
    assert rest
    buy(bench, opened(bench, dead.run_id, per_run=0.03))
    run = begin(bench)
    buy(bench, opened(bench, run.run_id, per_run=0.03))
    assert opened(bench, run.run_id).spending().run == pytest.approx(0.02)


def test_a_run_without_a_receipt_has_a_budget_too(bench: Bench) -> None:
    ledger = opened(bench, per_run=0.03)
    buy(bench, ledger)
    assert refused(bench, ledger) == "budget.run"


def test_without_a_run_nothing_is_said_of_one(bench: Bench) -> None:
    buy(bench, opened(bench))
    assert opened(bench).spending().run is None


# ── in the stages ───────────────────────────────────────────────────────────────────────────────────────────────────


def budgeted(make_app: MakeApp, settings: Settings, **caps: Any) -> App:
    return make_app(budget=replace(settings.budget, **caps))


def test_a_refused_submit_leaves_document_and_intent_as_they_were(
    make_app: MakeApp, settings: Settings, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    app = budgeted(make_app, settings, per_day=PAGE / 2)
    app.refuse_mixing()
    before = services.bill()
    bring_all(app, tmp_path, {"a.pdf": pdf("the harbour ledger")})
    with pytest.raises(BudgetError) as caught:
        drain(app, Command.PARSE)
    assert (caught.value.code, caught.value.exit_code) == ("budget.day", Exit.MONEY)
    assert "the mocks charge nothing" in caught.value.why
    job, call = bench.only(), bench.parse_call()
    assert (job["status"], job["attempt"], job["claimed_by"], job["last_error"]) == ("uploaded", 0, None, None)
    assert bench.steps(job["job_id"]) == [(None, "uploaded")]
    assert (call["state"], call["submits"], call["call_id"]) == ("intent", 0, None)
    assert (bench.count("api_calls"), services.bill()["jobs_created"]) == (0, before["jobs_created"])
    drain(budgeted(make_app, settings, per_day=PAGE), Command.PARSE)
    assert bench.only()["status"] == State.PARSED


def test_a_refused_request_for_vectors_costs_no_attempt_and_the_next_run_goes_on(
    make_app: MakeApp, settings: Settings, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    texts = {f"{n}.md": f"# Note {n}\n\n{'The words of this note. ' * 20}{n}\n" for n in range(4)}
    app = make_app(budget=replace(settings.budget, per_run=0.000007), embedder=replace(settings.embedder, max_inputs=1))
    before = services.bill()
    bring_all(app, tmp_path, texts)
    with pytest.raises(BudgetError) as caught:
        drain(app)
    assert caught.value.code == "budget.run"
    bought = services.bill()["embedding_inputs"] - before["embedding_inputs"]
    states = bench.states()
    assert 0 < bought < 4 and list(states.values()).count("complete") == bought
    for job in bench.jobs().values():
        assert (job["claimed_by"], job["last_error"]) == (None, None)
        assert job["status"] == State.COMPLETE or job["attempt"] == 0
    assert {row["outcome"] for row in app.store.ledger.rows()} == {"ok"}
    drain(make_app())
    assert set(bench.states().values()) == {"complete"}
    assert services.bill()["embedding_inputs"] - before["embedding_inputs"] == 4


def test_documents_whose_pages_nobody_can_count_reserve_what_the_settings_say(
    make_app: MakeApp, settings: Settings, bench: Bench
) -> None:
    job = bench.claim()
    for pages, fits in ((3, True), (4, False)):
        app = budgeted(make_app, settings, per_day=3 * PAGE, pages_if_unknown=pages)
        call = app.store.parse_calls.parse_call(job, f"parser of {pages}")
        if fits:
            assert app.store.parse_calls.begin_submit(call, job, tier="cost_effective")
            app.store.parse_calls.submit_refused(call, "parse.throttled")
        else:
            with pytest.raises(BudgetError):
                app.store.parse_calls.begin_submit(call, job, tier="cost_effective")
    assert counters(bench)["day"] == 0
