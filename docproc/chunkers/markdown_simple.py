"""The default chunker: sections of Markdown, tables with their headers, and sentences where text has no structure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from docproc.chunkers.blocks import Block
from docproc.chunkers.breadcrumb import CRUMB_SHARE, Breadcrumbs
from docproc.chunkers.cutting import Span, cut, whole
from docproc.chunkers.outline import Kind
from docproc.chunkers.pages import PageFinder
from docproc.chunkers.parameters import MOST_TOKENS, check, parameter, version
from docproc.chunkers.sections import Opened, Section, read_sections
from docproc.chunkers.segments import read_segments
from docproc.chunkers.token_index import TokenIndex
from docproc.model import Chunk, Document

_TINY = 20
"""A chunk of fewer tokens says too little to be found; it also joins a neighbour that had to be cut."""

_SMALL = 4
"""A section joins its neighbour when one of them is less than one part in so many of a chunk.

The least merging that leaves no small chunks behind. On 4 MB of the manuals of Node.js and npm, chunks of under 50
tokens at 200: 202 with a half, a third and a quarter, 413 with a sixth, 669 with an eighth; sections a chunk at 400:
1.45 with a half, 1.28 with a quarter. tests/performance/chunking/small.py prints the figures.
"""


@dataclass(frozen=True, slots=True)
class MarkdownSimple:
    """Cuts at headings, keeps tables, fences and lists whole where they fit, and embeds the heading path.

    ``max`` is the most tokens of a chunk's ``embed_text``. There is no overlap: it stores half as many tokens again and
    finds no more for an equal number of tokens read.
    """

    max: int = parameter(400, least=32, most=MOST_TOKENS)

    name: ClassVar[str] = "markdown-simple"

    def __post_init__(self) -> None:
        check(self)

    @property
    def version(self) -> str:
        """``1``, and the limit when it is not the default."""
        return version("1", self)

    def chunk(self, document: Document) -> Iterator[Chunk]:
        """The chunks of ``document`` in order: none overlaps another, and every character is in one of them.

        ``tokens`` is the exact count of ``embed_text`` and never above ``max``. A text of nothing but whitespace has
        no chunks.
        """
        pages = PageFinder(document.pages)
        ord_, opened = 0, Opened()
        for segment in read_segments(document.pieces()):
            root, opened = read_sections(segment.blocks, opened)
            breadcrumbs = Breadcrumbs(self.max)
            for piece in _Packing(TokenIndex(segment.text), breadcrumbs, self.max).pieces(root):
                span, crumb = piece.span, breadcrumbs.of(piece.path)
                text = span.header + segment.text[span.start : span.end]
                start, end = segment.offset + span.start, segment.offset + span.end
                count = crumb.tokens + span.tokens
                yield Chunk(ord_, text, start, end, crumb.path, *pages.of(start, end), count, crumb.text + text)
                ord_ += 1


class _Piece(NamedTuple):
    """A chunk to be: its span and the heading path it stands under.

    ``joins`` tells whether it may be merged with the section after it. ``bare`` holds its blocks when they are headings
    and nothing else.
    """

    span: Span
    path: tuple[str, ...]
    joins: bool = True
    bare: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class _Packing:
    """Decides which spans of one segment become chunks of at most ``limit`` tokens."""

    index: TokenIndex
    breadcrumbs: Breadcrumbs
    limit: int

    def pieces(self, root: Section) -> list[_Piece]:
        """The pieces of the whole segment; a heading at its end with nothing below it joins the piece before."""
        pieces = self._section(root, ())
        if len(pieces) > 1 and pieces[-1].bare:
            joined = self._joined(pieces[-2], pieces[-1], pieces[-2].path)
            pieces[-2:] = [joined] if joined else pieces[-2:]
        return pieces

    def _section(self, section: Section, lead: Sequence[Block]) -> list[_Piece]:
        """The pieces of a section and of those below it; ``lead`` are bare headings before it that go with its text."""
        pieces = self._own([*lead, *section.blocks], section.path)
        for below in section.sections:
            lead = pieces.pop().bare if pieces and pieces[-1].bare else ()
            found = self._section(below, lead)
            if len(found) > 1:
                found[-1] = found[-1]._replace(joins=False)
            merged = self._merged(pieces[-1], found) if pieces else None
            pieces[-1:] = [merged, *found[1:]] if merged else [*pieces[-1:], *found]
        return pieces

    def _own(self, blocks: Sequence[Block], path: tuple[str, ...]) -> list[_Piece]:
        """The pieces of a section's own text, the sections below it left out."""
        if not blocks:
            return []
        span = whole(self.index, blocks, self._sure_room)
        spans = [span] if span else list(cut(self.index, blocks, self._room(path)))
        bare = len(spans) == 1 and blocks[-1].kind is Kind.HEADING and all(b.kind is Kind.HEADING for b in blocks)
        return [_Piece(span, path, bare=tuple(blocks) if bare else ()) for span in spans]

    def _merged(self, before: _Piece, found: Sequence[_Piece]) -> _Piece | None:
        """``before`` and the first piece of the section after it in one, where both fit and one of them is small.

        Of two whole sections, larger ones are found better each by itself. A section that
        had to be cut takes only what is tiny, and keeps its own path, since most of the text stands under that.
        """
        if not before.joins or found[0].bare:
            return None
        smaller = min(before.span.tokens, found[0].span.tokens)
        if len(found) == 1 and smaller < self.limit // _SMALL:
            return self._joined(before, found[0], _common(before.path, found[0].path))
        return self._joined(before, found[0], found[0].path) if before.span.tokens < _TINY else None

    def _joined(self, before: _Piece, after: _Piece, path: tuple[str, ...]) -> _Piece | None:
        start, end = before.span.start, after.span.end
        if before.span.header or after.span.header:
            return None
        count = self.index.count_within(start, end, self.limit)
        if count is None or (count > self._sure_room and count > self._room(path)):
            return None
        return _Piece(Span(start, end, count), path, joins=after.joins)

    @property
    def _sure_room(self) -> int:
        """The tokens that fit under every path, so that most paths need not be counted."""
        return self.limit - self.limit // CRUMB_SHARE

    def _room(self, path: tuple[str, ...]) -> int:
        return self.limit - self.breadcrumbs.of(path).tokens


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    same = 0
    while same < min(len(one), len(other)) and one[same] == other[same]:
        same += 1
    return one[:same]
