"""validate: refuses parses that are empty or lack pages, and gives equal parses one canonical path."""

from __future__ import annotations

from collections.abc import Sequence

from docproc import text as texts
from docproc.errors import PermanentError
from docproc.model import Done, Job, Outcome, Page, Parsed, ParsedDocument
from docproc.settings import ValidateSettings
from docproc.stages import Settle
from docproc.stages.parse import load_pages
from docproc.states import Command
from docproc.storage import Storage, key, pages_uri
from docproc.store import ParseCalls


class ValidateStage:
    """Moves ``parsed`` to ``parse_validated``, or to ``failed_parse`` with a ``validate.*`` code."""

    command = Command.VALIDATE
    batch = 1

    def __init__(self, calls: ParseCalls, storage: Storage, settings: ValidateSettings) -> None:
        self._calls = calls
        self._storage = storage
        self._settings = settings

    def run(self, jobs: Sequence[Job], settle: Settle) -> None:
        """Judges each job's parse."""
        for job in jobs:
            settle(job, self.outcome(job))

    def outcome(self, job: Job) -> Outcome:
        """The verdict on one parse. Raises PermanentError for one that must not be chunked."""
        pages, parsed = load_document(self._storage, job)
        self._judge(pages, parsed)
        sha = texts.fingerprint(parsed)
        canonical = self._calls.canonical_parse(job, sha)
        return Done(
            product=Parsed(canonical or str(job.parsed_path), sha), note="same parse as before" if canonical else ""
        )

    def _judge(self, pages: Sequence[Page], parsed: ParsedDocument) -> None:
        failed = [page.number for page in pages if page.error is not None]
        if failed and len(failed) > self._settings.max_failed_pages * len(pages):
            numbers = ", ".join(map(str, failed[:10])) + (" …" if len(failed) > 10 else "")
            raise PermanentError(
                "validate.pages_failed",
                f"{len(failed)} of {len(pages)} pages could not be parsed",
                why=f"pages {numbers}",
            )
        missing = sorted(set(range(1, max((p.number for p in pages), default=0) + 1)) - {p.number for p in pages})
        if missing:
            raise PermanentError(
                "validate.pages_missing", f"{len(missing)} pages are missing", why=f"pages {missing[:10]}"
            )
        characters = len("".join(parsed.text.split()))
        if characters < max(self._settings.min_characters, 1):
            raise PermanentError(
                "validate.empty", "the parse has no text", why=f"{len(pages)} pages, {characters} characters"
            )


def load_document(storage: Storage, job: Job) -> tuple[tuple[Page, ...], ParsedDocument]:
    """The pages and the normalised text of a job's parse, from what parse stored."""
    if job.parsed_path is None:
        raise PermanentError("storage.missing", "the job has no parse")
    pages = load_pages(storage.read(key(pages_uri(job.parsed_path)))).pages
    return pages, texts.document(pages)[0]
