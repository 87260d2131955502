"""What docproc is told, with its origins; and what differs from a baseline or between two profiles."""

from __future__ import annotations

import json as json_
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape
from rich.table import Table

from docproc.drift import Comparison, Difference
from docproc.drift.values import Known, Value, secrets, values
from docproc.settings import Settings
from docproc.views.terminal import for_people, print_json, print_rows, show
from docproc.views.words import safe

_MARKS = {"error": "[red]✗ error[/]", "warn": "[yellow]! warn[/]", "info": "[dim]· info[/]"}
_DIGITS = 12
"""Of a schema's fingerprint: the file has all 64."""


def show_configuration(settings: Settings, *, json: bool) -> None:
    """Every setting with its value, origin and default, every secret as set or not; no secret itself."""
    told, known = list(values(settings)), list(secrets(settings))
    if json:
        document = {"values": [_document(value) for value in told], "secrets": [asdict(secret) for secret in known]}
        print_json({"profile": settings.profile, **document})
    elif not for_people():
        print_rows((v.key, _shown(v.value), v.origin, _shown(v.default), _word(v)) for v in told)
        print_rows((s.name, _seen(s), s.origin, _shown(None), "changed" if s.origin else "default") for s in known)
    else:
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
        for value in told:
            table.add_row(*_line(value))
        table.add_section()
        for secret in known:
            style = "bold" if secret.fingerprint else "dim"
            table.add_row(
                *(f"[{style}]{escape(safe(cell))}[/]" for cell in (secret.name, _seen(secret))), secret.origin
            )
        show(table)


def rows(comparisons: Sequence[Comparison]) -> Iterator[tuple[str, ...]]:
    """A line a difference, its columns as those of a check: level, id, seen, why it matters, expected."""
    for comparison in comparisons:
        for it in comparison.differences:
            yield (it.severity, f"drift.{it.kind}.{it.what}", _value(it, it.now), it.why, _value(it, it.baseline))


def documents(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """The differences as JSON has them, each with what was compared with."""
    return [{"against": c.to, **asdict(it)} for c in comparisons for it in c.differences]


def show_drift(comparison: Comparison) -> None:
    """The differences as a section of its own, the worst first; to a person."""
    title = f"[bold]drift from {escape(safe(comparison.to))}[/]"
    if not comparison.differences:
        show(f"\n{title}  [green]none[/]")
        return
    show(f"\n{title}")
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for head in ("", "what", "now", "there"):
        table.add_column(head, overflow="fold")
    for it in comparison.differences:
        cells = (escape(safe(text)) for text in (_value(it, it.now), _value(it, it.baseline)))
        table.add_row(_MARKS[it.severity], f"{escape(safe(it.what))}\n[dim]{escape(safe(it.why))}[/]", *cells)
    show(table)


def _line(value: Value) -> tuple[str, str, str]:
    shown, origin = escape(safe(_shown(value.value))), escape(safe(value.origin))
    if not value.is_changed:
        return f"[dim]{value.key}[/]", f"[dim]{shown}[/]", f"[dim]{origin}[/]"
    return f"[bold]{value.key}[/]", f"[bold]{shown}[/]  [dim]not {escape(_shown(value.default))}[/]", origin


def _document(value: Value) -> dict[str, Any]:
    return {**asdict(value), "changed": value.is_changed}


def _word(value: Value) -> str:
    return "changed" if value.is_changed else "default"


def _seen(secret: Known) -> str:
    if not secret.fingerprint:
        return "not set"
    leads_to = " ".join(f"{part}={told}" for part, told in secret.leads_to.items())
    return f"set ({secret.fingerprint}) {leads_to}".rstrip()


def _value(difference: Difference, value: Any) -> str:
    shown = _shown(value)
    return shown[:_DIGITS] if difference.what == "schema.fingerprint" else shown


def _shown(value: Any) -> str:
    if value is None or value in ("", []):
        return "–"
    return value if isinstance(value, str) else json_.dumps(value, ensure_ascii=False)
