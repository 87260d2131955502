"""embed: packs the missing chunks of all claimed jobs into requests, several in flight, and completes what is whole."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from uuid import UUID

from docproc import faultpoints
from docproc.embedders import Embedder
from docproc.errors import JobError, Pause, PermanentError, ThrottledError
from docproc.limits import PATIENCE, Limits
from docproc.model import Done, Job, Outcome, PendingChunk, Wait
from docproc.settings import EmbedderSettings
from docproc.stages import THROTTLED_PAUSE, Context, outcome_of
from docproc.states import Command, State
from docproc.store import Vectors, end_of

log = logging.getLogger(__name__)

BATCH = 64
"""Jobs embedded together: enough small documents to fill some requests, few enough to share among processes."""

PAGE = 2048
"""Pending chunks read at a time: what is kept in memory whatever the size of a document."""

ALONE_FROM = 3
"""The attempt from which on a document shares no request: what went wrong twice may be its own text's doing, and would
cost its neighbours all their attempts. Not from the second on: a service that was down would get too many requests."""

WORTH_TELLING = 1.0
"""Seconds from which on a wait for the rate limit is logged."""

TWIN_WAIT = 1.0
"""Seconds until a document is looked at again whose text is being bought for another one at this moment."""


class EmbedStage:
    """Moves ``chunks_stored`` to ``complete``, through a request for every vector that is not owned yet."""

    command = Command.EMBED
    batch = BATCH
    batch_bytes = sys.maxsize
    spread = False

    def __init__(self, vectors: Vectors, embedder: Embedder, limits: Limits, settings: EmbedderSettings) -> None:
        self.vectors = vectors
        self.flying = Flying()
        self.max_inputs = settings.max_inputs
        self._embedder = embedder
        self._limits = limits
        self._settings = settings

    @property
    def max_tokens(self) -> int:
        """Tokens a request: what the API allows, or less where the rate limit is small."""
        return min(self._settings.max_tokens, self._limits.largest_request)

    def run(self, jobs: Sequence[Job], context: Context) -> None:
        """Embeds what is missing of ``jobs``; each is settled as soon as its last vector is stored."""
        for model in sorted({(job.embed_model, job.embed_version) for job in jobs}):
            _Embedding(self, [j for j in jobs if (j.embed_model, j.embed_version) == model], context).run()

    def buy(self, jobs: Sequence[Job], chunks: Sequence[PendingChunk], context: Context) -> Answer:
        """Sends one request when its turn has come, and stores the answer. Runs beside others of its kind."""
        # Another process may have bought some of these texts since they were read.
        owned = self.vectors.owned(jobs[0], chunks)
        wanted = [chunk for chunk in chunks if chunk.chunk_id not in owned]
        if not wanted:
            return Answer(chunks)
        try:
            turn = self._limits.turn(sum(chunk.tokens for chunk in wanted))
            if turn > PATIENCE:
                raise ThrottledError("embed.throttled", "the rate limit is used up", pause=Pause(turn))
            if turn > WORTH_TELLING:
                log.info("waits for its turn", extra={"stage": self.command, "waits": turn})
            if not (context.pause(turn) and all(context.may_go_on(job) for job in jobs)):
                return Answer(chunks, unsent=True)
            sent = time.monotonic()
            self._send(jobs, wanted)
        except JobError as error:
            return Answer(chunks, error=error)
        return Answer(chunks, wanted, seconds=time.monotonic() - sent)

    def _send(self, jobs: Sequence[Job], chunks: Sequence[PendingChunk]) -> None:
        tokens = dict.fromkeys((job.job_id for job in jobs), 0)
        for chunk in chunks:
            tokens[chunk.job_id] += chunk.tokens
        shares = list(tokens.values())
        call = self.vectors.begin_call("embed", jobs, tokens=sum(shares), inputs=len(chunks), shares=shares)
        try:
            faultpoints.reach("embed.before_request")
            texts = [chunk.embed_text for chunk in chunks]
            answer = self._embedder.embed(texts, model=jobs[0].embed_model, dimensions=jobs[0].dimensions)
            faultpoints.reach("embed.after_response")
        except Exception as error:
            end, code = end_of(error)
            self.vectors.end_call(call, end, code=code)
            if isinstance(error, ThrottledError):
                self._limits.pause(error.pause.seconds or THROTTLED_PAUSE)
            raise
        self.vectors.save_vectors(call, jobs, chunks, answer)
        self._limits.heard(answer.rates)


Text = tuple[str, str, str, str]
"""What makes two embedded strings the same purchase: user, hash, model, version."""


class Flying:
    """The texts that this process is buying now, in whatever batch: none is asked for twice at a time."""

    def __init__(self) -> None:
        self._texts: set[Text] = set()
        self._lock = threading.Lock()

    def take(self, text: Text) -> bool:
        """True when nobody is buying ``text``: now the caller is."""
        with self._lock:
            if text in self._texts:
                return False
            self._texts.add(text)
            return True

    def leave(self, texts: Iterable[Text]) -> None:
        """Forgets ``texts``: bought or given up."""
        with self._lock:
            self._texts.difference_update(texts)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request: the chunks that were ``bought``, and the trouble, if any, of all its ``chunks``."""

    chunks: Sequence[PendingChunk]
    bought: Sequence[PendingChunk] = ()
    error: JobError | None = None
    unsent: bool = False
    seconds: float = 0.0


class _Embedding:
    """One run of the stage over jobs of one model. Only its own thread touches its state; requests run in others."""

    def __init__(self, stage: EmbedStage, jobs: Sequence[Job], context: Context) -> None:
        self._stage = stage
        self._vectors = stage.vectors
        self._context = context
        self._model = (jobs[0].embed_model, jobs[0].embed_version)
        self._open = {job.job_id: job for job in jobs}
        self._missing: dict[UUID, int] = {}
        self._total = sum(int(job.progress.get("embeds_total", 0)) for job in jobs)
        self._answers, self._wanted = 0, 0
        self._requests: Iterator[list[PendingChunk]] = iter(())
        self._halves: deque[Sequence[PendingChunk]] = deque()
        self._asked_for: set[Text] = set()
        self._flying: set[Text] = set()
        self._elsewhere: set[UUID] = set()

    def run(self) -> None:
        # A further round is for chunks whose text was bought for another chunk in the one before.
        try:
            while self._open and self._round():
                pass
        finally:
            self._stage.flying.leave(self._flying)

    def _round(self) -> bool:
        """Buys what is missing; False when another round would not change anything."""
        self._missing |= dict.fromkeys(self._open, 0) | self._vectors.link_owned(list(self._open.values()))
        self._answers, self._wanted = 0, ceil(sum(map(self._missing.__getitem__, self._open)) / self._stage.max_inputs)
        self._complete_whole()
        self._advance([job for job in self._open.values() if job.status is State.CHUNKS_STORED], State.EMBEDDING_QUEUED)
        self._elsewhere.clear()
        self._requests = pack(
            self._texts(),
            max_inputs=self._stage.max_inputs,
            max_tokens=self._stage.max_tokens,
            alone={job.job_id for job in self._open.values() if job.attempt >= ALONE_FROM},
        )
        asked = False
        for answer in self._context.concurrently(self._next_request):
            asked = True
            self._heard(answer)
        if not asked and all(self._context.may_go_on(job) for job in self._open.values()):
            self._settle_rest()
        return asked

    # ── what to buy ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _texts(self) -> Iterator[PendingChunk]:
        """The pending chunks, page by page, each text once; what another batch is buying now is passed over."""
        jobs, last = list(self._open.values()), None
        while page := self._vectors.pending_chunks(jobs, after=last, limit=PAGE):
            last = page[-1]
            for chunk in page:
                if chunk.job_id not in self._open or (text := self._text(chunk)) in self._asked_for:
                    continue
                if self._stage.flying.take(text):
                    self._flying.add(text)
                    self._asked_for.add(text)
                    yield chunk
                else:
                    self._elsewhere.add(chunk.job_id)

    def _text(self, chunk: PendingChunk) -> Text:
        return (chunk.user_id, chunk.embed_sha, *self._model)

    def _next_request(self) -> Callable[[], Answer] | None:
        """The next request whose jobs are still ours, marked as about to be sent; None when there is none now."""
        while request := self._halves.popleft() if self._halves else next(self._requests, None):
            jobs = [self._open[job_id] for job_id in {c.job_id: None for c in request} if job_id in self._open]
            self._advance([job for job in jobs if job.status is State.EMBEDDING_QUEUED], State.EMBEDDING_IN_PROGRESS)
            jobs = [self._open[job.job_id] for job in jobs if job.job_id in self._open]
            chunks = [chunk for chunk in request if chunk.job_id in self._open]
            if chunks:
                return partial(self._stage.buy, jobs, chunks, self._context)
        return None

    def _advance(self, jobs: Sequence[Job], to: State) -> None:
        moved = {job.job_id: job for job in self._context.advance(jobs, to)} if jobs else {}
        for job in jobs:
            if job.job_id in moved:
                self._open[job.job_id] = moved[job.job_id]
            else:
                del self._open[job.job_id]

    # ── what came of it ─────────────────────────────────────────────────────────────────────────────────────────────

    def _heard(self, answer: Answer) -> None:
        if isinstance(answer.error, PermanentError) and len(answer.chunks) > 1:
            # One bad text must fail one document: halve the request until the bad one stands alone.
            middle = len(answer.chunks) // 2
            self._halves += [answer.chunks[:middle], answer.chunks[middle:]]
            return
        texts = {self._text(chunk) for chunk in answer.chunks}
        self._stage.flying.leave(texts)
        self._flying -= texts
        jobs = [self._open[job_id] for job_id in {c.job_id: None for c in answer.chunks} if job_id in self._open]
        if answer.unsent:
            for job in jobs:
                del self._open[job.job_id]
        elif answer.error is not None:
            self._asked_for -= texts
            for job in jobs:
                self._settle(job, outcome_of(answer.error, Command.EMBED))
        else:
            for chunk in answer.bought:
                self._missing[chunk.job_id] -= 1
            self._log(answer)
            self._complete_whole()

    def _log(self, answer: Answer) -> None:
        self._answers += 1
        if answer.bought and log.isEnabledFor(logging.INFO):
            counts = {
                "batch": self._answers,
                "of": max(self._wanted, self._answers),
                "jobs": len({chunk.job_id for chunk in answer.bought}),
                "inputs": len(answer.bought),
                "tokens": sum(chunk.tokens for chunk in answer.bought),
                "embeds_done": self._total - sum(self._missing.values()),
                "embeds_total": self._total,
            }
            log.info("embedded", extra={"stage": Command.EMBED, **counts, "seconds": answer.seconds})

    def _complete_whole(self) -> None:
        for job in [job for job in self._open.values() if not self._missing.get(job.job_id)]:
            self._settle(job, Done(State.COMPLETE))

    def _settle_rest(self) -> None:
        """Nothing is left to ask for, and yet something is missing: it comes from elsewhere, or the store will say."""
        for job in list(self._open.values()):
            elsewhere = job.job_id in self._elsewhere
            wait = Wait(TWIN_WAIT, "the same text is being embedded for another document")
            self._settle(job, wait if elsewhere else Done(State.COMPLETE))

    def _settle(self, job: Job, outcome: Outcome) -> None:
        del self._open[job.job_id]
        self._context.settle(job, outcome)


def pack(
    chunks: Iterable[PendingChunk], *, max_inputs: int, max_tokens: int, alone: Collection[UUID] = ()
) -> Iterator[list[PendingChunk]]:
    """Cuts ``chunks``, in their order, into requests of at most ``max_inputs`` inputs and ``max_tokens`` tokens.

    A single chunk over ``max_tokens`` still makes a request of its own: the provider is the one to refuse it. A job of
    ``alone`` shares no request with another.
    """
    request: list[PendingChunk] = []
    tokens = 0
    for chunk in chunks:
        full = len(request) == max_inputs or tokens + chunk.tokens > max_tokens
        if request and (full or _apart(request[-1].job_id, chunk.job_id, alone)):
            yield request
            request, tokens = [], 0
        request.append(chunk)
        tokens += chunk.tokens
    if request:
        yield request


def _apart(one: UUID, other: UUID, alone: Collection[UUID]) -> bool:
    return one != other and (one in alone or other in alone)
