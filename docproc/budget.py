"""What paid calls may cost, what was spent against that, and the refusal of a call that would go over it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Self

from docproc.errors import BudgetError, ConfigError
from docproc.prices import Prices
from docproc.settings import BudgetSettings

_CODES = {"day": "budget.day", "month": "budget.month", "run": "budget.run"}
_NAMES = {"day": "of the day", "month": "of the month", "run": "of this run"}
_USD = re.compile(r"\$?\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(?:USD|usd)?")


@dataclass(frozen=True, slots=True)
class Budget:
    """USD that may be spent: by a run and those beside it, in a day, in a month (UTC); 0 is no limit.

    ``pages_if_unknown`` are reserved for a document whose pages cannot be counted.
    """

    per_run: float = 0.0
    per_day: float = 0.0
    per_month: float = 0.0
    pages_if_unknown: int = 10

    @classmethod
    def of(cls, settings: BudgetSettings) -> Self:
        """The budgets that the settings tell."""
        return cls(settings.per_run, settings.per_day, settings.per_month, settings.pages_if_unknown)

    @property
    def caps(self) -> dict[str, Decimal]:
        """The limits that there are, by ``day``, ``month`` and ``run``."""
        told = {"day": self.per_day, "month": self.per_month, "run": self.per_run}
        return {name: Decimal(repr(cap)) for name, cap in told.items() if cap}


@dataclass(frozen=True, slots=True)
class Spending:
    """USD spent today, this month (UTC) and by the runs that go on now, which is None when none does.

    ``perhaps_today`` and ``perhaps_month`` are the parts whose calls had no known end: perhaps paid. At list prices as
    ``prices`` tells them; with ``mock`` some of it was asked of the mocks, which charge nothing.
    """

    today: float
    month: float
    run: float | None
    perhaps_today: float
    perhaps_month: float
    mock: bool
    budget: Budget
    prices: Prices

    @property
    def left(self) -> dict[str, float]:
        """USD left of each budget that there is, by ``day``, ``month`` and ``run``; never below 0."""
        spent = {"day": self.today, "month": self.month, "run": self.run or 0.0}
        return {name: max(0.0, float(cap) - spent[name]) for name, cap in self.budget.caps.items()}


def parse_usd(text: str) -> float:
    """USD of ``5``, ``0.50``, ``$5`` or ``5 USD``. Raises ConfigError for anything else, and for 0.

    Without a budget there is no need to say 0, and who does may well mean "nothing".
    """
    found = _USD.fullmatch(text.strip())
    if found is None or float(found[1]) == 0:
        raise ConfigError("config.invalid", f"{text!r} is not an amount of money above 0", try_="5, 0.50, $5 or 5 USD")
    return float(found[1])


def over(
    counted: Mapping[str, tuple[str, Decimal]], cost: Decimal, budget: Budget, prices: Prices, *, mock: bool
) -> BudgetError | None:
    """The refusal of a call that costs ``cost``, where it goes over one of the caps of ``budget``; None where it fits.

    ``counted`` has, by ``day``, ``month`` and ``run``, the period's name and what is spent in it, the call included.
    """
    for name, cap in budget.caps.items():
        if name in counted and counted[name][1] > cap:
            label, spent = counted[name]
            what = f"the budget {_NAMES[name]} is used up: {dollars(spent - cost)} of {dollars(cap)}"
            return BudgetError(_CODES[name], what, why=_why(cost, prices, mock=mock), try_=_try(name, label))
    return None


def no_price(model: str) -> BudgetError:
    """The refusal of a call that nobody knows the price of, where a budget is to be kept."""
    return BudgetError("budget.no_price", f"a budget is set, and no price is known of {model}")


def dollars(usd: float | Decimal) -> str:
    """USD for people: two digits, or as many as it takes to show that it is not nothing."""
    amount = float(usd)
    if amount == 0 or amount >= 0.1:
        return f"${amount:,.2f}"
    return f"${amount:.3g}" if amount >= 1e-4 else f"${amount:.8f}"


def _why(cost: Decimal, prices: Prices, *, mock: bool) -> str:
    days = prices.age_days(datetime.now(UTC).date())
    old = f", {days} days old: look them up again" if prices.stale else ""
    free = "; at list prices: the mocks charge nothing" if mock else ""
    return (
        f"the next call would cost about {dollars(cost)} at the prices of {prices.as_of}{old}{free}; nothing is lost,"
        " the documents stay due"
    )


def _try(name: str, label: str) -> str:
    if name == "run":
        return ""
    today = date.fromisoformat(label if name == "day" else f"{label}-01")
    until = today + timedelta(days=1) if name == "day" else (today + timedelta(days=31)).replace(day=1)
    return f"raise [budget] per_{name}, or run it again from {until} 00:00 UTC on"
