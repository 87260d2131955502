"""Where to cut text that has no smaller blocks: at a line, a sentence, a clause, a word, else between characters."""

from __future__ import annotations

import re
import unicodedata

from docproc.chunkers.outline import Kind

_LOWER = "a-zß-öø-ÿа-яёα-ω"
_NONSPACE = re.compile(r"\S")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_LINE = re.compile(r"\n")
_WRAPPED = re.compile(rf"\n[^\S\n]*[{_LOWER}]")
"""A line that goes on in lower case: the sign of hard-wrapped prose, whose line ends mean nothing."""

_SENTENCE = re.compile(
    rf"""[.!?…]["'”’»)\]*_]*\s+(?=[^\s{_LOWER}])"""
    r"""|[。！？｡]["”’」』）】]*\s*"""
    r"""|[؟۔।॥]["”’»)]*\s*"""
)
"""Sentence ends: Latin, Cyrillic and Greek need a blank and no small letter after them; Chinese, Japanese, Arabic, Urdu
and Hindi have marks of their own, with or without a blank."""

_CLAUSE = re.compile(r"[;:,—–]\s+|[、，；：،؛]\s*")
_WORD = re.compile(r"\s+")
_TAG = re.compile(r"</(?:tr|table|thead|tbody|p|li|ul|ol|dl|div|section|article|h[1-6])>\s*", re.IGNORECASE)

_LINED: dict[Kind, tuple[re.Pattern[str], ...]] = {
    Kind.CODE: (_BLANK_LINE, _LINE),
    Kind.METADATA: (_LINE,),
    Kind.HTML: (_TAG, _LINE, _SENTENCE),
}
"""Blocks whose lines mean something: they are cut at any line before a line is cut."""

_LOOKAHEAD = 32
"""Characters beyond the window that a pattern may look at."""

_NEAR = 256
"""Characters before the window's end in which a boundary is sought first: most lie there."""

_ZERO_WIDTH_JOINER = "\u200d"
_LONGEST_CLUSTER = 32
"""Characters of one cluster that are kept together; no writing has clusters as long, only noise does."""


def cut_text(text: str, kind: Kind, floor: int, soft: int, hard: int) -> int:
    """The best place to cut in ``(floor, hard]``, at or below ``soft`` if a boundary is there.

    A weaker kind of boundary is taken only where no stronger one lies beyond the first quarter of the window, so that
    a short sentence before a long one is not left alone.
    """
    first = _NONSPACE.search(text, floor, hard)
    if first is None:
        return hard
    floor = first.start()
    low = floor + (hard - floor) // 4
    wrapped = _WRAPPED.search(text, floor, hard)
    prose = (_SENTENCE, _LINE, _CLAUSE) if wrapped else (_LINE, _SENTENCE, _CLAUSE)
    for pattern in _LINED.get(kind, prose):
        cut = _last(pattern, text, low, soft) or _last(pattern, text, max(low, soft), hard)
        if cut:
            return cut
    line = _last(_LINE, text, floor, hard) if kind in _LINED else 0
    return line or _last(_WORD, text, floor, hard) or _between_characters(text, floor, hard)


def _last(pattern: re.Pattern[str], text: str, low: int, high: int) -> int:
    """The last place in ``(low, high]`` where ``pattern`` allows a cut, 0 when there is none.

    A match allows a cut anywhere in the blanks at its end.
    """
    if pattern is _LINE:
        cut = min(text.rfind("\n", low, high + 1) + 1, high)
        return cut if cut > low else 0
    for start in (max(low, high - _NEAR), low):
        last = 0
        for match in pattern.finditer(text, start, min(high + _LOOKAHEAD, len(text))):
            if match.start() + len(match.group().rstrip()) > high:
                break
            cut = min(match.end(), high)
            last = cut if cut > low else last
        if last or start == low:
            return last
    return 0


def _between_characters(text: str, floor: int, hard: int) -> int:
    """The last place in ``(floor, hard]`` that does not part a letter from its marks, or an emoji's parts."""
    for place in range(hard, max(floor, hard - _LONGEST_CLUSTER), -1):
        if place == len(text) or not _joined(text[place - 1], text[place]):
            return place
    return hard


def _joined(before: str, after: str) -> bool:
    """Whether two characters belong to one cluster: a simplified reading of Unicode's UAX #29."""
    if _ZERO_WIDTH_JOINER in (before, after):
        return True
    return unicodedata.category(after) in ("Mn", "Mc", "Me") or "\U0001f3fb" <= after <= "\U0001f3ff"
