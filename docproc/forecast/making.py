"""Makes the forecast: looks at the files that were named, and at the jobs in the queue, as a run would."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from docproc.errors import JobError
from docproc.forecast import BOUGHT, HERE, PAID, Forecast, Work
from docproc.forecast.overlay import Overlay
from docproc.forecast.texts import Maker, Texts
from docproc.model import Job, Source, document_id
from docproc.parsers import settings_id
from docproc.parsers.counting import pages_in_file
from docproc.prices import Prices
from docproc.stages.finding import Refused
from docproc.stages.ingest import looked
from docproc.states import INITIAL, Command, State, claimed_by
from docproc.storage import key, raw_uri

if TYPE_CHECKING:
    from docproc.app import App
    from docproc.postgres.forecast import Foreseen

Row = Mapping[str, Any]

_SUBMITTED = ("submitted", "collected")
"""States of a parse call that nobody pays for again."""


def forecast(
    app: App, found: Iterable[Path | Refused], commands: Sequence[Command], *, rebuild: bool = False
) -> Forecast:
    """What a run of ``commands`` over the files ``found`` would do, ``rebuild`` as there. Raises ProgramError.

    Nothing is written: no row, no stored object, no database where there is none yet.
    """
    settings = app.settings
    services = {"page": settings.parser.service, "token": settings.embedder.service}
    mock = frozenset(unit for unit, service in services.items() if service == "mock")
    prices, cap = Prices.of(settings.prices), settings.budget.per_run
    made = Forecast(list(commands), settings.parser.tier, prices, cap, mock)
    with tempfile.TemporaryDirectory(prefix="docproc-") as folder:
        making = _Making(app, made, Path(folder))
        making.files(found)
        if rebuild:
            making.rebuilt()
        making.waiting()
    return made


class _Making:
    """One forecast on its way."""

    def __init__(self, app: App, made: Forecast, folder: Path) -> None:
        self._settings = app.settings
        self._target = app.target
        self._only = app.only
        self._made = made
        # Where there is no database yet there are no documents: all is new, and none is made for that.
        self._foreseen: Foreseen | None = app.foreseen
        self._overlay = Overlay(app.storage if self._foreseen else None, folder)
        self._maker = Maker(self._overlay, app.settings)
        self._texts = Texts(self._foreseen)
        self._parser = settings_id(app.settings.parser)
        self._documents: set[Any] = set()

    # ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def files(self, found: Iterable[Path | Refused]) -> None:
        """Looks at the files as ingest does."""
        for batch in looked(found, self._settings.ingest):
            sources = [entry for entry in batch if isinstance(entry, Source)]
            self._made.refused += [entry for entry in batch if isinstance(entry, Refused)]
            for source, row in zip(sources, self._rows(sources), strict=True):
                self._file(source, row)
        self._texts.finish()

    def rebuilt(self) -> None:
        """Looks at what is shown with another model than the settings name."""
        sources = [] if self._foreseen is None else self._foreseen.shown_elsewhere(self._target)
        for source, row in zip(sources, self._rows(sources), strict=True):
            self._job_of(self._job(source, row), row, "rebuilt")
        self._texts.finish()

    def _rows(self, sources: Sequence[Source]) -> Sequence[Row]:
        if self._foreseen is None:
            return [{"outcome": "new", "has_job": False, "parse_state": None, "parsed_path": None}] * len(sources)
        return self._foreseen.files(self._target, sources, parser=self._parser)

    def _file(self, source: Source, row: Row) -> None:
        document = document_id(self._target.user, source.sha)
        is_new = document not in self._documents and not row["has_job"]
        self._made.files[row["outcome"] if is_new or row["has_job"] else "duplicate"] += 1
        self._documents.add(document)
        if is_new:
            job = self._job(source, row)
            self._overlay.lay(key(job.raw_path), Path(source.uri))
            self._job_of(job, row, row["outcome"])

    def _job(self, source: Source, row: Row) -> Job:
        """The job that ingest would make."""
        target, document = self._target, document_id(self._target.user, source.sha)
        begins = State(row["begins"]) if row.get("begins") else INITIAL
        return Job(
            job_id=document,
            document_id=document,
            user_id=target.user,
            source=source.uri,
            status=begins,
            extension=source.extension,
            raw_path=raw_uri(target.user, document, source.extension),
            raw_sha=source.sha,
            raw_bytes=source.size,
            parsed_path=row["parsed_path"],
            parsed_sha=row.get("parsed_sha"),
            chunks_version=target.chunks_version,
            embed_model=target.embed_model,
            embed_version=target.embed_version,
            progress=row.get("progress") or {},
            attempt=0,
            fence=0,
        )

    # ── the queue ───────────────────────────────────────────────────────────────────────────────────────────────────

    def waiting(self) -> None:
        """Looks at the open jobs that the commands would claim."""
        if self._foreseen is None:
            return
        states = [state for command in self._made.commands for state in claimed_by(command)]
        for job, row in self._foreseen.waiting(states, parser=self._parser, only=self._only):
            self._job_of(job, row, "waiting")
        self._texts.finish()

    # ── one job ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _job_of(self, job: Job, row: Row, outcome: str) -> None:
        begins = next(command for command in Command if job.status in claimed_by(command))
        if begins not in self._made.commands:
            return
        work = Work(job.source, outcome, begins, job.embed_model)
        self._made.works.append(work)
        if begins is Command.PARSE:
            self._parse(work, job, row)
        elif begins is Command.EMBED:
            assert self._foreseen is not None
            self._texts.add(work, job, self._foreseen.texts(job))
        else:
            self._make(work, job)
        self._overlay.clear()

    def _parse(self, work: Work, job: Job, row: Row) -> None:
        if job.extension in self._settings.parser.local:
            work.parse = HERE
            self._make(work, replace(job, parsed_path=None, parsed_sha=None))
        elif row["parse_state"] in _SUBMITTED:
            work.parse, work.tokens = BOUGHT, None
        else:
            work.parse, work.tokens, work.pages = PAID, None, self._pages(job)

    def _make(self, work: Work, job: Job) -> None:
        """The tokens of a document whose text can be had for nothing; unknown where it cannot be had just now."""
        if Command.EMBED not in self._made.commands:
            work.tokens = None
            return
        try:
            self._texts.add(work, job, self._maker.texts(job, work))
        except JobError:
            work.tokens = None

    def _pages(self, job: Job) -> int | None:
        counted = job.progress.get("pages_in_file")
        if counted is not None:
            return int(counted)
        try:
            with self._raw(job) as file:
                return pages_in_file(file, job.extension).get("pages_in_file")
        except JobError:
            return None  # the run itself will say what is the matter with it

    @contextmanager
    def _raw(self, job: Job) -> Iterator[BinaryIO]:
        with self._overlay.open(key(job.raw_path)) as file:
            yield file
