"""What ``validate-deploy`` asks: one function a check, each with a stable id and a remedy; all of them only read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from docproc.errors import DocprocError

if TYPE_CHECKING:
    from docproc.app import App


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw: ``level`` is ok, warn, error or skip."""

    level: str
    seen: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A question about the deployment; ``needs`` names the checks without which it makes no sense."""

    id: str
    ask: Callable[[App], Finding]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """A check, what it found, and how long it took in seconds."""

    id: str
    finding: Finding
    seconds: float


def ok(seen: str) -> Finding:
    """All is well."""
    return Finding("ok", seen)


def run(app: App, checks: Sequence[Check]) -> Iterator[Result]:
    """Asks one check after the other; one whose needs failed is skipped, an error it raises is its finding."""
    well: set[str] = set()
    for check in checks:
        started = time.monotonic()
        lacking = [need for need in check.needs if need not in well]
        finding = Finding("skip", f"needs {', '.join(lacking)}") if lacking else _ask(check, app)
        if finding.level in ("ok", "warn"):
            well.add(check.id)
        yield Result(check.id, finding, time.monotonic() - started)


def _ask(check: Check, app: App) -> Finding:
    try:
        return check.ask(app)
    except DocprocError as error:
        return Finding("error", str(error), error.remedy)


def every(*, data: bool = False) -> tuple[Check, ...]:
    """All checks, in the order in which they are asked; those that read every row only with ``data``."""
    from docproc.checks import data as of_data
    from docproc.checks import database, environment, search, services

    return (*environment.CHECKS, *database.CHECKS, *search.CHECKS, *services.CHECKS, *(of_data.CHECKS if data else ()))
