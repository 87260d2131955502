"""Prints how fast many documents are chunked by threads alone and with processes beside them.

Run: python -m tests.performance.chunking.parallel [number of threads]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

from docproc import chunkers
from docproc.chunkers import workers
from docproc.chunkers.coverage import Proof
from docproc.chunkers.reading import TextFile
from docproc.chunkers.spool import gather
from docproc.chunkers.workers import Workers
from docproc.model import PageSpan, ParsedDocument
from tests.performance.retrieval.corpus import document

CASES = {"300 of 18 kB": (300, 18_000), "1,500 of 18 kB": (1_500, 18_000), "6 of 5 MB": (6, 5_000_000)}


def _chunk(pool: Workers, path: Path) -> int:
    with path.open("rb") as file:
        text = TextFile(file, (PageSpan(1, 0, path.stat().st_size),))
        made = pool.chunk(chunkers.get(chunkers.DEFAULT), text)
        return len(gather(Proof(text.pieces()).of(made)))


def _seconds(pool: Workers, paths: Sequence[Path], threads: int) -> float:
    begun = monotonic()
    with ThreadPoolExecutor(threads) as executor:
        list(executor.map(lambda path: _chunk(pool, path), paths))
    return monotonic() - begun


def main() -> None:
    threads = int(sys.argv[1]) if sys.argv[1:] else 2
    workers.ENOUGH = 0  # processes are to be seen at any number
    list(chunkers.get(chunkers.DEFAULT).chunk(ParsedDocument("warm", ())))
    manuals = "\n\n".join(document(seed).text for seed in range(60))
    for name, (count, size) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / f"{n}.md" for n in range(count)]
            for n, path in enumerate(paths):
                text = manuals[n * size % len(manuals) :] + manuals * (size // len(manuals) + 1)
                path.write_text(text[:size], "utf-8")
            alone = _seconds(Workers(0), paths, threads)
            beside = _seconds(Workers(threads), paths, threads)
        sys.stdout.write(f"{name}, {threads} threads: {alone:.2f} s, with processes {beside:.2f} s\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
