"""Where the blocks of a Markdown text stand, as pyromark reports them: flat, in the order of their first characters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyromark.event import Range

_TITLE_LIMIT = 1_000
"""Characters kept of a heading's title; what is longer is no title."""

_FOREIGN = "J"
"""Stands for every character beyond ASCII in the text that pyromark reads, so that its bytes are our characters.

Nothing beyond ASCII has a meaning in Markdown's blocks, a letter has none either, and this one is in no entity that is
in use. Only titles hold such characters, and get them back."""

_FOREIGN_MARK = re.compile(_FOREIGN)
_REPLACED = re.compile(f"[^\x00-\x7f]|{_FOREIGN}")


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


_CONTAINERS = {
    "List": Kind.LIST,
    "Item": Kind.ENTRY,
    "BlockQuote": Kind.QUOTE,
    "Table": Kind.TABLE,
    "FootnoteDefinition": Kind.FOOTNOTE,
}
_LEAVES = {
    "Heading": Kind.HEADING,
    "Paragraph": Kind.PARAGRAPH,
    "CodeBlock": Kind.CODE,
    "HtmlBlock": Kind.HTML,
    "TableHead": Kind.HEADER,
    "TableRow": Kind.ROW,
}


@dataclass(frozen=True, slots=True)
class Outline:
    """The blocks of ``text``: kinds, and characters from ``starts`` to ``ends`` without the blanks and marks around.

    A block stands before those inside it, so these are the ones after it that start before it ends. ``titles`` has the
    level and the words of each heading, by its place in the lists.
    """

    text: str
    kinds: list[Kind] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    titles: dict[int, tuple[int, str]] = field(default_factory=dict)


def read_outline(text: str, body: int) -> Outline:
    """The outline of ``text`` from character ``body`` on: CommonMark with pipe tables and footnotes."""
    import pyromark

    options = pyromark.Options.ENABLE_TABLES | pyromark.Options.ENABLE_FOOTNOTES
    outline = Outline(text)
    events: Iterator[tuple[Any, Range]] = iter(
        pyromark.events_with_range(_in_ascii(text[body:]), options=options, merge_text=True)
    )
    add_kind, add_start, add_end = outline.kinds.append, outline.starts.append, outline.ends.append
    leaf_end = 0
    for event, span in events:
        start = span["start"]
        if start < leaf_end:
            continue  # most events are inside of lines
        if event == "Rule":
            kind = Kind.RULE
        elif "Start" in event:
            tag = event["Start"]
            name = tag if tag.__class__ is str else next(iter(tag))
            if name in _LEAVES:
                kind, leaf_end = _LEAVES[name], span["end"]
                if kind is Kind.HEADING:
                    outline.titles[len(outline.kinds)] = int(tag[name]["level"][1]), _title(events, text, body)
                elif kind is Kind.HEADER:
                    continue
            elif name in _CONTAINERS:
                kind = _CONTAINERS[name]
            else:
                continue
        else:
            continue
        add_kind(kind)
        add_start(start + body)
        add_end(span["end"] + body)
    return outline


def _in_ascii(text: str) -> str:
    """``text`` with one ASCII character for each of its own."""
    if text.isascii():
        return text
    import numpy as np

    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    return np.where(codes < 128, codes, ord(_FOREIGN)).astype(np.uint8).tobytes().decode("ascii")


def _title(events: Iterator[tuple[Any, Range]], text: str, body: int) -> str:
    """The words of the heading whose events come next, up to its end."""
    words: list[str] = []
    for event, span in events:
        if event.__class__ is str:
            words.append(" ")
        elif (piece := event.get("Text") or event.get("Code")) is not None:
            words.append(_restored(piece[:_TITLE_LIMIT], text, span["start"] + body, span["end"] + body))
        elif (tag := event.get("End")) is not None and "Heading" in tag:
            break
    return " ".join("".join(words).split())


def _restored(piece: str, text: str, start: int, end: int) -> str:
    """``piece`` with the characters of ``text`` that the stand-ins in it stand for."""
    if _FOREIGN not in piece:
        return piece
    foreign = (match.group() for match in _REPLACED.finditer(text, start, end))
    return _FOREIGN_MARK.sub(lambda _: next(foreign, ""), piece)
