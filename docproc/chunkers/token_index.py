"""Exact token counts of any span of a text that is encoded only once."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from docproc import tokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WINDOW = 65_536
"""Characters encoded in one call: long enough to be fast, short enough that a megabyte of one letter stays cheap."""

_NEAR = 64
"""How many characters from a span's ends a seam is looked for before the whole span is counted anew."""

_INDENT = 64
"""Leading blanks beyond this many, or of mixed kinds, are no indentation and are left out of a span."""

_BLANKS = frozenset(" \t\u3000")
_CLOSING = frozenset("\r.,;:!?)]。，、；：！？）」』】…،؛؟।")
_NONSPACE = re.compile(r"\S")


@cache
def _token_widths() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """For every cl100k token: how many characters begin in it, and 1 where its first byte continues a character."""
    import numpy as np

    encoding = tokens.encoding()
    values = encoding.decode_tokens_bytes(range(encoding.n_vocab))
    widths = [sum(byte & 0xC0 != 0x80 for byte in value) for value in values]
    inner = [value[0] & 0xC0 == 0x80 for value in values]
    return np.array(widths, dtype=np.uint8), np.array(inner, dtype=np.uint8)


class TokenIndex:
    """Where each token of ``text`` begins, so that the tokens of a span are a subtraction.

    A subtraction is exact between *seams*: places that cl100k's pre-tokeniser never crosses, whatever stands around
    them. A span that does not begin or end at a seam has its few characters up to the next seam counted by themselves.
    ``docproc.tokens`` has the pattern from which the seams follow. Memory: four bytes a token.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = array("I")
        self._breaks: list[int] = []
        for start, end in self._windows():
            self._append(start, end)

    def count(self, start: int, end: int) -> int:
        """The exact number of tokens of ``text[start:end]``, a span as ``trim`` returns it, without a break inside."""
        left = start if self._begins_at_seam(start) else self._seam_after(start, end)
        right = end if self._is_seam(end) else self._seam_before(end, start)
        if left is None or right is None or left > right:
            return tokens.count(self.text[start:end])
        total = bisect_left(self._starts, right) - bisect_left(self._starts, left)
        if left > start:
            total += tokens.count_repeated(self.text[start:left])
        if right < end:
            total += tokens.count_repeated(self.text[right:end])
        return total

    def estimate(self, start: int, end: int) -> int:
        """The tokens of the whole text that begin in ``[start, end)``: ``count`` but for a few at the ends."""
        return bisect_left(self._starts, end) - bisect_left(self._starts, start)

    def count_within(self, start: int, end: int, limit: int) -> int | None:
        """The exact tokens of ``text[start:end]``, None when it cannot be one chunk of at most ``limit`` tokens."""
        beyond = bisect_left(self._starts, start) + limit + _NEAR
        if (beyond < len(self._starts) and self._starts[beyond] < end) or (
            self._breaks and self._break_after(start) < end
        ):
            return None
        exact = self.count(start, end)
        return exact if exact <= limit else None

    def reach(self, start: int, limit: int) -> int:
        """About how far ``limit`` tokens from ``start`` lead, at least one character and never beyond a break."""
        place = bisect_left(self._starts, start) + limit
        end = self._starts[place] if place < len(self._starts) else len(self.text)
        end = end if end > start else start + 1
        return min(end, self._break_after(start)) if self._breaks else end

    def back(self, end: int, count: int) -> int:
        """Where the token begins that stands ``count`` tokens before ``end``."""
        return self._starts[max(bisect_left(self._starts, end) - count, 0)]

    def trim(self, start: int, end: int) -> tuple[int, int]:
        """The span without blank lines before and blanks after it; the first line keeps its indentation.

        Returns ``(end, end)`` when nothing but whitespace stands in ``[start, end)``.
        """
        if start < end and not self.text[start].isspace():
            return start, self._rstrip(start, end)
        match = _NONSPACE.search(self.text, start, end)
        if match is None:
            return end, end
        first = match.start()
        end = self._rstrip(first, end)
        line = max(self.text.rfind("\n", start, first) + 1, start)
        indent = self.text[line:first]
        even = len(indent) <= _INDENT and indent in (" " * len(indent), "\t" * len(indent))
        at_line_start = line == 0 or self.text[line - 1] == "\n"
        return (line if even and at_line_start and self._break_after(line) > first else first), end

    def first_character(self, start: int) -> int:
        """Where the first character from ``start`` on stands that is no whitespace; there must be one."""
        if not self.text[start].isspace():
            return start
        match = _NONSPACE.search(self.text, start)
        assert match
        return match.start()

    def _rstrip(self, start: int, end: int) -> int:
        """The end of ``text[start:end]`` without trailing whitespace, found in slices because the span may be huge."""
        while True:
            tail = end - _NEAR if end - start > _NEAR else start
            kept = len(self.text[tail:end].rstrip())
            if kept:
                return tail + kept
            end = tail

    def _windows(self) -> Iterator[tuple[int, int]]:
        start, size = 0, len(self.text)
        while size - start > _WINDOW:
            end = self._window_end(start + _WINDOW // 2, start + _WINDOW)
            yield start, end
            start = end
        if start < size:
            yield start, size

    def _window_end(self, low: int, high: int) -> int:
        for place in range(high, low, -1):
            if self._is_seam(place):
                return place
        self._breaks.append(high)
        return high

    def _append(self, start: int, end: int) -> None:
        """Adds where a window's tokens begin; one that begins inside a character stands at that character."""
        import numpy as np

        widths, inner = _token_widths()
        window = self.text[start:end]
        encoded = np.frombuffer(array("I", tokens.encoding().encode_ordinary(window)), dtype=np.uint32)
        begun = widths.take(encoded)
        starts = np.cumsum(begun, dtype=np.uint32)
        starts -= begun
        starts += np.uint32(start)
        if not window.isascii():
            starts -= inner.take(encoded)
        self._starts.frombytes(starts.tobytes())

    def _break_after(self, place: int) -> int:
        """The first break beyond ``place``, else the end of the text."""
        if not self._breaks:
            return len(self.text)
        index = bisect_right(self._breaks, place)
        return self._breaks[index] if index < len(self._breaks) else len(self.text)

    def _is_break(self, place: int) -> bool:
        index = bisect_left(self._breaks, place)
        return index < len(self._breaks) and self._breaks[index] == place

    def _begins_at_seam(self, place: int) -> bool:
        """A trimmed span that begins a line begins at a seam: its first line is not blank, so no token crosses."""
        return place == 0 or self.text[place - 1] == "\n" or self._is_seam(place)

    def _is_seam(self, place: int) -> bool:
        """Whether the encodings of the texts before and after ``place`` are the encoding of both together.

        True at a line's first character; before a blank that follows a word; after a letter or digit before a line
        end or closing punctuation. None of cl100k's alternatives matches across these.
        """
        text = self.text
        if place == 0 or place == len(text) or (self._breaks and self._is_break(place)):
            return True
        before, after = text[place - 1], text[place]
        if before == "\n":
            return not after.isspace()
        if after in _BLANKS:
            return not before.isspace()
        return (after == "\n" or after in _CLOSING) and before.isalnum()

    def _seam_after(self, start: int, end: int) -> int | None:
        for place in range(start + 1, min(end, start + _NEAR)):
            if self._is_seam(place):
                return place
        return None

    def _seam_before(self, end: int, start: int) -> int | None:
        text = self.text
        place = end - 1
        # Most spans end in a mark or two after a word: the seam is before them.
        if place > start and text[place] in _CLOSING and text[place - 1].isalnum():
            return place
        for place in range(end - 1, max(start, end - _NEAR), -1):
            if self._is_seam(place):
                return place
        return None
