"""The tokens that documents need: their texts are made by the very stages of a run, and each text is counted once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from docproc.errors import PermanentError
from docproc.model import Chunk, Chunked, Done, Fail, Job, Outcome, Parsed
from docproc.stages.chunk import ChunkStage
from docproc.stages.parse import parse_here
from docproc.stages.validate import ValidateStage

if TYPE_CHECKING:
    from docproc.forecast import Work
    from docproc.forecast.overlay import Overlay
    from docproc.postgres.forecast import Foreseen
    from docproc.settings import Settings

AT_ONCE = 5_000
"""Texts gathered before it is asked which of them have vectors: a question for each document would take long."""


class Texts:
    """Adds up what is to be bought; a text counts for the first document that has it, as it is bought once."""

    def __init__(self, foreseen: Foreseen | None) -> None:
        self._foreseen = foreseen
        self._seen: dict[tuple[str, str, str], set[bytes]] = {}
        self._held: list[tuple[Work, Job, list[tuple[str, int]]]] = []
        self._count = 0

    def add(self, work: Work, job: Job, texts: Iterable[tuple[str, int]]) -> None:
        """The embedded strings of ``job``, by hash and tokens; ``work`` gets its sums at the latest with ``finish``."""
        found = list(texts)
        self._held.append((work, job, found))
        self._count += len(found)
        if self._count >= AT_ONCE:
            self.finish()

    def finish(self) -> None:
        """Settles all that was added."""
        kinds = {(job.user_id, job.embed_model, job.embed_version) for _, job, _ in self._held}
        owned = {kind: self._owned(kind) for kind in kinds}
        for work, job, texts in self._held:
            kind = (job.user_id, job.embed_model, job.embed_version)
            seen, buy = self._seen.setdefault(kind, set()), 0
            for sha, tokens in texts:
                half = bytes.fromhex(sha)[:16]
                if sha in owned[kind] or half in seen:
                    work.owned += tokens
                else:
                    seen.add(half)
                    buy += tokens
            work.tokens = buy
        self._held.clear()
        self._count = 0

    def _owned(self, kind: tuple[str, str, str]) -> set[str]:
        if self._foreseen is None:
            return set()
        shas = {
            sha
            for _, job, texts in self._held
            if (job.user_id, job.embed_model, job.embed_version) == kind
            for sha, _ in texts
        }
        return self._foreseen.owned(kind, sorted(shas))


class Maker:
    """Takes one document through parse, validate and chunk over an overlay, as far as that costs nothing."""

    def __init__(self, overlay: Overlay, settings: Settings) -> None:
        self._overlay = overlay
        self._settings = settings
        self._validate = ValidateStage(_Apart(), overlay, settings.validate)
        self._chunk = ChunkStage(overlay)

    def texts(self, job: Job, work: Work) -> list[tuple[str, int]]:
        """The embedded strings of ``job``; none where it would be refused, which ``work`` is told then.

        Raises JobError where the bytes or the parse cannot be read at this moment.
        """
        try:
            if job.parsed_path is None:
                parsed = parse_here(job, self._overlay, self._settings.parser)
                job = _after(job, parsed)
            if job.parsed_sha is None:
                job = _after(job, self._validate.outcome(job))
            outcome = self._chunk.outcome(job)
        except PermanentError as error:
            work.refused = error.code
            return []
        finally:
            self._overlay.clear()
        return [(chunk.embed_sha, chunk.tokens) for chunk in _chunks(outcome)]


class _Apart:
    """Knows no other parses: which of two equal ones is the canonical one changes nothing about their chunks."""

    def canonical_parse(self, job: Job, parsed_sha: str) -> str | None:  # noqa: ARG002 - the protocol's
        """None."""
        return None


def _after(job: Job, outcome: Outcome) -> Job:
    """``job`` as it stands after parse or validate. Raises the error of an outcome that refuses it."""
    if isinstance(outcome, Fail):
        raise outcome.error
    assert isinstance(outcome, Done)
    assert isinstance(outcome.product, Parsed)
    progress = dict(job.progress) | dict(outcome.product.progress)
    return replace(job, parsed_path=outcome.product.path, parsed_sha=outcome.product.sha, progress=progress)


def _chunks(outcome: Outcome) -> Iterable[Chunk]:
    assert isinstance(outcome, Done)
    assert isinstance(outcome.product, Chunked)
    return outcome.product.chunks
