"""Prints how fast Markdown is chunked beside tiktoken's own encode of the same texts, in one thread and one run.

Run: python -m tests.performance.chunking.speed [folder of .md files ...]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import thread_time

from docproc import chunkers, text, tokens
from docproc.model import ParsedDocument
from tests.performance.retrieval.corpus import document

SPECS = ("markdown-simple@1", "markdown-simple@1+max=200")
ROUNDS = 4


def read_folders(folders: Sequence[str]) -> list[str]:
    """The normalised texts of all Markdown files under ``folders``."""
    files = sorted(file for folder in folders for file in Path(folder).rglob("*.md"))
    return [text.normalise(text.decode(file.read_bytes()))[0] for file in files]


def seconds(texts: Sequence[str]) -> dict[str, float]:
    """The thread's own time for all of ``texts``: of each text the best of some rounds, turn by turn."""
    ways: dict[str, Callable[[str], object]] = {"tiktoken": tokens.encoding().encode_ordinary}
    for spec in SPECS:
        chunker = chunkers.get(spec)
        ways[spec] = lambda text, chunker=chunker: list(chunker.chunk(ParsedDocument(text, ())))  # type: ignore[misc]
    spent = dict.fromkeys(ways, 0.0)
    for one in texts:
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(ROUNDS):
            for name, way in ways.items():
                begun = thread_time()
                way(one)
                best[name] = min(best[name], thread_time() - begun)
        for name in ways:
            spent[name] += best[name]
    return spent


def main() -> None:
    list(chunkers.get(SPECS[0]).chunk(ParsedDocument("warm", ())))
    sets = {"generated": [document(seed).text for seed in range(60)]}
    if sys.argv[1:]:
        sets = {"real": read_folders(sys.argv[1:])} | sets
    for name, texts in sets.items():
        megabytes = sum(len(one.encode()) for one in texts) / 1e6
        spent = seconds(texts)
        sys.stdout.write(f"{name}: {len(texts)} texts, {megabytes:.1f} MB\n")
        for way, took in spent.items():
            share = spent["tiktoken"] / took
            sys.stdout.write(f"  {way:28} {megabytes / took:5.1f} MB/s, {share:.2f} of tiktoken\n")


if __name__ == "__main__":
    main()
