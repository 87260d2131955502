"""A process that chunks one document after another for the process that started it: python -m docproc.chunkers.child.

On its standard input stands, for each document, a line of JSON (the chunker, the pages, the size of the text in bytes)
and then the text; it answers with a line for each chunk and a last one that says how it ended.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

from docproc import chunkers
from docproc.chunkers.reading import BLOCK, TextFile
from docproc.chunkers.spool import dump
from docproc.model import PageSpan

ENDED = b'{"ended": '
"""How the last line of an answer begins; the line of a chunk begins with a bracket."""


def main() -> None:
    """Works until its standard input ends, as it does when the process that started it dies."""
    while order := sys.stdin.buffer.readline():
        try:
            for line in _lines(json.loads(order)):
                sys.stdout.buffer.write(line)
            error = None
        except MemoryError:
            error = "MemoryError"
        sys.stdout.buffer.write(ENDED + json.dumps(error).encode() + b"}\n")
        sys.stdout.buffer.flush()


def _lines(order: dict[str, object]) -> Iterator[bytes]:
    with tempfile.TemporaryFile(prefix="docproc-") as file:
        _copy(sys.stdin.buffer, file, int(str(order["size"])))
        file.flush()
        pages = order["pages"]
        assert isinstance(pages, list)
        document = TextFile(file, [PageSpan(*page) for page in pages])
        yield from map(dump, chunkers.get(str(order["chunker"])).chunk(document))


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    while size:
        block = source.read(min(BLOCK, size))
        if not block:
            raise SystemExit(0)  # nobody is left to answer to
        target.write(block)
        size -= len(block)


if __name__ == "__main__":
    main()
