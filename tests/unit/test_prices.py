"""Prices from the settings and amounts of money: exact, dated, and never a false zero."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from docproc.budget import Budget, Spending, dollars, over, parse_usd
from docproc.config import load
from docproc.errors import ConfigError, Exit
from docproc.prices import GOOD_FOR, Prices
from docproc.settings import BudgetSettings, PricesSettings

PRICES = Prices()


def told(tmp_path: Path, text: str, **environ: str) -> PricesSettings:
    path = tmp_path / "docproc.toml"
    path.write_text(text, encoding="utf-8")
    return load(config=path, environ=environ, profile=environ.pop("profile", None)).prices


# ── prices ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_shipped_prices_are_those_of_the_providers_pages() -> None:
    assert PRICES.pages(1000, "cost_effective") == 3.75
    assert [PRICES.per_page(tier) for tier in ("fast", "agentic", "agentic_plus")] == [
        Decimal("0.00125"),
        Decimal("0.0125"),
        Decimal("0.05625"),
    ]
    assert PRICES.tokens(1_000_000, "text-embedding-3-small") == 0.02
    assert PRICES.tokens(1_000_000, "text-embedding-3-large") == 0.13
    assert PRICES.credits(1000) == 1.25


def test_what_has_no_price_is_unknown_and_not_free() -> None:
    assert PRICES.pages(1, "a tier to come") is None
    assert PRICES.tokens(1, "a model to come") is None
    assert PRICES.units("token", 1, tier="fast", model="a model to come") is None


def test_a_sum_of_the_ledger_is_priced_where_the_ledger_does_not_know() -> None:
    row = {"unit": "page", "units": 12, "usd": 5.0, "unpriced": 2}
    assert PRICES.row(row, tier="cost_effective", model="") == 5.0075
    assert PRICES.row(row | {"unpriced": 0}, tier="no such tier", model="") == 5.0
    assert PRICES.row(row, tier="no such tier", model="") is None
    assert PRICES.row({"unit": "page", "units": 4}, tier="cost_effective", model="") == 0.015


def test_prices_grow_old() -> None:
    today = datetime.now(UTC).date()
    assert Prices(PricesSettings(as_of="2026-01-01")).age_days(date(2026, 1, 31)) == 30
    assert not Prices(PricesSettings(as_of=str(today - timedelta(days=GOOD_FOR)))).stale
    assert Prices(PricesSettings(as_of=str(today - timedelta(days=GOOD_FOR + 2)))).stale


# ── the settings ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_price_is_told_and_the_others_stay(tmp_path: Path) -> None:
    text = '[prices.usd_per_million_tokens]\n"my.model-1" = 0.5\n[prices.credits_per_page]\nfast = 2\n'
    prices = Prices.of(told(tmp_path, text))
    assert prices.tokens(1_000_000, "my.model-1") == 0.5
    assert prices.tokens(1_000_000, "text-embedding-3-small") == 0.02
    assert (prices.per_page("fast"), prices.per_page("agentic")) == (Decimal("0.0025"), Decimal("0.0125"))


def test_a_profile_and_the_environment_change_single_prices(tmp_path: Path) -> None:
    text = "[prices.credits_per_page]\nfast = 2\n[profile.eu.prices.credits_per_page]\nagentic = 12\n"
    found = told(tmp_path, text, profile="eu", DOCPROC_PRICES_CREDITS_PER_PAGE="agentic_plus=50; turbo = 7")
    wanted = {"fast": 2.0, "cost_effective": 3.0, "agentic": 12.0, "agentic_plus": 50.0, "turbo": 7.0}
    assert found.credits_per_page == wanted
    assert PricesSettings().credits_per_page["fast"] == 1.0


def test_the_day_may_be_written_as_a_day(tmp_path: Path) -> None:
    assert told(tmp_path, "[prices]\nas_of = 2026-09-01\n").as_of == "2026-09-01"


@pytest.mark.parametrize(
    "text",
    [
        "[prices.credits_per_page]\nfast = -1\n",
        "[prices.credits_per_page]\nfast = nan\n",
        '[prices.credits_per_page]\nfast = "cheap"\n',
        "[prices]\ncredits_per_page = 3\n",
        "[prices]\nusd_per_credit = -0.1\n",
        '[prices]\nas_of = "soon"\n',
        "[budget]\nper_day = -5\n",
    ],
)
def test_a_price_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        told(tmp_path, text)
    assert "docproc.toml" in str(caught.value)


# ── amounts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "usd"), [("5", 5.0), ("0.50", 0.5), (".5", 0.5), ("$5", 5.0), ("5 USD", 5.0), (" $ 1.25 ", 1.25)]
)
def test_an_amount_of_money_is_read(text: str, usd: float) -> None:
    assert parse_usd(text) == usd


@pytest.mark.parametrize("text", ["", "0", "$0.00", "-1", "five", "5 EUR", "1,000", "nan", "inf", "5$", "1e3", "٥"])
def test_what_is_no_amount_of_money_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_usd(text)


@pytest.mark.parametrize(
    ("usd", "shown"),
    [(0, "$0.00"), (1234.5, "$1,234.50"), (0.1, "$0.10"), (0.00375, "$0.00375"), (0.00000042, "$0.00000042")],
)
def test_little_money_is_not_shown_as_none(usd: float, shown: str) -> None:
    assert dollars(usd) == shown


# ── a budget ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_call_that_just_fits_is_no_refusal() -> None:
    counted = {"day": ("2026-11-24", Decimal("5")), "run": ("x", Decimal("5"))}
    assert over(counted, Decimal(1), Budget(per_day=5, per_month=1), PRICES, mock=False) is None


@pytest.mark.parametrize(
    ("budget", "code", "words"),
    [
        (Budget(per_day=5), "budget.day", "from 2027-01-01 00:00 UTC on"),
        (Budget(per_month=5), "budget.month", "from 2027-01-01 00:00 UTC on"),
        (Budget(per_run=5), "budget.run", "--budget"),
        (Budget(per_run=5, per_day=5), "budget.day", "per_day"),
    ],
)
def test_a_refusal_tells_what_is_spent_the_cap_the_cost_and_what_to_do(budget: Budget, code: str, words: str) -> None:
    usd = Decimal("5.01")
    counted = {"day": ("2026-12-31", usd), "month": ("2026-12", usd), "run": ("some-run", usd)}
    error = over(counted, Decimal("0.02"), budget, PRICES, mock=False)
    assert error is not None
    assert (error.code, error.exit_code) == (code, Exit.MONEY)
    assert "$4.99 of $5.00" in error.what and words in error.remedy
    assert "$0.02" in error.why and PRICES.as_of in error.why and "nothing is lost" in error.why
    assert "mocks" not in error.why


def test_a_refusal_tells_of_old_prices_and_of_mocks() -> None:
    old = Prices(replace(PricesSettings(), as_of="2020-01-01"))
    error = over({"day": ("2026-12-31", Decimal(6))}, Decimal(1), Budget(per_day=5), old, mock=True)
    assert error is not None
    assert "days old" in error.why and "the mocks charge nothing" in error.why


def test_what_is_left_of_each_budget() -> None:
    spending = Spending(3.0, 9.0, None, 0.0, 0.0, False, Budget(per_run=1, per_day=2, per_month=10), PRICES)
    assert spending.left == {"day": 0.0, "month": 1.0, "run": 1.0}
    assert Budget.of(BudgetSettings(per_day=1.5)) == Budget(per_day=1.5)
