"""The block structure of a Markdown text as spans of characters that tile it."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from docproc.chunkers.outline import Kind, Outline, read_outline

_DEEPEST = 12
"""Containers nested deeper than this are cut as text: no document means them, and recursion stays short."""

_FRONT_MATTER = re.compile(r"---[ \t]*\n[^\s:#-][^\n:]*:[ \t\n]")
_FRONT_MATTER_END = re.compile(r"^(?:---|\.\.\.)[ \t]*$\n?", re.MULTILINE)


@dataclass(slots=True, eq=False)
class Block:
    """A block from character ``start`` to the next block's start. ``level`` (1 to 6) and ``title`` belong to headings.

    ``first`` to ``last`` are the places in the outline of what is inside. Not frozen, since there are very many and
    freezing trebles the time to make one; ``children`` is worked out when it is first asked for, which is seldom.
    """

    kind: Kind
    start: int
    end: int
    level: int = 0
    title: str = ""
    outline: Outline | None = field(default=None, repr=False)
    first: int = 0
    last: int = 0
    depth: int = 0
    _children: Sequence[Block] | None = field(default=None, repr=False)

    @property
    def children(self) -> Sequence[Block]:
        """The blocks that tile this one; those of a table are its header, with the row of dashes, and its rows."""
        if self._children is None:
            self._children = self._tiles() if self.outline and self.depth + 1 < _DEEPEST else ()
        return self._children

    def _tiles(self) -> Sequence[Block]:
        assert self.outline
        gap = Kind.HEADER if self.kind is Kind.TABLE else Kind.PARAGRAPH
        return _tile(self.outline, range(self.first, self.last), self.start, self.end, gap, self.depth + 1)


def read_blocks(text: str, *, front_matter: bool = True) -> list[Block]:
    """The top-level blocks of ``text``, in order, from its first to its last character.

    YAML front matter only where it is front matter, and only if ``text`` begins a document. Text that yields no event,
    such as link definitions, becomes a paragraph, so that nothing is left out.
    """
    body = _front_matter_end(text) if front_matter else 0
    outline = read_outline(text, body)
    front = [Block(Kind.METADATA, 0, body)] if body else []
    blocks = _tile(outline, range(len(outline.kinds)), body, len(text), Kind.PARAGRAPH, 0)
    return front + (blocks or [Block(Kind.PARAGRAPH, body, len(text))])


def block_at(blocks: Sequence[Block], place: int) -> Block | None:
    """The block in which the character at ``place`` stands."""
    index = bisect_right(blocks, place, key=attrgetter("start")) - 1
    return blocks[index] if index >= 0 and place < blocks[index].end else None


def table_at(blocks: Sequence[Block], place: int) -> Block | None:
    """The table around ``place``, however deep in lists and quotes."""
    block = block_at(blocks, place)
    while block is not None and block.kind is not Kind.TABLE:
        block = block_at(block.children, place) if block.outline else None
    return block


def _front_matter_end(text: str) -> int:
    """Where front matter ends, 0 when the text has none; only a first line of dashes with a ``key:`` below opens it."""
    if not _FRONT_MATTER.match(text):
        return 0
    end = _FRONT_MATTER_END.search(text, text.index("\n"))
    return end.end() if end else 0


def _tile(outline: Outline, within: range, start: int, end: int, gap: Kind, depth: int) -> list[Block]:
    """Blocks for the outline's places ``within`` that tile the text from ``start`` to ``end``, the insides left out.

    A block begins with its first line, indentation and quote marks included, and ends where the next begins. What
    stands between and has a letter or digit in it is a block of kind ``gap``; other marks stay with the block before.
    """
    text, kinds, starts, ends, titles = outline.text, outline.kinds, outline.starts, outline.ends, outline.titles
    blocks: list[Block] = []
    at, stop, edge = within.start, within.stop, start
    while at < stop:
        begin, close = starts[at], ends[at]
        after = at + 1
        if after < stop and starts[after] < close:
            after = bisect_left(starts, close, after, stop)
        line = text.rfind("\n", edge - 1 if edge else 0, begin) + 1 or (begin if blocks else edge)
        between = text[edge:line]
        if between and between != "\n" and _says_something(between):
            blocks.append(Block(gap, edge, line))
        kind = kinds[at]
        level, title = titles[at] if kind is Kind.HEADING else (0, "")
        inside = outline if after > at + 1 else None
        blocks.append(Block(kind, line if blocks else start, line, level, title, inside, at + 1, after, depth))
        edge = line if line > close else close
        at = after
    if edge < end and _says_something(text[edge:end]):
        blocks.append(Block(gap, edge, end))
    _close(blocks, end)
    return blocks


def _says_something(text: str) -> bool:
    return not text.isspace() and any(map(str.isalnum, text))


def _close(blocks: Sequence[Block], end: int) -> None:
    """Has every block end where the next begins, the last one at ``end``."""
    for at in range(len(blocks) - 1):
        blocks[at].end = blocks[at + 1].start
    if blocks:
        blocks[-1].end = end
