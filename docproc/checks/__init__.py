"""What ``validate-deploy`` asks: one function a check, each with a stable id and a remedy; all of them only read."""

from __future__ import annotations

import difflib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from docproc.errors import ConfigError

if TYPE_CHECKING:
    from docproc.app import App, Service

GROUPS = (
    "environment",
    "configuration",
    "tokenizer",
    "database",
    "extension",
    "schema",
    "data",
    "workers",
    "storage",
    "parser",
    "embedder",
)
"""What a check is about; ``--only`` and ``--skip`` take these beside ids."""

SECONDS = 15.0
"""How long a check may take: above the 10 s in which a connection to the database is given up."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on something is worth a word."""

    clock: float = 5.0  # seconds between this machine's clock and the server's
    idle: float = 300.0  # seconds that a session may sit in an open transaction
    snapshot: float = 3600.0  # seconds that a transaction may keep vacuum from dead rows
    dead_rows: int = 10_000  # of a table, where they are also more than half of the live ones
    grace: float = 120.0  # seconds after the end of a lease in which the next claim frees it
    last_run: float = 86_400.0  # seconds since the last run that ended well, while work is due
    free_bytes: int = 1_000_000_000  # on the disk of docproc's home
    paid_parse: float = 120.0  # seconds in which the parser should have parsed one page


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is checked: an opened docproc, and how it is looked at. ``clock`` is seconds since 1970."""

    app: App
    offline: bool = False
    clock: Callable[[], float] = time.time
    thresholds: Thresholds = Thresholds()
    _opening: threading.Lock = field(default_factory=threading.Lock)

    def parser_service(self) -> Service:
        """The parser's address and key; checks ask in threads, and the mocks are to be started once."""
        with self._opening:
            return self.app.parser_service

    def embedder_service(self) -> Service:
        """The embedder's address and key."""
        with self._opening:
            return self.app.embedder_service


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw: ``state`` is ok, problem or skip. Empty ``expected`` and ``remedy`` are the check's own.

    A remedy that ends with a semicolon is SQL; one that begins with ``docproc`` or ``chmod`` is a command.
    """

    state: str
    seen: str
    remedy: str = ""
    expected: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A question about the deployment, which the docstring of ``ask`` puts in words.

    ``severity`` is error or warn; ``needs`` names the checks without which this one makes no sense; ``network`` says
    that it speaks to more than the database.
    """

    id: str
    group: str
    severity: str
    expected: str
    remedy: str
    ask: Callable[[Deployment], Finding]
    needs: tuple[str, ...] = ()
    network: bool = False
    seconds: float = SECONDS

    @property
    def asks(self) -> str:
        """What it asks, in a sentence."""
        return " ".join((self.ask.__doc__ or "").split())


@dataclass(frozen=True, slots=True)
class Result:
    """A check, what it found, and how long it took in seconds."""

    check: Check
    finding: Finding
    seconds: float

    @property
    def level(self) -> str:
        """Ok, warn, error or skip."""
        return self.check.severity if self.finding.state == "problem" else self.finding.state

    @property
    def expected(self) -> str:
        """What should have been seen."""
        return self.finding.expected or self.check.expected

    @property
    def remedy(self) -> str:
        """What to do; empty where all is well."""
        return (self.finding.remedy or self.check.remedy) if self.finding.state == "problem" else ""


def ok(seen: str) -> Finding:
    """All is well."""
    return Finding("ok", seen)


def problem(seen: str, remedy: str = "", *, expected: str = "") -> Finding:
    """Something is not as it should be."""
    return Finding("problem", seen, remedy, expected)


def skip(why: str) -> Finding:
    """The question could not be asked, and that is nobody's fault."""
    return Finding("skip", why)


def every(*, data: bool = False, paid: bool = False) -> tuple[Check, ...]:
    """All checks, in the order in which they are shown; those that read every row only with ``data``.

    Those that the services are paid for come only with ``paid``.
    """
    from docproc.checks import (
        configuration,
        database,
        embedder,
        environment,
        extension,
        parser,
        schema,
        sessions,
        storage,
        workers,
    )
    from docproc.checks import data as of_data

    of_the_house = (*environment.CHECKS, *configuration.CHECKS)
    of_the_database = (*database.CHECKS, *sessions.CHECKS, *extension.CHECKS, *schema.CHECKS)
    of_the_work = (*of_data.CHECKS, *(of_data.THOROUGH if data else ()), *workers.CHECKS)
    of_the_parser = (*parser.CHECKS, *(parser.PAID if paid else ()))
    of_the_embedder = (*embedder.CHECKS, *(embedder.PAID if paid else ()))
    return (*of_the_house, *of_the_database, *of_the_work, *storage.CHECKS, *of_the_parser, *of_the_embedder)


def chosen(checks: Sequence[Check], *, only: Iterable[str] = (), skip: Iterable[str] = ()) -> tuple[Check, ...]:
    """The checks that ``only`` names by id or group (all, when it names none) with what they need, without ``skip``.

    Raises ConfigError for a name that is neither an id nor a group, with the nearest one.
    """
    included, excluded = _named(checks, only), _named(checks, skip)
    ids = {check.id: check for check in checks}
    asked = set(included or ids)
    while missing := {need for id_ in asked for need in ids[id_].needs if need in ids} - asked:
        asked |= missing
    return tuple(check for check in checks if check.id in asked - excluded)


def wanted(check: Check, only: Sequence[str]) -> bool:
    """Whether ``only`` names the check itself, rather than one that needs it."""
    return not only or check.id in only or check.group in only


def _named(checks: Sequence[Check], names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        matching = {check.id for check in checks if name in (check.id, check.group)}
        if not matching:
            known = [*(check.id for check in checks), *GROUPS]
            near = difflib.get_close_matches(name, known, n=1)
            guess = f"did you mean {near[0]}?" if near else "docs/validate-deploy.md lists them all"
            raise ConfigError("config.unknown_key", f"there is no check and no group {name}", try_=guess)
        found |= matching
    return found
