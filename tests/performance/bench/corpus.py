"""The workload: Markdown files made from a seed, of the sizes that documentation has."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path

FILES = 300
MEDIAN_BYTES = 12_900
SIGMA = 0.85
LARGEST_BYTES = 200_000
"""Log-normal sizes: 300 files of together about 5.5 MB, as in the measurement of other tools."""

_SYLLABLES = (
    "al ba con der en fer gra hol in jor ker lan mer nor os per qui ran sol ter un ver wen xi yon zar "
    "tion ment ing able ence ist ous ive ful ly"
).split()
_COMMON = (
    "the of and to in a is that for it as with on be at by this from or an are was which can when not "
    "has its used only each will more than one all file value time set key data"
).split()


def vocabulary(seed: int = 1, size: int = 4_000) -> list[str]:
    """Words of one to four syllables, the common ones of English first."""
    draw = random.Random(seed)
    made = {"".join(draw.choices(_SYLLABLES, k=draw.randint(1, 4))): None for _ in range(size)}
    return [*_COMMON, *made]


def document(seed: int, size: int, words: list[str]) -> str:
    """About ``size`` bytes of Markdown: headings, paragraphs, lists, code and tables."""
    draw = random.Random(seed)
    weights = [1 / (n + 3) for n in range(len(words))]
    drawn = iter(draw.choices(words, weights, k=max(size // 4, 100)))
    parts = [f"# Document {seed}"]
    length = 0

    def text(least: int, most: int) -> str:
        return " ".join(islice(drawn, draw.randint(least, most))) or "end"

    def sentence() -> str:
        return text(6, 24).capitalize() + draw.choice((".", ".", ".", "?", f", about {draw.randint(2, 9999)}."))

    while length < size:
        kind = draw.choices(("heading", "paragraph", "list", "code", "table"), (2, 7, 2, 1, 1))[0]
        if kind == "heading":
            part = "#" * draw.choice((2, 2, 3, 3, 4)) + " " + text(1, 6).capitalize()
        elif kind == "paragraph":
            part = " ".join(sentence() for _ in range(draw.randint(2, 9)))
        elif kind == "list":
            part = "\n".join(f"* {sentence()}" for _ in range(draw.randint(3, 9)))
        elif kind == "code":
            lines = (
                f"{text(1, 1)}_{text(1, 1)} = {text(1, 1)}({draw.randint(0, 99)})" for _ in range(draw.randint(3, 20))
            )
            part = "```python\n" + "\n".join(lines) + "\n```"
        else:
            rows = [f"| {text(1, 3)} | {draw.randint(0, 999)} | {text(1, 5)} |" for _ in range(draw.randint(3, 15))]
            part = "\n".join(["| name | number | what for |", "|---|---|---|", *rows])
        parts.append(part)
        length += len(part) + 2
    return "\n\n".join(parts) + "\n"


def write(folder: Path, *, files: int = FILES, seed: int = 7) -> int:
    """Writes the workload into ``folder`` and returns its bytes."""
    draw = random.Random(seed)
    words = vocabulary()
    folder.mkdir(parents=True, exist_ok=True)
    total = 0
    for n in range(files):
        size = min(LARGEST_BYTES, int(MEDIAN_BYTES * draw.lognormvariate(0, SIGMA)))
        total += (folder / f"{n:05}.md").write_text(document(seed * 100_000 + n, size, words), encoding="utf-8")
    return total
