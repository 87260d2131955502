"""Prints what the chunkers do to the structure of real Markdown documents, as another parser sees it.

Run: python -m tests.performance.chunking.damage folder of .md files ...
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate

from docproc import chunkers
from docproc.model import ParsedDocument
from tests.performance.chunking.speed import read_folders
from tests.performance.retrieval.corpus import Document, Placed
from tests.performance.retrieval.structure import COLUMNS, damage

_KINDS = {"heading_open": "heading", "fence": "fence", "bullet_list_open": "list", "ordered_list_open": "list"}


def placed(text: str) -> Document:
    """``text`` with its headings, fences, lists and tables outside of other blocks, as markdown-it-py finds them."""
    from markdown_it import MarkdownIt

    starts = [0, *accumulate(len(line) for line in text.splitlines(keepends=True))]
    found: list[Placed] = []
    header = ""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.map is None or token.level > 2 or (token.level and token.type != "tr_open"):
            continue
        start, end = starts[token.map[0]], starts[token.map[1]]
        end = start + len(text[start:end].rstrip())
        if token.type == "table_open":
            header = text[start : starts[token.map[0] + 2]]
            found.append(Placed("table", start, start + len(header.rstrip()), header))
        elif token.type == "tr_open":
            found += [Placed("row", start, end, header)] if start > found[-1].start else []
        elif start == len("---\n") and text.startswith("---\n"):
            continue  # front matter, which markdown-it-py takes for a heading
        elif token.type in _KINDS:
            found.append(Placed(_KINDS[token.type], start, end))
        else:
            found.append(Placed("other", start, end))
    return Document(text, found)


def _rows(documents: list[Document]) -> Iterator[tuple[object, ...]]:
    for spec in ("markdown-simple@1", "markdown-simple@1+max=200", "tokens@1"):
        chunker, limit = chunkers.get(spec), 200 if "200" in spec else 400
        found: Counter[str] = Counter()
        for made in documents:
            found += damage(made, list(chunker.chunk(ParsedDocument(made.text, ()))), limit)
        yield (spec, *(found[column] for column in COLUMNS))


def main() -> None:
    documents = [placed(text) for text in read_folders(sys.argv[1:])]
    count = Counter(one.kind for made in documents for one in made.placed)
    sys.stdout.write(f"{len(documents)} documents: " + ", ".join(f"{n} {kind}" for kind, n in count.items()) + "\n\n")
    sys.stdout.write("| chunker | " + " | ".join(COLUMNS) + " |\n" + "|---" * (len(COLUMNS) + 1) + "|\n")
    for row in _rows(documents):
        sys.stdout.write("| " + " | ".join(map(str, row)) + " |\n")


if __name__ == "__main__":
    main()
