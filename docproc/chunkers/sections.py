"""The tree of sections that a document's headings make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from docproc.chunkers.blocks import Block, Kind


@dataclass(slots=True)
class Section:
    """What stands under one heading: its own ``blocks``, the heading first, then the sections below it.

    ``path`` holds the titles from the outermost heading to this one. The document itself is a section of level 0
    without a heading.
    """

    level: int
    start: int
    path: tuple[str, ...]
    blocks: list[Block] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)


def read_sections(blocks: Iterable[Block]) -> Section:
    """The document as a tree: a heading closes every open section of its level or deeper.

    Headings inside lists and quotes open nothing. A heading without words opens a section with its parent's path.
    """
    root = Section(0, 0, ())
    path = [root]
    for block in blocks:
        if block.kind is Kind.HEADING:
            while path[-1].level >= block.level:
                path.pop()
            title = (block.title,) if block.title else ()
            section = Section(block.level, block.start, path[-1].path + title)
            path[-1].sections.append(section)
            path.append(section)
        path[-1].blocks.append(block)
    return root
