"""Proof that chunks hold every character of a text that is no white space."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from docproc.model import Chunk

_VISIBLE = re.compile(r"\S")


class Proof:
    """Passes chunks on and reads the text beside them.

    ``lost`` is known once they have all passed: the first character that is no white space and in no chunk's span, None
    when every one is in some chunk.
    """

    def __init__(self, pieces: Iterable[str]) -> None:
        self._pieces = iter(pieces)
        self._piece = ""
        self._at = 0
        self.lost: int | None = None

    def of(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """``chunks``, whose starts must rise, unchanged."""
        covered = 0
        for chunk in chunks:
            if self.lost is None and chunk.start > covered:
                self.lost = self._first_visible(covered, chunk.start)
            covered = max(covered, chunk.end)
            yield chunk
        if self.lost is None:
            self.lost = self._first_visible(covered, None)

    def _first_visible(self, start: int, end: int | None) -> int | None:
        """The first character from ``start`` to ``end`` that is no white space; None for ``end`` is the text's end."""
        while True:
            stop = len(self._piece) if end is None else end - self._at
            found = _VISIBLE.search(self._piece, max(start - self._at, 0), max(stop, 0))
            if found:
                return self._at + found.start()
            if end is not None and self._at + len(self._piece) >= end:
                return None
            following = next(self._pieces, None)
            if following is None:
                return None
            self._at += len(self._piece)
            self._piece = following
