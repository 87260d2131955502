"""embed: packs missing chunks of all claimed jobs into requests, keeps each answer, completes what is whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from docproc import faultpoints
from docproc.embedders import Embedder
from docproc.errors import JobError, PermanentError
from docproc.model import Advance, Done, Fail, Job, PendingChunk
from docproc.settings import EmbedderSettings
from docproc.stages import Settle, outcome_of
from docproc.states import Command, State
from docproc.store import Vectors

BATCH = 32
"""Jobs embedded together: enough small documents to fill a request, few enough to share the work among processes."""


class EmbedStage:
    """Moves ``chunks_stored`` to ``complete``, through a request for every vector that is not owned yet."""

    command = Command.EMBED
    batch = BATCH

    def __init__(self, vectors: Vectors, embedder: Embedder, settings: EmbedderSettings) -> None:
        self._vectors = vectors
        self._embedder = embedder
        self._settings = settings

    def run(self, jobs: Sequence[Job], settle: Settle) -> None:
        """Embeds what is missing of ``jobs``; each is settled as soon as its last vector is stored."""
        models = {(job.embed_model, job.embed_version) for job in jobs}
        for model in sorted(models):
            _Embedding(self, [j for j in jobs if (j.embed_model, j.embed_version) == model], settle).run()


class _Embedding:
    """One run of the stage over jobs of one model: which jobs are still open, and what each still misses."""

    def __init__(self, stage: EmbedStage, jobs: Sequence[Job], settle: Settle) -> None:
        self._vectors = stage._vectors
        self._embedder = stage._embedder
        self._settings = stage._settings
        self._settle = settle
        self._open = {job.job_id: job for job in jobs}
        self._missing: Counter[UUID] = Counter()
        self._bought: set[UUID] = set()

    def run(self) -> None:
        # A further round is for chunks whose text was bought for another chunk in the one before.
        while self._open:
            self._round()

    def _round(self) -> None:
        self._vectors.link_owned(list(self._open.values()))
        pending = self._vectors.pending_chunks(list(self._open.values()))
        # What was bought and is missing all the same is not bought again: completing the job will say so.
        pending = [chunk for chunk in pending if chunk.chunk_id not in self._bought]
        self._missing = Counter(chunk.job_id for chunk in pending)
        for job in list(self._open.values()):
            if job.status is State.CHUNKS_STORED and self._missing[job.job_id]:
                self._advance(job, State.EMBEDDING_QUEUED)
        self._complete_whole()
        for request in pack(
            self._once(pending), max_inputs=self._settings.max_inputs, max_tokens=self._settings.max_tokens
        ):
            self._buy(request)

    def _once(self, pending: Iterable[PendingChunk]) -> Iterable[PendingChunk]:
        """The first chunk of each text that a user needs."""
        firsts: dict[tuple[str, str], PendingChunk] = {}
        for chunk in pending:
            if chunk.job_id in self._open:
                firsts.setdefault((self._open[chunk.job_id].user_id, chunk.embed_sha), chunk)
        return firsts.values()

    def _buy(self, request: Sequence[PendingChunk]) -> None:
        """Sends one request for those of its chunks whose jobs are still ours; halves it when it is refused."""
        chunks = [chunk for chunk in request if chunk.job_id in self._open]
        jobs = [self._open[job_id] for job_id in dict.fromkeys(chunk.job_id for chunk in chunks)]
        for job in jobs:
            if job.status is State.EMBEDDING_QUEUED:
                self._advance(job, State.EMBEDDING_IN_PROGRESS)
        jobs = [self._open[job.job_id] for job in jobs if job.job_id in self._open]
        chunks = [chunk for chunk in chunks if chunk.job_id in self._open]
        if not chunks:
            return
        try:
            self._send(jobs, chunks)
        except PermanentError as error:
            self._refused(chunks, error)
        except JobError as error:
            self._give_back(jobs, error)
        else:
            self._bought.update(chunk.chunk_id for chunk in chunks)
            self._missing.subtract(chunk.job_id for chunk in chunks)
            self._complete_whole()

    def _send(self, jobs: Sequence[Job], chunks: Sequence[PendingChunk]) -> None:
        call = self._vectors.begin_call("embed", jobs, tokens=sum(c.tokens for c in chunks), inputs=len(chunks))
        try:
            faultpoints.reach("embed.before_request")
            texts = [chunk.embed_text for chunk in chunks]
            answer = self._embedder.embed(texts, model=jobs[0].embed_model, dimensions=jobs[0].dimensions)
            faultpoints.reach("embed.after_response")
        except Exception as error:
            self._vectors.end_call(call, getattr(error, "code", type(error).__name__))
            raise
        self._vectors.save_vectors(call, jobs, chunks, answer)

    def _refused(self, chunks: Sequence[PendingChunk], error: PermanentError) -> None:
        """One bad text must fail one document: halve the request until the bad one stands alone."""
        if len(chunks) == 1:
            job = self._open.pop(chunks[0].job_id)
            self._settle(job, Fail(error))
            return
        middle = len(chunks) // 2
        self._buy(chunks[:middle])
        self._buy(chunks[middle:])

    def _give_back(self, jobs: Iterable[Job], error: JobError) -> None:
        for job in jobs:
            del self._open[job.job_id]
            self._settle(job, outcome_of(error))

    def _advance(self, job: Job, to: State) -> None:
        moved = self._settle(job, Advance(to))
        if moved is None:
            del self._open[job.job_id]
        else:
            self._open[job.job_id] = moved

    def _complete_whole(self) -> None:
        for job in [job for job in self._open.values() if not self._missing[job.job_id]]:
            del self._open[job.job_id]
            self._settle(job, Done(State.COMPLETE))


def pack(chunks: Iterable[PendingChunk], *, max_inputs: int, max_tokens: int) -> Iterator[list[PendingChunk]]:
    """Cuts ``chunks``, in their order, into requests of at most ``max_inputs`` inputs and ``max_tokens`` tokens.

    A single chunk over ``max_tokens`` still makes a request of its own: the provider is the one to refuse it.
    """
    request: list[PendingChunk] = []
    tokens = 0
    for chunk in chunks:
        if request and (len(request) == max_inputs or tokens + chunk.tokens > max_tokens):
            yield request
            request, tokens = [], 0
        request.append(chunk)
        tokens += chunk.tokens
    if request:
        yield request
