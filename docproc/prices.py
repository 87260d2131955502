"""What the providers charge, by the settings, with the day on which that was read: for estimates, never a bill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Self

from docproc.settings import PricesSettings

GOOD_FOR = 180
"""Days after which prices are to be looked up again: both providers have changed theirs within a year."""


@dataclass(frozen=True, slots=True)
class Prices:
    """LlamaParse by page and tier, OpenAI by token and model. What has no price is None, never 0."""

    told: PricesSettings = field(default_factory=PricesSettings)

    @classmethod
    def of(cls, settings: PricesSettings) -> Self:
        """The prices that the settings tell."""
        return cls(settings)

    @property
    def as_of(self) -> str:
        """The day on which they were read, as ``2026-10-15``."""
        return self.told.as_of

    def age_days(self, today: date) -> int:
        """Days from the day on which they were read to ``today``."""
        return (today - date.fromisoformat(self.as_of)).days

    @property
    def stale(self) -> bool:
        """Whether they are older than ``GOOD_FOR``, by this machine's clock in UTC."""
        return self.age_days(datetime.now(UTC).date()) > GOOD_FOR

    # ── of one unit, exact ──────────────────────────────────────────────────────────────────────────────────────────

    @property
    def per_credit(self) -> Decimal:
        """USD for a credit of LlamaParse."""
        return _exact(self.told.usd_per_credit)

    def per_page(self, tier: str) -> Decimal | None:
        """USD for a page; None for a tier whose price is not known."""
        credits_ = self.told.credits_per_page.get(tier)
        return None if credits_ is None else _exact(credits_) * self.per_credit

    def per_token(self, model: str) -> Decimal | None:
        """USD for a token; None for a model whose price is not known."""
        price = self.told.usd_per_million_tokens.get(model)
        return None if price is None else _exact(price) / 1_000_000

    # ── of many ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def pages(self, count: float, tier: str) -> float | None:
        """USD for ``count`` pages; None for a tier whose price is not known."""
        return _times(count, self.per_page(tier))

    def tokens(self, count: float, model: str) -> float | None:
        """USD for ``count`` tokens; None for a model whose price is not known."""
        return _times(count, self.per_token(model))

    def credits(self, credits_: float) -> float:
        """USD for ``credits_`` of LlamaParse."""
        return float(_exact(credits_) * self.per_credit)

    def units(self, unit: str, count: float, *, tier: str, model: str) -> float | None:
        """USD for ``count`` units of the ledger, a ``token`` or a ``page``; None where no price is known."""
        return self.tokens(count, model) if unit == "token" else self.pages(count, tier)

    def row(self, row: Mapping[str, Any], *, tier: str, model: str) -> float | None:
        """USD of a row of the ledger's sums: what the ledger knows, and its ``unpriced`` units at these prices.

        A row without ``usd`` is priced as a whole. None where a price that is needed is not known.
        """
        known = float(row.get("usd") or 0.0)
        unpriced = row["unpriced"] if "usd" in row else row["units"]
        if "usd" in row and not unpriced:
            return known
        rest = self.units(row["unit"], unpriced, tier=tier, model=model)
        return None if rest is None else known + rest


def _exact(number: float) -> Decimal:
    """The number as it was written: 0.13, not the binary fraction next to it."""
    return Decimal(repr(number))


def _times(count: float, price: Decimal | None) -> float | None:
    return None if price is None else float(_exact(count) * price)
