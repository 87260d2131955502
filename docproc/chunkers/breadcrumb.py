"""The heading path as it stands before a chunk's text in what is embedded."""

from __future__ import annotations

from dataclasses import dataclass

from docproc import tokens

_SEPARATOR = " > "
_AFTER = "\n\n"


@dataclass(frozen=True, slots=True)
class Breadcrumb:
    """A heading path, shortened if need be: ``text`` goes before a chunk's text and has exactly ``tokens`` tokens.

    ``text`` ends in a blank line, which no token crosses, so that its count and the chunk's may be added.
    """

    path: tuple[str, ...]
    text: str
    tokens: int


class Breadcrumbs:
    """Breadcrumbs of one document, of which none takes more than a quarter of ``limit`` tokens."""

    def __init__(self, limit: int) -> None:
        self._most = limit // 4
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
    text = _SEPARATOR.join(path) + _AFTER if path else ""
    return Breadcrumb(path, text, tokens.count(text))
