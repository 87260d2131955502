"""Search results: what was found, where in the document, and how near it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rich.markup import escape

from docproc.model import Hit
from docproc.views.terminal import data, for_people, print_json, print_rows
from docproc.views.words import safe, shortened

EXCERPT = 300
"""Characters of a chunk that a person is shown."""


def show_hits(hits: Sequence[Hit], *, json: bool) -> None:
    """The hits, best first."""
    if json:
        print_json({"hits": [asdict(hit) for hit in hits]})
    elif not for_people():
        print_rows((f"{h.score:.4f}", h.source, pages(h), " > ".join(h.heading_path), h.text) for h in hits)
    else:
        for n, hit in enumerate(hits, 1):
            _show(n, hit)


def pages(hit: Hit) -> str:
    """``3`` or ``3-4``."""
    return str(hit.page_first) if hit.page_first == hit.page_last else f"{hit.page_first}-{hit.page_last}"


def _show(n: int, hit: Hit) -> None:
    out = data()
    name = shortened(safe(hit.source), max(out.width - 30, 20))
    out.print(f"[bold]{n}. {escape(name)}[/]  page {pages(hit)}  [dim]{hit.score:.3f}[/]", no_wrap=True)
    if hit.heading_path:
        out.print(f"   [cyan]{escape(safe(' > '.join(hit.heading_path)))}[/]")
    text = " ".join(safe(hit.text.replace("\n", " ")).split())
    out.print(f"   {escape(text[:EXCERPT])}{' …' if len(text) > EXCERPT else ''}\n")
