"""What the stages and the runner ask of the store; ``postgres/`` is its one implementation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from docproc.errors import ConfigError, CredentialsError, PermanentError, QuotaError, ThrottledError, UnsentError
from docproc.model import Embedded, Hit, Job, Outcome, PendingChunk, Source
from docproc.states import State

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Target:
    """What the jobs of an ingest are to become: whose they are, and with which chunker and model they end."""

    user: str
    chunks_version: str
    embed_model: str
    embed_version: str

    @property
    def model(self) -> tuple[str, str]:
        """Model and version of the vectors."""
        return self.embed_model, self.embed_version


@dataclass(frozen=True, slots=True)
class Switch:
    """A change of model: the sources ``switched``, or how many shown ones are ``missing`` it, so that none was."""

    missing: int = 0
    switched: int = 0


OUTCOMES = ("new", "changed", "returned", "restored", "duplicate", "unchanged")
"""What ingest may make of a file, in the order in which it is told."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What ingest did with one source.

    ``outcome`` is one of ``OUTCOMES``: a ``duplicate`` has bytes that are known already, what ``returned`` had been
    withdrawn, and what was ``restored`` had lost its stored bytes.
    """

    source: Source
    document_id: UUID
    outcome: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """Jobs that are not final: ``open`` in all, ``due`` now, and the seconds until the next one is due, if any."""

    open: int
    due: int
    next_due: float | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which failed jobs are meant: by error code, by failure state, by document; None is all."""

    codes: list[str] | None = None
    states: list[str] | None = None
    document_ids: list[UUID] | None = None


@dataclass(frozen=True, slots=True)
class Retried:
    """How many jobs were ``sent`` back, and how many were left because their parse would be paid for again."""

    sent: int
    priced: int


@dataclass(frozen=True, slots=True)
class ParseCall:
    """The intent to have a document parsed by one parser with its settings; ``client_ref`` names it at the service."""

    parse_call_id: UUID
    client_ref: str
    state: str
    external_id: str | None
    submits: int
    seconds_until_slot: float | None
    seconds_since_submitting: float | None
    seconds_since_submitted: float | None
    seconds_since_created: float


class Queue(Protocol):
    """Claims and settles. Every method after ``claim`` is refused when the job's lease was lost."""

    tries: int
    """How often ``claim`` was sent to the database, tries after a lost connection included."""

    def claim(self, states: Sequence[State], limit: int) -> list[Job]:
        """Claims up to ``limit`` due jobs that stand in ``states``: counts an attempt and raises the fence of each."""

    def settle(self, job: Job, outcome: Outcome) -> Job | None:
        """Turns an outcome into the row change, its product and its history, in one transaction.

        Returns the job as it stands afterwards; None when its lease was lost and nothing was written.
        """

    def settle_all(self, changes: Sequence[tuple[Job, Outcome]]) -> list[Job | None]:
        """``settle`` for many jobs, in one transaction; answers in their order."""

    def renew(self, jobs: Iterable[Job]) -> set[UUID]:
        """Extends the leases of ``jobs``; a job whose id does not come back is lost."""

    def release(self, jobs: Iterable[Job]) -> int:
        """Gives claims back untouched, their attempt too; returns how many were still held."""

    def disown(self, held: Iterable[Job]) -> int:
        """Gives back what this process claimed but does not know to hold; returns how many."""

    def rescue(self) -> int:
        """Frees jobs whose lease ran out or whose process on this host is dead; returns how many."""

    def backlog(self, states: Sequence[State]) -> Backlog:
        """How much is left to do in ``states``, by the database's clock."""


class Catalogue(Protocol):
    """Sources and documents as ingest sees them."""

    def known(self, target: Target, sources: Sequence[Source]) -> list[Ingested]:
        """Those of ``sources`` that need nothing: same path, same bytes, and a job with this target."""

    def add_all(self, target: Target, brought: Sequence[tuple[Source, str]]) -> list[Ingested]:
        """Records sources whose bytes are stored at a path each, with their jobs; equal bytes are one job."""

    def rebuild(self, target: Target) -> int:
        """Makes a job with ``target`` for every document that is shown with another model; returns how many."""

    def switch(self, target: Target) -> Switch:
        """Shows all documents of the user with the model of ``target``, in one transaction, once none is without it."""

    def serving(self, user: str) -> tuple[str, str] | None:
        """Model and version that ``user`` is searched with; None before the first document is complete."""

    def record_providers(self, *, parser: str, embedder: str) -> None:
        """Records whether this database is used with ``mock`` or ``real`` services, or refuses the other kind."""


class KnownParses(Protocol):
    """Which parses are the same."""

    def canonical_parse(self, job: Job, parsed_sha: str) -> str | None:
        """The stored parse of the user's earliest other document with the same parse, if there is one."""


class ParseCalls(KnownParses, Protocol):
    """Intents to parse, each written before the service is called."""

    def parse_call(self, job: Job, parser: str) -> ParseCall:
        """The call for this document and parser settings, written now unless it exists."""

    def reserve_submit(self, call: ParseCall, *, per_second: float, burst: int) -> float:
        """Takes a place in the queue of submits that all processes share; returns the seconds until its turn."""

    def pause_submits(self, seconds: float) -> None:
        """The service asked to wait: no process submits before ``seconds`` have passed."""

    def begin_submit(self, call: ParseCall, job: Job, *, tier: str = "", pages: int | None = None) -> bool:
        """Marks that a request is about to be sent, and counts it; False when another process is at it.

        Reserves what ``pages`` of ``tier`` cost. Raises BudgetError, with nothing written, where that is too much.
        """

    def submitted(self, call: ParseCall, external_id: str) -> None:
        """Stores the service's id of the job."""

    def submit_refused(self, call: ParseCall, code: str | None = None) -> None:
        """The service said no: nothing was accepted, so the submit is not counted, and costs nothing."""

    def parse_lost(self, call: ParseCall, code: str | None = None) -> None:
        """The service's job is of no more use (failed, expired, cancelled): a further submit makes a new one.

        Perhaps it is paid for all the same.
        """


class RateLimits(Protocol):
    """When the next call to a provider may be sent, decided for all processes."""

    def reserve(self, name: str, *, seconds: float, burst: float, patience: float) -> float:
        """Takes ``seconds`` of the limit ``name`` and returns in how many seconds they begin.

        After a rest ``burst`` seconds' worth begin at once. What would begin after ``patience`` is not taken.
        """

    def pause(self, name: str, seconds: float) -> None:
        """Nobody may send before ``seconds`` have passed."""


class Vectors(Protocol):
    """Chunks that need vectors, and the vectors."""

    def link_owned(self, jobs: Sequence[Job]) -> dict[UUID, int]:
        """Gives chunks of ``jobs`` the vectors that the user owns already for the same text, model and version.

        Returns how many chunks of each job are without a vector then.
        """

    def pending_chunks(
        self, jobs: Sequence[Job], *, after: PendingChunk | None = None, limit: int = 10_000
    ) -> list[PendingChunk]:
        """Up to ``limit`` chunks of ``jobs`` that have no vector, in order of job and chunk, from ``after`` on."""

    def owned(self, job: Job, chunks: Sequence[PendingChunk]) -> set[UUID]:
        """Those of ``chunks`` whose text has a vector of the job's model and version already."""

    def begin_call(
        self,
        operation: str,
        jobs: Sequence[Job],
        *,
        tokens: int,
        inputs: int,
        model: str | None = None,
        shares: Sequence[int] | None = None,
    ) -> UUID:
        """Opens the ledger row of one request to the embedder, and reserves what it may cost; returns its id.

        ``model`` is the jobs' own unless given; ``shares`` are the tokens of each of ``jobs``, all for one alone.
        Raises BudgetError, with nothing written, where the request would cost too much.
        """

    def save_vectors(
        self, call_id: UUID, jobs: Sequence[Job], chunks: Sequence[PendingChunk], answer: Embedded
    ) -> None:
        """Writes the vectors of one response and closes its ledger row, in one transaction."""

    def end_call(self, call_id: UUID, outcome: str, answer: Embedded | None = None, *, code: str | None = None) -> None:
        """Closes a ledger row whose request brought nothing to store: ``ok``, ``refused`` or ``uncertain``."""


REFUSALS = (ConfigError, CredentialsError, PermanentError, QuotaError, ThrottledError, UnsentError)
"""Errors after which nothing was done: 400, 401, 402, 403, 404, 413, 422, 429, or a request that never left."""


def end_of(error: Exception) -> tuple[str, str]:
    """How a paid call ended that raised ``error``, and its code: ``refused``, or ``uncertain``, perhaps paid for."""
    end = "refused" if isinstance(error, REFUSALS) else "uncertain"
    return end, str(getattr(error, "code", type(error).__name__))


class Search(Protocol):
    """The search over live, complete documents."""

    def search(
        self,
        vector: NDArray[np.float32],
        *,
        user: str,
        model: str,
        version: str,
        limit: int,
        source: str | None = None,
        words: str | None = None,
    ) -> list[Hit]:
        """The best chunks, at most ``limit``: by cosine; with ``words`` by reciprocal rank of that and of full text.

        ``vector`` has shape (dimensions,); ``source`` is a LIKE pattern.
        """
