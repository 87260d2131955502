"""What the providers charge, with the day on which that was read: for estimates, never a bill."""

from __future__ import annotations

AS_OF = "2026-10-15"
"""When these prices were read; those of LlamaParse are second-hand."""

CREDITS_A_PAGE = {"fast": 1, "cost_effective": 3, "agentic": 10, "agentic_plus": 45}
"""LlamaParse, by tier."""

USD_A_CREDIT = 1.25 / 1000
"""LlamaParse: 1.25 USD for 1,000 credits."""

USD_A_TOKEN = {"text-embedding-3-small": 0.02 / 1e6, "text-embedding-3-large": 0.13 / 1e6}
"""OpenAI, by embedding model."""


def of(unit: str, count: float, *, tier: str, model: str) -> float | None:
    """USD for ``count`` units of the ledger, a ``token`` or a ``page``; None where no price is known."""
    return tokens(count, model) if unit == "token" else pages(count, tier)


def pages(count: float, tier: str) -> float | None:
    """USD for ``count`` pages; None for a tier whose price is not known."""
    credits_ = CREDITS_A_PAGE.get(tier)
    return None if credits_ is None else count * credits_ * USD_A_CREDIT


def tokens(count: float, model: str) -> float | None:
    """USD for ``count`` tokens; None for a model whose price is not known."""
    price = USD_A_TOKEN.get(model)
    return None if price is None else count * price
