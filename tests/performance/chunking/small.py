"""Prints what becomes of small sections when they are merged more or less eagerly.

Run: python -m tests.performance.chunking.small folder of .md files ...
"""

from __future__ import annotations

import sys

from docproc import chunkers
from docproc.chunkers import markdown_simple
from docproc.model import ParsedDocument
from tests.performance.chunking.speed import SPECS, read_folders


def main() -> None:
    texts = read_folders(sys.argv[1:])
    sys.stdout.write("| chunker | joined below 1/n | chunks | mean tokens | under 20 | under 50 | headings a chunk |\n")
    sys.stdout.write("|---" * 7 + "|\n")
    for spec in SPECS:
        for share in (1, 2, 3, 4, 6, 8, 16):
            markdown_simple._SMALL = share
            chunker = chunkers.get(spec)
            made = [chunk for text in texts for chunk in chunker.chunk(ParsedDocument(text, ()))]
            mean = sum(chunk.tokens for chunk in made) / len(made)
            few = [sum(chunk.tokens < most for chunk in made) for most in (20, 50)]
            headings = sum(f"\n{chunk.text}".count("\n#") for chunk in made) / len(made)
            row = (spec, share, len(made), f"{mean:.0f}", *few, f"{headings:.2f}")
            sys.stdout.write("| " + " | ".join(map(str, row)) + " |\n")


if __name__ == "__main__":
    main()
