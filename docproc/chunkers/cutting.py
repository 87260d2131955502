"""Cuts a run of blocks that is too long for one chunk at the strongest boundaries that keep each part within it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from docproc import tokens
from docproc.chunkers.blocks import Block, table_at
from docproc.chunkers.boundaries import cut_text
from docproc.chunkers.outline import Kind
from docproc.chunkers.token_index import TokenIndex

_SHORT = 200
"""Characters of a paragraph's end that are looked at; a line in bold longer than this is no heading."""


class Span(NamedTuple):
    """A trimmed span of the text and its exact ``tokens``.

    ``header`` is the table header to repeat before it, empty unless a table was cut; ``tokens`` counts both.
    """

    start: int
    end: int
    tokens: int
    header: str = ""


def whole(index: TokenIndex, blocks: Sequence[Block], room: int) -> Span | None:
    """One span that covers ``blocks``, None when it has more than ``room`` tokens or nothing but whitespace.

    None also for a table that goes on from the segment before: its header is to be repeated.
    """
    first = blocks[0]
    if first.kind is Kind.TABLE and first.children and first.children[0].start < first.start:
        return None
    start, stop = index.trim(blocks[0].start, blocks[-1].end)
    count = index.count_within(start, stop, room) if start < stop else None
    return None if count is None else Span(start, stop, count)


def cut(index: TokenIndex, blocks: Sequence[Block], room: int) -> Iterator[Span]:
    """Spans that cover ``blocks``, in order, each of at most ``room`` tokens, its header included."""
    start, stop = index.trim(blocks[0].start, blocks[-1].end)
    nested = any(block.outline for block in blocks)
    while start < stop:
        table = table_at(blocks, start) if nested else None
        span = _next_span(index, blocks, start, stop, room, table)
        yield span
        start, stop = index.trim(span.end, stop)


def _next_span(
    index: TokenIndex, blocks: Sequence[Block], start: int, stop: int, room: int, table: Block | None
) -> Span:
    """The span from ``start``; inside a table's rows it repeats the header and ends with the table.

    A header of more than half the room is not repeated: it would leave too little for the rows.
    """
    header = _header(index, table, start) if table else ""
    header_tokens = tokens.count_repeated(header) if header else 0
    if not table or not header or header_tokens > room // 2:
        return Span(start, *_end(index, blocks, start, stop, room))
    stop = index.trim(start, min(table.end, stop))[1]
    end, count = _end(index, blocks, start, stop, room - header_tokens)
    return Span(start, end, header_tokens + count, header)


def _header(index: TokenIndex, table: Block, start: int) -> str:
    """The header of ``table`` with the row of dashes when ``start`` stands in its rows, else nothing."""
    header = table.children[0] if table.children else table
    if header.kind is not Kind.HEADER or start < header.end:
        return ""
    begin, end = index.trim(header.start, header.end)
    return index.text[begin:end] + "\n"


def _end(index: TokenIndex, blocks: Sequence[Block], start: int, stop: int, room: int) -> tuple[int, int]:
    """Where the chunk that begins at ``start`` ends, and its tokens: at ``stop`` if that fits, else at the best cut.

    The index only estimates how far ``room`` leads; where the exact count says otherwise, a shorter cut is sought.
    """
    whole = index.count_within(start, stop, room)
    if whole is not None:
        return stop, whole
    first = index.first_character(start)
    aim, end = room, stop + 1
    while True:
        hard = max(min(index.reach(start, max(aim, 1)), stop, end - 1), first + 1)
        search = _Cut(index, first, _soft(index, start, stop, hard, room), hard, room)
        end = index.trim(start, search.among(blocks, first))[1]
        count = index.count(start, end)
        if count <= room or end <= first + 1:
            return end, count
        aim -= count - room


def _soft(index: TokenIndex, start: int, stop: int, hard: int, room: int) -> int:
    """The cut to aim at: where little more than one chunk is left, its middle, so that no crumb of text remains."""
    left = index.estimate(start, stop)
    if left >= 2 * room - room // 8:
        return hard
    return min(hard, index.reach(start, left // 2 + room // 8))


class _Cut(NamedTuple):
    """One search for a cut: the chunk begins at ``start``, ends best at ``soft``, and by no means after ``hard``."""

    encoded: TokenIndex
    start: int
    soft: int
    hard: int
    room: int

    def among(self, blocks: Sequence[Block], floor: int) -> int:
        """The last boundary between ``blocks`` beyond ``floor`` that parts nothing, else a cut inside a block."""
        first = bisect_right(blocks, floor, key=attrgetter("start"))
        after = bisect_right(blocks, self.hard, key=attrgetter("start"))
        crossing = blocks[max(after - 1, 0)]
        best = self._free(blocks, first, after)
        if best is not None:
            if best == crossing.start and self._leads(best) and not self._whole(crossing):
                return self._inside(crossing)
            return best
        if crossing.start > floor and self._may_part(blocks, after - 1):
            return crossing.start
        return self._inside(crossing)

    def _free(self, blocks: Sequence[Block], first: int, after: int) -> int | None:
        """Where the last block begins that a cut may stand before, at or below ``soft`` if there is one."""
        best = bisect_right(blocks, self.soft, first, after, key=attrgetter("start"))
        for at in (*range(best - 1, first - 1, -1), *range(best, after)):
            if not self._bound(blocks, at):
                place: int = blocks[at].start
                return place
        return None

    def _inside(self, block: Block) -> int:
        floor = max(block.start, self.start)
        if block.children:
            return self.among(block.children, floor)
        return cut_text(self.encoded.text, block.kind, floor, self.soft, self.hard)

    def _bound(self, blocks: Sequence[Block], at: int) -> bool:
        """Whether the block before belongs to this one: a heading, a table's header, a lead-in."""
        if at == 0:
            return False
        before = blocks[at - 1]
        return before.kind in (Kind.HEADING, Kind.HEADER) or self._lead_in(before)

    def _lead_in(self, block: Block) -> bool:
        """Whether a paragraph announces what follows: it ends in a colon, or is a line in bold used as a heading."""
        if block.kind is not Kind.PARAGRAPH:
            return False
        end = self.encoded.text[max(block.start, block.end - _SHORT) : block.end].strip()
        return end.endswith((":", "：")) or (end.startswith("**") and end.endswith("**") and "\n" not in end)

    def _may_part(self, blocks: Sequence[Block], at: int) -> bool:
        """Whether to part a bound block after all: it fits only without its lead-in, or the lead is half a chunk."""
        fits = self._whole(blocks[at]) and blocks[at - 1].kind is Kind.PARAGRAPH
        return fits or self.encoded.estimate(self.start, blocks[at].start) > self.room // 2

    def _leads(self, place: int) -> bool:
        """Whether what stands before ``place`` is too small for a chunk of its own."""
        return self.encoded.estimate(self.start, place) < self.room // 4

    def _whole(self, block: Block) -> bool:
        return self.encoded.count_within(*self.encoded.trim(block.start, block.end), self.room) is not None
