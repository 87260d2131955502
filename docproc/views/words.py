"""How docproc writes things: durations, sizes, times, and text that is safe to print."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime


def duration(seconds: float | None) -> str:
    """``40ms``, ``8.0s``, ``4m10s``, ``2h 5m``, ``3d 4h``; nothing for None."""
    if seconds is None:
        return ""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60}m"
    return f"{whole // 86400}d {whole % 86400 // 3600}h"


def size(count: float) -> str:
    """``512 B``, ``1.2 MB``: decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.95:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def dollars(usd: float | None) -> str:
    """``$0``, ``$1.20``, two digits of what is less than a cent; ``?`` for what nobody knows."""
    if usd is None:
        return "?"
    if usd == 0:
        return "$0"
    return f"${usd:,.2f}" if usd >= 0.01 else f"${usd:.2g}" if usd >= 1e-4 else f"${usd:.7f}".rstrip("0")


def instant(at: datetime) -> str:
    """A time as UTC ISO-8601 to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def safe(text: str) -> str:
    """``text`` with control, format and surrogate characters escaped, so that no file name can steer a terminal."""
    return "".join(_escaped(c) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def shortened(text: str, width: int) -> str:
    """``text`` cut in the middle to ``width`` characters: of a path the beginning and the end say most."""
    if len(text) <= width:
        return text
    head = (width - 1) // 3
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"
