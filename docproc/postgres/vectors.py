"""Chunks that need vectors, and the vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from docproc import faultpoints
from docproc.model import Embedded, Job, PendingChunk, sha256
from docproc.postgres.database import Database, query
from docproc.postgres.ledger import Call, Ledger

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from docproc.postgres.database import Conn


class Vectors:
    """The chunks and vectors of the jobs that embed."""

    def __init__(self, database: Database, run_id: UUID, ledger: Ledger | None = None) -> None:
        self._db = database
        self._ledger = ledger or Ledger(database, run_id)

    def link_owned(self, jobs: Sequence[Job]) -> dict[UUID, int]:
        """Gives chunks of ``jobs`` the vectors that the user owns already for the same text, model and version.

        Returns how many chunks of each job are without a vector then.
        """

        def write(conn: Conn) -> dict[UUID, int]:
            conn.execute(query("link_owned"), _ids(jobs))
            return {row["job_id"]: row["missing"] for row in conn.execute(query("count_embeds"), _ids(jobs))}

        return self._db.attempt(write)

    def pending_chunks(
        self, jobs: Sequence[Job], *, after: PendingChunk | None = None, limit: int = 10_000
    ) -> list[PendingChunk]:
        """Up to ``limit`` chunks of ``jobs`` that have no vector, in order of job and chunk, from ``after`` on."""
        last = {"after_job": after.job_id if after else None, "after_ord": after.chunk_ord if after else None}
        return [PendingChunk(**row) for row in self._db.rows("pending_chunks", {**_ids(jobs), **last, "limit": limit})]

    def owned(self, job: Job, chunks: Sequence[PendingChunk]) -> set[UUID]:
        """Those of ``chunks`` whose text has a vector of the job's model and version already."""
        values = {
            "chunk_ids": [chunk.chunk_id for chunk in chunks],
            "users": [chunk.user_id for chunk in chunks],
            "embed_shas": [chunk.embed_sha for chunk in chunks],
            "model": job.embed_model,
            "version": job.embed_version,
        }
        return {row["chunk_id"] for row in self._db.rows("owned", values)}

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
        call_id = uuid4()
        bought = model or (jobs[0].embed_model if jobs else "")
        parts = (tokens,) * len(jobs) if shares is None else tuple(shares)
        call = Call("openai", operation, operation, bought, "token", tuple(jobs), parts, tokens, inputs)
        self._db.attempt(lambda conn: self._ledger.begin(conn, call_id, call))
        return call_id

    def save_vectors(
        self, call_id: UUID, jobs: Sequence[Job], chunks: Sequence[PendingChunk], answer: Embedded
    ) -> None:
        """Writes the vectors of one response and closes its ledger row, in one transaction.

        ``answer.vectors`` has one row for each of ``chunks``, in their order.
        """
        version = {"model": jobs[0].embed_model, "version": jobs[0].embed_version}

        def write(conn: Conn) -> None:
            self._db.know_vectors(conn)
            conn.execute(query("incoming_vectors"))
            _copy(conn, zip(chunks, answer.vectors, strict=True))
            conn.execute(query("write_vectors"), {**version, **_ids(jobs)})
            self._ledger.end(conn, call_id, "ok", answer)

        self._db.attempt(write)

    def end_call(self, call_id: UUID, outcome: str, answer: Embedded | None = None, *, code: str | None = None) -> None:
        """Closes a ledger row whose request brought nothing to store: ``ok``, ``refused`` or ``uncertain``."""
        self._db.attempt(lambda conn: self._ledger.end(conn, call_id, outcome, answer, code=code))


def _copy(conn: Conn, pairs: Iterable[tuple[PendingChunk, NDArray[np.float32]]]) -> None:
    with conn.cursor().copy(query("copy_vectors")) as copy:
        copy.set_types(["uuid", "text", "vector", "text"])
        for n, (chunk, vector) in enumerate(pairs):
            if n == 1:
                faultpoints.reach("embed.mid_copy")
            copy.write_row((chunk.chunk_id, chunk.embed_sha, vector, sha256(vector.tobytes())))


def _ids(jobs: Sequence[Job]) -> dict[str, object]:
    return {"job_ids": [job.job_id for job in jobs]}
