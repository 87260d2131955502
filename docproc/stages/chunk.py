"""chunk: cuts the normalised parse into chunks and proves that no text was lost on the way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from docproc import chunkers
from docproc.errors import PermanentError
from docproc.model import Chunk, Chunked, Done, Job, Outcome
from docproc.stages import Settle
from docproc.stages.validate import load_document
from docproc.states import Command
from docproc.storage import Storage


class ChunkStage:
    """Moves ``parse_validated`` to ``chunks_stored``."""

    command = Command.CHUNK
    batch = 1

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def run(self, jobs: Sequence[Job], settle: Settle) -> None:
        """Chunks each job's document with the chunker that the job names."""
        for job in jobs:
            settle(job, self.outcome(job))

    def outcome(self, job: Job) -> Outcome:
        """The chunks of one document. Raises PermanentError when there are none or when text is in none of them."""
        _, parsed = load_document(self._storage, job)
        chunks = tuple(chunkers.get(job.chunks_version).chunk(parsed))
        if not chunks:
            raise PermanentError("chunk.none", "the document gave no chunks")
        lost = first_lost(parsed.text, chunks)
        if lost is not None:
            raise PermanentError("chunk.lost_text", "a chunker left text out", why=f"at character {lost}")
        return Done(product=Chunked(chunks))


def first_lost(text: str, chunks: Iterable[Chunk]) -> int | None:
    """The first character that is not white space and in no chunk's span; None when every one is in some chunk."""
    covered = 0
    for chunk in sorted(chunks, key=lambda c: c.start):
        gap = text[covered : chunk.start]
        if gap.strip():
            return covered + len(gap) - len(gap.lstrip())
        covered = max(covered, chunk.end)
    rest = text[covered:]
    return covered + len(rest) - len(rest.lstrip()) if rest.strip() else None
