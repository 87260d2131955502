"""A normalised parse in a file, read by blocks."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from docproc.model import PageSpan

BLOCK = 1 << 18
"""Bytes that are read at a time."""


@dataclass(frozen=True, slots=True)
class TextFile:
    """A document whose text stands in an open file of UTF-8 with a descriptor."""

    file: BinaryIO
    pages: Sequence[PageSpan]

    @property
    def size(self) -> int:
        """Bytes of the text."""
        return os.fstat(self.file.fileno()).st_size

    def blocks(self) -> Iterator[bytes]:
        """The file's bytes from its beginning; whoever reads it beside us is not disturbed."""
        at = 0
        while block := os.pread(self.file.fileno(), BLOCK, at):
            at += len(block)
            yield block

    def pieces(self) -> Iterator[str]:
        """The text from its beginning."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        for block in self.blocks():
            yield decoder.decode(block)
        yield decoder.decode(b"", final=True)
