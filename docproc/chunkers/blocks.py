"""The block structure of a Markdown text as spans of characters that tile it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
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


@dataclass(frozen=True, slots=True)
class Block:
    """A block from character ``start`` to the next block's start; ``children`` tile it in the same way.

    ``level`` (1 to 6) and ``title`` belong to headings. A table's children are its header (the row of dashes
    included) and its rows.
    """

    kind: Kind
    start: int
    end: int
    level: int = 0
    title: str = ""
    children: tuple[Block, ...] = ()


@dataclass(slots=True)
class _Node:
    """A block as pyromark reports it, without the blanks and markers around it."""

    kind: Kind
    start: int
    end: int = 0
    level: int = 0
    title: list[str] = field(default_factory=list)
    children: list[_Node] = field(default_factory=list)


def read_blocks(text: str) -> tuple[Block, ...]:
    """The top-level blocks of ``text``, in order, from its first to its last character.

    CommonMark with pipe tables and footnotes; YAML front matter only where it is front matter. Text that yields no
    event, such as link definitions, becomes a paragraph, so that nothing is left out.
    """
    body = _front_matter_end(text)
    nodes = _Reader(text, body).nodes()
    front = (Block(Kind.METADATA, 0, body),) if body else ()
    return (*front, *_tile(text, nodes, body, len(text), Kind.PARAGRAPH))


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


def _tile(text: str, nodes: Iterable[_Node], start: int, end: int, gap: Kind) -> Iterator[Block]:
    """Blocks for ``nodes`` such that every character from ``start`` to ``end`` is in one of them.

    A block begins at the start of its first line (with indentation and quote marks) and ends where the next begins.
    What stands between nodes and has a letter or digit in it becomes a block of kind ``gap``.
    """
    held: _Node | None = None
    held_start = edge = start
    for node in nodes:
        line = text.rfind("\n", max(edge - 1, 0), node.start) + 1 or (edge if held is None else node.start)
        if any(map(str.isalnum, text[edge:line])):
            if held:
                yield _block(text, held, held_start, edge)
            held, held_start = _Node(gap, edge, line), edge
        if held:
            yield _block(text, held, held_start, line)
            held_start = line
        held, edge = node, max(line, node.end)
    if any(map(str.isalnum, text[edge:end])):
        if held:
            yield _block(text, held, held_start, edge)
        held, held_start = _Node(gap, edge, end), edge
    if held:
        yield _block(text, held, held_start, end)


def _block(text: str, node: _Node, start: int, end: int) -> Block:
    gap = Kind.HEADER if node.kind is Kind.TABLE else Kind.PARAGRAPH
    children = tuple(_tile(text, node.children, start, end, gap)) if node.children else ()
    return Block(node.kind, start, end, node.level, " ".join("".join(node.title).split()), children)


class _Reader:
    """Builds the tree of nodes from pyromark's stream of events."""

    def __init__(self, text: str, body: int) -> None:
        self._source = text[body:]
        self._body = body
        self._character = _characters(self._source)
        self._open: list[_Node] = []
        self._title: list[str] | None = None

    def nodes(self) -> Iterator[_Node]:
        """The top-level nodes, each as soon as it is complete. Most events are inside of lines and pass by quickly."""
        import pyromark

        options = pyromark.Options.ENABLE_TABLES | pyromark.Options.ENABLE_FOOTNOTES
        event: Any
        for event, span in pyromark.events_with_range(self._source, options=options, merge_text=True):
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
        node = _Node(_KINDS[name], self._at(span["start"]))
        if node.kind is Kind.HEADING:
            node.level = int(tag[name]["level"][1])
            self._title = node.title
        self._open.append(node)

    def _end(self, span: Range) -> _Node:
        node = self._open.pop()
        node.end = self._at(span["end"])
        self._title = None
        return self._placed(node)

    def _mark(self, event: str, span: Range) -> _Node | None:
        if event == "Rule":
            return self._placed(_Node(Kind.RULE, self._at(span["start"]), self._at(span["end"])))
        if self._title is not None:
            self._title.append(" ")
        return None

    def _placed(self, node: _Node) -> _Node:
        if 0 < len(self._open) < _DEEPEST:
            self._open[-1].children.append(node)
        return node

    def _at(self, byte: int) -> int:
        return self._body + self._character(byte)


def _characters(text: str) -> Callable[[int], int]:
    """Turns pyromark's UTF-8 byte offsets into character offsets; they rise, so each step decodes only what is new."""
    if text.isascii():
        return int
    data = text.encode()
    at_byte = at_character = 0

    def character(byte: int) -> int:
        nonlocal at_byte, at_character
        if byte >= at_byte:
            at_character += len(data[at_byte:byte].decode())
        else:
            at_character -= len(data[byte:at_byte].decode())
        at_byte = byte
        return at_character

    return character
