"""What ``init`` wrote and what comes next, and the recipes that there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from docproc.views.terminal import messages, print_json, print_rows

if TYPE_CHECKING:
    from docproc.init import Recipe, Written


def show_recipes(recipes: Sequence[Recipe], *, json: bool) -> None:
    """One line a recipe: its name and what it is."""
    if json:
        told = [{"name": str(it.name), "summary": it.summary, "files": [f.place for f in it.files]} for it in recipes]
        print_json({"recipes": told})
        return
    width = max(len(it.name) for it in recipes)
    print_rows([f"{it.name:{width}}  {it.summary}"] for it in recipes)


def show_written(written: Sequence[Written], then: Sequence[str], *, json: bool) -> None:
    """One line a file: its path and what became of it; what comes next is a message."""
    if json:
        files = [{"path": str(it.path), "outcome": it.outcome} for it in written]
        print_json({"files": files, "next": list(then)})
        return
    print_rows([it.path, it.outcome] for it in written)
    for step in then:
        messages().print(f"next  {step}", markup=False)
