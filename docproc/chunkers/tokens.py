"""Fixed windows of tokens: the plainest chunker, to measure the others against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from docproc.chunkers.pages import PageFinder
from docproc.chunkers.parameters import MOST_TOKENS, check, parameter, version
from docproc.chunkers.segments import SEGMENT, read_windows
from docproc.chunkers.token_index import TokenIndex
from docproc.errors import ConfigError
from docproc.model import Chunk, Document


@dataclass(frozen=True, slots=True)
class FixedTokens:
    """Windows of at most ``max`` tokens that follow each other whatever the text says.

    Each window begins at a token's first character, ``overlap`` tokens before the end of the one before. There is no
    heading path: what is embedded is the text itself.
    """

    max: int = parameter(400, least=32, most=MOST_TOKENS)
    overlap: int = parameter(0, least=0, most=MOST_TOKENS // 2)

    name: ClassVar[str] = "tokens"

    def __post_init__(self) -> None:
        check(self)
        if self.overlap > self.max // 2:
            raise ConfigError(
                "config.invalid",
                f"the chunker's overlap is {self.overlap}",
                why=f"it is at most half of max, {self.max}",
            )

    @property
    def version(self) -> str:
        """``1`` and the parameters that are not the default."""
        return version("1", self)

    def chunk(self, document: Document) -> Iterator[Chunk]:
        """The windows of ``document`` in order; blanks at their ends are left out, so every chunk holds a character."""
        pages = PageFinder(document.pages)
        texts = read_windows(document.pieces())
        text, at, ord_ = next(texts), 0, 0
        while True:
            index, used = TokenIndex(text), len(text)
            for start, end, count in self._windows(index):
                if end == index.trim(start, len(text))[1] and start and len(text) == SEGMENT:
                    used = start  # perhaps the text goes on, and this window with it
                    break
                piece = text[start:end]
                yield Chunk(ord_, piece, at + start, at + end, (), *pages.of(at + start, at + end), count, piece)
                ord_ += 1
            try:
                text = texts.send(used)
            except StopIteration:
                return
            at += used

    def _windows(self, index: TokenIndex) -> Iterator[tuple[int, int, int]]:
        """First and last character and the tokens of each window of one text."""
        start, stop = index.trim(0, len(index.text))
        while start < stop:
            end = self._end(index, start, stop)
            yield start, end, index.count(start, end)
            after = index.trim(end, stop)[0]
            start = self._overlapping(index, start, end, stop) if self.overlap and after < stop else after

    def _overlapping(self, index: TokenIndex, start: int, end: int, stop: int) -> int:
        """Where the next window begins: ``overlap`` tokens before ``end``, unless that window would end no later."""
        again = index.trim(index.back(end, self.overlap), stop)[0]
        if start < again < end < self._end(index, again, stop):
            return again
        return index.trim(end, stop)[0]

    def _end(self, index: TokenIndex, start: int, stop: int) -> int:
        """The end of the longest window from ``start``: the index estimates it, the exact count corrects it."""
        shortest = index.first_character(start) + 1
        aim, end = self.max, stop + 1
        while True:
            end = max(min(index.reach(start, max(aim, 1)), stop, end - 1), shortest)
            end = index.trim(start, end)[1]
            over = index.count(start, end) - self.max
            if over <= 0 or end <= shortest:
                return end
            aim -= over
