"""The two streams: data on standard output, progress and messages on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from docproc.views.words import safe

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

SCHEMA = 1
"""The version of every JSON document docproc prints."""


@cache
def messages() -> Console:
    """Standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


@cache
def data() -> Console:
    """Standard output, for what people look at."""
    from rich.console import Console

    return Console(highlight=False)


def for_people() -> bool:
    """Whether standard output is looked at by a person."""
    return sys.stdout.isatty()


def show(renderable: RenderableType) -> None:
    """Shows a person ``renderable``."""
    data().print(renderable)


def print_json(document: dict[str, Any]) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps({"schema": SCHEMA, **document}, default=str, ensure_ascii=True) + "\n")


def print_rows(rows: Iterable[Sequence[object]]) -> None:
    """Tab-separated full values, one record a line; what ``safe`` escapes is escaped, and a backslash."""
    for row in rows:
        sys.stdout.write("\t".join("" if v is None else _one_line(str(v)) for v in row) + "\n")


def _one_line(value: str) -> str:
    # Tabs and line ends would break a record, the others could steer the terminal that a pipe ends in.
    return safe(value.replace("\\", "\\\\"))
