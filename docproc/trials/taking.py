"""Takes samples through an environment under a user of their own, looks what became of them, removes them."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from docproc.app import App
from docproc.errors import ConfigError, ProgramError, StoppedError
from docproc.intake import Intake
from docproc.postgres.trials import PREFIX, command
from docproc.prices import Prices
from docproc.report import Report
from docproc.run import run
from docproc.settings import DEFAULT_PROFILE, Secrets, Settings, StorageSettings
from docproc.stages.finding import Refused, find
from docproc.states import Command, State
from docproc.trials import SECONDS, Bought, Found, Sample, Trial

if TYPE_CHECKING:
    from docproc.runner import Tally

MOST_FILES = 100
MOST_BYTES = 20_000_000
"""A trial of more would be a batch: it costs money, and nobody asked for that."""

NEAREST = 10
"""Passages looked at for each question."""


class LeftoversError(ProgramError):
    """Something of a trial stayed behind."""

    def __init__(self, user: str, left: str) -> None:
        super().__init__("trial.leftovers", f"something of the trial {user} is left", why=left)


class _Silent:
    """Progress that shows nothing: a trial is one line in somebody else's report."""

    def begin(self, total: int, goal: State) -> None:
        """Nothing."""

    def tick(self, tally: Tally) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


def samples_in(paths: Sequence[str]) -> list[Path]:
    """The files that ``paths`` name. Raises ConfigError when there are none, or too many for a trial."""
    found = list(find(paths))
    for entry in found:
        if isinstance(entry, Refused):
            raise ConfigError("config.invalid", f"the sample {entry.path} cannot be read", why=str(entry.error))
    files = [entry for entry in found if isinstance(entry, Path)]
    size = sum(file.stat().st_size for file in files)
    if not files:
        raise ConfigError("config.invalid", f"no samples in {', '.join(paths)}", try_="name a folder with documents")
    if len(files) > MOST_FILES or size > MOST_BYTES:
        why = f"{len(files)} files of {size / 1e6:.1f} MB; at most {MOST_FILES} of {MOST_BYTES / 1e6:.0f} MB together"
        raise ConfigError("config.invalid", "too much for a trial", why=why, try_="name fewer samples")
    return files


def take(
    settings: Settings, samples: Sequence[Path], *, timeout: float = SECONDS, questions: Sequence[str] = ()
) -> Trial:
    """Takes ``samples`` through the whole pipeline that ``settings`` name, for at most ``timeout`` seconds and a call.

    Afterwards nothing of them is left in database and storage, however it ended. Raises the ProgramError that stopped
    it, StoppedError after a signal, LeftoversError when something could not be removed.
    """
    user = f"{PREFIX}{uuid4().hex[:12]}"
    with App(replace(settings, user=user), trial=True) as app, _removed(app):
        _start(app)
        started = time.monotonic()
        intake = Intake([str(path) for path in samples])
        report = run(app, command(user), intake, tuple(Command), stay=True, progress=_Silent(), max_duration=timeout)
        if report.trouble is not None:
            raise report.trouble
        if report.signal is not None:
            raise StoppedError(report.signal)
        return _looked_at(app, report, samples, questions, time.monotonic() - started)


def remove(app: App, user: str) -> None:
    """Removes a trial's documents from database and storage. Raises LeftoversError when some of it is still there."""
    documents = app.store.trials.remove(user)
    app.storage.purge(user)
    rows = app.store.trials.traces(user, documents)
    objects = [found for prefix in ("raw", "parsed") for found in app.storage.objects(f"{prefix}/{user}/")]
    if rows or objects:
        left = [f"{count} rows of {table}" for table, count in rows.items()]
        raise LeftoversError(user, ", ".join([*left, *([f"{len(objects)} objects"] if objects else [])]))


@contextmanager
def local_twin(settings: Settings) -> Iterator[Settings]:
    """The same settings in the local profile: mocks, an embedded database and a storage that are made for this."""
    with tempfile.TemporaryDirectory(prefix="docproc-") as home:
        yield replace(
            settings,
            profile=DEFAULT_PROFILE,
            home=Path(home),
            storage=StorageSettings(),
            parser=replace(settings.parser, service="mock", first_poll=0.1, reconcile_grace=1.0),
            embedder=replace(settings.embedder, service="mock", requests_per_minute=0, tokens_per_minute=0),
            mocks=replace(settings.mocks, address="", processing_delay=0.2, size_variation=0.0, faults=()),
            secrets=Secrets(),
        )


def _start(app: App) -> None:
    """Opens storage and services, and starts mocks where they are wanted: no trial is to pay for that with its time."""
    for part in ("storage", "parser", "embedder"):
        getattr(app, part)


@contextmanager
def _removed(app: App) -> Iterator[None]:
    known = app.store.trials.in_use()
    try:
        yield
    finally:
        remove(app, app.settings.user)
        if not known:
            app.store.trials.forget_providers()


def _looked_at(app: App, report: Report, samples: Sequence[Path], questions: Sequence[str], seconds: float) -> Trial:
    names = names_of(samples)
    rows = app.store.trials.samples(app.settings.user)
    seen = [_sample(names[Path(row["uri"])], row) for row in rows]
    seen += [Sample(names[Path(os.path.abspath(r.path))], "refused", r.error.code) for r in report.refused]  # noqa: PTH100
    return Trial(
        app.settings.profile,
        app.parser_service.kind,
        app.embedder_service.kind,
        tuple(sorted(seen, key=lambda sample: sample.name)),
        seconds,
        tuple(_bought(app, app.store.trials.calls(app.settings.user))),
        tuple(_asked(app, names, questions)),
    )


def names_of(samples: Sequence[Path]) -> dict[Path, str]:
    """The name of each of ``samples``, by its absolute path: its path below the folder that they share."""
    paths = [Path(os.path.abspath(path)) for path in samples]  # noqa: PTH100 - as ingest names them
    root = Path(os.path.commonpath([path.parent for path in paths]))
    return {path: path.relative_to(root).as_posix() for path in paths}


def _sample(name: str, row: dict[str, Any]) -> Sample:
    return Sample(
        name,
        row["status"],
        row["code"] or "",
        tuple(row["states"] or ()),
        {state: round(float(seconds), 4) for state, seconds in (row["seconds"] or {}).items()},
        row["paid"],
        int(row["progress"].get("pages", {}).get("total") or 0),
        row["chunks"],
        int(row["tokens"]),
        row["vectors"],
        tuple(row["dimensions"]),
        row["shown"],
        row["texts"] or "",
    )


def _bought(app: App, rows: Iterable[dict[str, Any]]) -> Iterator[Bought]:
    prices = Prices.of(app.settings.prices)
    for row in rows:
        units, unit = int(row["units"]), row["unit"]
        service = app.embedder_service if unit == "token" else app.parser_service
        tier, model = app.settings.parser.tier, app.settings.embedder.model
        usd = 0.0 if service.kind == "mock" else prices.row(row, tier=tier, model=model)
        yield Bought(row["provider"], row["operation"], row["calls"], row["unit"], units, usd)


def _asked(app: App, names: dict[Path, str], questions: Iterable[str]) -> Iterator[Found]:
    from docproc.search import search

    for question in questions:
        hits = search(app, question, limit=NEAREST)
        yield Found(question, tuple(names[Path(hit.source)] for hit in hits))
