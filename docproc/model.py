"""The things docproc speaks of: jobs, parses, chunks, vectors, and the outcomes that move a job."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID, uuid5

from docproc.errors import JobError
from docproc.states import State

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAMESPACE = UUID("6c8a1e6e-1f0b-4aa8-9f0a-1a7c2e6f2b42")
"""Namespace of every UUIDv5 that docproc derives."""


def sha256(data: bytes) -> str:
    """The SHA-256 of ``data`` in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def document_id(user_id: str, content_sha: str) -> UUID:
    """Names a document by its user and the SHA-256 of its bytes: equal bytes are one document."""
    return uuid5(NAMESPACE, f"{user_id}:{content_sha}")


def chunk_id(document: UUID, chunker_name: str, chunker_version: str, ord_: int) -> UUID:
    """UUIDv5 of ``document_id:chunker_name:chunker_version:ord``, so that writing a chunk twice is one row."""
    return uuid5(NAMESPACE, f"{document}:{chunker_name}:{chunker_version}:{ord_}")


# ── what is parsed and chunked ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Page:
    """One page as a parser returned it: ``number`` counts from 1; a failed page has ``error`` and no markdown."""

    number: int
    markdown: str
    error: str | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class ParseResult:
    """What a parser returned for one document: its pages in order and what the provider says it cost.

    ``pages_in_file`` are those of the document itself, counted before it was parsed; None where they were not.
    """

    pages: tuple[Page, ...]
    parser_version: str
    credits: float | None = None
    pages_in_file: int | None = None


@dataclass(frozen=True, slots=True)
class PageSpan:
    """Where page ``number`` stands in the normalised text: characters ``start`` to ``end``, end excluded."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A normalised parse: the whole text (line ends ``\\n``, Unicode NFC, no control characters) and its pages."""

    text: str
    pages: tuple[PageSpan, ...]

    def pieces(self) -> Iterator[str]:
        """The text from its beginning."""
        return iter((self.text,))


class Document(Protocol):
    """A normalised parse that need not be in memory."""

    @property
    def pages(self) -> Sequence[PageSpan]:
        """Where its pages stand in its text."""

    def pieces(self) -> Iterator[str]:
        """The text from its beginning, in pieces of any size; anew whenever it is asked for."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document.

    ``start`` to ``end`` are character offsets into the normalised text, end excluded. ``text`` is that slice; where a
    table was cut, its header rows stand before it. ``embed_text`` is what is sent to the embedder: the heading
    path and the text. ``tokens`` counts exactly ``embed_text`` in cl100k. Pages count from 1, both ends included.
    """

    ord: int
    text: str
    start: int
    end: int
    heading_path: tuple[str, ...]
    page_first: int
    page_last: int
    tokens: int
    embed_text: str

    @property
    def chunk_sha(self) -> str:
        """SHA-256 of the stored text."""
        return sha256(self.text.encode())

    @property
    def embed_sha(self) -> str:
        """SHA-256 of the embedded string; equal strings share a vector."""
        return sha256(self.embed_text.encode())


# ── jobs and their outcomes ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed row of ``upload_jobs``: ours while its lease lasts and its fence is unchanged."""

    job_id: UUID
    document_id: UUID
    user_id: str
    source: str
    status: State
    extension: str
    raw_path: str
    raw_sha: str
    raw_bytes: int
    parsed_path: str | None
    parsed_sha: str | None
    chunks_version: str
    embed_model: str
    embed_version: str
    progress: Mapping[str, Any]
    attempt: int
    fence: int

    @property
    def chunker(self) -> tuple[str, str]:
        """Name and version of the chunker, from ``name@version``."""
        name, _, version = self.chunks_version.partition("@")
        return name, version

    @property
    def dimensions(self) -> int:
        """Of the job's vectors, from ``d{dimensions}-f{format}``: a job keeps its own when the settings change."""
        return dimensions(self.embed_version)


def embed_version(dimensions: int) -> str:
    """Names what beside the model changes a vector: dimensions, and the format of the embedded string."""
    return f"d{dimensions}-f1"


def dimensions(embed_version: str) -> int:
    """The dimensions that ``embed_version`` named."""
    return int(embed_version.partition("-")[0].removeprefix("d"))


@dataclass(frozen=True, slots=True)
class Parsed:
    """Product of parse and validate: where the parse is stored, its hash once it is validated, and its pages.

    ``path`` is None as long as there is only something to tell of the pages: the document was handed in.
    ``call_id`` and ``credits`` name the paid call that brought it and what the provider says it cost.
    """

    path: str | None
    sha: str | None = None
    progress: Mapping[str, Any] = field(default_factory=dict)
    call_id: UUID | None = None
    credits: float | None = None


class Chunks(Sized, Iterable[Chunk], Protocol):
    """Chunks that can be counted, and gone through again: a tuple, or a file where a tuple would fill the memory."""


@dataclass(frozen=True, slots=True)
class Chunked:
    """Product of chunk: every chunk of the document, in order."""

    chunks: Chunks


Product = Parsed | Chunked


@dataclass(frozen=True, slots=True)
class Done:
    """The stage is finished: the job moves to ``to`` and ``product`` is written in the same transaction.

    ``to`` is the target of the job's row in the table unless given. ``after`` seconds pass before the job is due again.
    """

    to: State | None = None
    product: Product | None = None
    after: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Advance:
    """The job moves on to ``to`` and stays claimed: a request is about to be sent."""

    to: State


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before ``seconds`` have passed; costs no attempt.

    ``ours`` when the wait is for a turn of our own, which a run stays for even if it is not to wait for others.
    """

    seconds: float
    note: str
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again with backoff while attempts are left, else fail; ``after`` (seconds) overrides the backoff."""

    error: JobError
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Fail:
    """The job moves to the failure state of its row at once; ``progress`` says what was seen of the document."""

    error: JobError
    progress: Mapping[str, Any] = field(default_factory=dict)


Outcome = Done | Advance | Wait | Retry | Fail


# ── embedding and searching ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class PendingChunk:
    """A chunk that still needs its vector."""

    chunk_id: UUID
    chunk_ord: int
    job_id: UUID
    user_id: str
    embed_text: str
    embed_sha: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Rates:
    """What a provider says of our rate limits: requests and tokens a minute, None where it does not say.

    ``left`` is the share of the scarcer one that is not used yet, ``full_in`` the seconds until it is whole again.
    """

    requests: int | None = None
    tokens: int | None = None
    left: float = 1.0
    full_in: float = 0.0


@dataclass(frozen=True, slots=True)
class Embedded:
    """The answer to one request: float32 vectors of shape (inputs, dimensions), in the order of the inputs."""

    vectors: NDArray[np.float32]
    tokens: int | None
    request_id: str | None
    rates: Rates = Rates()


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result; ``score`` is the cosine similarity, at most 1, or when hybrid, the sum of reciprocal ranks."""

    source: str
    document_id: UUID
    chunk_id: UUID
    score: float
    page_first: int
    page_last: int
    heading_path: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Source:
    """A file as ``ingest`` read it: where it came from and what its bytes are."""

    uri: str
    extension: str
    sha: str
    size: int
