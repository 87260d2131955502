"""Prints speed and the highest memory of chunking a long document, each kind in a process of its own.

Run: python -m tests.performance.chunking.memory [megabytes [kind ...]]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from time import process_time

from docproc import chunkers
from docproc.chunkers.coverage import Proof
from docproc.chunkers.reading import TextFile
from docproc.chunkers.spool import gather
from docproc.model import PageSpan
from tests.performance.retrieval.corpus import document

_SENTENCE = "The quick brown fox jumps over the lazy dog; pack my box with 12 dozen jugs. "


def _manuals(before: str) -> Iterator[str]:
    made = [before + document(seed).text + "\n\n" for seed in range(20)]
    return (made[n % 20] for n in count())


KINDS: dict[str, Callable[[], Iterator[str]]] = {
    "manuals": lambda: _manuals(""),
    "manuals with emoji": lambda: _manuals("One \U0001f600.\n\n"),
    "one line": lambda: (_SENTENCE * 100 for _ in count()),
    "one letter": lambda: ("a" * 10_000 for _ in count()),
    "one table": lambda: (f"| key {n} | {_SENTENCE}|\n" if n else "| key | value |\n|---|---|\n" for n in count()),
    "short entries": lambda: ("- a\n" * 1_000 for _ in count()),
    "bare headings": lambda: (f"## h {n}\n\n" for n in count()),
}


def _write(kind: str, path: Path, size: int) -> None:
    with path.open("wb") as file:
        for piece in KINDS[kind]():
            if file.tell() >= size:
                return
            file.write(piece.encode())


def _measure(path: Path) -> str:
    begun = process_time()
    with path.open("rb") as file:
        text = TextFile(file, (PageSpan(1, 0, path.stat().st_size),))
        proof = Proof(text.pieces())
        made = gather(proof.of(chunkers.get(chunkers.DEFAULT).chunk(text)))
    took = process_time() - begun
    (peak,) = (line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    speed = path.stat().st_size / 1e6 / took
    return f"{len(made)} chunks, lost {proof.lost}, {took:.0f} s, {speed:.1f} MB/s, VmHWM {int(peak) // 1024} MB"


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        sys.stdout.write(_measure(Path(sys.argv[2])) + "\n")
        return
    megabytes = int(sys.argv[1]) if sys.argv[1:] else 100
    for kind in sys.argv[2:] or KINDS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "text.md"
            _write(kind, path, megabytes * 1_000_000)
            again = [sys.executable, "-m", "tests.performance.chunking.memory", "--measure", str(path)]
            said = subprocess.run(again, check=True, capture_output=True, text=True).stdout
        sys.stdout.write(f"{megabytes} MB of {kind}: {said}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
