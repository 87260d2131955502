"""What a comparison may cost at most, told before anything is paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path

from docproc import tokens
from docproc.compare import Question
from docproc.compare.variants import Variant
from docproc.errors import Exit, ProgramError
from docproc.parsers.counting import pages_in_file
from docproc.prices import Prices

BYTES_A_PAGE = 1_000
"""Of a file whose pages cannot be counted, as in DOCX: packed, a full page of text is larger."""

TOKENS_A_PAGE = 3_000
"""Twice what a dense page has: chunks may overlap, and repeat their headings."""


class TooDearError(ProgramError):
    """It may cost more than was allowed."""

    exit_code = Exit.MONEY


def bounds(
    chosen: Sequence[Variant], samples: Sequence[Path], questions: Sequence[Question], runs: int
) -> dict[str, float | None]:
    """USD by variant for all ``runs``; None where a price is not known. The mocks cost nothing.

    Estimated to the high side; what is sent again after an error is not in it.
    """
    pages = {sample: _pages(sample) for sample in samples}
    asked = sum(tokens.count(question.words) for question in questions)
    return {variant.name: _bound(variant, pages, asked, runs) for variant in chosen}


def refuse_dear(told: Mapping[str, float | None], most: float) -> None:
    """Raises TooDearError when it is more than ``most`` USD together; what nobody knows is below infinity alone."""
    unknown = [name for name, usd in told.items() if usd is None]
    if unknown and most != float("inf"):
        raise TooDearError(
            "compare.too_dear",
            "nobody knows what this comparison may cost",
            why=f"no price is known of the tier or the model of {', '.join(unknown)}",
            try_="--max-usd inf allows any price",
        )
    together = sum(usd or 0.0 for usd in told.values())
    if not together <= most:
        each = ", ".join(f"{name} ${usd:.2f}" for name, usd in told.items() if usd)
        raise TooDearError("compare.too_dear", f"this may cost ${together:.2f}, and ${most:.2f} are allowed", why=each)


def _bound(variant: Variant, pages: Mapping[Path, int], asked: int, runs: int) -> float | None:
    settings, usd = variant.settings, 0.0
    prices = Prices.of(settings.prices)
    if variant.parser == "real":
        paid = sum(n for sample, n in pages.items() if sample.suffix.lower() not in settings.parser.local)
        price = prices.pages(paid, settings.parser.tier)
        if price is None:
            return None
        usd += price
    if variant.embedder == "real":
        # A token has a byte at least, but a packed file may hold more text than it has bytes: then its pages say more.
        text = sum(max(n * TOKENS_A_PAGE, sample.stat().st_size) for sample, n in pages.items())
        price = prices.tokens(text + asked, settings.embedder.model)
        if price is None:
            return None
        usd += price
    return usd * runs


def _pages(sample: Path) -> int:
    try:
        with sample.open("rb") as file:
            counted = pages_in_file(file, sample.suffix.lower()).get("pages_in_file")
    except OSError:
        return 0  # nobody can send it
    return max(1, ceil(sample.stat().st_size / BYTES_A_PAGE)) if counted is None else counted
