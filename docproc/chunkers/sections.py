"""The tree of sections that a document's headings make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from docproc.chunkers.blocks import Block
from docproc.chunkers.outline import Kind


@dataclass(slots=True)
class Section:
    """What stands under one heading: its own ``blocks``, the heading first, then the sections below it.

    ``path`` holds the titles from the outermost heading to this one. The document itself is a section of level 0
    without a heading.
    """

    level: int
    path: tuple[str, ...]
    blocks: list[Block] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)


Opened = tuple[tuple[int, tuple[str, ...]], ...]
"""Level and path of each section that is open at a place, from the outermost in, the document itself left out."""


def read_sections(blocks: Iterable[Block], opened: Opened = ()) -> tuple[Section, Opened]:
    """A document, or the next part of one, as a tree; and what is open at its end.

    A heading closes every open section of its level or deeper. Headings inside lists and quotes open nothing. A heading
    without words opens a section with its parent's path. ``opened`` is what was open where the part begins.
    """
    stack = [Section(0, ())]
    for level, path in opened:
        _open(stack, Section(level, path))
    for block in blocks:
        if block.kind is Kind.HEADING:
            while stack[-1].level >= block.level:
                stack.pop()
            title = (block.title,) if block.title else ()
            _open(stack, Section(block.level, stack[-1].path + title))
        stack[-1].blocks.append(block)
    return stack[0], tuple((section.level, section.path) for section in stack[1:])


def _open(stack: list[Section], section: Section) -> None:
    stack[-1].sections.append(section)
    stack.append(section)
