"""parse: text formats here and now; the others submitted to the paid service, then polled until they are ready."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

from docproc import faultpoints, logs
from docproc.errors import JobError, PermanentError, ThrottledError, TransientError
from docproc.model import Done, Job, Outcome, Parsed, ParseResult, Wait
from docproc.parsers import TEXT_EXTENSIONS, Parser
from docproc.parsers import local as local_parser
from docproc.parsers.counting import pages_in_file
from docproc.settings import ParserSettings
from docproc.stages import THROTTLED_PAUSE, Context, settle_each
from docproc.stages.stored import is_whole, stored, write_pages, write_text
from docproc.states import Command, State
from docproc.storage import Objects, key, parsed_uri, sha256_of
from docproc.store import ParseCall, ParseCalls, end_of

log = logging.getLogger(__name__)

GONE_AFTER = 60.0
"""Seconds after a submit in which "no such job" only means that the service's list is not up to date yet."""

SLOT_GOOD_FOR = 2.0
"""Seconds after its turn in which a document may still be submitted; later it takes a new place in the queue."""


class ParseStage:
    """Moves ``uploaded`` to ``parse_queued`` by submitting and ``parse_queued`` to ``parsed`` by collecting."""

    command = Command.PARSE
    batch = 16
    batch_bytes = 1_000_000
    spread = True

    def __init__(self, calls: ParseCalls, storage: Objects, parser: Parser, settings: ParserSettings) -> None:
        self._calls = calls
        self._storage = storage
        self._parser = parser
        self._settings = settings

    def run(self, jobs: Sequence[Job], context: Context) -> None:
        """One step for each job: submit or poll."""
        settle_each(jobs, context, self.outcome, self.command)

    def outcome(self, job: Job) -> Outcome:
        """Submits, or polls and collects. Raises JobError and ProgramError."""
        if job.extension in self._settings.local:
            return parse_here(job, self._storage, self._settings)
        call = self._calls.parse_call(job, self._parser.settings_id)
        if call.state == "collected":
            return self._known(job, call) if is_whole(self._storage, _uri(job)) else self._collect(job, call)
        if call.state == "submitted":
            return self._queued(job) if job.status is State.UPLOADED else self._collect(job, call)
        return self._submit(job, call)

    # ── submit ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _submit(self, job: Job, call: ParseCall) -> Outcome:
        if call.state == "submitting":  # somebody died or timed out between request and answer
            found = self._parser.find(call.client_ref, self._since(call))
            if found is not None:
                self._calls.submitted(call, found)
                return self._queued(job)
            # Twice the timeout: a request is begun within one of the mark, and ended within another.
            left = 2 * self._settings.timeout + self._settings.reconcile_grace - (call.seconds_since_submitting or 0.0)
            if left > 0:
                return Wait(min(left, self._settings.max_poll), "a submit without answer may still arrive")
        if call.submits >= self._settings.max_submits:
            raise PermanentError("parse.submits_used_up", f"submitted {call.submits} times without a result")
        turn = self._until_turn(call)
        if turn > 0:
            log.info("waits for its turn", extra={"stage": self.command, "job": job.job_id, "waits": turn})
            return Wait(turn, "the limit of submits", ours=True)
        with _raw(job, self._storage) as file:
            counted = pages_in_file(file, job.extension)
            file.seek(0)
            # The name at the service is the id: file names may be secret, and the service refuses odd ones.
            name = f"{job.document_id}{job.extension}"
            file_id = self._paced(lambda: self._parser.upload(file, name, call.client_ref))
        marking = _clock()
        pages = counted.get("pages_in_file")
        if not self._calls.begin_submit(call, job, tier=self._settings.tier, pages=pages):
            return Wait(1.0, "another process submits this document")
        faultpoints.reach("parse.before_submit")
        external_id = self._hand_in(call, file_id, marking)
        faultpoints.reach("parse.after_submit")
        self._calls.submitted(call, external_id)
        if log.isEnabledFor(logging.INFO):
            log.info("submitted", extra=logs.of(job) | {"external_id": external_id, "submit": call.submits + 1})
        faultpoints.reach("parse.after_submitted")
        return self._queued(job, counted)

    def _until_turn(self, call: ParseCall) -> float:
        """Seconds until this document may be submitted; its place is kept, and good for a moment once it is due."""
        if not self._settings.submits_per_10s:
            return 0.0
        left = call.seconds_until_slot
        if left is not None and left > -SLOT_GOOD_FOR:
            return max(left, 0.0)
        # An eighth at once, the rest spread out, with room for those that come late: in no ten seconds over the limit.
        burst, per_second = max(self._settings.submits_per_10s // 8, 1), self._settings.submits_per_10s * 0.072
        return self._calls.reserve_submit(call, per_second=per_second, burst=burst)

    def _hand_in(self, call: ParseCall, file_id: str, marking: float) -> str:
        """The one request that is paid for. Not sent when its mark is so old that others may think it never was."""
        if _clock() - marking > self._settings.timeout:
            why = "the process or its machine stood still between the mark and the request"
            raise TransientError("parse.unavailable", "the submit was not sent in time", why=why)
        try:
            return self._paced(lambda: self._parser.submit(file_id, call.client_ref, fresh=call.state == "failed"))
        except TransientError:
            raise  # perhaps accepted: the call stays ``submitting`` and is looked for before the next try
        except Exception as error:
            self._calls.submit_refused(call, end_of(error)[1])
            raise

    def _paced(self, ask: Callable[[], str]) -> str:
        """What the service answers; its word that we ask too often is for all processes."""
        try:
            return ask()
        except ThrottledError as error:
            self._calls.pause_submits(error.pause.seconds or THROTTLED_PAUSE)
            raise

    def _queued(self, job: Job, counted: Mapping[str, int | None] | None = None) -> Outcome:
        if job.status is State.PARSE_QUEUED:
            return Wait(self._settings.first_poll, "submitted again")
        seen = Parsed(None, progress=counted) if counted else None
        return Done(State.PARSE_QUEUED, seen, after=self._settings.first_poll)

    def _since(self, call: ParseCall) -> datetime:
        # A day of slack: the service's clock is not ours, and client_ref alone decides.
        return datetime.now(UTC) - timedelta(seconds=call.seconds_since_created, days=1)

    # ── collect ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _collect(self, job: Job, call: ParseCall) -> Outcome:
        assert call.external_id is not None
        age = call.seconds_since_submitted or 0.0
        progress = self._parser.poll(call.external_id)
        if log.isEnabledFor(logging.INFO):
            seen = {"external_id": call.external_id, "state": progress.state, "seconds": age}
            log.info("looked at", extra=logs.of(job) | seen)
        match progress.state:
            case "ready":
                return _kept(job, self._storage, self._fetch(call), call)
            case "failed":
                self._calls.parse_lost(call, "parse.failed")
                raise PermanentError("parse.failed", "the parser could not parse the document", why=progress.why)
            case "gone" if age > GONE_AFTER:
                return self._again(call, "parse.gone", "the parse job is no longer at the service")
            case _ if age > self._settings.deadline:
                self._parser.cancel(call.external_id)
                return self._again(call, "parse.timeout", f"not parsed within {self._settings.deadline:.0f} s")
        # With the age: 13 looks at a parse of a minute, and a result is seen little more than a quarter late.
        return Wait(min(self._settings.first_poll + age / 4, self._settings.max_poll), "the parser is at work")

    def _fetch(self, call: ParseCall) -> ParseResult:
        assert call.external_id is not None
        try:
            return self._parser.fetch(call.external_id)
        except JobError as error:
            if error.code == "parse.gone":
                self._calls.parse_lost(call, error.code)
            raise

    def _again(self, call: ParseCall, code: str, what: str) -> Outcome:
        """Lets the job be submitted once more, while submits are left."""
        self._calls.parse_lost(call, code)
        if call.submits >= self._settings.max_submits:
            raise PermanentError(code, what, why=f"submitted {call.submits} times")
        return Wait(0.0, what)

    # ── keep ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _known(self, job: Job, call: ParseCall) -> Outcome:
        """The parse is stored already, whole."""
        return _parsed(job, stored(self._storage, _uri(job)).result, call, None)


def parse_here(job: Job, storage: Objects, settings: ParserSettings) -> Done:
    """Parses a document whose type is one of ``[parser] local``, free of charge. Raises JobError and ConfigError."""
    limit = settings.max_local_bytes
    with _raw(job, storage) as file:
        if job.extension not in TEXT_EXTENSIONS:
            return _kept(job, storage, local_parser.pages(file, job.extension, max_bytes=limit), None)
        blocks = local_parser.text(file, job.extension, max_bytes=limit)
        removed = write_text(storage, _uri(job), blocks, local_parser.VERSION)
    progress = {"pages_total": 1, "pages_failed": 0, "characters_removed": removed}
    return Done(State.PARSED, Parsed(_uri(job), progress=progress), note=local_parser.VERSION)


@contextmanager
def _raw(job: Job, storage: Objects) -> Iterator[BinaryIO]:
    """The document as it was ingested. Raises PermanentError ``storage.missing`` and ``storage.corrupt``."""
    with storage.open(key(job.raw_path)) as file:
        if sha256_of(file) != job.raw_sha:
            raise PermanentError("storage.corrupt", f"{job.raw_path} is not what was ingested")
        file.seek(0)
        yield file


def _kept(job: Job, storage: Objects, result: ParseResult, call: ParseCall | None) -> Done:
    """Stores the parse, with the pages that were counted when the document was handed in."""
    result = replace(result, pages_in_file=job.progress.get("pages_in_file"))
    removed = write_pages(storage, _uri(job), result)
    return _parsed(job, result, call, removed)


def _clock() -> float:
    """Seconds that also pass while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _parsed(job: Job, result: ParseResult, call: ParseCall | None, removed: int | None) -> Done:
    failed = sum(page.error is not None for page in result.pages)
    progress: dict[str, Any] = {"pages_total": len(result.pages), "pages_failed": failed}
    if removed is not None:
        progress["characters_removed"] = removed
    call_id = None if call is None else call.parse_call_id
    product = Parsed(_uri(job), progress=progress, call_id=call_id, credits=result.credits)
    return Done(State.PARSED, product, note=result.parser_version)


def _uri(job: Job) -> str:
    return parsed_uri(job.user_id, job.document_id)
