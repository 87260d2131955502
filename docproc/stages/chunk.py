"""chunk: cuts the normalised parse into chunks and proves that no text was lost on the way."""

from __future__ import annotations

from collections.abc import Sequence

from docproc import chunkers
from docproc.chunkers.coverage import Proof
from docproc.chunkers.reading import TextFile
from docproc.chunkers.spool import gather
from docproc.chunkers.workers import Workers
from docproc.errors import ConfigError, PermanentError
from docproc.model import Chunked, Done, Job, Outcome
from docproc.stages import Context, settle_each
from docproc.stages.stored import open_text
from docproc.states import Command
from docproc.storage import Objects


class ChunkStage:
    """Moves ``parse_validated`` to ``chunks_stored``; chunks in ``processes`` beside this one where that pays."""

    command = Command.CHUNK
    batch = 32
    batch_bytes = 4_000_000
    spread = False

    def __init__(self, storage: Objects, processes: int = 0) -> None:
        self._storage = storage
        self._workers = Workers(processes)

    def run(self, jobs: Sequence[Job], context: Context) -> None:
        """Chunks each job's document with the chunker that the job names."""
        settle_each(jobs, context, self.outcome, self.command)

    def outcome(self, job: Job) -> Outcome:
        """The chunks of one document. Raises PermanentError when there are none or when text is in none of them."""
        chunker = _chunker_of(job)
        file, pages = open_text(self._storage, job)
        with file:
            document = TextFile(file, pages)
            proof = Proof(document.pieces())
            chunks = gather(proof.of(self._workers.chunk(chunker, document)))
        if not len(chunks):
            raise PermanentError("chunk.none", "the document gave no chunks")
        if proof.lost is not None:
            raise PermanentError("chunk.lost_text", "a chunker left text out", why=f"at character {proof.lost}")
        return Done(product=Chunked(chunks))


def _chunker_of(job: Job) -> chunkers.Chunker:
    """Raises PermanentError for a chunker that this version does not know: other jobs are not held up by it."""
    try:
        return chunkers.get(job.chunks_version)
    except ConfigError as error:
        what = f"there is no chunker {job.chunks_version}"
        raise PermanentError("chunk.unknown_chunker", what, why=error.why) from None
