"""The block structure of a Markdown text as spans of characters that tile it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyromark.event import Range

_DEEPEST = 12
"""Containers nested deeper than this are cut as text: no document means them, and recursion stays short."""

_TITLE_LIMIT = 1_000
"""Characters kept of a heading's title; what is longer is no title."""


class Kind(StrEnum):
    """The kinds of blocks that are cut differently."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    CODE = "code"
    HTML = "html"
    LIST = "list"
    ENTRY = "entry"
    QUOTE = "quote"
    TABLE = "table"
    HEADER = "header"
    ROW = "row"
    FOOTNOTE = "footnote"
    METADATA = "metadata"
    RULE = "rule"


_FRONT_MATTER = re.compile(r"---[ \t]*\n[^\s:#-][^\n:]*:[ \t\n]")
_FRONT_MATTER_END = re.compile(r"^(?:---|\.\.\.)[ \t]*$\n?", re.MULTILINE)

_KINDS = {
    "Heading": Kind.HEADING,
    "Paragraph": Kind.PARAGRAPH,
    "CodeBlock": Kind.CODE,
    "HtmlBlock": Kind.HTML,
    "List": Kind.LIST,
    "Item": Kind.ENTRY,
    "BlockQuote": Kind.QUOTE,
    "Table": Kind.TABLE,
    "TableRow": Kind.ROW,
    "FootnoteDefinition": Kind.FOOTNOTE,
}


@dataclass(slots=True)
class _Node:
    """A block as pyromark reports it, in bytes of UTF-8, without the blanks and markers around it."""

    kind: Kind
    start: int
    end: int = 0
    level: int = 0
    title: list[str] = field(default_factory=list)
    children: list[_Node] = field(default_factory=list)


@dataclass(slots=True)
class _Source:
    """A text with the place that was reached in it, in bytes and in characters; ``data`` is None for ASCII."""

    text: str
    data: bytes | None
    byte: int
    character: int

    def at(self, byte: int) -> int:
        """The character at ``byte``. Places are asked for in about rising order, so each step decodes only a little."""
        if self.data is None:
            self.character += byte - self.byte
        elif byte >= self.byte:
            self.character += len(self.data[self.byte : byte].decode())
        else:
            self.character -= len(self.data[byte : self.byte].decode())
        self.byte = byte
        return self.character


@dataclass(frozen=True)
class Block:
    """A block from character ``start`` to the next block's start. ``level`` (1 to 6) and ``title`` belong to headings.

    Not slotted: ``children`` is worked out when it is first asked for, and for most blocks nobody asks.
    """

    kind: Kind
    start: int
    end: int
    level: int = 0
    title: str = ""
    inside: tuple[_Source, Sequence[_Node]] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def children(self) -> tuple[Block, ...]:
        """The blocks that tile this one; those of a table are its header, with the row of dashes, and its rows."""
        if self.inside is None:
            return ()
        source, nodes = self.inside
        gap = Kind.HEADER if self.kind is Kind.TABLE else Kind.PARAGRAPH
        return tuple(_tile(source, nodes, self.start, self.end, gap))


def read_blocks(text: str) -> tuple[Block, ...]:
    """The top-level blocks of ``text``, in order, from its first to its last character.

    CommonMark with pipe tables and footnotes; YAML front matter only where it is front matter. Text that yields no
    event, such as link definitions, becomes a paragraph, so that nothing is left out.
    """
    body = _front_matter_end(text)
    markdown = text[body:]
    source = _Source(text, None if markdown.isascii() else markdown.encode(), 0, body)
    front = (Block(Kind.METADATA, 0, body),) if body else ()
    blocks = tuple(_tile(source, _Reader().nodes(markdown), body, len(text), Kind.PARAGRAPH))
    return (*front, *(blocks or (Block(Kind.PARAGRAPH, body, len(text)),)))


def block_at(blocks: Sequence[Block], place: int) -> Block | None:
    """The block in which the character at ``place`` stands."""
    index = bisect_right(blocks, place, key=attrgetter("start")) - 1
    return blocks[index] if index >= 0 and place < blocks[index].end else None


def table_at(blocks: Sequence[Block], place: int) -> Block | None:
    """The table around ``place``, however deep in lists and quotes."""
    block = block_at(blocks, place)
    while block is not None and block.kind is not Kind.TABLE:
        block = block_at(block.children, place)
    return block


def _front_matter_end(text: str) -> int:
    """Where front matter ends, 0 when the text has none; only a first line of dashes with a ``key:`` below opens it."""
    if not _FRONT_MATTER.match(text):
        return 0
    end = _FRONT_MATTER_END.search(text, text.index("\n"))
    return end.end() if end else 0


def _tile(source: _Source, nodes: Iterable[_Node], start: int, end: int, gap: Kind) -> Iterator[Block]:
    """Blocks for ``nodes`` that tile the text from ``start`` to ``end``: each ends where the next begins."""
    held: tuple[int, _Node, int] | None = None
    for placed in _place(source, nodes, start, end, gap):
        if held:
            yield _block(source, held, placed[0])
        held = placed
    if held:
        yield _block(source, held, end)


def _place(
    source: _Source, nodes: Iterable[_Node], start: int, end: int, gap: Kind
) -> Iterator[tuple[int, _Node, int]]:
    """For each node: where its block begins, the node, and the node's first character.

    A block begins with its first line, indentation and quote marks included. What stands between nodes and has a letter
    or digit in it is a block of kind ``gap``; other marks stay with the block before.
    """
    text, edge, first = source.text, start, True
    for node in nodes:
        character = source.at(node.start)
        line = text.rfind("\n", max(edge - 1, 0), character) + 1 or (edge if first else character)
        if any(map(str.isalnum, text[edge:line])):
            yield edge, _Node(gap, 0), edge
            first = False
        yield edge if first else line, node, character
        first = False
        edge = max(line, source.at(node.end))
    if any(map(str.isalnum, text[edge:end])):
        yield edge, _Node(gap, 0), edge


def _block(source: _Source, placed: tuple[int, _Node, int], end: int) -> Block:
    start, node, character = placed
    title = " ".join("".join(node.title).split()) if node.title else ""
    inside = (_Source(source.text, source.data, node.start, character), node.children) if node.children else None
    return Block(node.kind, start, end, node.level, title, inside)


class _Reader:
    """Builds the tree of nodes from pyromark's stream of events."""

    def __init__(self) -> None:
        self._open: list[_Node] = []
        self._title: list[str] | None = None

    def nodes(self, markdown: str) -> Iterator[_Node]:
        """The top-level nodes, each as soon as it is complete. Most events are inside of lines and pass by quickly."""
        import pyromark

        options = pyromark.Options.ENABLE_TABLES | pyromark.Options.ENABLE_FOOTNOTES
        event: Any
        for event, span in pyromark.events_with_range(markdown, options=options, merge_text=True):
            if event.__class__ is str:
                node = self._mark(event, span)
            elif (tag := event.get("Start")) is not None:
                name = tag if tag.__class__ is str else next(iter(tag))
                if name in _KINDS:
                    self._begin(name, tag, span)
                continue
            elif (tag := event.get("End")) is not None:
                name = tag if tag.__class__ is str else next(iter(tag))
                node = self._end(span) if name in _KINDS else None
            else:
                if self._title is not None:
                    self._title.append((event.get("Text") or event.get("Code") or "")[:_TITLE_LIMIT])
                continue
            if node and not self._open:
                yield node

    def _begin(self, name: str, tag: Any, span: Range) -> None:
        node = _Node(_KINDS[name], span["start"])
        if node.kind is Kind.HEADING:
            node.level = int(tag[name]["level"][1])
            self._title = node.title
        self._open.append(node)

    def _end(self, span: Range) -> _Node:
        node = self._open.pop()
        node.end = span["end"]
        self._title = None
        return self._placed(node)

    def _mark(self, event: str, span: Range) -> _Node | None:
        if event == "Rule":
            return self._placed(_Node(Kind.RULE, span["start"], span["end"]))
        if self._title is not None:
            self._title.append(" ")
        return None

    def _placed(self, node: _Node) -> _Node:
        if 0 < len(self._open) < _DEEPEST:
            self._open[-1].children.append(node)
        return node
