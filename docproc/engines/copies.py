"""What runs on a worker of an engine: it says what it would work with, runs one docproc worker, and stops it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from docproc import __version__
from docproc.errors import ConfigError, DocprocError

if TYPE_CHECKING:
    from docproc.settings import Settings

FAILURES = 10_000
"""Failed documents that a copy tells of one by one; all of them are in ``docproc status --failed``."""

STOPPED = 143


@dataclass(frozen=True, slots=True)
class Ended:
    """How one docproc worker ended: its exit code, its receipt (empty where it was killed), error, and failures.

    ``error`` and ``failures`` are the JSON lines ``exit_error`` and ``document`` that it printed.
    """

    exit_code: int
    receipt: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    failures: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """What a copy is to do: ``run`` is the name by which to stop it, ``words`` are docproc's command line.

    ``place`` are the arguments of ``config.load`` to which ``words`` lead, ``facts`` the ones of whoever orders.
    """

    run: str
    words: tuple[str, ...]
    place: tuple[str | None, str | None, Mapping[str, object]]
    facts: Mapping[str, str]


# ── what it would work with ─────────────────────────────────────────────────────────────────────────────────────────


def objection(order: Order) -> str:
    """How what would be done here differs from what is ordered; empty where it does not.

    Raises DocprocError where the settings are wrong or the database does not answer.
    """
    from docproc import config

    file, profile, flags = order.place
    here = facts(config.load(config=Path(file) if file else None, profile=profile, flags=flags))
    names = (name for name in [*order.facts, *here] if here.get(name) != order.facts.get(name))
    return "; ".join(
        f"{name}: {here.get(name, 'none')}, not {order.facts.get(name, 'none')}" for name in islice(names, 3)
    )


def facts(settings: Settings) -> dict[str, str]:
    """What decides about results: version, database, storage and every setting that is no secret.

    Raises DocprocError where the database does not answer.
    """
    from docproc.settings import SECTIONS

    told = {
        "docproc's version": __version__,
        "the profile": settings.profile,
        "the user": settings.user,
        "the database": _database(settings),
    }
    if settings.storage.backend == "local":
        told["the storage"] = _folder(settings.home)
    for section in SECTIONS:
        told |= {f"{section}.{key}": repr(value) for key, value in asdict(getattr(settings, section)).items()}
    return told


def _database(settings: Settings) -> str:
    """Which database it is, by whatever address it is reached."""
    from docproc.postgres.database import Database

    if settings.secrets.database_url is None:
        return f"the embedded one in {_folder(settings.home)}"
    database = Database(settings.secrets.database_url, patience=0.0)
    try:
        (row,) = database.rows("database_identity")
    finally:
        database.close()
    return f"{row['name']} ({row['oid']}) of cluster {row['system']}"


def _folder(home: Path) -> str:
    """A folder by its path and its inode, which two hosts have in common only where they share it."""
    home.mkdir(parents=True, exist_ok=True)
    return f"{home} ({home.stat().st_ino})"


# ── one worker ──────────────────────────────────────────────────────────────────────────────────────────────────────

_running: dict[str, list[subprocess.Popen[str]]] = {}
_stopped: set[str] = set()
_turn = threading.Lock()


def run_copy(order: Order) -> Ended:
    """Runs docproc as a process of its own until it ends, unless it would do something else than is ordered.

    Its standard error goes where this process's goes. Where this process is killed, it is asked to end (Linux).
    """
    error = _refusal(order)  # once more: this worker may have joined, or come back, after all others were asked
    if error is not None:
        return Ended(
            error.exit_code,
            error={
                "code": error.code,
                "what": error.what,
                "why": error.why,
                "try": error.remedy,
                "exit": int(error.exit_code),
            },
        )
    run = order.run
    with _turn:
        if run in _stopped:
            return Ended(STOPPED)
        process = subprocess.Popen(  # noqa: S603 - our own command line
            [*_tied(), sys.executable, "-m", "docproc", *order.words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C at a terminal is for the driver, which passes it on once
        )
        _running.setdefault(run, []).append(process)
    assert process.stdout is not None
    with process.stdout:
        receipt, told, failures = _listen(process.stdout)
    exit_code = process.wait()
    with _turn, suppress(KeyError, ValueError):
        _running[run].remove(process)
    return Ended(exit_code, receipt, told, failures)


def stop(run: str) -> int:
    """Asks what ``run`` has running here for an orderly end, each process once; returns how many."""
    with _turn:
        _stopped.add(run)
        told = _running.pop(run, [])
        for process in told:
            process.send_signal(signal.SIGTERM)
    return len(told)


def _refusal(order: Order) -> DocprocError | None:
    try:
        why = objection(order)
    except DocprocError as error:
        return error
    return ConfigError("engine.mismatch", "a worker of the cluster would make other results", why=why) if why else None


def _tied() -> list[str]:
    """What makes the process that follows end with this one; nothing where the system has no such thing."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []


def _listen(lines: IO[str]) -> tuple[dict[str, Any], dict[str, Any] | None, tuple[dict[str, Any], ...]]:
    receipt: dict[str, Any] = {}
    error: dict[str, Any] | None = None
    failures: list[dict[str, Any]] = []
    for told in _documents(lines):
        match told.get("type"):
            case "summary":
                receipt = told
            case "exit_error":
                error = told
            case "document" if told.get("code") and len(failures) < FAILURES:
                failures.append(told)
    return receipt, error, tuple(failures)


def _documents(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    for line in lines:
        with suppress(ValueError):  # half a line: it was killed while it spoke
            yield json.loads(line)
