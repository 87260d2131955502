"""Prints what a chunker does to a document's structure, and its speed beside tiktoken's own encode.

Run: python -m tests.performance.retrieval.structure [chunker ...]
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from time import process_time

from docproc import chunkers, tokens
from docproc.model import Chunk, ParsedDocument
from tests.performance.retrieval.corpus import Document, Placed, document

COLUMNS = ("tables without header", "rows cut", "fences cut", "lists cut", "orphan headings", "over limit", "under 20")
_CUT = {"row": "rows cut", "fence": "fences cut", "list": "lists cut"}


def damage(made: Document, chunks: Sequence[Chunk], limit: int) -> Counter[str]:
    """How often each of ``COLUMNS`` happens; a row, fence or list counts as cut only if it fits with its headings."""
    found: Counter[str] = Counter()
    lead = before = ""
    for placed in made.placed:
        text = made.text[placed.start : placed.end]
        inside = [chunk for chunk in chunks if chunk.start < placed.end and placed.start < chunk.end]
        if placed.kind == "heading":
            lead = f"{lead}\n\n{text}" if before == "heading" else text
            found["orphan headings"] += _ends_with(inside, placed)
        elif placed.kind == "row":
            found["tables without header"] += sum(placed.header not in chunk.text + "\n" for chunk in inside)
        if placed.kind in _CUT and len(inside) > 1:
            whole = "\n\n".join([" > ".join(inside[0].heading_path), lead, placed.header + text])
            found[_CUT[placed.kind]] += tokens.count(whole) <= limit
        before = placed.kind
    found["over limit"] = sum(tokens.count(chunk.embed_text) > limit for chunk in chunks)
    found["under 20"] = sum(tokens.count(chunk.text) < 20 for chunk in chunks)
    return found


def _ends_with(chunks: Iterable[Chunk], placed: Placed) -> bool:
    return any(chunk.end <= placed.end for chunk in chunks)


def measure(spec: str, documents: Sequence[Document]) -> tuple[Counter[str], int, float, float]:
    """The damage done, the number of chunks, and the MB/s of the chunker and of tiktoken, on one thread's own time."""
    chunker = chunkers.get(spec)
    limit = int(spec.partition("max=")[2].partition("+")[0] or 400)
    total: Counter[str] = Counter()
    count = megabytes = 0.0
    spent = {"chunk": 0.0, "encode": 0.0}
    for made in documents:
        begun = process_time()
        chunks = list(chunker.chunk(ParsedDocument(made.text, ())))
        between = process_time()
        tokens.encoding().encode_ordinary(made.text)
        spent["encode"] += process_time() - between
        spent["chunk"] += between - begun
        megabytes += len(made.text.encode()) / 1e6
        count += len(chunks)
        total += damage(made, chunks, limit)
    return total, int(count), megabytes / spent["chunk"], megabytes / spent["encode"]


def main() -> None:
    documents = [document(seed) for seed in range(150)]
    list(chunkers.get(chunkers.DEFAULT).chunk(ParsedDocument("warm", ())))
    sys.stdout.write("| chunker | chunks | " + " | ".join(COLUMNS) + " | MB/s | tiktoken MB/s |\n")
    sys.stdout.write("|---" * (len(COLUMNS) + 4) + "|\n")
    for spec in sys.argv[1:] or ("markdown-simple@1", "markdown-simple@1+max=200", "tokens@1"):
        found, count, speed, floor = measure(spec, documents)
        cells = [spec, str(count), *(str(found[column]) for column in COLUMNS), f"{speed:.1f}", f"{floor:.1f}"]
        sys.stdout.write("| " + " | ".join(cells) + " |\n")


if __name__ == "__main__":
    main()
