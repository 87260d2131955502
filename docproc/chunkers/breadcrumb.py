"""The heading path as it stands before a chunk's text in what is embedded."""

from __future__ import annotations

from dataclasses import dataclass

from docproc import tokens

_SEPARATOR = " > "
_AFTER = "\n\n"

CRUMB_SHARE = 4
"""A breadcrumb takes at most one part in so many of a chunk's tokens."""


@dataclass(frozen=True, slots=True)
class Breadcrumb:
    """A heading path, shortened if need be: ``text`` goes before a chunk's text and has exactly ``tokens`` tokens.

    ``text`` ends in a blank line, which no token crosses, so that its count and the chunk's may be added.
    """

    path: tuple[str, ...]
    text: str
    tokens: int


class Breadcrumbs:
    """Breadcrumbs of one document, of which none takes more of ``limit`` tokens than its share."""

    def __init__(self, limit: int) -> None:
        self._most = limit // CRUMB_SHARE
        self._known: dict[tuple[str, ...], Breadcrumb] = {}

    def of(self, path: tuple[str, ...]) -> Breadcrumb:
        """The breadcrumb of ``path``; one too long loses its outermost headings, then the end of its last one."""
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = self._shortened(path)
        return known

    def _shortened(self, path: tuple[str, ...]) -> Breadcrumb:
        crumb = _breadcrumb(path)
        while crumb.tokens > self._most:
            if len(crumb.path) > 1:
                shorter = crumb.path[1:]
            else:
                title = crumb.path[0].removesuffix("…")
                title = title[: len(title) * 3 // 4].rstrip()
                shorter = (f"{title}…",) if title else ()
            crumb = _breadcrumb(shorter)
        return crumb


def _breadcrumb(path: tuple[str, ...]) -> Breadcrumb:
    """Counts the last heading by itself: no token crosses from a heading's end into the separator after it."""
    if not path:
        return Breadcrumb((), "", 0)
    *outer, last = path
    above = _SEPARATOR.join(outer)
    below = (_SEPARATOR if outer else "") + last + _AFTER
    return Breadcrumb(path, above + below, tokens.count_repeated(above) + tokens.count(below))
