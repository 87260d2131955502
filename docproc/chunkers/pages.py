"""The pages on which a span of characters stands."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from docproc.model import PageSpan


class PageFinder:
    """Looks up pages by character; a document without pages counts as one page."""

    def __init__(self, pages: Sequence[PageSpan]) -> None:
        ordered = sorted(pages, key=lambda page: page.start)
        self._starts = [page.start for page in ordered]
        self._numbers = [page.number for page in ordered]

    def of(self, start: int, end: int) -> tuple[int, int]:
        """First and last page of the span, both included; what stands between two pages belongs to the earlier."""
        if len(self._numbers) == 1:
            return self._numbers[0], self._numbers[0]
        return self._number(start), self._number(end - 1)

    def _number(self, character: int) -> int:
        if not self._starts:
            return 1
        return self._numbers[max(bisect_right(self._starts, character) - 1, 0)]
