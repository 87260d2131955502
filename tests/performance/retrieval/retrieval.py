"""Prints how much of the right text a chunker lets a search find, over the fixtures.

Run: python -m tests.performance.retrieval.retrieval [chunker ...]

The vectors are the mocks': hashed words, near each other when texts share words. So the figures compare ways to cut,
and move when a chunker changes. What they cannot show is how well a real model finds an answer in other words.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from docproc import chunkers, text, tokens
from docproc.model import Chunk, Page, ParsedDocument
from mocks.vectors import embed
from tests.performance.retrieval.questions import QUESTIONS, Question
from tests.support import FIXTURES

SPECS = ("markdown-simple@1", "markdown-simple@1+max=200", "tokens@1", "tokens@1+max=200")
MODEL = "text-embedding-3-small"
DIMENSIONS = 1536
TOP = 5
BUDGET = 1000
"""Tokens of ranked chunks that a reader of the answer pays for: top 5 alone rewards chunks that are large."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Means over the questions, in per cent: see ``measure``."""

    chunks: int
    recall: float
    iou: float
    at_budget: float


@cache
def documents() -> dict[str, ParsedDocument]:
    """Every text among the fixtures by its name; those without a question are there to be mistaken for an answer."""
    content = FIXTURES / "build" / "content"
    sources = {path.stem: [path] for path in sorted(content.glob("*.md"))}
    sources |= {path.name: sorted(path.glob("*.md")) for path in sorted(content.iterdir()) if path.is_dir()}
    for path in sorted((FIXTURES / "documents").iterdir()):
        if path.suffix in (".md", ".txt"):
            sources[path.stem] = [path]
    return {name: _parsed(paths) for name, paths in sources.items()}


def _parsed(paths: Iterable[Path]) -> ParsedDocument:
    whole = "\n\n".join(path.read_text("utf-8-sig").strip() for path in paths).replace("<<page>>\n", "\n")
    return text.document([Page(1, whole)])[0]


def gold(question: Question) -> tuple[int, int]:
    """Where the answer stands in its document, in characters. Raises ValueError unless it stands there once."""
    whole = documents()[question.document].text
    if whole.count(question.answer) != 1:
        raise ValueError(f"{question.answer!r} stands {whole.count(question.answer)} times in {question.document}")
    at = whole.index(question.answer)
    return at, at + len(question.answer)


def measure(spec: str, questions: Sequence[Question] = QUESTIONS) -> Figures:
    """Recall and IoU of the answers' characters in the best 5 chunks, and recall within 1,000 tokens of ranked chunks.

    A chunk that would go beyond the 1,000 tokens does not count, nor does what follows it.
    """
    chunker = chunkers.get(spec)
    cut = [(name, chunk) for name, document in documents().items() for chunk in chunker.chunk(document)]
    vectors = embed([chunk.embed_text for _, chunk in cut], DIMENSIONS, MODEL)
    asked = embed([question.words for question in questions], DIMENSIONS, MODEL)
    order = np.argsort(-(asked @ vectors.T), axis=1, kind="stable")
    rows = [_score(question, [cut[n] for n in ranked]) for question, ranked in zip(questions, order, strict=True)]
    recall, iou, at_budget = (100 * float(np.mean(column)) for column in zip(*rows, strict=True))
    return Figures(len(cut), recall, iou, at_budget)


def _score(question: Question, ranked: Sequence[tuple[str, Chunk]]) -> tuple[float, float, float]:
    start, end = gold(question)
    best, spent, affordable = ranked[:TOP], 0, []
    for name, chunk in ranked:
        spent += tokens.count(chunk.text)
        if spent > BUDGET:
            break
        affordable.append((name, chunk))
    found = _covered(best, question.document, start, end)
    shown = sum(chunk.end - chunk.start for _, chunk in best)
    return (
        found / (end - start),
        found / (shown + end - start - found),
        _covered(affordable, question.document, start, end) / (end - start),
    )


def _covered(chunks: Iterable[tuple[str, Chunk]], document: str, start: int, end: int) -> int:
    """How many characters between ``start`` and ``end`` stand in one of ``chunks`` at least."""
    inside = np.zeros(end - start, dtype=bool)
    for name, chunk in chunks:
        if name == document:
            inside[max(chunk.start - start, 0) : max(chunk.end - start, 0)] = True
    return int(inside.sum())


def main() -> None:
    """Prints a row a chunker."""
    sys.stdout.write(
        f"{len(QUESTIONS)} questions\n\n| chunker | chunks | recall@5 | IoU | r@1k |\n|---|---|---|---|---|\n"
    )
    for spec in sys.argv[1:] or SPECS:
        found = measure(spec)
        cells = [spec, str(found.chunks), *(f"{n:.1f}" for n in (found.recall, found.iou, found.at_budget))]
        sys.stdout.write("| " + " | ".join(cells) + " |\n")


if __name__ == "__main__":
    main()
