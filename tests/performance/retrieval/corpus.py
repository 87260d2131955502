"""Markdown documentation made from a seed, which says where its tables, fences, lists and headings stand."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

# fmt: off
_WORDS = [
    "the", "service", "returns", "a", "cursor", "when", "more", "rows", "are", "left", "and", "every", "request",
    "carries", "its", "own", "deadline", "so", "that", "clients", "retry", "safely", "after", "timeouts", "while",
    "configuration", "values", "are", "read", "once", "from", "environment", "variables", "or", "a", "file", "on",
    "disk", "replication", "lag", "metrics", "index", "vacuum", "quota", "token", "bucket", "région", "Größe",
    "naïve", "überprüft", "設定", "例外", "параметр", "ключ",
]
# fmt: on


@dataclass(frozen=True, slots=True)
class Placed:
    """A block of the text: ``kind`` is table, row, fence, list or heading; a row knows its table's ``header``."""

    kind: str
    start: int
    end: int
    header: str = ""


@dataclass(slots=True)
class Document:
    """A text under construction and what was placed in it."""

    text: str = ""
    placed: list[Placed] = field(default_factory=list)

    def add(self, kind: str, text: str, header: str = "") -> None:
        self.placed.append(Placed(kind, len(self.text), len(self.text) + len(text), header))
        self.text += text


def document(seed: int) -> Document:
    """A manual of some 20 to 60 sections; equal for equal seeds."""
    draw = random.Random(seed)
    made = Document()
    made.add("heading", f"# {_title(draw)}")
    made.text += "\n\n"
    for _ in range(draw.randint(20, 60)):
        made.add("heading", "#" * draw.choice((2, 2, 3, 3, 3, 4)) + " " + _title(draw))
        made.text += "\n\n"
        for _ in range(draw.choice((1, 1, 2, 3, 5))):
            draw.choice((_paragraph, _paragraph, _paragraph, _fence, _list, _table))(draw, made)
            made.text += "\n\n"
    return made


def _title(draw: random.Random) -> str:
    return _some(draw, 1, 6)


def _sentence(draw: random.Random) -> str:
    return _some(draw, 4, 24).capitalize() + "."


def _some(draw: random.Random, least: int, most: int) -> str:
    """Words, of which some are numbers, names and links, as in manuals."""
    words = draw.choices(_WORDS, k=draw.randint(least, most))
    for at in range(len(words)):
        if draw.random() < 0.2:
            one, other = draw.choices(_WORDS, k=2)
            number = draw.randrange(10_000)
            words[at] = draw.choice(
                (f"`{one}_{other}`", f"{number:,}", f"{one}{other.title()}", f"[{one}](/{other}/{number})")
            )
    return " ".join(words)


def _paragraph(draw: random.Random, made: Document) -> None:
    made.add("paragraph", " ".join(_sentence(draw) for _ in range(draw.choice((1, 2, 3, 4, 6, 30)))))


def _lead_in(draw: random.Random, made: Document) -> None:
    """Two lists without a paragraph between would be one list."""
    if draw.random() < 0.6 or made.placed[-1].kind == "list":
        made.add("paragraph", _sentence(draw).removesuffix(".") + ":")
        made.text += "\n\n"


def _fence(draw: random.Random, made: Document) -> None:
    _lead_in(draw, made)
    lines = [f"{'    ' * draw.randint(0, 2)}{draw.choice(_WORDS)}({draw.randint(0, 999)})" for _ in range(_size(draw))]
    made.add("fence", "```python\n" + "\n".join(lines) + "\n```")


def _list(draw: random.Random, made: Document) -> None:
    _lead_in(draw, made)
    lines = [f"{draw.choice(('', '', '  '))}- {_sentence(draw)}" for _ in range(_size(draw) // 3 + 1)]
    made.add("list", "\n".join(["- " + _sentence(draw), *lines]))


def _table(draw: random.Random, made: Document) -> None:
    _lead_in(draw, made)
    columns = draw.randint(2, 5)
    header = _row(draw, columns) + "\n" + "|---" * columns + "|\n"
    made.add("table", header.rstrip("\n"), header)
    for _ in range(_size(draw)):
        made.text += "\n"
        made.add("row", _row(draw, columns), header)


def _row(draw: random.Random, columns: int) -> str:
    return "| " + " | ".join(_some(draw, 1, 5) for _ in range(columns)) + " |"


def _size(draw: random.Random) -> int:
    return draw.choice((2, 3, 4, 5, 6, 8, 10, 14, 60))
