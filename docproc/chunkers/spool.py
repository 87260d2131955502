"""Chunks of one document, kept on disk when they are too many for the memory."""

from __future__ import annotations

import json
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from itertools import chain

from docproc.model import Chunk, Chunks

LARGEST = 4_000_000
"""Characters of chunks that are kept in memory; what is more goes to a temporary file."""


def gather(chunks: Iterable[Chunk]) -> Chunks:
    """All of ``chunks``: a tuple where they are few, else a file that is gone with the object."""
    source, held, size = iter(chunks), [], 0
    for chunk in source:
        held.append(chunk)
        size += len(chunk.embed_text)
        if size > LARGEST:
            return Spool(chain(held, source))
    return tuple(held)


class Spool:
    """Chunks in a temporary file, to be counted and gone through any number of times, by one at a time."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self._file = tempfile.TemporaryFile(prefix="docproc-")  # noqa: SIM115 -- it lives as long as we do
        weakref.finalize(self, self._file.close)
        self._count = 0
        for chunk in chunks:
            self._file.write(dump(chunk))
            self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Chunk]:
        self._file.seek(0)
        return map(load, self._file)


def dump(chunk: Chunk) -> bytes:
    """``chunk`` as one line."""
    prefix = chunk.embed_text.removesuffix(chunk.text)
    places = (chunk.ord, chunk.start, chunk.end, chunk.page_first, chunk.page_last, chunk.tokens)
    return (
        json.dumps((chunk.text, prefix, chunk.heading_path, places), ensure_ascii=False).encode("utf-8", _KEEP) + b"\n"
    )


def load(line: bytes) -> Chunk:
    """The chunk that ``dump`` wrote."""
    text, prefix, path, (ord_, start, end, page_first, page_last, tokens) = json.loads(line.decode("utf-8", _KEEP))
    return Chunk(ord_, text, start, end, tuple(path), page_first, page_last, tokens, prefix + text)


_KEEP = "surrogatepass"
"""No normalised text has lone surrogates; chunkers take any text all the same."""
