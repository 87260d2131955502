"""Long texts in segments that are cut where nothing is parted, so that memory does not grow with the document."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from docproc.chunkers.blocks import Block, read_blocks
from docproc.chunkers.boundaries import cut_text
from docproc.chunkers.outline import Kind

SEGMENT = 1 << 19
"""Characters of a segment at most; a shorter text is one segment. Part of what a chunker's version stands for."""

_NEAR = 4_096
"""Characters before a segment's end in which a block longer than half a segment is cut."""

_LONGEST_OPENING = 10_000
"""Characters of a fence's first line or a table's header at most that the next segment repeats."""

_TAIL = 16
"""Characters of a block's end in which its last mark is sought."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a document: ``text`` from ``begin`` on is the document's from character ``offset + begin`` on.

    What stands before ``begin`` opens the block that the segment before had to part: it is read and never chunked.
    """

    text: str
    offset: int
    begin: int
    blocks: Sequence[Block]


def read_windows(pieces: Iterable[str]) -> Generator[str, int, None]:
    """A generator of the first ``SEGMENT`` characters that are left, and of the rest when that is no more.

    Send it how many characters were used; the next window begins after them. Windows do not depend on ``pieces``.
    """
    source = iter(pieces)
    text, ended = "", False
    while True:
        held = [text]
        size = len(text)
        while size <= SEGMENT and not ended:
            piece = next(source, None)
            ended = piece is None
            held.append(piece or "")
            size += len(held[-1])
        text = "".join(held)
        used = yield text[:SEGMENT]
        text = text[used:]
        if not text and ended:
            return


def read_segments(pieces: Iterable[str]) -> Iterator[Segment]:
    """The segments of a text, cut before a heading, else before a block, else inside of a block that is too long."""
    windows = read_windows(pieces)
    window, at, opening = next(windows), 0, ""
    while True:
        text, begin = opening + window, len(opening)
        last = len(window) < SEGMENT
        if not last:  # half a line may be read as another block than the whole
            text = text[: text.rfind("\n", begin + SEGMENT // 2) + 1] or text
        blocks = _without_opening(read_blocks(text, front_matter=at == 0), begin)
        if last:
            yield Segment(text, at - begin, begin, blocks)
            return
        end = _boundary(text, blocks, begin)
        if end is None:
            end, opening = _inside(text, blocks[-1], begin)
        else:
            opening = ""
        yield Segment(text[:end], at - begin, begin, _ending(blocks, end))
        at += end - begin
        try:
            window = windows.send(end - begin)
        except StopIteration:
            return


def _without_opening(blocks: Sequence[Block], begin: int) -> Sequence[Block]:
    """The blocks from ``begin`` on; the one that stands across keeps its children, a table so its header."""
    kept = [block for block in blocks if block.end > begin]
    if kept and kept[0].start < begin:
        _ = kept[0].children
        kept[0].start = begin
    return kept


def _ending(blocks: Sequence[Block], end: int) -> Sequence[Block]:
    kept = [block for block in blocks if block.start < end]
    if kept:
        kept[-1].end = end
    return kept


def _boundary(text: str, blocks: Sequence[Block], begin: int) -> int | None:
    """Where a block begins that no heading or lead-in stands before; None when a block is too long not to be parted.

    In the second half of the window the last heading is best, else the last block. The end of the window may change
    what the last block is, but not where it begins. Blocks that all hang together are cut before, or else in between.
    """
    free = [block for before, block in pairwise(blocks) if not _binds(text, before)]
    late = [block for block in free if block.start >= begin + SEGMENT // 2]
    headings = [block for block in late if block.kind is Kind.HEADING]
    if late:
        return (headings or late)[-1].start
    if not blocks or blocks[-1].start < begin + SEGMENT // 2:
        return None
    early = [block for block in free if block.start >= begin + SEGMENT // 8]
    return (early or blocks)[-1].start


def _binds(text: str, block: Block) -> bool:
    """Whether ``block`` is a heading or a lead-in: what follows belongs to it."""
    last = text[max(block.start, block.end - _TAIL) : block.end].rstrip()
    return block.kind is Kind.HEADING or last.endswith((":", "："))


def _inside(text: str, block: Block, begin: int) -> tuple[int, str]:
    """Where to cut ``block``, and what has to stand before the rest so that it is read as what it is."""
    least = begin + SEGMENT // 2
    starts = [child.start for child in block.children if child.start >= least]
    if starts:
        table = block.kind is Kind.TABLE and block.children[0].kind is Kind.HEADER
        header = text[block.children[0].start : block.children[0].end] if table else ""
        return starts[-1], header if len(header) <= _LONGEST_OPENING else ""
    end = cut_text(text, block.kind, max(block.start, least, len(text) - _NEAR), len(text), len(text))
    # A block that was parted before begins with what opened it then.
    return end, text[:begin] if begin and block.start == begin else _opening(text, block)


def _opening(text: str, block: Block) -> str:
    if block.kind is Kind.HTML:
        return "<div>\n"
    if block.kind is not Kind.CODE:
        return "x "  # in the middle of a line, nothing is a heading or a list
    first, line_end, _ = text[block.start : block.start + _LONGEST_OPENING].lstrip("\n").partition("\n")
    return first + line_end if line_end and first.lstrip()[:3] in ("```", "~~~") else ""
