"""parse: text formats here and now; the others submitted to the paid service, then polled until they are ready."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from docproc import faultpoints
from docproc import text as texts
from docproc.errors import JobError, PermanentError, ThrottledError, TransientError
from docproc.model import Done, Job, Outcome, Page, Parsed, ParseResult, Wait, sha256
from docproc.parsers import Parser
from docproc.parsers import local as local_parser
from docproc.settings import ParserSettings
from docproc.stages import THROTTLED_PAUSE, Settle
from docproc.states import Command, State
from docproc.storage import Storage, key, pages_uri, parsed_uri
from docproc.store import ParseCall, ParseCalls

GONE_AFTER = 60.0
"""Seconds after a submit in which "no such job" only means that the service's list is not up to date yet."""

SLOT_GOOD_FOR = 2.0
"""Seconds after its turn in which a document may still be submitted; later it takes a new place in the queue."""


class ParseStage:
    """Moves ``uploaded`` to ``parse_queued`` by submitting and ``parse_queued`` to ``parsed`` by collecting."""

    command = Command.PARSE
    batch = 1

    def __init__(self, calls: ParseCalls, storage: Storage, parser: Parser, settings: ParserSettings) -> None:
        self._calls = calls
        self._storage = storage
        self._parser = parser
        self._settings = settings

    def run(self, jobs: Sequence[Job], settle: Settle) -> None:
        """One step for each job: submit or poll."""
        for job in jobs:
            settle(job, self.outcome(job))

    def outcome(self, job: Job) -> Outcome:
        """Submits, or polls and collects. Raises JobError and ProgramError."""
        if job.extension in self._settings.local:
            return self._keep(job, local_parser.parse(self._read(job), job.extension), None)
        call = self._calls.parse_call(job, self._parser.settings_id)
        if call.state == "collected" and self._storage.exists(key(parsed_uri(job.user_id, job.document_id))):
            return self._keep(job, self._kept(job), call)
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
            left = self._settings.timeout + self._settings.reconcile_grace - (call.seconds_since_submitting or 0.0)
            if left > 0:
                return Wait(min(left, self._settings.max_poll), "a submit without answer may still arrive")
        if call.submits >= self._settings.max_submits:
            raise PermanentError("parse.submits_used_up", f"submitted {call.submits} times without a result")
        turn = self._until_turn(call)
        if turn > 0:
            return Wait(turn, "the limit of submits")
        data = self._read(job)
        if not self._calls.begin_submit(call, job):
            return Wait(1.0, "another process submits this document")
        faultpoints.reach("parse.before_submit")
        external_id = self._hand_in(job, call, data)
        faultpoints.reach("parse.after_submit")
        self._calls.submitted(call, external_id)
        faultpoints.reach("parse.after_submitted")
        return self._queued(job)

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

    def _hand_in(self, job: Job, call: ParseCall, data: bytes) -> str:
        try:
            # The name at the service is the id: file names may be secret, and the service refuses odd ones.
            name = f"{job.document_id}{job.extension}"
            return self._parser.submit(data, name, call.client_ref, fresh=call.state == "failed")
        except ThrottledError as error:
            self._calls.submit_refused(call)
            self._calls.pause_submits(error.pause.seconds or THROTTLED_PAUSE)
            raise
        except TransientError:
            raise  # perhaps accepted: the call stays ``submitting`` and is looked for before the next try
        except Exception:
            self._calls.submit_refused(call)
            raise

    def _queued(self, job: Job) -> Outcome:
        if job.status is State.PARSE_QUEUED:
            return Wait(self._settings.first_poll, "submitted again")
        return Done(State.PARSE_QUEUED, after=self._settings.first_poll)

    def _since(self, call: ParseCall) -> datetime:
        # A day of slack: the service's clock is not ours, and client_ref alone decides.
        return datetime.now(UTC) - timedelta(seconds=call.seconds_since_created, days=1)

    # ── collect ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _collect(self, job: Job, call: ParseCall) -> Outcome:
        assert call.external_id is not None
        age = call.seconds_since_submitted or 0.0
        progress = self._parser.poll(call.external_id)
        match progress.state:
            case "ready":
                return self._keep(job, self._fetch(call), call)
            case "failed":
                self._calls.parse_lost(call)
                raise PermanentError("parse.failed", "the parser could not parse the document", why=progress.why)
            case "gone" if age > GONE_AFTER:
                return self._again(call, "parse.gone", "the parse job is no longer at the service")
            case _ if age > self._settings.deadline:
                self._parser.cancel(call.external_id)
                return self._again(call, "parse.timeout", f"not parsed within {self._settings.deadline:.0f} s")
        # A quarter of the age: few polls, and a result is seen at most a quarter late.
        return Wait(min(max(self._settings.first_poll, age / 4), self._settings.max_poll), "the parser is at work")

    def _fetch(self, call: ParseCall) -> ParseResult:
        assert call.external_id is not None
        try:
            return self._parser.fetch(call.external_id)
        except JobError as error:
            if error.code == "parse.gone":
                self._calls.parse_lost(call)
            raise

    def _again(self, call: ParseCall, code: str, what: str) -> Outcome:
        """Lets the job be submitted once more, while submits are left."""
        self._calls.parse_lost(call)
        if call.submits >= self._settings.max_submits:
            raise PermanentError(code, what, why=f"submitted {call.submits} times")
        return Wait(0.0, what)

    # ── keep ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _read(self, job: Job) -> bytes:
        data = self._storage.read(key(job.raw_path))
        if sha256(data) != job.raw_sha:
            raise PermanentError("storage.corrupt", f"{job.raw_path} is not what was ingested")
        return data

    def _keep(self, job: Job, result: ParseResult, call: ParseCall | None) -> Outcome:
        """Stores the parse as Markdown, and beside it the pages as they came."""
        uri = parsed_uri(job.user_id, job.document_id)
        parsed, removed = texts.document(result.pages)
        faultpoints.reach("parse.before_store")
        self._storage.write(key(pages_uri(uri)), dump_pages(result))
        self._storage.write(key(uri), parsed.text.encode())
        failed = sum(page.error is not None for page in result.pages)
        progress = {"pages_total": len(result.pages), "pages_failed": failed, "characters_removed": removed}
        call_id = None if call is None else call.parse_call_id
        product = Parsed(uri, progress=progress, call_id=call_id, credits=result.credits)
        return Done(State.PARSED, product, note=result.parser_version)

    def _kept(self, job: Job) -> ParseResult:
        uri = parsed_uri(job.user_id, job.document_id)
        return load_pages(self._storage.read(key(pages_uri(uri))))


def dump_pages(result: ParseResult) -> bytes:
    """A parse as the JSON that is kept beside its Markdown."""
    pages = [
        {"number": p.number, "markdown": p.markdown, "error": p.error, "confidence": p.confidence} for p in result.pages
    ]
    document = {"schema": 1, "parser_version": result.parser_version, "credits": result.credits, "pages": pages}
    # ASCII escapes keep lone surrogates, which UTF-8 has no bytes for.
    return json.dumps(document).encode("ascii")


def load_pages(data: bytes) -> ParseResult:
    """The parse that ``dump_pages`` wrote. Raises PermanentError ``storage.corrupt`` when it is not one."""
    try:
        document = json.loads(data)
        return ParseResult(
            tuple(Page(**page) for page in document["pages"]), document["parser_version"], document["credits"]
        )
    except (ValueError, KeyError, TypeError):
        raise PermanentError("storage.corrupt", "the stored page data cannot be read") from None
